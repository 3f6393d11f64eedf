"""The run directory as a destination of a new or a resumed run."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..communicator import Agreement
from ..engine import ResumePoint
from ..errors import InputError, StoppedError
from ..history.file import REMEDY
from ..history.history_file import HistoryFile, plan_for_format, require_room
from ..history.layout import layout_of
from ..monitor.stop_requests import StopRequests, describe_deadlines
from ..rundir.checkpoint import Checkpoints
from ..rundir.directory import CHECKPOINTS, HISTORY, PROBLEM, UNFINISHED, RunDirectory, read_record
from ..rundir.record import new_attempt, new_record
from ..util import durable as disk
from ..util.dtypes import as_json, from_json
from ..util.formatting import pluralize
from .destinations import Output
from .journal import RunJournal
from .options import CHECKPOINT_EVERY, HANG_AFTER
from .supervisor import Supervisor

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import numpy.typing as npt

    from ..communicator import Communicator
    from ..engine import Plan, Timings
    from ..history.file import FileHistory
    from ..problem import Problem
    from .description import Description
    from .options import RunOptions

    Array = npt.NDArray[Any]


class _Directory:
    """What a run that is begun and one that is resumed have in common.

    Parameters
    ----------
    path : str
    options : RunOptions
    """

    def __init__(self, path: str, options: RunOptions) -> None:
        self._path = path
        self._options = options
        self._stop_requests = StopRequests()

    def _journal(
        self,
        communicator: Communicator,
        directory: RunDirectory | None,
        path: Path,
        record: dict[str, Any],
        timings: Timings,
    ) -> RunJournal:
        hang_after = self._options.hang_after
        if hang_after is None:
            hang_after = record["problem"].get("care", {}).get("hang_after", HANG_AFTER)
        return RunJournal(
            communicator,
            path,
            directory,
            record,
            self._stop_requests,
            timings,
            time_limit=self._options.time_limit,
            hang_after=hang_after,
        )

    def _open(
        self,
        communicator: Communicator,
        plan: Plan,
        journal: RunJournal,
        file: HistoryFile,
        checkpoints: Checkpoints,
        start: ResumePoint,
        reductions: dict[str, np.memmap[Any, Any]],
        note: str | None = None,
    ) -> Output:
        every = self._options.checkpoint_every
        if every is None:
            every = journal.record["problem"].get("care", {}).get("checkpoint_every", CHECKPOINT_EVERY)
        sink = file.sink(communicator, plan)

        def sync() -> None:
            sink.sync()
            for reduced in reductions.values():
                reduced.flush()

        supervisor = Supervisor(
            communicator, plan, journal, self._stop_requests, sync, checkpoints, start.next_step, every
        )
        if (ahead := describe_deadlines(self._options.time_limit)) is not None:
            journal.log(ahead)
        return _DirectoryOutput(sink, journal, plan, start, supervisor, reductions, note)


class NewRunDirectory(_Directory):
    """A run directory that is not there yet, or that is replaced.

    Parameters
    ----------
    path, options
        As above.
    description : Description
        What is written about the problem. Significant on root.
    """

    def __init__(self, path: str, options: RunOptions, description: Description) -> None:
        super().__init__(path, options)
        self._description = description
        self._format = options.format or "npy"

    def plan(self, problem: Problem, communicator: Communicator, plan: Plan) -> Plan:
        """Return the plan with rows split by the chunks of the history."""
        return plan_for_format(problem, communicator, plan, self._format)

    @contextmanager
    def open(self, problem: Problem, communicator: Communicator, plan: Plan, timings: Timings) -> Iterator[Output]:
        """Make the directory and all that is in it, and record how the run ends."""
        everyone = communicator.allgather(communicator.host)
        directory = None
        self._stop_requests.install()
        with Agreement(communicator):
            if communicator.rank == 0:
                folder = Path(self._path)
                require_room(folder, plan, f"the run directory {folder}")
                directory = RunDirectory.create(folder, overwrite=self._options.overwrite)
        path: Path = communicator.bcast(None if directory is None else directory.path)
        record = communicator.bcast(self._record(problem, plan))
        record["attempts"].append(new_attempt(everyone, communicator.library, 0))
        journal = self._journal(communicator, directory, path, record, timings)
        file = history_file(problem, plan, record, path)
        checkpoints = Checkpoints(communicator, path / CHECKPOINTS)
        with journal.recording(), checkpoints.settled():
            reductions: dict[str, np.memmap[Any, Any]] = {}
            with Agreement(communicator), disk.as_output_error(f"the run directory {path}", REMEDY):
                if directory is not None:
                    self._description.write(directory)
                    file.create_whole(plan)
                    directory.create_reductions(_shapes(problem, plan))
                    reductions = directory.open_reductions(problem.reduce)
                    directory.write_record(record)
                    directory.log(f"began on {pluralize(plan.ranks, 'rank')}: {record['attempts'][-1]['command']}")
            yield self._open(communicator, plan, journal, file, checkpoints, ResumePoint(), reductions)

    def _record(self, problem: Problem, plan: Plan) -> dict[str, Any]:
        options = self._options
        care = {
            "checkpoint_every": CHECKPOINT_EVERY if options.checkpoint_every is None else options.checkpoint_every,
            "hang_after": HANG_AFTER if options.hang_after is None else options.hang_after,
        }
        return new_record(
            problem_metadata(problem, plan) | dict(self._description.facts) | {"care": care},
            {
                "path": HISTORY[self._format],
                "format": self._format,
                "shape": list(plan.history_shape),
                "dtype": as_json(plan.history_dtype),
                "steps": [plan.kept.start, plan.kept.stop, plan.kept.step],
                "grain": plan.grain,
            },
        )


class ResumedRunDirectory(_Directory):
    """A run directory whose run goes on where its last checkpoint is.

    Parameters
    ----------
    path, options
        As above.
    record : dict
        What ``run.json`` says.
    """

    def __init__(self, path: str, options: RunOptions, record: dict[str, Any]) -> None:
        super().__init__(path, options)
        self._record = record

    def plan(self, problem: Problem, communicator: Communicator, plan: Plan) -> Plan:
        """Return the plan with rows split as when the run began."""
        return plan.replace(grain=self._record["history"]["grain"])

    @contextmanager
    def open(self, problem: Problem, communicator: Communicator, plan: Plan, timings: Timings) -> Iterator[Output]:
        """Find the last checkpoint, and record how the run ends."""
        everyone = communicator.allgather(communicator.host)
        directory, record = None, None
        self._stop_requests.install()
        with Agreement(communicator):
            if communicator.rank == 0:
                directory = RunDirectory.open(self._path)
                record = read_record(directory.path)
        record = communicator.bcast(record)
        path: Path = communicator.bcast(None if directory is None else directory.path)
        record["attempts"].append(new_attempt(everyone, communicator.library, 0))
        record["status"] = "running"
        journal = self._journal(communicator, directory, path, record, timings)
        checkpoints = Checkpoints(communicator, path / CHECKPOINTS)
        with journal.recording(), checkpoints.settled():
            reductions: dict[str, np.memmap[Any, Any]] = {}
            with Agreement(communicator), disk.as_output_error(f"the history in {path}", REMEDY):
                _require_same(record["history"], plan, path)
                file = history_file(problem, plan, record, path)
                if directory is not None:
                    directory.mark_unfinished(record["history"]["path"])  # it was begun by an older simsplit
                if directory is not None and not file.path.exists() and record["position"] == 0:
                    disk.remove_tree(path / CHECKPOINTS)  # the run ended before it began
                    file.create_whole(plan)
                    directory.create_reductions(_shapes(problem, plan))
                if directory is not None:
                    reductions = directory.open_reductions(problem.reduce)
            start, notes = _start(communicator, plan, checkpoints, record, path)
            record["attempts"][-1]["from_step"] = start.next_step
            with Agreement(communicator):
                if directory is not None:
                    directory.write_record(record)
                    ranks = pluralize(plan.ranks, "rank")
                    directory.log(f"resumed at step {start.next_step:,} on {ranks}")
                    for note in notes:
                        directory.log(note)
            note = "; ".join([f"resumed at step {start.next_step:,}", *notes])
            yield self._open(communicator, plan, journal, file, checkpoints, start, reductions, note)


class _DirectoryOutput(Output):
    def __init__(
        self,
        sink: FileHistory,
        journal: RunJournal,
        plan: Plan,
        start: ResumePoint,
        supervisor: Supervisor,
        reductions: Mapping[str, np.memmap[Any, Any]],
        note: str | None,
    ) -> None:
        log = None if journal.directory is None else journal.directory.log
        super().__init__(
            sink,
            start=start,
            observers=[supervisor],
            reductions=reductions,
            note=note,
            log=log,
            refuses_different=True,
        )
        self._journal = journal
        self._plan = plan
        self._files = reductions

    def stop(self, next_step: int, steps: int, reason: str) -> None:
        raise StoppedError(
            f"stopped by {reason} after {next_step:,} of {steps:,} steps. Continue with: {self._journal.resume}"
        )

    def commit(self, communicator: Communicator, kept: int, reductions: Mapping[str, Array]) -> bool:
        self._journal.steps_done()
        with Agreement(communicator), disk.as_output_error("the history", REMEDY):
            for file in self._files.values():
                file.flush()
            if self._journal.directory is not None:  # the name says now that all of it is there
                self._journal.directory.mark_finished(self._journal.record["history"]["path"])
        self._journal.record |= {"position": self._plan.steps, "complete": kept}
        return False


def read_run(communicator: Communicator, path: str) -> tuple[dict[str, Any], str]:
    """Return the record and the problem file of a run. Collective: one rank asks the file system, not all of them."""
    from ..problem_file.build import text_of

    found = None
    with Agreement(communicator):
        if communicator.rank == 0:
            found = read_record(Path(path)), text_of(str(Path(path) / PROBLEM))
    return communicator.bcast(found)


def history_file(problem: Problem, plan: Plan, record: dict[str, Any], path: Path) -> HistoryFile:
    """Return the file of the history of the run in a folder, as long as the run is not finished."""
    known = record["history"]
    file = path / UNFINISHED[known["path"]]
    layout = layout_of(problem, plan, record["problem"].get("units"))
    return HistoryFile(file, known["format"], layout, f"the history {file}")


def _shapes(problem: Problem, plan: Plan) -> dict[str, tuple[tuple[int, ...], np.dtype[Any]]]:
    """Return the shapes and dtypes of the reductions."""
    if not problem.reduce:
        return {}
    from ..engine.reductions import shapes_of

    return shapes_of(problem.reduce, plan)


def problem_metadata(problem: Problem, plan: Plan) -> dict[str, Any]:
    """Return what the record says of a problem."""
    kernel, layout = problem.kernel, problem.layout(plan.shape)
    return {
        "kernel": kernel.name,
        "kind": kernel.kind,
        "formula": kernel.formula,
        "components": list(kernel.components),
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
        "reduce": list(problem.reduce),
        "reduce_over": problem.reduce_over,
        "grid": None if layout is None else {name: getattr(layout, name) for name in ("shape", "spacing", "origin")},
        "doubt": problem.doubt,
    }


def _fact(value: Any) -> Any:
    if value is None or isinstance(value, np.ndarray):
        return "by row"
    return value if isinstance(value, (int, float)) else str(value)  # of complex and long double JSON has none


def _start(
    communicator: Communicator, plan: Plan, checkpoints: Checkpoints, record: dict[str, Any], path: Path
) -> tuple[ResumePoint, list[str]]:
    """Return where the last checkpoint is, and what is to be said about it. Collective."""
    found = checkpoints.latest(plan.bounds[communicator.rank])
    if found is None:
        return ResumePoint(), ["no checkpoint is there: from the beginning"]
    with Agreement(communicator):
        if found.facts["run"] != record["run"]:
            raise InputError(f"the checkpoint {found.path} is not of the run in {path}. Remove it.")
    return ResumePoint(found.position, found.facts["complete"], found.state), found.skipped


def _require_same(history: dict[str, Any], plan: Plan, path: Path) -> None:
    theirs = tuple(history["shape"]), from_json(history["dtype"])
    if theirs != (plan.history_shape, plan.history_dtype):
        raise InputError(
            f"the problem gives a history of shape {plan.history_shape} and dtype {plan.history_dtype}, but the run in "
            f"{path} has {theirs[0]} and {theirs[1]}. Start it again with --overwrite."
        )
