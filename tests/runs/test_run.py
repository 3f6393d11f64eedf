"""Run directories that a program looks into."""

from __future__ import annotations

import re
from base64 import b64decode
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import simsplit
from simsplit import InputError, Problem, StoppedError
from simsplit.kernels import affine

if TYPE_CHECKING:
    from pathlib import Path

    from simsplit.runs.observers import Step

ROWS = np.linspace(-1.0, 2.0, 7)
FORMATS: list[Any] = ["npy", "zarr", "h5"]
for module in ("xarray", "zarr", "h5py"):
    pytest.importorskip(module)


def made(keep: str = "all") -> Problem:
    return Problem(ROWS.reshape(7, 1), affine(), delta_t=0.25, steps=6, reduce="mean", keep=keep)


@pytest.mark.parametrize("format_", FORMATS)
@pytest.mark.parametrize("keep", ["all", "every:2"])
def test_a_finished_run_is_opened(tmp_path: Path, format_: Any, keep: str) -> None:
    whole = simsplit.run(made(keep), serial=True)
    simsplit.run(made(keep), serial=True, output=tmp_path / "a", format=format_)
    run = simsplit.open(tmp_path / "a")
    assert whole.history is not None
    assert run.status == run.record["status"] == "finished"
    assert np.asarray(run.history[1:3]).tobytes() == whole.history[1:3].tobytes()
    assert run.history.shape == whole.history.shape
    assert run.times.tobytes() == whole.times.tobytes()
    assert run.reductions["mean"].tobytes() == whole.reductions["mean"].tobytes()
    assert run.problem.steps == 6
    assert "finished" in repr(run)
    found, expected = run.to_xarray(), whole.to_xarray()
    assert found["history"].dims == ("time", "row", "component")
    assert found.drop_attrs().equals(expected)
    assert found.attrs["kernel"] == "affine"
    for each in (run, whole, run.problem, made()):
        html = each._repr_html_()
        assert html.startswith("<table>")
        (png,) = re.findall(r'src="data:image/png;base64,(.+)">', html) if each in (run, whole) else ("",)
        assert b64decode(png)[:4] == (b"\x89PNG" if png else b"")


@pytest.mark.parametrize("format_", FORMATS)
def test_of_a_run_that_goes_on_the_complete_steps_are_there(tmp_path: Path, format_: Any) -> None:
    whole = simsplit.run(made(), serial=True).history
    seen: list[Any] = []

    def look(step: Step) -> None:
        if step.k == 4:
            run = simsplit.open(tmp_path / "a")
            seen.append((run.status, len(run.times), len(run.reductions["mean"]), run.history.shape))
            step.stop()

    with pytest.raises(StoppedError):
        simsplit.run(made(), serial=True, output=tmp_path / "a", format=format_, watch=look, checkpoint_every="2 steps")
    (status, times, reduced, shape) = seen[0]
    assert status == "running"
    assert times == reduced == shape[0] < 6
    run = simsplit.open(tmp_path / "a")
    assert run.status == "stopped"
    assert whole is not None
    assert np.asarray(run.history[:]).tobytes() == whole[:5].tobytes()
    assert run.to_xarray()["history"].shape == (5, 7, 1)


def test_what_is_no_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is not a run directory"):
        simsplit.open(tmp_path)


def test_a_problem_of_a_program_of_its_own_is_refused_with_the_way_on(tmp_path: Path) -> None:
    simsplit.run(Problem(ROWS, lambda x, t: x + t, delta_t=1, steps=2), serial=True, output=tmp_path / "a")
    run = simsplit.open(tmp_path / "a")
    assert run.history.shape == (2, 7)
    with pytest.raises(InputError, match="program's own"):
        _ = run.problem


def test_a_run_and_its_result_are_drawn_alike(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    whole = simsplit.run(made(), serial=True)
    empty = simsplit.run(made(), serial=True, output=tmp_path / "a")
    for each, name in ((whole, "one.png"), (simsplit.open(tmp_path / "a"), "other.png")):
        assert each.plot(tmp_path / name, rows=[0, 6]) == []
        assert (tmp_path / name).read_bytes().startswith(b"\x89PNG")
        with pytest.raises(InputError, match="--rows must be from 0 to 6"):
            each.plot(tmp_path / name, rows=[7])
    with pytest.raises(InputError, match="no history in memory"):
        empty.plot(tmp_path / "none.png")
