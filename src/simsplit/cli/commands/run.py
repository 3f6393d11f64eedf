"""``simsplit run`` and ``simsplit verify``."""

from __future__ import annotations

import sys
from io import StringIO
from typing import TYPE_CHECKING

from ...communicator import Agreement, Turn, connect
from ...communicator import launchers as launch
from ...errors import InputError
from ...options import BY_NAME
from ...problem_file import build as problems
from ...problem_file.settings import KEYS, resolve
from ...runs.api import destination_of, run_into
from ...runs.destinations import reduced_path, require_identical
from ...runs.options import RunOptions, checked_options, kind_of
from ...util.formatting import format_ranks, say

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from ...communicator import Communicator
    from ...problem import Problem
    from ...problem_file.settings import Settings
    from ...result import Result
    from ...runs.description import Description
    from ..parser import Options


read = problems.text_of


def command(options: Options) -> None:
    """Run a simulation as the options say. Collective.

    Raises
    ------
    SimsplitError
        On every rank.
    """
    with Turn(None, serial=options.serial):  # no kernel may run on its own ranks
        _command(options)


def _command(options: Options) -> None:
    communicator = connect_ranks(options)
    text = None
    with Agreement(communicator):
        if options.problem is not None and communicator.rank == 0:
            text = problems.text_of(options.problem)
    if options.problem is not None:
        text = communicator.bcast(text)  # one rank asks the file system, not all of them
    with Agreement(communicator):
        settings = resolve(options, text)
        problem = problems.make(settings, root=communicator.rank == 0)
        if communicator.rank == 0:
            require_apart(settings, options.problem)
        run_options = run_options_of(options, settings)
    destination = destination_of(run_options, lambda: _describe(problem, communicator, run_options))
    result = run_into(problem, communicator, run_options, destination)
    tell(options, problem, result, settings.output, communicator)
    require_identical(result, communicator)


def _describe(problem: Problem, communicator: Communicator, options: RunOptions) -> Description:
    from ...runs.description import describe_problem  # most runs have no run directory

    return describe_problem(problem, communicator, options)


def run_options_of(options: Options, settings: Settings) -> RunOptions:
    """Return how to run it; raise `InputError` where an option is wrong."""
    names = [name for name in RunOptions.fields() if name in BY_NAME]
    given = {name: getattr(settings if name in KEYS else options, name) for name in names}
    given = {name: value for name, value in given.items() if value is not None}
    return checked_options(spelled, **given | {"progress": progress_of(options)})


def progress_of(options: Options) -> str:
    """Return how progress is told."""
    return "no" if options.quiet else options.progress or "auto"


def spelled(name: str) -> str:
    """Return what users of the command line call an option."""
    return BY_NAME[name].spelled


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
    if kind_of(settings.output) == "directory":
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
    for name, value in (*settings.parameters.items(), *settings.constants.items()):
        if isinstance(value, str):
            yield f"the file of {name}, {value}", Path(value)
    if settings.import_from is not None:
        yield f"the folder of modules {settings.import_from}", Path(settings.import_from)
    module = sys.modules.get(settings.kernel.partition(":")[0])
    if ":" in settings.kernel and isinstance(file := getattr(module, "__file__", None), str):
        yield f"the module {file}", Path(file)


def connect_ranks(options: Options) -> Communicator:
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
            raise launch.not_serial_error(launcher)
        if options.error is not None:
            raise options.error
    everyone = communicator.allgather(repr(options))
    with Agreement(communicator):
        wrong = [rank for rank, text in enumerate(everyone) if text != everyone[0]]
        if wrong:
            raise InputError(
                f"the options on {format_ranks(wrong)} are not those of rank 0. Give every rank the same options."
            )
    return communicator


def tell(options: Options, problem: Problem, result: Result, output: str | None, communicator: Communicator) -> None:
    """Print what was computed, how fast, and where it is. Collective."""
    with Agreement(communicator):
        if communicator.rank == 0 and (options.json or not options.quiet):
            if options.json or result.history is not None:
                report(options, problem, result, output)
            else:
                from ..output.summary import summary

                say("\n".join(summary(problem, result, str(output))))


def report(options: Options, problem: Problem, result: Result, output: str | None) -> None:
    """Print the table, or the JSON. Root only."""
    from ..output import report as reports

    text = StringIO()
    write = reports.as_json if options.json else reports.as_table
    write(problem, result, output, text)
    say(text.getvalue())
