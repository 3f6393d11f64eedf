"""``simsplit run`` and ``simsplit verify``."""

from __future__ import annotations

import os
import sys
from io import TextIOWrapper
from typing import TYPE_CHECKING

from ..communicator import Agreement, connect, interrupts, launch
from ..errors import InputError, OutputError
from ..runner import How, execute, require_identical
from ..text import ranks_in_short
from . import problem as problems
from .settings import resolve

if TYPE_CHECKING:
    from ..communicator import Communicator
    from ..problem import Problem
    from ..runner import Result
    from .parser import Options


def command(options: Options) -> None:
    """Run a simulation as the options say. Collective.

    Raises
    ------
    SimsplitError
        On every rank.
    """
    with interrupts.held():
        _command(options)


def _command(options: Options) -> None:
    communicator = meet(options)
    text = None
    with Agreement(communicator):
        if options.problem is not None and communicator.rank == 0:
            text = read(options.problem)
    if options.problem is not None:
        text = communicator.bcast(text)  # one rank asks the file system, not all of them
    with Agreement(communicator):
        settings = resolve(options, text)
        problem = problems.make(settings, root=communicator.rank == 0)
    if options.via == "remote":
        from .by_remote import execute as run

        with Agreement(communicator):
            if settings.backend == "numba":
                raise InputError("--backend numba does not go with --via remote, whose calculators use NumPy")
    else:
        run = execute
    how = How(
        verify=options.verify,
        output=settings.output,
        transport=settings.transport,
        block_size=settings.block_size,
        backend=settings.backend,
    )
    result = run(problem, communicator, how)
    with Agreement(communicator):
        if communicator.rank == 0 and (options.json or not options.quiet):
            _report(options, problem, result, settings.output)
    require_identical(result, communicator)


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


def _report(options: Options, problem: Problem, result: Result, output: str | None) -> None:
    from . import report

    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # "·" and "–" are no reason to fail under an old locale
    try:
        write = report.as_json if options.json else report.as_table
        write(problem, result, output, sys.stdout)
        sys.stdout.flush()
    except OSError as error:
        _discard_stdout()
        if not isinstance(error, BrokenPipeError):  # whose reader had enough: `simsplit | head -1`
            raise OutputError(f"cannot write to stdout: {error.strerror or error}") from error


def _discard_stdout() -> None:
    """Let what stdout could not take go, or Python would complain again at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
