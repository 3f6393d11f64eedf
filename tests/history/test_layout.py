"""What a history looks like in a file."""

from __future__ import annotations

import numpy as np
import pytest

from simsplit.history.layout import STEP_TIME, HistoryLayout


@pytest.mark.parametrize(
    ("shape", "names"),
    [
        ((4, 7), ("time", "row")),
        ((4, 7, 3), ("time", "row", "component")),
        ((4, 7, 3, 2), ("time", "row", "component_0", "component_1")),
        ((0, 0), ("time", "row")),
    ],
)
def test_sizes_and_names_of_its_axes(shape: tuple[int, ...], names: tuple[str, ...]) -> None:
    layout = HistoryLayout(shape, np.dtype("f4"), np.arange(float(shape[0])), {})
    whole = np.zeros(shape, "f4")
    assert layout.dimensions == names
    assert layout.nbytes == whole.nbytes
    assert layout.step_nbytes == whole[:1].nbytes or not shape[0]
    assert layout.row_nbytes * shape[1] == layout.step_nbytes
    assert layout.reduced_dimensions == ("time", *names[2:])


def test_reductions_have_a_time_for_every_step_where_not_all_are_kept() -> None:
    layout = HistoryLayout((2, 7), np.dtype("f8"), np.array([1.0, 2.5]), {}, grid=(1.0, 0.5, 4))
    assert layout.times.tolist() == [1.0, 2.5]
    assert layout.step_times.tolist() == [1.0, 1.5, 2.0, 2.5]
    assert layout.reduced_dimensions == (STEP_TIME,)
