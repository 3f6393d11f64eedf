"""Some steps of a history, and what its rows are called where parameters cannot be read."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simsplit import InputError, Problem, kernels, run
from simsplit.display.view import Selected, View, of_result, of_run
from simsplit.history import stored_array as reading
from simsplit.rundir.recorded_run import open_run

if TYPE_CHECKING:
    from pathlib import Path

R = [1.0, 2.0, 4.0]
PROBLEM = Problem(np.ones(3), kernels.expression("x * r * s * t", r=R, s=2.0), delta_t=0.5, steps=5)


@given(
    steps=st.integers(1, 20),
    rows=st.integers(1, 9),
    first=st.integers(0, 19),
    every=st.integers(1, 6),
    at_once=st.sampled_from([1, 40, 10**6]),
)
def test_the_pieces_of_some_steps_are_these_steps(steps: int, rows: int, first: int, every: int, at_once: int) -> None:
    history = np.arange(steps * rows, dtype=float).reshape(steps, rows)
    entries = range(min(first, steps - 1), steps, every)
    expected = history[entries.start :: every]
    selected = Selected(history, range(steps)).select(entries)
    assert selected.shape == expected.shape
    found = np.full(expected.shape, np.nan)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reading, "AT_ONCE", at_once)
        for of_steps, of_rows in selected.pieces():
            assert np.isnan(found[of_steps, of_rows]).all()  # no value is read twice
            found[of_steps, of_rows] = selected.block(of_steps, of_rows)
    np.testing.assert_array_equal(found, expected)


def test_steps_are_kept_as_a_run_keeps_them() -> None:
    view = of_result(run(PROBLEM, serial=True))
    view.keep("last:3")
    assert view.times.tolist() == [1.0, 1.5, 2.0]
    view.keep("every:2")
    assert view.times.tolist() == [1.0, 2.0]
    assert view.history.block(slice(0, 2), slice(0, 1)).tolist() == [[2.0], [4.0]]
    with pytest.raises(InputError, match='keep "none" leaves nothing to draw'):
        view.keep("none")
    with pytest.raises(InputError, match="keep must be"):
        view.keep("first")


def test_rows_are_called_by_numbers_where_their_parameters_are_gone(tmp_path: Path) -> None:
    run(PROBLEM, serial=True, output=tmp_path / "a")

    def view() -> View:
        return of_run(open_run(tmp_path / "a"))

    assert view().row_names.labels([0, 2]) == ["r = 1", "r = 4"]
    assert of_result(run(PROBLEM, serial=True)).row_names.axis == "r"
    np.save(tmp_path / "a" / "arrays" / "r.npy", np.arange(7.0))
    assert view().row_names.labels([0, 2]) == ["row 0", "row 2"]
    (tmp_path / "a" / "arrays" / "r.npy").unlink()
    assert view().row_names.axis == "row"
