"""``simsplit run`` and ``simsplit verify``."""

from __future__ import annotations

import os
import sys
from io import TextIOWrapper
from typing import TYPE_CHECKING

from ...communicator import Agreement, connect
from ...communicator import launchers as launch
from ...errors import InputError, OutputError
from ...monitor.stop_requests import stoppable
from ...runs.pipeline import execute, require_identical
from ...runs.setup import How
from ...util.formatting import ranks_in_short
from ..problem_file import build as problems
from ..problem_file.settings import resolve

if TYPE_CHECKING:
    from ...communicator import Communicator
    from ...monitor.stop_requests import Stopping
    from ...problem import Problem
    from ...result import Result
    from ..parser import Options
    from ..problem_file.settings import Settings

SUFFIXES = (".npy", ".zarr", ".h5", ".hdf5")


def command(options: Options) -> None:
    """Run a simulation as the options say. Collective.

    Raises
    ------
    SimsplitError
        On every rank.
    """
    with stoppable() as stopping:  # also before it is known whether the run can be stopped in order
        _command(options, stopping)


def _command(options: Options, stopping: Stopping) -> None:
    communicator = meet(options)
    text = None
    with Agreement(communicator):
        if options.problem is not None and communicator.rank == 0:
            text = read(options.problem)
    if options.problem is not None:
        text = communicator.bcast(text)  # one rank asks the file system, not all of them
    with Agreement(communicator):
        settings = resolve(options, text)
        problem = problems.make(settings, root=communicator.rank == 0, in_memory=options.via == "remote")
        in_folder = is_folder(settings.output)
        if not in_folder:
            _require_no_folder(options, settings)
        if not by_root(settings.output):
            _require_no_root(problem, settings)
    if in_folder:
        from .run_directory import run as run_in_folder

        run_in_folder(options, settings, problem, communicator, stopping)
        return
    stopping.give_back()
    result = _execute(options, settings, problem, communicator)
    with Agreement(communicator):
        if communicator.rank == 0 and (options.json or not options.quiet):
            if result.nbytes["history"] and not by_root(settings.output) and not options.json:
                from .run_directory import summary

                print("\n".join(summary(problem, result, f"written to {settings.output}")), flush=True)
            else:
                report(options, problem, result, settings.output)
    require_identical(result, communicator)


def _execute(options: Options, settings: Settings, problem: Problem, communicator: Communicator) -> Result:
    how = how_of(options, settings)
    if options.via == "remote":
        from .run_remote import execute as by_remote

        return by_remote(problem, communicator, how)
    follower = None
    if not options.quiet:
        from ...monitor.progress import EVERY, Follower

        every = EVERY if options.progress_every is None else options.progress_every
        follower = Follower(problem.steps, every=every, tells=communicator.rank == 0)
    try:
        if not by_root(settings.output):
            from ...runs.file_run import into_file

            return into_file(problem, communicator, how, watcher=follower)
        return execute(problem, communicator, how, watcher=follower)
    finally:
        if follower is not None:
            follower.close()


def how_of(options: Options, settings: Settings) -> How:
    """Return how to run it."""
    return How(
        verify=options.verify,
        output=settings.output,
        transport=settings.transport,
        block_size=settings.block_size,
        backend=settings.backend,
        check_rows=settings.check_rows,
    )


def by_root(output: str | None) -> bool:
    """Return whether the history comes to root: it is shown, or written to an ``.npy``."""
    return output is None or output.endswith(".npy")


def is_folder(output: str | None) -> bool:
    """Return whether an output is a run directory, as its name says.

    Raises
    ------
    InputError
        If it looks like a file of another kind.
    """
    if output is None:
        return False
    suffix = os.path.splitext(output)[1]  # noqa: PTH122, pathlib is not worth loading for this
    if suffix.lower() in SUFFIXES:
        return False
    if suffix[1:].isalpha():
        raise InputError(
            f"the output must be a file that ends in {', '.join(SUFFIXES)}, or a folder for everything about the run, "
            f"not {output!r}"
        )
    return True


def _require_no_folder(options: Options, settings: Settings) -> None:
    """Refuse options that are for a run directory."""
    given = {
        "--overwrite": options.overwrite,
        "--accept-changes": options.accept_changes,
        "--checkpoint-every": options.checkpoint_every,
        "--time-limit": options.time_limit,
        "--hang-after": options.hang_after,
        "--format": options.format,
    }
    for name, value in given.items():
        if value:
            where = "no output" if settings.output is None else f"the file {settings.output}"
            raise InputError(f"{name} is for a run in a run directory, but there is {where}: give -o FOLDER")


def _require_no_root(problem: Problem, settings: Settings) -> None:
    """Refuse what is for a history that comes to root, where each rank writes its own rows."""
    if problem.reduce:
        raise InputError(f"reductions are not written to {settings.output}. Give --output a file that ends in .npy.")
    if settings.transport != "auto":
        raise InputError(
            f"--transport {settings.transport} is for a history on rank 0, but all ranks write to {settings.output}. "
            "Leave it out, or give --output a file that ends in .npy."
        )


def read(path: str) -> str:
    """Return the text of a problem file."""
    from pathlib import Path

    try:
        return Path(path).read_text("utf-8")
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise InputError(
            f"cannot read the problem {path}: {reason}. Give a TOML file. (see: simsplit example affine)"
        ) from None


def meet(options: Options) -> Communicator:
    """Return the communicator of the command's ranks. Collective.

    Raises
    ------
    SimsplitError
        On every rank, if the options are wrong on any, or not those of rank 0.
    """
    launcher = launch.detect()
    misled = options.serial and launcher is not None and launcher.count > 1
    # A rank of many that asks for serial meets the others all the same: they would wait for it in MPI's start.
    alone = options.serial and not misled
    expected = launch.expected_ranks(options.expect_ranks) if alone else options.expect_ranks
    communicator = connect(serial=alone, expect_ranks=expected)
    with Agreement(communicator):
        if misled and launcher is not None:
            raise launch.not_serial(launcher)
        if options.error is not None:
            raise options.error
    everyone = communicator.allgather(repr(options))
    with Agreement(communicator):
        wrong = [rank for rank, text in enumerate(everyone) if text != everyone[0]]
        if wrong:
            raise InputError(
                f"the options on {ranks_in_short(wrong)} are not those of rank 0. Give every rank the same options."
            )
    return communicator


def report(options: Options, problem: Problem, result: Result, output: str | None) -> None:
    """Print the table, or the JSON. Root only."""
    from ..output import report as reports

    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # "·" and "–" are no reason to fail under an old locale
    try:
        write = reports.as_json if options.json else reports.as_table
        write(problem, result, output, sys.stdout)
        sys.stdout.flush()
    except OSError as error:
        _discard_stdout()
        if not isinstance(error, BrokenPipeError):  # whose reader had enough: `simsplit | head -1`
            raise OutputError(f"cannot write to stdout: {error.strerror or error}") from error


def _discard_stdout() -> None:
    """Let what stdout could not take go, or Python would complain again at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
