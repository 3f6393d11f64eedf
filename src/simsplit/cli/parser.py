"""The options: what is accepted, and messages that say so."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any, Literal, NoReturn

from .. import __version__
from ..errors import InputError
from ..record import Record
from .long_options import add_long_runs, add_looking, add_resume
from .problem_options import add_problem, add_ranks, add_results
from .values import integer

if TYPE_CHECKING:
    from collections.abc import Sequence

_EPILOG = """\
Without arguments: run --verify, the simulation of 7 rows and 5 steps.

examples:
  mpiexec -n 4 simsplit                                      4 ranks beside one process
  mpiexec -n 4 simsplit run --size 8000000 --steps 10 --quiet --output history.npy
  simsplit run --input start.npy --offset 1 --multiplier 2 --verify

exit status: 0 done, 2 bad input or option, 3 wrong launch, 4 a kernel failed, 5 output unusable,
             6 verification failed, 75 stopped early and can be resumed, 130 interrupted
"""


class Options(Record):
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
    parser, parsers = _parsers(arguments[0])
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


def _parsers(word: str) -> tuple[_Parser, dict[str, _Parser]]:
    """Return the parser, and those of the commands; if `word` is one of them, only it has its options."""
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
        "job": ("print or submit a Slurm script", None),
        "sweep": ("say what the rows of a table would run", None),
        "collect": ("make one table of many runs", None),
    }
    parsers = {
        name: commands.add_parser(name, help=short, description=long, allow_abbrev=False)
        for name, (short, long) in described.items()
    }
    names = {word} if word in parsers else {*parsers}
    if names & {"job", "sweep", "collect"}:
        _add_jobs(parsers)
        names |= {"run"}
    for name in names & {"run", "verify", "plan"}:
        add_problem(parsers[name])
    for name in names & {"run", "verify"}:
        add_results(parsers[name])
    if "run" in names:
        parsers["run"].add_argument(
            "--verify", action="store_true", help="compare with one process, bit for bit; exit status 6 if different"
        )
        add_long_runs(parsers["run"])
    if "plan" in names:
        _add_plan(parsers["plan"])
    if "doctor" in names:
        parsers["doctor"].add_argument("--json", action="store_true", help="print one JSON object instead of a list")
        add_ranks(parsers["doctor"])
    if "bench" in names:
        _add_bench(parsers["bench"])
    if "resume" in names:
        add_resume(parsers["resume"])
    if names & {"show", "plot", "runs"}:
        add_looking(parsers)
    parsers["example"].add_argument("name", metavar="KERNEL", help="a built-in kernel, such as lorenz")
    return parser, parsers


def _add_jobs(parsers: dict[str, _Parser]) -> None:
    from . import job_options

    job_options.add_job(parsers["job"], integer(1))
    job_options.add_sweep(parsers["sweep"], integer(1))
    job_options.add_collect(parsers["collect"])


def _add_plan(parser: _Parser) -> None:
    parser.add_argument("--ranks", type=integer(1), required=True, metavar="N", help="number of ranks")
    parser.add_argument(
        "--ranks-per-node", type=integer(1), metavar="N", help="that share a node's memory (default: its cores)"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of a table")


def _add_bench(parser: _Parser) -> None:
    parser.add_argument("--size", type=integer(1), metavar="N", help="rows of float64 (default 8,000,000)")
    parser.add_argument("--steps", type=integer(1), metavar="S", help="number of steps (default 10)")
    parser.add_argument(
        "--rounds", type=integer(1), default=5, metavar="R", help="each is measured so often, in turn (default 5)"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of a table")
    parser.add_argument("--plot", metavar="FILE.png", help="draw it, too")
    add_ranks(parser)


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
