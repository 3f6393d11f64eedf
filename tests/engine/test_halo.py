"""Halos: which rows of whom, for parts that are thinner, empty, or a whole round."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simsplit.bounds import bounds
from simsplit.engine.halo import Halo, Piece, halo_pieces
from tests.support.profiles import examples
from tests.support.threads import on_ranks


@examples(500)
@given(st.integers(1, 9), st.integers(1, 8), st.integers(0, 30), st.integers(0, 30), st.booleans())
def test_the_pieces_are_all_rows_around_once(n: int, ranks: int, before: int, after: int, cyclic: bool) -> None:
    split = bounds(n, ranks)
    for rank, (lower, upper) in enumerate(split):
        pieces = halo_pieces(split, rank, (before, after), cyclic=cyclic)
        rows = [piece.first + i for piece in pieces for i in range(piece.rows)]
        wanted = [*range(lower - before, lower), *range(upper, upper + after)] if lower < upper else []
        assert rows == [row for row in wanted if cyclic or 0 <= row < n]
        for piece in pieces:
            assert piece.first == piece.row + piece.rounds * n
            assert split[piece.owner][0] <= piece.row < piece.row + piece.rows <= split[piece.owner][1]


def test_the_same_rank_may_be_on_both_sides() -> None:
    split = bounds(4, 2)
    assert halo_pieces(split, 0, (1, 1), cyclic=True) == [Piece(-1, 1, 1, 3, -1), Piece(2, 1, 1, 2, 0)]


@pytest.mark.parametrize("anti", [False, True])
@pytest.mark.parametrize("cyclic", [True, False])
@pytest.mark.parametrize("halo", [(0, 0), (1, 0), (2, 3), (9, 9)])
@pytest.mark.parametrize(("n", "ranks"), [(1, 1), (3, 1), (3, 2), (3, 5), (7, 3)])
def test_an_exchange_brings_the_rows_around(
    n: int, ranks: int, halo: tuple[int, int], cyclic: bool, anti: bool
) -> None:
    split = bounds(n, ranks)

    def check(world: Any) -> None:
        lower, upper = split[world.rank]
        length = upper - lower
        array = np.full((length + sum(halo) if length else 0, 2), -99)
        own = array[halo[0] : halo[0] + length]
        each = Halo(world, split, halo, array, cyclic=cyclic, anti=anti and cyclic)
        for turn in (100, 200):
            each.release()
            own[...] = (np.arange(lower, upper) + turn)[:, None]
            each.start()
            each.test()
            each.finish()
            for place, row in enumerate(range(lower - halo[0], upper + halo[1]) if length else ()):
                rounds, found = divmod(row, n)
                expected = (found + turn) * (-1 if anti and cyclic and rounds % 2 else 1)
                assert array[place].tolist() == [expected if cyclic or 0 <= row < n else -99] * 2
        each.close()

    for ended in on_ranks(ranks, check):
        if isinstance(ended, BaseException):
            raise ended
