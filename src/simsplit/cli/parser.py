"""The options: what is accepted, and messages that say so."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from math import isfinite
from typing import TYPE_CHECKING, Any, Literal, NoReturn

from .. import __version__
from ..checks import duration, interval
from ..errors import InputError
from . import job_options

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_EPILOG = """\
Without arguments: run --verify, the simulation of 7 rows and 5 steps.

examples:
  mpiexec -n 4 simsplit                                      4 ranks beside one process
  mpiexec -n 4 simsplit run --size 8000000 --steps 10 --quiet --output history.npy
  simsplit run --input start.npy --offset 1 --multiplier 2 --verify

exit status: 0 done, 2 bad input or option, 3 wrong launch, 4 a kernel failed, 5 output unusable,
             6 verification failed, 75 stopped early and can be resumed, 130 interrupted
"""


@dataclass(frozen=True, slots=True)
class Options:
    """The options of all commands, None where not given.

    `error` stands for all of them if one is wrong, `answer` if they ask for a text: the help, the version.
    """

    command: str = "run"
    problem: str | None = None
    kernel: str | None = None
    set: tuple[str, ...] = ()
    kind: Literal["map", "step"] | None = None
    import_from: str | None = None
    offset: float | None = None
    multiplier: float | None = None
    size: int | None = None
    dtype: str | None = None
    delta_t: float | None = None
    start_time: float | None = None
    steps: int | None = None
    seed: int | None = None
    nan: Literal["allow", "error"] | None = None
    keep: str | None = None
    reduce: str | None = None
    input: str | None = None
    time_unit: str | None = None
    unit: str | None = None
    output: str | None = None
    transport: Literal["auto", "gatherv", "shared"] | None = None
    block_size: int | None = None
    format: Literal["npy", "zarr", "h5"] | None = None
    overwrite: bool = False
    accept_changes: bool = False
    checkpoint_every: str | None = None
    time_limit: float | None = None
    hang_after: float | None = None
    progress_every: float | None = None
    rows: tuple[int, ...] = ()
    component: int | None = None
    verify: bool = False
    quiet: bool = False
    json: bool = False
    serial: bool = False
    expect_ranks: int | None = None
    via: Literal["collective", "remote"] = "collective"
    backend: Literal["auto", "numpy", "numba"] | None = None
    ranks: int | None = None
    ranks_per_node: int | None = None
    name: str | None = None
    rounds: int = 5
    nodes: int | None = None
    ntasks_per_node: int | None = None
    cpus_per_task: int | None = None
    time: int | None = None
    account: str | None = None
    partition: str | None = None
    launch: str | None = None
    submit: bool = False
    table: str | None = None
    row: int | None = None
    runs: str | None = None
    plot: str | None = None
    words: tuple[str, ...] = ()
    answer: str | None = None
    error: InputError | None = None


def parse(arguments: Sequence[str]) -> Options:
    """Return the options. Never exits: the ranks end together."""
    if not arguments:
        return Options(verify=True)
    try:
        return _parsed(arguments)
    except _AnswerError as answer:
        return Options(answer=answer.text)
    except InputError as error:
        return Options(error=error)


def _parsed(arguments: Sequence[str]) -> Options:
    parser, parsers = _parsers()
    found, unknown = parser.parse_known_args(_bind_negative_numbers(arguments))
    if found.command is None:
        before = f" before {unknown[0]}" if unknown else ""
        raise InputError(f"no command{before}. Give one: simsplit run … (see: simsplit --help)")
    values = vars(found)
    if found.command in {"job", "sweep"}:  # what is not for them is for the run
        values = {**vars(parsers["run"].parse_known_args(unknown)[0]), **values, "words": tuple(unknown)}
        unknown = parsers["run"].parse_known_args(unknown)[1]
    if unknown:
        takes_those_of_run = [parsers["run"]] if "words" in values else []
        raise InputError(_unknown(unknown[0], parsers[found.command], *takes_those_of_run))
    problem = values.get("problem")
    if problem is not None and not problem.endswith(".toml"):
        program = parsers[found.command].prog
        raise InputError(f"a problem file must end in .toml, not {problem!r} (see: {program} --help)")
    values["set"] = tuple(values.get("set", ()))
    values["rows"] = tuple(values.get("rows") or ())
    if found.command == "verify":
        values["verify"] = True
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


def _parsers() -> tuple[_Parser, dict[str, _Parser]]:
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
    described = {
        "run": ("run a simulation", "Run a simulation on all ranks: a kernel over an array, for each time step."),
        "verify": (
            "run it and compare with one process",
            "Run a simulation, and compare it bit for bit: run --verify.",
        ),
        "plan": (
            "say what a run would take",
            "Say who gets which rows and what fits where. Computes nothing, needs no MPI.",
        ),
        "doctor": ("say what is here", "Say what simsplit finds on all ranks, and what would slow or break a run."),
        "bench": (
            "measure this machine",
            "Measure how fast a history is written, beside filling its memory, one process and a plain MPI program.",
        ),
        "example": ("print a problem file for a kernel", "Print a problem file with each key explained."),
        "resume": (
            "continue a run that was stopped",
            "Continue the run in a run directory where its last checkpoint is, on any number of ranks.",
        ),
        "show": ("say what a run did", "Say what ran, how it ended, and what the history looks like."),
        "plot": ("draw a history", "Draw the history of a run as a picture, with matplotlib."),
        "runs": ("list runs", "List the run directories in a folder."),
        "job": ("print or submit a Slurm script", job_options.DESCRIPTION),
        "sweep": ("say what the rows of a table would run", job_options.SWEEP),
        "collect": ("make one table of many runs", job_options.COLLECT),
    }
    parsers = {
        name: commands.add_parser(name, help=short, description=long, allow_abbrev=False)
        for name, (short, long) in described.items()
    }
    for name in ("run", "verify", "plan"):
        _add_problem(parsers[name])
    for name in ("run", "verify"):
        _add_results(parsers[name])
    parsers["run"].add_argument(
        "--verify", action="store_true", help="compare with one process, bit for bit; exit status 6 if different"
    )
    plan = parsers["plan"]
    plan.add_argument("--ranks", type=_integer(1), required=True, metavar="N", help="number of ranks")
    plan.add_argument(
        "--ranks-per-node", type=_integer(1), metavar="N", help="that share a node's memory (default: its cores)"
    )
    plan.add_argument("--json", action="store_true", help="print one JSON object instead of a table")
    doctor = parsers["doctor"]
    doctor.add_argument("--json", action="store_true", help="print one JSON object instead of a list")
    _add_ranks(doctor)
    _add_bench(parsers["bench"])
    job_options.add_job(parsers["job"], _integer(1))
    job_options.add_sweep(parsers["sweep"], _integer(1))
    job_options.add_collect(parsers["collect"])
    parsers["example"].add_argument("name", metavar="KERNEL", help="a built-in kernel, such as lorenz")
    _add_long_runs(parsers["run"])
    _add_resume(parsers["resume"])
    _add_looking(parsers)
    return parser, parsers


def _add_long_runs(parser: _Parser) -> None:
    long = parser.add_argument_group("long runs (with -o FOLDER)")
    long.add_argument(
        "--accept-changes", action="store_true", help="run though a file behind the problem has not its digest"
    )
    long.add_argument("--overwrite", action="store_true", help="replace the run that is in the folder")
    _add_watching(parser, long)


def _add_resume(parser: _Parser) -> None:
    parser.add_argument("name", metavar="FOLDER", help="the run directory")
    parser.add_argument(
        "--accept-changes", action="store_true", help="go on though the problem, its files or the kernel were changed"
    )
    parser.add_argument("--quiet", action="store_true", help="print nothing but errors (and --json)")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of a summary")
    _add_watching(parser, parser.add_argument_group("long runs"))
    _add_ranks(parser)


def _add_watching(parser: _Parser, group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--checkpoint-every",
        type=_interval,
        metavar="TIME|N steps",
        help="such as 5min or 500steps (default 5min; 0: only when it stops)",
    )
    group.add_argument(
        "--time-limit", type=_duration, metavar="TIME", help="stop in order after this time, such as 90s, 5min, 2h"
    )
    group.add_argument(
        "--hang-after",
        type=_duration,
        metavar="TIME",
        help="end the job after so long without progress (default 10min; 0: never)",
    )
    parser.add_argument(
        "--progress-every", type=_duration, metavar="TIME", help="between two lines of progress in a log (default 10s)"
    )


def _add_looking(parsers: dict[str, _Parser]) -> None:
    show, plot, runs = (parsers[name] for name in ("show", "plot", "runs"))
    for parser in (show, plot):
        parser.add_argument("name", metavar="FOLDER", help="the run directory")
    runs.add_argument("name", nargs="?", metavar="FOLDER", help="that holds run directories (default: this one)")
    for parser in (show, runs):
        parser.add_argument("--json", action="store_true", help="print JSON")
    plot.add_argument(
        "--output", "-o", metavar="PICTURE", help="such as picture.png, .pdf or .svg (default history.png)"
    )
    plot.add_argument("--rows", type=_integers, metavar="N,N,…", help="which become curves (default: 5 of them)")
    plot.add_argument(
        "--component", type=_integer(0), metavar="N", help="of rows with several values, which to draw (default 0)"
    )
    plot.add_argument("--quiet", action="store_true", help="print nothing but errors")


def _add_problem(parser: _Parser) -> None:
    parser.add_argument("problem", nargs="?", metavar="PROBLEM.toml", help="a file; options override what it says")
    problem = parser.add_argument_group("the problem")
    problem.add_argument(
        "--kernel",
        metavar="KERNEL",
        help='built in (affine, gbm, logistic, lorenz, oscillator, sir), "package.module:function", or an expression '
        'such as "(offset + x * multiplier) * t" (default affine)',
    )
    problem.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="a parameter of the kernel: a number, or a value for each row, in brackets ([0.1,0.2,0.3]) or in a .npy "
        "file; may be repeated",
    )
    problem.add_argument(
        "--kind",
        choices=("map", "step"),
        help="of a function or an expression: x is the initial array (map, the default) or the state (step)",
    )
    problem.add_argument(
        "--import-from", metavar="DIR", help="where to look for package.module too; the current folder is ."
    )
    problem.add_argument("--offset", type=_number, metavar="O", help="of affine: added to each value (default 3)")
    problem.add_argument(
        "--multiplier", type=_number, metavar="M", help="of affine: each value is multiplied by it first (default 5)"
    )
    array = problem.add_mutually_exclusive_group()
    array.add_argument("--size", type=_integer(0), metavar="N", help="start from the array 0 … N-1 (default 7)")
    array.add_argument(
        "--input",
        metavar="FILE.npy",
        help="start from the array in this file (or .zarr, .h5), or from rows in brackets, such as [1,2,3] or "
        "[[1,0],[0,1]]; axis 0 is split",
    )
    problem.add_argument(
        "--dtype",
        metavar="DTYPE",
        help="of the initial array, such as float32 (default float64, or that of the file)",
    )
    problem.add_argument("--delta-t", type=_number, metavar="D", help="time from one step to the next (default 0.5)")
    problem.add_argument("--start-time", type=_number, metavar="T", help="time of step 0 (default 0)")
    problem.add_argument("--steps", type=_integer(0), metavar="S", help="number of steps (default 5)")
    problem.add_argument("--seed", type=_integer(0), metavar="N", help="of random numbers (default 0)")
    problem.add_argument(
        "--nan", choices=("allow", "error"), help="whether a result that is not a number ends the run (default allow)"
    )
    problem.add_argument(
        "--keep",
        metavar="WHICH",
        help="steps that the history holds: all (the default), last, every:K, which is 0, K, 2K and so on, or none",
    )
    problem.add_argument(
        "--reduce",
        metavar="NAMES",
        help="compute over all rows of every step, kept or not: any of mean,min,max,std,sum",
    )
    problem.add_argument("--time-unit", metavar="UNIT", help="of time, for pictures and files, such as days")
    problem.add_argument("--unit", metavar="UNIT", help="of the values, the same")


def _add_results(parser: _Parser) -> None:
    results = parser.add_argument_group("the results")
    results.add_argument(
        "--output",
        "-o",
        metavar="FILE|FOLDER",
        help="write the history, shape (kept steps, *shape of the array), into FILE.npy, .zarr or .h5; or everything "
        "about the run into a folder, where a run that is stopped can be resumed",
    )
    results.add_argument("--format", choices=("npy", "zarr", "h5"), help="of the history in a folder (default npy)")
    results.add_argument("--quiet", action="store_true", help="print nothing but errors (and --json)")
    results.add_argument("--json", action="store_true", help="print one JSON object instead of a table")
    _add_ranks(parser)
    speed = parser.add_argument_group("the way it is computed, which changes no bit of the results")
    speed.add_argument(
        "--transport",
        choices=("auto", "gatherv", "shared"),
        help="how the results come to rank 0: by messages, or through memory that the ranks of a node share (default "
        "auto: shared, unless the history is small)",
    )
    speed.add_argument(
        "--block-size",
        type=_integer(1),
        metavar="BYTES",
        help="bytes of a step that are computed at a time (default a quarter of the level 2 cache)",
    )
    speed.add_argument(
        "--via",
        choices=("collective", "remote"),
        default="collective",
        help="how the ranks work together: collective calls, or remote objects called by rank 0 (default collective)",
    )
    speed.add_argument(
        "--backend",
        choices=("auto", "numpy", "numba"),
        help="what does the arithmetic: NumPy, or compiled code (numba); auto takes that where it saves time and gives "
        "the same bits (default auto)",
    )


def _add_bench(parser: _Parser) -> None:
    parser.add_argument("--size", type=_integer(1), metavar="N", help="rows of float64 (default 8,000,000)")
    parser.add_argument("--steps", type=_integer(1), metavar="S", help="number of steps (default 10)")
    parser.add_argument(
        "--rounds", type=_integer(1), default=5, metavar="R", help="each is measured so often, in turn (default 5)"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of a table")
    parser.add_argument("--plot", metavar="FILE.png", help="draw it, too")
    _add_ranks(parser)


def _add_ranks(parser: _Parser) -> None:
    ranks = parser.add_argument_group("the ranks")
    ranks.add_argument("--serial", action="store_true", help="one process, without MPI")
    ranks.add_argument(
        "--expect-ranks",
        type=_integer(1),
        metavar="N",
        help="fail unless there are N ranks (also: SIMSPLIT_EXPECT_RANKS)",
    )


def _number(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = float("nan")
    if not isfinite(number):
        raise argparse.ArgumentTypeError(f"must be a finite number, not {text!r}")
    return number


def _duration(text: str) -> float:
    try:
        return duration("it", text)
    except InputError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _interval(text: str) -> str:
    try:
        interval("it", text)
    except InputError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    return text


def _integers(text: str) -> tuple[int, ...]:
    return tuple(_integer(0)(word) for word in text.split(","))


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


def _unknown(argument: str, parser: argparse.ArgumentParser, *others: argparse.ArgumentParser) -> str:
    import difflib

    options = [each._option_string_actions for each in (parser, *others)]  # noqa: SLF001, argparse has no public list
    known = [option for each in options for option in each if option.startswith("--")]
    near = difflib.get_close_matches(argument.partition("=")[0], known, n=1)
    hint = f"Did you mean {near[0]}? " if near else ""
    return f"unknown argument {argument}. {hint}(see: {parser.prog} --help)"
