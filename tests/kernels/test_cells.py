"""Cells: shifts are views, arithmetic keeps margins, and what is read is noted."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from simsplit import InputError
from simsplit.kernels.cells import Cells, Probe, TooFarError, Workspace, checked_reach, probe_reach

SPACING = (1.0, 1.0)


def cells(margin: int = 2, n: int = 3) -> Cells:
    """Return cells that hold 10 * row + column, of the middle from 0."""
    index = np.arange(-margin, n + margin)
    return Cells(np.add.outer(10 * index, index), ((margin, margin),) * 2, SPACING)


def test_a_shift_is_a_view_of_other_cells() -> None:
    x = cells()
    assert x[0, 0].tolist() == [[0, 1, 2], [10, 11, 12], [20, 21, 22]]
    assert x[-1].tolist() == [[-10, -9, -8], [0, 1, 2], [10, 11, 12]]
    assert x[1, 2].tolist() == [[12, 13, 14], [22, 23, 24], [32, 33, 34]]
    assert np.shares_memory(x[2, -2], x.array)
    assert np.asarray(x).tolist() == x[0, 0].tolist()
    assert x.shape == (3, 3)


def test_arithmetic_gives_cells_with_the_margins_that_all_have() -> None:
    x = cells()
    total = x + 2 * x.shifted(1)
    assert isinstance(total, Cells)
    assert total.margins == ((2, 1), (2, 2))
    assert total[0, 1].tolist() == (x[0, 1] + 2 * x[1, 1]).tolist()
    assert (x + np.ones((3, 3))).tolist() == (x[0, 0] + 1).tolist()  # an array is of the cells themselves
    assert np.where(x > 10, x, 0).tolist() == np.where(x[0, 0] > 10, x[0, 0], 0).tolist()
    assert np.add.reduce(x, axis=0).tolist() == [30, 33, 36]
    assert x.astype(float).dtype == float


def test_fields_are_cells() -> None:
    array = np.zeros(5, [("u", float), ("v", float)])
    array["u"] = np.arange(5)
    x = Cells(array, ((1, 1),), (1.0,))
    assert x["u"][1].tolist() == [2, 3, 4]
    assert (x["u"] - x["v"]).shifted(-1).middle.tolist() == [0, 1, 2]


@pytest.mark.parametrize("index", [(3,), (0, -3), (-3, 0)])
def test_a_cell_that_is_not_there_is_an_error(index: tuple[int, ...]) -> None:
    with pytest.raises(TooFarError):
        cells()[index]


def test_wrong_indices_are_refused() -> None:
    with pytest.raises(InputError, match="a neighbour is named by 3 indices, but the grid has 2"):
        cells()[0, 0, 1]
    with pytest.raises(TypeError, match="a neighbour is named by whole numbers"):
        cells()[0:1]
    with pytest.raises(AttributeError):
        _ = cells().nonsense


def test_the_reach_is_found_by_trying() -> None:
    def evaluate(probe: Probe) -> Any:
        n = 2 + 2 * probe.margin
        x = Cells(np.ones((n, n)), ((probe.margin, probe.margin),) * 2, SPACING, probe)
        return x[-1, 9] + (x.shifted(0, -2) * x)[2]

    assert probe_reach(2, evaluate) == ((1, 2), (2, 9))


def test_a_reach_is_a_number_or_one_for_each_axis_and_side() -> None:
    assert checked_reach(1, 3) == ((1, 1),) * 3
    assert checked_reach([2], 2) == ((2, 2), (0, 0))
    assert checked_reach([(1, 0), 3], 2) == ((1, 0), (3, 3))
    for wrong in (-1, 0.5, "1", [1, 2, 3], [(1, 2, 3)], [(1, -1)], True and [True]):
        with pytest.raises(InputError, match="reach must be a number of cells"):
            checked_reach(wrong, 2)


def test_memory_that_is_free_is_used_again() -> None:
    workspace = Workspace()
    first = workspace.take((3, 2), np.dtype(float))
    assert workspace.take((3, 2), np.dtype(float)) is not first
    workspace.give(first)
    assert workspace.take((2, 3), np.dtype(float)) is not first
    assert workspace.take((3, 2), np.dtype(float)) is first
