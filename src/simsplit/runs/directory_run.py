"""Runs in a run directory, which lose nothing: begun, stopped, killed, resumed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..communicator import Agreement, interrupts
from ..engine import Plan, Position
from ..errors import InputError
from ..history.file import INSTEAD
from ..rundir.checkpoint import Checkpoints
from ..rundir.directory import CHECKPOINTS, HISTORY, UNFINISHED, RunDirectory, read_record, remove
from ..rundir.record import new_attempt, new_record
from ..util import durable as disk
from ..util.dtypes import as_json, from_json
from ..util.formatting import counted
from .file_run import HistoryFile, layout_of, planned, require_room, stepped
from .pipeline import require_identical
from .setup import How, common_plan
from .supervisor import Care, Keeper

if TYPE_CHECKING:
    from ..communicator import Communicator
    from ..monitor.stop_requests import Stopping
    from ..problem import Problem
    from ..result import Result


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
        plan, parameters = planned(problem, communicator, how, format)
        everyone = communicator.allgather(communicator.host)
        directory = None
        stopping.install()
        with Agreement(communicator):
            if communicator.rank == 0:
                folder = Path(str(how.output))
                require_room(folder, plan, f"the run directory {folder}")
                directory = RunDirectory.create(folder, overwrite=overwrite)
        path = communicator.bcast(None if directory is None else directory.path)
        record = new_record(
            problem_facts(problem, plan) | (facts or {}),
            {
                "path": HISTORY[format],
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
        history = history_of(problem, plan, record, path)
        with keeper.recorded():
            with Agreement(communicator), disk.reported(f"the run directory {path}", INSTEAD):
                if directory is not None:
                    directory.write_problem(text)
                    history.create_whole(plan)
                    directory.write_record(record)
                    directory.log(f"began on {counted(plan.ranks, 'rank')}: {record['attempts'][-1]['command']}")
            result = stepped(problem, communicator, how, plan, parameters, history, keeper=keeper)
            _finish(result, communicator, directory, record)
            return result


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
        stopping.install()
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
                history = history_of(problem, plan, record, path)
                if directory is not None:
                    directory.mark_unfinished(record["history"]["path"])  # it was begun by an older simsplit
                    if not history.path.exists() and record["position"] == 0:
                        remove(path / CHECKPOINTS)  # the run ended before it began
                        history.create_whole(plan)
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
            result = stepped(problem, communicator, how, plan, parameters, history, keeper=keeper, start=start)
            _finish(result, communicator, directory, record)
            notes = [f"resumed at step {start.next_step:,}", *notes, *([] if result.note is None else [result.note])]
            return result.replace(note="; ".join(notes))


def _finish(result: Result, communicator: Communicator, directory: RunDirectory | None, record: dict[str, Any]) -> None:
    """Let the name of the history say that all of it is there. Collective."""
    require_identical(result, communicator)
    with Agreement(communicator), disk.reported("the history", INSTEAD):
        if directory is not None:
            directory.mark_finished(record["history"]["path"])


def history_of(problem: Problem, plan: Plan, record: dict[str, Any], path: Path) -> HistoryFile:
    """Return where the history of the run in a folder is as long as the run is not finished."""
    known = record["history"]
    file = path / UNFINISHED[known["path"]]
    layout = layout_of(problem, plan, record["problem"].get("units"))
    return HistoryFile(file, known["format"], layout, f"the history {file}")


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
        "doubt": problem.doubt,
    }


def _fact(value: Any) -> Any:
    if value is None or isinstance(value, np.ndarray):
        return "by row"
    return value if isinstance(value, (int, float)) else str(value)  # of complex and long double JSON has none


def _require_same(history: dict[str, Any], plan: Plan, path: Path) -> None:
    theirs = tuple(history["shape"]), from_json(history["dtype"])
    if theirs != (plan.history_shape, plan.history_dtype):
        raise InputError(
            f"the problem gives a history of shape {plan.history_shape} and dtype {plan.history_dtype}, but the run in "
            f"{path} has {theirs[0]} and {theirs[1]}. Start it again with --overwrite."
        )
