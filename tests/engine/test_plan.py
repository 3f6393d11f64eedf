"""Who gets which rows, how many bytes, and which results are computed together."""

from __future__ import annotations

from collections import Counter
from math import prod
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simsplit.engine import Plan, Tile
from simsplit.engine.plan import STEPS_AT_ONCE, STEPS_BETWEEN, TILE
from tests.support.profiles import examples

F4, F8 = np.dtype(np.float32), np.dtype(np.float64)


def make(**changes: Any) -> Plan:
    """Return a plan for 7 rows of float32 with a history of float64, but for the changes."""
    values: dict[str, Any] = {"shape": (7,), "dtype": F4, "history_dtype": F8, "steps": 5, "ranks": 4}
    return Plan(**(values | changes))


def tiles_of(plan: Plan, first: int = 0, *, every: bool = False) -> list[Tile]:
    """Return all tiles from a step on."""
    return [tile for stretch in stretches_of(plan, first, every=every) for tile in plan.tiles(stretch)]


def stretches_of(plan: Plan, first: int = 0, *, every: bool = False, steps: int = 4) -> list[range]:
    """Return all stretches from a step on."""
    found: list[range] = []
    while plan.longest and (stretch := plan.batch(found[-1].stop if found else first, steps, every=every)):
        found.append(stretch)
    return found


plans = st.builds(
    Plan,
    shape=st.tuples(st.integers(0, 60)) | st.tuples(st.integers(0, 40), st.integers(0, 4)),
    dtype=st.just(F4),
    history_dtype=st.just(F8),
    steps=st.integers(0, 11),
    ranks=st.integers(1, 9),
    tile_nbytes=st.integers(0, 700),
    keep=st.sampled_from(["all", "last", "every:1", "every:2", "every:3", "every:40"]),
)


@examples(200)
@given(plan=plans)
def test_the_tiles_hold_every_row_of_every_step_exactly_once_and_on_its_rank(plan: Plan) -> None:
    times = Counter(
        (step, row, rank)
        for tile in tiles_of(plan)
        for rank, (lower, upper) in enumerate(tile.spans)
        for step in tile.steps
        for row in range(lower, upper)
    )
    owners = {row: rank for rank, (lower, upper) in enumerate(plan.bounds) for row in range(lower, upper)}
    assert times == Counter((step, row, owners[row]) for step in plan.kept for row in range(plan.shape[0]))


@examples(200)
@given(plan=plans, first=st.integers(0, 12), every=st.booleans(), steps=st.integers(1, 12))
def test_stretches_go_through_the_steps_in_order_and_tiles_know_the_places_of_those_kept(
    plan: Plan, first: int, every: bool, steps: int
) -> None:
    stretches = stretches_of(plan, first, every=every, steps=steps)
    numbers = [k for k in (range(plan.steps) if every else plan.kept) if k >= first]
    assert [k for stretch in stretches for k in stretch] == (numbers if plan.shape[0] else [])
    places = {k: position for position, k in enumerate(plan.kept)}
    for stretch in stretches:
        assert len(stretch) <= steps
        for tile in plan.tiles(stretch):
            assert tile.computed == stretch
            assert list(tile.steps) == [k for k in stretch if k in places]
            assert list(range(len(plan.kept))[tile.positions]) == [places[k] for k in tile.steps]
            assert len(tile.steps) <= plan.tile_shape[0]


def test_steps_that_are_not_kept_are_computed_some_thousand_at_a_time() -> None:
    plan = make(steps=10**6, keep=f"every:{10**5}")
    lengths = {len(stretch) for stretch in stretches_of(plan, every=True, steps=10**6)}
    assert lengths == {STEPS_BETWEEN, 10**6 % STEPS_BETWEEN}


@examples(200)
@given(plan=plans)
def test_no_tile_is_larger_than_the_largest_and_that_keeps_to_its_bytes_or_has_one_row(plan: Plan) -> None:
    steps, rows, *row_shape = plan.tile_shape
    assert row_shape == list(plan.shape[1:])
    assert rows <= 1 or steps * rows * prod(row_shape) * F8.itemsize <= max(plan.tile_nbytes, 0) or not prod(row_shape)
    tiles = tiles_of(plan)
    for tile in tiles:
        assert 1 <= len(tile.steps) <= steps
        assert rows == plan.longest or steps <= STEPS_AT_ONCE
        assert len(tile.spans) == plan.ranks
        for (lower, upper), (first, last) in zip(tile.spans, plan.bounds, strict=True):
            assert first <= lower <= upper <= last
            assert upper - lower <= rows
    assert not tiles or max(len(tile.steps) for tile in tiles) == min(steps, 4)
    assert not tiles or max(tile.spans[0][1] - tile.spans[0][0] for tile in tiles) == rows


@given(plan=plans)
def test_bytes_and_shapes_add_up_over_the_ranks(plan: Plan) -> None:
    parts = [plan.part_shape(rank) for rank in range(plan.ranks)]
    assert [shape[0] for shape in parts] == [upper - lower for lower, upper in plan.bounds]
    assert plan.longest == max(shape[0] for shape in parts)
    assert all(shape[1:] == plan.shape[1:] for shape in parts)
    assert plan.initial_nbytes == sum(prod(shape) for shape in parts) * F4.itemsize
    assert plan.history_nbytes == prod(plan.history_shape) * F8.itemsize
    assert plan.scattered_nbytes == plan.initial_nbytes - prod(parts[0]) * F4.itemsize
    assert plan.history_shape == (len(plan.kept), *plan.shape)
    assert plan.gathered_nbytes == plan.history_nbytes - len(plan.kept) * prod(parts[0]) * F8.itemsize


def test_the_tutorial_is_one_tile_of_four_steps_and_one_of_one() -> None:
    plan = make()
    assert plan.bounds == [(0, 2), (2, 4), (4, 6), (6, 7)]
    assert plan.longest == 2
    assert plan.tile_shape == (5, 2)
    assert [(tile.steps, tile.spans) for tile in tiles_of(plan)] == [
        (range(4), [(0, 2), (2, 4), (4, 6), (6, 7)]),
        (range(4, 5), [(0, 2), (2, 4), (4, 6), (6, 7)]),
    ]
    assert plan.history_shape == (5, 7)
    assert (plan.initial_nbytes, plan.history_nbytes) == (28, 280)
    assert (plan.scattered_nbytes, plan.gathered_nbytes) == (20, 200)


def test_all_rows_of_a_few_steps_come_before_the_next_steps() -> None:
    plan = make(ranks=2, tile_nbytes=2 * 4 * 8)  # two rows of four steps
    assert [(tile.steps.start, tile.spans) for tile in tiles_of(plan)] == [
        (0, [(0, 2), (4, 6)]),
        (0, [(2, 4), (6, 7)]),
        (4, [(0, 2), (4, 6)]),
        (4, [(2, 4), (6, 7)]),
    ]


def test_a_rank_whose_part_is_at_its_end_has_an_empty_span_in_a_tile() -> None:
    plan = make(ranks=4, steps=1, tile_nbytes=8)
    assert [tile.spans for tile in tiles_of(plan)] == [
        [(0, 1), (2, 3), (4, 5), (6, 7)],
        [(1, 2), (3, 4), (5, 6), (7, 7)],
    ]


@pytest.mark.parametrize("changes", [{"shape": (0,)}, {"shape": (0, 3)}, {"steps": 0}])
def test_there_are_no_tiles_where_there_is_nothing_to_compute(changes: dict[str, Any]) -> None:
    plan = make(**changes)
    assert tiles_of(plan) == []
    assert plan.history_nbytes == 0
    assert plan.gathered_nbytes == 0


def test_a_tile_has_16_mib_unless_told_otherwise() -> None:
    plan = make(shape=(10**9,), steps=100, ranks=3)
    assert TILE == 16 * 2**20
    assert plan.tile_shape == (4, TILE // (4 * 8))


def test_sizes_beyond_64_bits_do_not_overflow() -> None:
    plan = make(shape=(10**15, 10**6), steps=10**9, ranks=2)
    assert plan.history_nbytes == 8 * 10**30
    assert plan.gathered_nbytes == 4 * 10**30
    assert plan.tile_shape == (4, 1, 10**6)


@pytest.mark.parametrize(
    ("rows", "ranks", "grain", "expected"),
    [
        (10, 4, 1, [(0, 3), (3, 6), (6, 8), (8, 10)]),
        (10, 4, 3, [(0, 3), (3, 6), (6, 9), (9, 10)]),
        (10, 2, 3, [(0, 6), (6, 10)]),
        (5, 4, 2, [(0, 2), (2, 4), (4, 5), (5, 5)]),
        (0, 2, 3, [(0, 0), (0, 0)]),
    ],
)
def test_rows_of_a_grain_stay_together(rows: int, ranks: int, grain: int, expected: list[tuple[int, int]]) -> None:
    plan = Plan((rows, 2), np.dtype("f8"), np.dtype("f8"), 3, ranks, grain=grain)
    assert plan.bounds == expected
    assert [plan.part_shape(rank) for rank in range(ranks)] == [(upper - lower, 2) for lower, upper in expected]
    assert plan.longest == max(upper - lower for lower, upper in expected)
    assert plan.of((rows,), np.dtype("f4")).bounds == expected
