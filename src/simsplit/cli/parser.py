"""The options: what is accepted, and messages that say so."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from math import isfinite
from typing import TYPE_CHECKING, Any, NoReturn

from .. import __version__
from ..errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_EPILOG = """\
Without arguments: run --verify, the simulation of 7 rows and 5 steps.

examples:
  mpiexec -n 4 simsplit                                      4 ranks beside one process
  mpiexec -n 4 simsplit run --size 8000000 --steps 10 --quiet --output history.npy
  simsplit run --input start.npy --offset 1 --multiplier 2 --verify

exit status: 0 done, 2 bad input or option, 3 wrong launch, 4 a kernel failed, 5 output unusable,
             6 verification failed, 130 interrupted
"""


@dataclass(frozen=True, slots=True)
class Options:
    """The options of ``simsplit run``.

    `error` stands for all of them if they are wrong, `answer` if they ask for a text: the help, the version.
    """

    offset: float = 3.0
    multiplier: float = 5.0
    size: int | None = None
    dtype: str | None = None
    delta_t: float = 0.5
    start_time: float = 0.0
    steps: int = 5
    input: str | None = None
    output: str | None = None
    verify: bool = False
    quiet: bool = False
    json: bool = False
    serial: bool = False
    expect_ranks: int | None = None
    answer: str | None = None
    error: InputError | None = None


def parse(arguments: Sequence[str]) -> Options:
    """Return the options. Never exits: the ranks end together."""
    if not arguments:
        return Options(verify=True)
    parser, run = _parsers()
    try:
        found, unknown = parser.parse_known_args(_bind_negative_numbers(arguments))
        if found.command is None:
            before = f" before {unknown[0]}" if unknown else ""
            return Options(error=InputError(f"no command{before}. Give one: simsplit run … (see: simsplit --help)"))
        if unknown:
            return Options(error=InputError(_unknown(unknown[0], run)))
    except _AnswerError as answer:
        return Options(answer=answer.text)
    except InputError as error:
        return Options(error=error)
    values = vars(found)
    del values["command"]
    return Options(**values)


class _AnswerError(Exception):
    """Leaves argparse with a text to print."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text


class _Parser(argparse.ArgumentParser):
    """Raises where argparse would print and exit on every rank."""

    def error(self, message: str) -> NoReturn:
        raise InputError(f"{message} (see: {self.prog} --help)")

    def print_help(self, file: Any = None) -> None:
        raise _AnswerError(self.format_help())


class _Version(argparse.Action):
    def __call__(self, *_: Any) -> None:
        raise _AnswerError(f"simsplit {__version__}\n")


def _parsers() -> tuple[_Parser, _Parser]:
    parser = _Parser(
        prog="simsplit",
        description="Time-stepped simulations over a NumPy array, split over MPI ranks.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action=_Version, nargs=0, dest=argparse.SUPPRESS, help="print the version")
    # With prog given argparse need not format a usage, for which it would load much.
    commands = parser.add_subparsers(dest="command", metavar="command", parser_class=_Parser, prog=parser.prog)
    run = commands.add_parser(
        "run",
        help="run a simulation",
        description="Run a simulation on all ranks: (offset + x * multiplier) * t for each time step.",
        allow_abbrev=False,
    )
    default = Options()
    problem = run.add_argument_group("the problem")
    problem.add_argument(
        "--offset", type=_number, default=default.offset, metavar="O", help="added to each value (default 3)"
    )
    problem.add_argument(
        "--multiplier",
        type=_number,
        default=default.multiplier,
        metavar="M",
        help="each value is multiplied by it first (default 5)",
    )
    array = problem.add_mutually_exclusive_group()
    array.add_argument("--size", type=_integer(0), metavar="N", help="start from the array 0 … N-1 (default 7)")
    array.add_argument("--input", metavar="FILE.npy", help="start from the array in this file; axis 0 is split")
    problem.add_argument(
        "--dtype", metavar="DTYPE", help="of the initial array, such as float32 (default float64, or that of the file)"
    )
    problem.add_argument(
        "--delta-t",
        type=_number,
        default=default.delta_t,
        metavar="D",
        help="time from one step to the next (default 0.5)",
    )
    problem.add_argument(
        "--start-time", type=_number, default=default.start_time, metavar="T", help="time of step 0 (default 0)"
    )
    problem.add_argument(
        "--steps", type=_integer(0), default=default.steps, metavar="S", help="number of steps (default 5)"
    )
    results = run.add_argument_group("the results")
    results.add_argument(
        "--output", metavar="FILE.npy", help="write the history there, shape (steps, *shape of the array)"
    )
    results.add_argument(
        "--verify", action="store_true", help="compare with one process, bit for bit; exit status 6 if different"
    )
    results.add_argument("--quiet", action="store_true", help="print nothing but errors (and --json)")
    results.add_argument("--json", action="store_true", help="print one JSON object instead of a table")
    ranks = run.add_argument_group("the ranks")
    ranks.add_argument("--serial", action="store_true", help="one process, without MPI")
    ranks.add_argument(
        "--expect-ranks",
        type=_integer(1),
        metavar="N",
        help="fail unless there are N ranks (also: SIMSPLIT_EXPECT_RANKS)",
    )
    return parser, run


def _number(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = float("nan")
    if not isfinite(number):
        raise argparse.ArgumentTypeError(f"must be a finite number, not {text!r}")
    return number


def _integer(least: int) -> Callable[[str], int]:
    def integer(text: str) -> int:
        try:
            number = int(text)
        except ValueError:
            number = least - 1
        if number < least:
            raise argparse.ArgumentTypeError(f"must be an integer of {least} or more, not {text!r}")
        return number

    return integer


def _bind_negative_numbers(arguments: Sequence[str]) -> list[str]:
    """Write ``--offset -1e-3`` as ``--offset=-1e-3``, which argparse would take for an option."""
    bound: list[str] = []
    for argument in arguments:
        negative = argument.startswith("-") and not argument.startswith("--")
        if negative and bound and bound[-1].startswith("--") and "=" not in bound[-1] and _is_float(argument):
            bound[-1] += f"={argument}"
        else:
            bound.append(argument)
    return bound


def _is_float(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _unknown(argument: str, run: argparse.ArgumentParser) -> str:
    import difflib

    options = run._option_string_actions  # noqa: SLF001, argparse has no public list of them
    known = [option for option in options if option.startswith("--")]
    near = difflib.get_close_matches(argument.partition("=")[0], known, n=1)
    hint = f"Did you mean {near[0]}? " if near else ""
    return f"unknown argument {argument}. {hint}(see: simsplit run --help)"
