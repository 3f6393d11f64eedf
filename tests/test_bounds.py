"""The near-equal split of rows over ranks."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simsplit.bounds import bounds, part


@pytest.mark.parametrize(
    ("rows", "ranks", "expected"),
    [
        (7, 1, [(0, 7)]),
        (7, 2, [(0, 4), (4, 7)]),
        (7, 4, [(0, 2), (2, 4), (4, 6), (6, 7)]),
        (8, 4, [(0, 2), (2, 4), (4, 6), (6, 8)]),
        (2, 4, [(0, 1), (1, 2), (2, 2), (2, 2)]),
        (0, 3, [(0, 0), (0, 0), (0, 0)]),
    ],
)
def test_splits_as_written_down_by_hand(rows: int, ranks: int, expected: list[tuple[int, int]]) -> None:
    assert bounds(rows, ranks) == expected


@given(rows=st.integers(0, 2**80), ranks=st.integers(1, 300))
def test_parts_are_contiguous_near_equal_and_the_longer_ones_first(rows: int, ranks: int) -> None:
    split = bounds(rows, ranks)
    lengths = [upper - lower for lower, upper in split]
    assert len(split) == ranks
    assert split[0][0] == 0
    assert split[-1][1] == rows
    assert all(upper == lower for (_, upper), (lower, _) in pairwise(split))
    assert max(lengths) - min(lengths) <= 1
    assert lengths == sorted(lengths, reverse=True)


@given(rows=st.integers(0, 10**60), ranks=st.integers(1, 10**40), data=st.data())
def test_a_part_of_any_size_meets_its_neighbours(rows: int, ranks: int, data: st.DataObject) -> None:
    rank = data.draw(st.integers(0, ranks - 1))
    lower, upper = part(rows, ranks, rank)
    assert upper - lower in {rows // ranks, -(-rows // ranks)}
    assert lower == (part(rows, ranks, rank - 1)[1] if rank else 0)
    assert upper == (part(rows, ranks, rank + 1)[0] if rank + 1 < ranks else rows)


@given(rows=st.integers(0, 1000), ranks=st.integers(1, 50))
def test_part_is_one_entry_of_bounds(rows: int, ranks: int) -> None:
    assert [part(rows, ranks, rank) for rank in range(ranks)] == bounds(rows, ranks)


def test_narrow_integers_of_numpy_do_not_overflow() -> None:
    lower, upper = part(np.int8(127), np.int8(100), np.int8(99))
    assert (lower, upper) == (126, 127)
    assert type(lower) is int
    assert type(upper) is int


@pytest.mark.parametrize(
    ("rows", "ranks", "rank", "message"),
    [
        (-1, 4, 0, "rows must be 0 or more, not -1"),
        (7, 0, 0, "ranks must be 1 or more, not 0"),
        (7, -2, 0, "ranks must be 1 or more, not -2"),
        (7, 4, 4, "rank must be at least 0 and less than 4, not 4"),
        (7, 4, -1, "rank must be at least 0 and less than 4, not -1"),
    ],
)
def test_a_number_out_of_range_is_named(rows: int, ranks: int, rank: int, message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}$"):
        part(rows, ranks, rank)


@pytest.mark.parametrize(("rows", "ranks"), [(-1, 4), (7, 0), (7, -1)])
def test_bounds_refuses_what_part_refuses(rows: int, ranks: int) -> None:
    with pytest.raises(ValueError, match="must be"):
        bounds(rows, ranks)


@pytest.mark.parametrize("value", [7.0, "7", None, np.float64(7)])
def test_what_is_not_an_integer_is_a_type_error(value: Any) -> None:
    with pytest.raises(TypeError):
        part(value, 4, 0)
    with pytest.raises(TypeError):
        bounds(7, value)
    with pytest.raises(TypeError):
        part(7, 8, value)
