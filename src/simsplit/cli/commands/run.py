"""``simsplit run`` and ``simsplit verify``."""

from __future__ import annotations

import os
import sys
from io import StringIO
from typing import TYPE_CHECKING

from ...communicator import Agreement, Turn, connect
from ...communicator import launchers as launch
from ...errors import InputError
from ...monitor.stop_requests import stoppable
from ...runs.pipeline import execute, reduced_path, require_identical
from ...runs.setup import How
from ...util.formatting import ranks_in_short, say
from ..problem_file import build as problems
from ..problem_file.settings import resolve

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

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
    with stoppable() as stopping, Turn(None, serial=options.serial):  # no kernel may run on its own ranks
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
        if communicator.rank == 0:
            require_apart(settings, options.problem)
        in_folder = is_folder(settings.output)
        if not in_folder:
            _require_no_folder(options, settings)
        if not by_root(settings.output):
            require_no_root(options, settings, problem)
    if in_folder:
        from .run_directory import run as run_in_folder

        run_in_folder(options, settings, problem, communicator, stopping)
        return
    result = _execute(options, settings, problem, communicator)
    with Agreement(communicator):
        if communicator.rank == 0 and (options.json or not options.quiet):
            if result.nbytes["history"] and not by_root(settings.output) and not options.json:
                from .run_directory import summary

                say("\n".join(summary(problem, result, f"written to {settings.output}")))
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
            f"whose name must not end like that of a file, as {output!r} does with {suffix}"
        )
    return True


def require_apart(settings: Settings, file: str | None) -> None:
    """Refuse an output that takes the place of what the run reads: the problem in `file`, arrays, modules.

    Raises
    ------
    InputError
    """
    if settings.output is None:
        return
    from pathlib import Path

    from ...rundir.directory import OURS
    from ...util import durable as disk

    output = Path(settings.output)
    places = [output, *(Path(reduced_path(output, name)) for name in settings.reduce.split(","))]
    if is_folder(settings.output):
        places = [output / name for name in OURS]
    for what, path in _sources(settings, file):
        around = what.startswith("the input")  # which may be a folder, of which nothing is to be changed
        if any(disk.within(path, place) or (around and disk.within(place, path)) for place in places):
            raise InputError(f"--output would replace {what}. Name another file or folder.")


def _sources(settings: Settings, file: str | None) -> Iterator[tuple[str, Path]]:
    """Return what a run reads, and what messages call it."""
    from pathlib import Path

    if file is not None:
        yield f"the problem {file}", Path(file)
    if isinstance(settings.input, str):
        found = problems.step_of_run(settings.input)
        yield f"the input {settings.input}", Path(settings.input) if found is None else found[0].file
    for name, value in settings.parameters.items():
        if isinstance(value, str):
            yield f"the file of {name}, {value}", Path(value)
    if settings.import_from is not None:
        yield f"the folder of modules {settings.import_from}", Path(settings.import_from)
    module = sys.modules.get(settings.kernel.partition(":")[0])
    if ":" in settings.kernel and isinstance(file := getattr(module, "__file__", None), str):
        yield f"the module {file}", Path(file)


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


def require_no_root(options: Options, settings: Settings, problem: Problem) -> None:
    """Refuse what is for a history that comes to root, where each rank writes its own rows."""
    if options.via != "collective":
        raise InputError("--via remote keeps no checkpoints: leave it out, or write to a file (-o FILE.npy)")
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
        return Path(path).read_text("utf-8-sig")  # some editors write a mark of the byte order
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

    text = StringIO()
    write = reports.as_json if options.json else reports.as_table
    write(problem, result, output, text)
    say(text.getvalue())
