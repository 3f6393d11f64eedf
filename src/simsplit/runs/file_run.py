"""Histories that all ranks write to a file, so that nobody ever holds more of one than a tile."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..communicator import Agreement, interrupts
from ..engine import Plan, Position, Timings, run_steps
from ..errors import InputError, OutputError
from ..history.file import INSTEAD, Layout, OneFile, Target, WrittenHistory
from ..history.formats import npy
from ..history.stored_array import format_of
from ..result import Result, result_of
from ..rundir.directory import remove
from ..util import durable as disk
from ..util.formatting import readable
from .pipeline import backed, verified
from .setup import How, common_plan, distribute

if TYPE_CHECKING:
    from ..communicator import Communicator
    from ..engine import Watcher
    from ..problem import Problem
    from .supervisor import Keeper


def into_file(
    problem: Problem,
    communicator: Communicator,
    how: How,
    *,
    watcher: Watcher | None = None,
) -> Result:
    """Run a simulation whose history all ranks write to a file, which appears whole or not at all. Collective.

    Parameters
    ----------
    problem : Problem
    communicator : Communicator
    how : How
        Its output is a ``.npy``, ``.zarr`` or ``.h5``; one of that name is replaced. What is different from one
        process's, if that is asked for, is not written.
    watcher : Watcher, optional
        Which must not stop it.

    Returns
    -------
    Result
        Its history is None: it is in the file.

    Raises
    ------
    SimsplitError
        On every rank.
    """
    what = f"the output {how.output}"
    kind = format_of(str(how.output)) or "npy"
    with interrupts.held():
        plan, parameters = planned(problem, communicator, how, kind)
        name = temporary = None
        with Agreement(communicator), disk.reported(what, INSTEAD):
            if communicator.rank == 0:
                name = Path(str(how.output)).resolve()
                require_room(name.parent, plan, what)
                temporary = name.with_name(f".simsplit-{os.urandom(4).hex()}.tmp{name.suffix}")
        history = HistoryFile(communicator.bcast(temporary), kind, layout_of(problem, plan), what)
        try:
            with Agreement(communicator), disk.reported(what, INSTEAD):
                if communicator.rank == 0:
                    history.create(plan)
            result = stepped(problem, communicator, how, plan, parameters, history, watcher=watcher)
            with Agreement(communicator), disk.reported(what, INSTEAD):
                if name is not None and (result.verification is None or result.verification.identical):
                    if name.is_dir() and kind == "zarr":  # a folder cannot be replaced in one step
                        shutil.rmtree(name)
                    disk.rename(history.path, name)
                    disk.sync_folder(name.parent)
        finally:
            if temporary is not None:
                remove(temporary)
    return result


@dataclass(frozen=True)
class HistoryFile:
    """Where all ranks write a history.

    Parameters
    ----------
    path : Path
    kind : {"npy", "zarr", "h5"}
    layout : Layout
    what : str
        What messages call it.
    """

    path: Path
    kind: str
    layout: Layout
    what: str

    def create(self, plan: Plan) -> None:
        """Make the file, or the folder, of the full size. Root only.

        Raises
        ------
        OSError
        """
        if self.kind == "npy":
            npy.create(self.path, self.layout)
        elif self.kind == "h5":
            from ..history.formats import hdf5

            hdf5.create(self.path, self.layout)
        else:
            from ..history.formats import zarr_v3 as zarr

            zarr.create(self.path, self.layout, plan.grain)

    def create_whole(self, plan: Plan) -> None:
        """Make it so that it appears whole or not at all. Root only; raises `OSError`."""
        unfinished = self.path.with_name(f".making{self.path.suffix}")
        remove(unfinished)
        replace(self, path=unfinished).create(plan)
        disk.rename(unfinished, self.path)
        disk.sync_folder(self.path.parent)

    def receiver(self, communicator: Communicator, plan: Plan) -> WrittenHistory:
        """Return what writes the steps to the file, which is there. Collective.

        Raises
        ------
        OutputError
            On every rank, if any cannot open it, or it is not the one that was made.
        """
        with Agreement(communicator), disk.reported(self.what, INSTEAD):
            target, gathers = self._open(communicator)
            return WrittenHistory(communicator, plan, target, self.path, what=self.what, gathers=gathers)

    def _open(self, communicator: Communicator) -> tuple[Target, bool]:
        """Return what this rank writes its rows to, and whether a step of few bytes is better gathered before."""
        if self.kind == "zarr":
            from ..history.formats import zarr_v3 as zarr

            return zarr.ChunkFiles(self.path, self.layout, zarr.chunks(self.path, self.layout)), False
        if self.kind == "h5":
            from ..history.formats.hdf5 import first_step
        else:
            first_step = npy.first_step
        file = communicator.open(str(self.path))
        return OneFile(file, first_step(self.path, self.layout), self.layout), True


def planned(problem: Problem, communicator: Communicator, how: How, kind: str) -> tuple[Plan, dict[str, Any]]:
    """Return the common plan for a history in a file of some kind, and this rank's parameters. Collective.

    The rows are split so that no two ranks share a chunk. Nothing is made yet.

    Raises
    ------
    InputError
        On every rank, if such a file cannot hold the history.
    """
    plan, parameters = common_plan(problem, communicator, how)
    with Agreement(communicator):
        if communicator.rank == 0:
            _require_possible(kind, layout_of(problem, plan))
    if kind == "zarr":
        from ..history.formats.zarr_v3 import chunk_rows

        plan = plan.replace(grain=chunk_rows(plan.shape[0], plan.ranks, plan.history_row_nbytes))
    return plan, parameters


def _require_possible(kind: str, layout: Layout) -> None:
    """Refuse a history that a kind of file cannot hold. One step of it, without data, tells."""
    if kind == "npy":
        npy.require_possible(layout.dtype)
        return
    few = min(1, layout.shape[0])
    first = replace(layout, shape=(few, *layout.shape[1:]), times=layout.times[:few])
    try:
        if kind == "h5":
            from ..history.formats import hdf5

            hdf5.require_possible(first)
        else:
            from ..history.formats import zarr_v3 as zarr

            zarr.require_possible(first)
    except InputError:  # the library is not installed
        raise
    except Exception as error:
        raise InputError(
            f"{'HDF5' if kind == 'h5' else 'Zarr'} cannot hold a history of {len(layout.shape)} axes and dtype "
            f"{layout.dtype}: {error}. Write it as .npy (--format npy)."
        ) from error


def stepped(
    problem: Problem,
    communicator: Communicator,
    how: How,
    plan: Plan,
    parameters: dict[str, Any],
    history: HistoryFile,
    *,
    watcher: Watcher | None = None,
    keeper: Keeper | None = None,
    start: Position | None = None,
) -> Result:
    """Run the steps from `start` on into the file of a history, which is there. Collective.

    Either a watcher, which must not stop it, or a keeper, which may, looks on.
    """
    start = start or Position()
    timings = Timings()
    rows = distribute(problem, communicator, plan, parameters, timings)
    receiver = history.receiver(communicator, plan)
    try:
        if keeper is not None:
            keeper.begin(start, receiver, timings)
        backend, block = backed(communicator, plan, rows, receiver, how)
        reached = run_steps(
            communicator,
            plan,
            rows,
            receiver,
            timings,
            block=block,
            watcher=keeper or watcher,
            start=start,
            check_rows=how.check_rows,
        )
        if keeper is not None:
            keeper.finish(reached)
        verification = verified(communicator, plan, rows, receiver, block) if how.verify else None
        receiver.finish()
    except BaseException:
        receiver.abort()
        raise
    return result_of(problem, communicator, plan, timings, None, verification, backend)


def layout_of(problem: Problem, plan: Plan, units: dict[str, str] | None = None) -> Layout:
    """Return what the history looks like."""
    kept = plan.kept
    times = problem.start_time + np.arange(kept.start, kept.stop, kept.step, dtype=np.float64) * problem.delta_t
    kernel = problem.kernel
    labels = {"kernel": kernel.name, "formula": kernel.formula, **(units or {})}
    return Layout(plan.history_shape, plan.history_dtype, times, labels)


def require_room(folder: Path, plan: Plan, what: str) -> None:
    """Refuse a history that does not fit on the disk.

    Raises
    ------
    OutputError
    OSError
    """
    there = next(parent for parent in [folder.absolute(), *folder.absolute().parents] if parent.exists())
    left = disk.left(there)
    if plan.history_nbytes > left:
        raise OutputError(
            f"cannot write {what}: the history takes {readable(plan.history_nbytes)}, but {readable(left)} are left on "
            "that disk. Keep fewer steps (--keep), or name a folder with room for it."
        )
