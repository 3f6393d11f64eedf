"""``simsplit sweep --run``: all rows of a table on this machine, some of them at a time."""

from __future__ import annotations

import os
import shlex
import sys
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ...communicator import launchers as launch
from ...errors import (
    InputError,
    KernelError,
    LaunchError,
    OutputError,
    SimsplitError,
    StoppedError,
    VerificationError,
)
from ...rundir.directory import CHECKPOINTS, RECORD
from ...rundir.recorded_run import open_run, runs_in
from ...util.formatting import format_duration, pluralize, say
from ..commands.runs import table_of
from ..parser import Options
from ..slurm import collect
from .programs import Program, run_all
from .progress import RowState, SweepProgress, last_step

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from ..slurm.sweep import Row

_EVERY = 10.0  # seconds between two lines in a log
# One core a rank, wherever it is free: NumPy's libraries would start a thread for each core, and Open MPI would bind
# the ranks of all runs to the same ones.
_BESIDE_OTHERS = {"OMP_NUM_THREADS": "1", "PRTE_MCA_hwloc_default_binding_policy": "none"}
_TOLD = 3  # failures that are told in full
_ERRORS = (InputError, LaunchError, KernelError, OutputError, StoppedError, VerificationError)
_DONE_BEFORE = "it was before"


@dataclass
class _Task:
    """A row, and what becomes of it.

    Attributes
    ----------
    name : str
    path : Path
        The run directory.
    program : Program or None
        None if the run was finished before.
    state : RowState
    """

    name: str
    path: Path
    program: Program | None
    state: RowState


def run_rows(rows: Sequence[Row], folder: Path, options: Options, again: str) -> None:
    """Run all rows that are not finished, and make one table of all.

    Parameters
    ----------
    rows : sequence of Row
        Found to be possible.
    folder : Path
        Of the run directories.
    options : Options
        Of ``simsplit sweep``.
    again : str
        The command that goes on, for messages.

    Raises
    ------
    InputError
        If a run goes on, or there is no launcher.
    StoppedError
        If the runs were stopped.
    SimsplitError
        If a run failed: with its exit status, when all others have ended.
    """
    ranks = options.ranks or 1
    tasks = [_task(row, folder / row.name, options, _command(ranks)) for row in rows]
    programs = [task.program for task in tasks if task.program is not None]
    at_once = options.jobs or max(1, len(os.sched_getaffinity(0)) // ranks)
    progress = SweepProgress(_EVERY if options.progress_every is None else options.progress_every, quiet=options.quiet)
    failures: list[tuple[_Task, str]] = []

    def look(ended: list[Program]) -> bool:
        for task in tasks:
            if task.program is not None and task.program.status is None:
                if task.program.runs and (progress.is_due or task.state.word == "waiting"):
                    task.state = RowState(task.name, "running", last_step(task.path))
            elif task.program in ended:
                _note_end(task, progress, failures)
        progress.update([task.state for task in tasks])
        # Whatever keeps one rank from starting keeps all of them.
        return not any(task.program is not None and task.program.status == LaunchError.exit_status for task in tasks)

    if programs:
        folder.mkdir(parents=True, exist_ok=True)
        some = f"{at_once} at a time, each {'in one process' if ranks == 1 else f'on {ranks} ranks'}"
        before = len(tasks) - len(programs)
        progress.tell(
            f"{pluralize(len(programs), 'run')} in {folder}, {some}" + (f"; {before} finished before" if before else "")
        )
        with closing(progress):
            stopped_by = run_all(programs, at_once, look)
        _require_finished(tasks, failures, stopped_by, again)
    _collect(folder, quiet=options.quiet)
    _raise_failures(tasks, failures)


def _command(ranks: int) -> list[str]:
    """Return how simsplit is started: with the launcher that belongs to this Python, and the modules of this one."""
    program = [sys.executable, "-P", "-m", "simsplit"]
    if ranks == 1:
        return program
    mpiexec = launch.mpiexec()
    if mpiexec is None:
        raise LaunchError(
            f"-n {ranks} needs mpiexec, and there is none, neither beside {sys.executable} nor on the PATH. Install an "
            "MPI library (pip install 'simsplit[mpich]'), or leave out -n: each row is run by one process."
        )
    return [mpiexec, "-n", str(ranks), *program]


def _task(row: Row, path: Path, options: Options, program: Sequence[str]) -> _Task:
    """Return what is to be done for a row: nothing, to go on, or to begin."""
    ranks = options.ranks or 1
    serial = ["--serial"] if ranks == 1 else []
    begin = ["run", *options.words, *row.words, f"--output={path}", "--quiet", *serial]
    if (path / RECORD).exists():
        run = open_run(path)
        if run.status == "running":
            raise InputError(
                f"the run in {path} goes on at this moment. Wait for its end, or stop it: touch {path}/stop"
            )
        if run.status == "finished" and not options.overwrite:
            return _Task(row.name, path, None, RowState(row.name, "finished", _DONE_BEFORE))
        checkpoints = path / CHECKPOINTS
        if not options.overwrite and checkpoints.is_dir() and any(checkpoints.iterdir()):
            begin = ["resume", str(path), "--quiet", *serial, *_of_resume(options)]
        else:  # nothing is lost
            begin.append("--overwrite")
    elif path.exists():  # what a start left that ended before its first record
        begin.append("--overwrite")
    environment = _BESIDE_OTHERS | os.environ | {launch.EXPECTED_RANKS: str(ranks)}
    return _Task(row.name, path, Program([*program, *begin], environment), RowState(row.name, "waiting"))


def _of_resume(options: Options) -> list[str]:
    """Return the options that a run goes on with."""
    words = ["--accept-changes"] if options.accept_changes else []
    return words if options.time_limit is None else [*words, f"--time-limit={options.time_limit}s"]


def _note_end(task: _Task, progress: SweepProgress, failures: list[tuple[_Task, str]]) -> None:
    """Note how a row has ended."""
    assert task.program is not None  # noqa: S101, for the type checker
    status, said = task.program.status, task.program.output.strip()
    if status == 0:
        run = open_run(task.path)
        seconds = sum(each["seconds"]["total"] for each in run.record["attempts"] if each["seconds"] is not None)
        task.state = RowState(task.name, "finished", f"in {format_duration(seconds)}")
    elif status == StoppedError.exit_status:
        task.state = RowState(task.name, "stopped", last_step(task.path))
    else:
        task.state = RowState(task.name, "failed", f"exit status {status}")
        failures.append((task, said))
    progress.tell(" ".join(filter(None, (task.name, task.state.word, task.state.text))))


def _require_finished(tasks: Sequence[_Task], failures: list[tuple[_Task, str]], stopped_by: str, again: str) -> None:
    """Raise the error of runs that were stopped."""
    done = sum(task.state.word == "finished" for task in tasks)
    if stopped_by:
        raise StoppedError(
            f"stopped by {stopped_by}: {done} of {pluralize(len(tasks), 'row')} finished. Go on with: {again}"
        )
    stopped = [task.name for task in tasks if task.state.word == "stopped"]
    if stopped and not failures:
        raise StoppedError(
            f"{', '.join(stopped)} stopped early, as {tasks[0].path.parent}/{stopped[0]}/log.txt says: {done} of "
            f"{pluralize(len(tasks), 'row')} finished. Go on with: {again}"
        )


def _raise_failures(tasks: Sequence[_Task], failures: list[tuple[_Task, str]]) -> None:
    """Raise what has failed, with the exit status of the first failure."""
    if not failures:
        return
    first = failures[0][0].program
    status = 1 if first is None else first.status
    texts = [f"{task.name} ({shlex.quote(str(task.path))}):\n{said}" for task, said in failures[:_TOLD]]
    more = len(failures) - len(texts)
    if more:
        texts.append(f"and {pluralize(more, 'row')} more: {', '.join(task.name for task, _ in failures[_TOLD:])}")
    left = sum(task.state.word == "waiting" for task in tasks)
    head = f"{len(failures)} of {pluralize(len(tasks), 'row')} failed"
    if left:
        head += f", and {left} were not begun"
    kind = next((kind for kind in _ERRORS if kind.exit_status == status), SimsplitError)
    raise kind("\n\n".join([f"{head}.", *texts]))


def _collect(folder: Path, *, quiet: bool) -> None:
    """Write the table of all runs, and a picture if it can be drawn; print the list of runs."""
    from importlib.util import find_spec

    found = runs_in(folder)
    if not found:
        return
    drawable = any(run.complete for run in found) and find_spec("matplotlib") is not None
    table, picture = folder / "table.csv", folder / "picture.png"
    collect.command(
        Options(command="collect", name=str(folder), output=str(table), plot=str(picture) if drawable else None)
    )
    if not quiet:
        written = f"{table} and {picture}" if drawable else f"{table}"
        say("\n".join([*table_of(found), "", f"all of them are in {written}"]))
