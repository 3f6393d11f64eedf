"""Runs in a run directory, which lose nothing: begun, stopped, killed, resumed."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from . import disk
from .communicator import Agreement, interrupts
from .dtypes import as_json, from_json
from .engine import Plan, Position, Timings, run_steps
from .errors import InputError, OutputError
from .keeper import Care, Keeper
from .preparing import How, common_plan, distribute
from .result import Result, result_of
from .runner import backed, require_identical, verified
from .store.checkpoint import Checkpoints
from .store.history import INSTEAD, Layout, OneFile, Target, WrittenHistory
from .store.provenance import new_attempt, new_record
from .store.reading import format_of
from .store.rundir import CHECKPOINTS, RunDirectory, read_record, remove
from .text import counted, readable

if TYPE_CHECKING:
    from .communicator import Communicator
    from .engine import Watcher
    from .monitor.stopping import Stopping
    from .problem import Problem

NAMES = {"npy": "history.npy", "zarr": "history.zarr", "h5": "history.h5"}


def begin(
    problem: Problem,
    communicator: Communicator,
    how: How,
    *,
    text: str,
    stopping: Stopping,
    facts: dict[str, Any] | None = None,
    format: str = "npy",  # noqa: A002, it is called so everywhere
    overwrite: bool = False,
    care: Care | None = None,
) -> Result:
    """Run a simulation in a run directory. Collective.

    Parameters
    ----------
    problem : Problem
    communicator : Communicator
    how : How
        Its output is the run directory: not there yet, or empty.
    text : str
        The resolved problem, which `resume` is made from. Significant on root.
    stopping : Stopping
        The triggers of this rank.
    facts : dict, optional
        What else the record says of the problem. Significant on root.
    format : {"npy", "zarr", "h5"}
        Of the history.
    overwrite : bool
        Replace a run that is in the folder.
    care : Care, optional

    Returns
    -------
    Result
        Its history is None: it is in the folder.

    Raises
    ------
    StoppedError
        On every rank, if the run was stopped in order.
    SimsplitError
        On every rank, if it failed.
    """
    care = care or Care()
    with interrupts.held():
        plan, parameters = common_plan(problem, communicator, how)
        plan = _grained(plan, format)
        everyone = communicator.allgather(communicator.host)
        directory = None
        with Agreement(communicator):
            if communicator.rank == 0:
                folder = Path(str(how.output))
                _require_room(folder, plan)
                directory = RunDirectory.create(folder, overwrite=overwrite)
        path = communicator.bcast(None if directory is None else directory.path)
        record = new_record(
            problem_facts(problem, plan) | (facts or {}),
            {
                "path": NAMES[format],
                "format": format,
                "shape": list(plan.history_shape),
                "dtype": as_json(plan.history_dtype),
                "steps": [plan.kept.start, plan.kept.stop, plan.kept.step],
                "grain": plan.grain,
            },
        )
        record = communicator.bcast(record)
        record["attempts"].append(new_attempt(everyone, communicator.library, 0))
        keeper = Keeper(communicator, plan, path, directory, record, stopping, care)
        with keeper.recorded():
            with Agreement(communicator), disk.reported(f"the run directory {path}", INSTEAD):
                if directory is not None:
                    directory.write_problem(text)
                    _make(path / NAMES[format], format, layout_of(problem, plan, record["problem"].get("units")), plan)
                    directory.write_record(record)
                    directory.log(f"began on {counted(plan.ranks, 'rank')}: {record['attempts'][-1]['command']}")
            return _step_through(problem, communicator, plan, parameters, keeper, record, path, Position(), how)


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
    output = str(how.output)
    kind = format_of(output) or "npy"
    with interrupts.held():
        plan, parameters = common_plan(problem, communicator, how)
        plan = _grained(plan, kind)
        name = temporary = None
        with Agreement(communicator), disk.reported(f"the output {output}", INSTEAD):
            if communicator.rank == 0:
                name = Path(output).resolve()
                _require_room(name.parent, plan)
                temporary = name.with_name(f".simsplit-{os.urandom(4).hex()}.tmp{name.suffix}")
        path = communicator.bcast(temporary)
        try:
            with Agreement(communicator), disk.reported(f"the output {output}", INSTEAD):
                if temporary is not None:
                    _make(temporary, kind, layout_of(problem, plan, None), plan)
            result = _written(problem, communicator, plan, parameters, path, kind, how, watcher)
            with Agreement(communicator), disk.reported(f"the output {output}", INSTEAD):
                if name is not None and (result.verification is None or result.verification.identical):
                    if name.is_dir() and kind == "zarr":  # a folder cannot be replaced in one step
                        shutil.rmtree(name)
                    disk.rename(path, name)
                    disk.sync_folder(name.parent)
        finally:
            if temporary is not None:
                remove(temporary)
    return result


def _grained(plan: Plan, kind: str) -> Plan:
    """Return the plan for a history in chunks that no two ranks share, or as it is."""
    if kind != "zarr":
        return plan
    from .store.zarr import chunk_rows

    return plan.replace(grain=chunk_rows(plan.shape[0], plan.ranks, plan.history_row_nbytes))


def _written(
    problem: Problem,
    communicator: Communicator,
    plan: Plan,
    parameters: dict[str, Any],
    path: Path,
    kind: str,
    how: How,
    watcher: Watcher | None,
) -> Result:
    timings = Timings()
    rows = distribute(problem, communicator, plan, parameters, timings)
    receiver = _receiver(communicator, plan, path, kind, layout_of(problem, plan, None))
    try:
        backend, block = backed(communicator, plan, rows, receiver, how)
        run_steps(communicator, plan, rows, receiver, timings, block=block, watcher=watcher)
        verification = verified(communicator, plan, rows, receiver, block) if how.verify else None
        receiver.finish()
    except BaseException:
        receiver.abort()
        raise
    return result_of(problem, communicator, plan, timings, None, verification, backend)


def _receiver(communicator: Communicator, plan: Plan, path: Path, kind: str, layout: Layout) -> WrittenHistory:
    with Agreement(communicator), disk.reported(f"the history {path}", INSTEAD):
        target, gathers = open_target(communicator, path, kind, layout)
        return WrittenHistory(communicator, plan, target, path, gathers=gathers)


def resume(
    problem: Problem,
    communicator: Communicator,
    how: How,
    *,
    stopping: Stopping,
    care: Care | None = None,
) -> Result | None:
    """Continue a run where its last checkpoint is, on any number of ranks. Collective.

    Parameters
    ----------
    problem : Problem
        The one that the run began with.
    communicator : Communicator
    how : How
        Its output is the run directory.
    stopping : Stopping
    care : Care, optional

    Returns
    -------
    Result or None
        None if there is nothing to do: the run is finished.

    Raises
    ------
    InputError
        On every rank, if this is not the problem of the history that is there.
    StoppedError
        On every rank, if the run was stopped in order.
    SimsplitError
        On every rank, if it failed.
    """
    care = care or Care()
    with interrupts.held():
        plan, parameters = common_plan(problem, communicator, how)
        everyone = communicator.allgather(communicator.host)
        directory, record = None, None
        with Agreement(communicator):
            if communicator.rank == 0:
                directory = RunDirectory.open(str(how.output))
                record = read_record(directory.path)
        record = communicator.bcast(record)
        path = communicator.bcast(None if directory is None else directory.path)
        plan = plan.replace(grain=record["history"]["grain"])
        if record["status"] == "finished":
            if directory is not None:
                directory.close()
            return None
        record["attempts"].append(new_attempt(everyone, communicator.library, 0))
        record["status"] = "running"
        keeper = Keeper(communicator, plan, path, directory, record, stopping, care)
        with keeper.recorded():
            with Agreement(communicator), disk.reported(f"the history in {path}", INSTEAD):
                _require_same(record["history"], plan, path)
                history = path / record["history"]["path"]
                if communicator.rank == 0 and not history.exists() and record["position"] == 0:
                    remove(path / CHECKPOINTS)  # the run ended before it began
                    layout = layout_of(problem, plan, record["problem"].get("units"))
                    _make(history, record["history"]["format"], layout, plan)
            found = Checkpoints(communicator, path / CHECKPOINTS).latest(plan.bounds[communicator.rank])
            start, notes = Position(), ["no checkpoint is there: from the beginning"]
            if found is not None:
                with Agreement(communicator):
                    if found.facts["run"] != record["run"]:
                        raise InputError(f"the checkpoint {found.path} is not of the run in {path}. Remove it.")
                start, notes = Position(found.position, found.facts["complete"], found.state), found.passed_over
            record["attempts"][-1]["from_step"] = start.next_step
            with Agreement(communicator):
                if directory is not None:
                    directory.write_record(record)
                    directory.log(f"resumed at step {start.next_step:,} on {counted(plan.ranks, 'rank')}")
                    for note in notes:
                        directory.log(note)
            result = _step_through(problem, communicator, plan, parameters, keeper, record, path, start, how)
            return result.replace(note="; ".join([f"resumed at step {start.next_step:,}", *notes]))


def _step_through(
    problem: Problem,
    communicator: Communicator,
    plan: Plan,
    parameters: dict[str, Any],
    keeper: Keeper,
    record: dict[str, Any],
    path: Path,
    start: Position,
    how: How,
) -> Result:
    """Run the steps from `start` on, into the history that is there."""
    timings = Timings()
    rows = distribute(problem, communicator, plan, parameters, timings)
    history = path / record["history"]["path"]
    layout = layout_of(problem, plan, record["problem"].get("units"))
    receiver = _receiver(communicator, plan, history, record["history"]["format"], layout)
    try:
        keeper.begin(start, receiver, timings)
        backend, block = backed(communicator, plan, rows, receiver, how)
        keeper.finish(run_steps(communicator, plan, rows, receiver, timings, block=block, watcher=keeper, start=start))
        verification = verified(communicator, plan, rows, receiver, block) if how.verify else None
        receiver.finish()
    except BaseException:
        receiver.abort()
        raise
    result = result_of(problem, communicator, plan, timings, None, verification, backend)
    require_identical(result, communicator)
    return result


def layout_of(problem: Problem, plan: Plan, units: dict[str, str] | None) -> Layout:
    """Return what the history looks like."""
    kept = plan.kept
    times = problem.start_time + np.arange(kept.start, kept.stop, kept.step, dtype=np.float64) * problem.delta_t
    kernel = problem.kernel
    labels = {"kernel": kernel.name, "formula": kernel.formula, **(units or {})}
    return Layout(plan.history_shape, plan.history_dtype, times, labels)


def _make(path: Path, kind: str, layout: Layout, plan: Plan) -> None:
    """Make the file of a history, which appears whole or not at all. Root only."""
    unfinished = path.with_name(f".making{path.suffix}")
    remove(unfinished)
    if kind == "npy":
        from .store import npy

        npy.create(unfinished, layout)
    elif kind == "h5":
        from .store import hdf5

        hdf5.create(unfinished, layout)
    else:
        from .store import zarr

        zarr.create(unfinished, layout, plan.grain)
    disk.rename(unfinished, path)
    disk.sync_folder(path.parent)


def open_target(communicator: Communicator, path: Path, kind: str, layout: Layout) -> tuple[Target, bool]:
    """Return what this rank writes its rows to, and whether a step of few bytes is better gathered before.

    Raises
    ------
    OutputError
        If the file is not the one that was made.
    OSError
    """
    if kind == "zarr":
        from .store import zarr

        return zarr.ChunkFiles(path, layout, zarr.chunks(path, layout)), False
    if kind == "h5":
        from .store.hdf5 import first_step
    else:
        from .store.npy import first_step
    return OneFile(communicator.open(str(path)), first_step(path, layout), layout), True


def problem_facts(problem: Problem, plan: Plan) -> dict[str, Any]:
    """Return what the record says of a problem."""
    kernel = problem.kernel
    return {
        "kernel": kernel.name,
        "kind": kernel.kind,
        "formula": kernel.formula,
        "source": kernel.source,
        "parameters": {name: _fact(value) for name, value in kernel.parameters.items()},
        "shape": list(plan.shape),
        "dtype": as_json(plan.dtype),
        "delta_t": problem.delta_t,
        "start_time": problem.start_time,
        "steps": problem.steps,
        "seed": problem.seed,
        "nan": problem.nan,
        "keep": problem.keep,
    }


def _fact(value: Any) -> Any:
    if value is None or isinstance(value, np.ndarray):
        return "by row"
    return str(value) if isinstance(value, complex) else value


def _require_same(history: dict[str, Any], plan: Plan, path: Path) -> None:
    theirs = tuple(history["shape"]), from_json(history["dtype"])
    if theirs != (plan.history_shape, plan.history_dtype):
        raise InputError(
            f"the problem gives a history of shape {plan.history_shape} and dtype {plan.history_dtype}, but the run in "
            f"{path} has {theirs[0]} and {theirs[1]}. Start it again with --overwrite."
        )


def _require_room(folder: Path, plan: Plan) -> None:
    """Refuse a history that does not fit on the disk."""
    there = next(parent for parent in [folder.absolute(), *folder.absolute().parents] if parent.exists())
    left = disk.left(there)
    if plan.history_nbytes > left:
        raise OutputError(
            f"cannot write the run directory {folder}: the history takes {readable(plan.history_nbytes)}, but "
            f"{readable(left)} are left on that disk. Keep fewer steps (--keep), or name a folder with room for it."
        )
