"""The history in root's memory."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simsplit import InputError
from simsplit.communicator.serial import SerialCommunicator
from simsplit.engine import Plan
from simsplit.history.gathered import GatheredHistory
from simsplit.util import memory_limits as memory
from tests.support.profiles import examples
from tests.support.sinks import tiles_of
from tests.support.threads import ThreadRank, on_ranks


def make(shape: tuple[int, ...] = (7, 2), **changes: Any) -> Plan:
    """Return a plan of five steps."""
    values: dict[str, Any] = {"dtype": np.dtype("i4"), "history_dtype": np.dtype("f8"), "steps": 5, "ranks": 1}
    return Plan(shape, **(values | changes))


@examples(40)
@given(
    rows=st.integers(0, 12), ranks=st.integers(1, 4), tile_nbytes=st.integers(0, 300), dtype=st.sampled_from("fdDg?")
)
def test_what_each_rank_puts_in_its_rows_comes_to_its_place_on_root(
    rows: int, ranks: int, tile_nbytes: int, dtype: str
) -> None:
    plan = make((rows, 2), history_dtype=np.dtype(dtype), ranks=ranks, tile_nbytes=tile_nbytes)
    expected = np.arange(5 * rows * 2).reshape(5, rows, 2).astype(dtype)

    def deliver(rank: ThreadRank) -> Any:
        receiver = GatheredHistory(rank, plan)
        for tile in tiles_of(plan):
            lower, upper = tile.spans[rank.rank]
            target = receiver.rows(tile)
            assert target.shape == (len(tile.steps), upper - lower, 2)
            assert all(step.flags.c_contiguous for step in target)
            target[...] = expected[tile.steps.start : tile.steps.stop, lower:upper]
            receiver.deliver(tile)
        return receiver.history

    history, *others = on_ranks(ranks, deliver)
    assert history.dtype == expected.dtype
    np.testing.assert_array_equal(history, expected)
    assert others == [None] * (ranks - 1)


def test_root_computes_straight_into_the_history() -> None:
    plan = make(tile_nbytes=4 * 3 * 16)
    receiver = GatheredHistory(SerialCommunicator(), plan)
    assert receiver.history is not None
    assert receiver.history.shape == (5, 7, 2)
    assert receiver.history.dtype == np.float64
    for tile in tiles_of(plan):
        assert np.shares_memory(receiver.rows(tile), receiver.history)


def test_other_ranks_keep_one_tile_only() -> None:
    plan = make((1000, 2), ranks=2, tile_nbytes=4 * 3 * 16)

    def bytes_kept(rank: ThreadRank) -> Any:
        receiver = GatheredHistory(rank, plan)
        kept = {id(receiver.rows(tile).base): receiver.rows(tile).base for tile in tiles_of(plan)}
        return [base.nbytes for base in kept.values()]

    on_root, elsewhere = on_ranks(2, bytes_kept)
    assert on_root == [5 * 1000 * 2 * 8]
    assert elsewhere == [4 * 3 * 16]


def test_a_history_that_does_not_fit_is_refused_with_its_size_and_a_way_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "available", lambda **_: 1_000_000)
    GatheredHistory(SerialCommunicator(), make((12_500,), steps=10))
    with pytest.raises(InputError) as caught:
        GatheredHistory(SerialCommunicator(), make((12_500,), steps=11))
    assert str(caught.value) == (
        "the history of 11 steps × 100 kB on rank 0 takes 1.1 MB, but 1 MB of memory are left. "
        "Compute fewer steps or rows, or use a node with more memory."
    )


@pytest.mark.parametrize(("shape", "steps"), [((0, 2), 5), ((7, 0), 5), ((7, 2), 0)])
def test_an_empty_history_has_its_shape_all_the_same(shape: tuple[int, ...], steps: int) -> None:
    receiver = GatheredHistory(SerialCommunicator(), make(shape, steps=steps))
    assert receiver.history is not None
    assert receiver.history.shape == (steps, *shape)


@pytest.mark.parametrize("ranks", [1, 3])
def test_any_rows_of_a_step_can_be_fetched_again(ranks: int) -> None:
    plan = make((7, 2), ranks=ranks)
    history = np.arange(70.0).reshape(5, 7, 2)

    def fetch(rank: ThreadRank) -> Any:
        receiver = GatheredHistory(rank, plan, history if rank.rank == 0 else None)
        found = []
        for position in (4, 0):
            for spans in ([(0, 1), (2, 4), (6, 6)], [(3, 7), (0, 2), (2, 3)]):
                rows = receiver.fetch(position, spans[:ranks])
                lower, upper = spans[rank.rank]
                found.append(np.array_equal(rows, history[position, lower:upper]))
        receiver.finish()
        return found

    assert on_ranks(ranks, fetch) == [[True] * 4] * ranks


def test_a_history_that_is_there_already_is_not_copied() -> None:
    history = np.zeros((5, 7, 2))
    receiver = GatheredHistory(SerialCommunicator(), make(), history)
    assert receiver.history is history
