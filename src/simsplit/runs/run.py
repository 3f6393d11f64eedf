"""Open a run directory from a program: its status, history and reductions."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from ..history.stored_array import unreadable
from ..problem_file.files import load
from ..result import Drawable, GridCells
from ..rundir.directory import PROBLEM
from ..rundir.recorded_run import RecordedRun, open_run
from ..util.labelled import table

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping

    import numpy.typing as npt

    from ..problem import Problem


class Run(Drawable):
    """A run in a run directory. Everything is read when it is asked for, so that a run that goes on can be watched.

    Parameters
    ----------
    path : path-like
        The run directory.

    Attributes
    ----------
    path : Path
        The run directory.

    Raises
    ------
    InputError
        If it is not a run directory.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        open_run(self.path)

    def __repr__(self) -> str:
        return f"<Run {self.path}: {self.status}>"

    def _repr_html_(self) -> str:
        run = self._recorded
        problem, history = run.record["problem"], run.record["history"]
        facts = {
            "status": run.status,
            "kernel": ": ".join(filter(None, (problem["kernel"], problem["formula"]))),
            "history": f"{run.file.name}, {tuple(history['shape'])}, {run.complete:,} steps complete",
            "starts": len(run.record["attempts"]),
        }
        return table(f"run {self.path}", facts, self._picture())

    @property
    def _recorded(self) -> RecordedRun:
        return open_run(self.path)

    @property
    def record(self) -> dict[str, Any]:
        """What ``run.json`` says: what ran, where, when and how it ended."""
        return self._recorded.record

    @property
    def status(self) -> str:
        """How it ended: finished, stopped, failed, interrupted, hung, killed; or running."""
        return self._recorded.status

    @property
    def problem(self) -> Problem:
        """What is simulated, made of ``problem.toml``."""
        return load(self.path / PROBLEM)

    @property
    def times(self) -> npt.NDArray[np.float64]:
        """The time of each step of `history`, shape (complete steps,)."""
        run = self._recorded
        return run.times()[: run.complete]

    @property
    def history(self) -> Any:
        """The history where it lies, shape (complete steps, n, ...): nothing is read before it is indexed.

        A memory map of an ``.npy``, an array of zarr, or a dataset of h5py. Of a Zarr store or HDF5 file that is not
        complete yet it is a view that gives runs of steps: ``history[a:b]``.
        """
        run = self._recorded
        stored = run.history()
        whole = run.complete == len(stored)
        try:
            if stored.format == "npy":
                return np.load(stored.path, mmap_mode="r")[: run.complete]
            if not whole:
                return replace(stored, shape=(run.complete, *stored.shape[1:]))
            if stored.format == "zarr":
                from ..history.formats import zarr_v3

                with zarr_v3.opened(stored.path) as group:
                    return group[stored.name]
            from ..history.formats import hdf5

            return hdf5.import_h5py().File(stored.path, "r")[stored.name]
        except (OSError, ValueError) as error:  # it was renamed, for it is finished, or it is damaged
            raise unreadable(stored.path, str(error)) from error

    @property
    def reductions(self) -> dict[str, Any]:
        """What was computed over all rows of every step so far, by name: memory maps, shape (steps, ...)."""
        return self._recorded.reductions()

    @property
    def step_times(self) -> npt.NDArray[np.float64]:
        """The time of each step so far, kept or not: those of the reductions, shape (steps,)."""
        return self._recorded.step_times()

    def _labels(self) -> Mapping[str, str]:
        problem = self.record["problem"]
        return {"kernel": problem["kernel"], "formula": problem["formula"], **problem.get("units", {})}

    @property
    def cells(self) -> GridCells | None:
        """Where the cells of the grid lie; None if there is no grid."""
        grid = self.record["problem"].get("grid")
        return None if grid is None else GridCells.of(grid)

    def _draw(self, output: str | BinaryIO, **chosen: Any) -> list[str]:
        from ..display.picture import draw

        return draw(self._recorded, output, **chosen)


def open(path: str | os.PathLike[str]) -> Run:  # noqa: A001, as zarr.open and others
    """Return the run in a run directory, finished or not. Not collective.

    Parameters
    ----------
    path : path-like
        The run directory.

    Raises
    ------
    InputError
        If it is not a run directory.
    """
    return Run(path)
