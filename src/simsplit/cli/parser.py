"""Parse the command line; errors say what is accepted."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any, Literal, NoReturn

from .._version import __version__
from ..errors import InputError
from ..util.records import Record
from ..util.validation import near, user_path
from .options.run import add_ranks, add_resume, add_run, add_verify
from .options.run_directory import add_folder, add_plot, add_runs, add_show
from .options.types import integer

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_EPILOG = """\
Without arguments: run --verify, the simulation of 7 rows and 5 steps.

examples:
  mpiexec -n 4 simsplit                                      4 ranks beside one process
  mpiexec -n 4 simsplit run --size 8000000 --steps 10 --quiet --output history.npy
  simsplit run --input start.npy --offset 1 --multiplier 2 --verify

exit status: 0 done, 2 bad input or option, 3 wrong launch, 4 a kernel failed, 5 output unusable,
             6 verification failed, 7 a remote object could not be called,
             75 stopped early and can be resumed, 130 interrupted
"""


class Options(Record):
    """The options of all commands, None where not given.

    `error` stands for all of them if one is wrong, `answer` if they ask for a text: the help, the version.
    """

    command: str = "run"
    problem: str | None = None
    kernel: str | None = None
    set: tuple[str, ...] = ()
    constant: tuple[str, ...] = ()
    kind: Literal["map", "step"] | None = None
    grid: str | None = None
    spacing: str | None = None
    origin: str | None = None
    boundary: tuple[str, ...] = ()
    import_from: str | None = None
    offset: float | None = None
    multiplier: float | None = None
    size: int | None = None
    dtype: str | None = None
    result_dtype: str | None = None
    delta_t: float | None = None
    start_time: float | None = None
    steps: int | None = None
    until: float | None = None
    seed: int | None = None
    nan: Literal["allow", "error"] | None = None
    keep: str | None = None
    reduce: str | None = None
    reduce_over: Literal["rows", "cells"] | None = None
    input: str | None = None
    initial: str | None = None
    fill: float | None = None
    time_unit: str | None = None
    unit: str | None = None
    output: str | None = None
    transport: Literal["auto", "gatherv", "shared"] | None = None
    block_size: int | None = None
    depth: int | str | None = None
    check_rows: bool | None = None
    format: Literal["npy", "zarr", "h5"] | None = None
    overwrite: bool = False
    accept_changes: bool = False
    checkpoint_every: str | None = None
    time_limit: float | None = None
    hang_after: float | None = None
    progress: Literal["auto", "bar", "lines", "no"] | None = None
    progress_every: float | None = None
    rows: tuple[int, ...] = ()
    component: str | None = None
    against: str | None = None
    log: str | None = None
    step: tuple[int, ...] = ()
    slice: int | None = None
    movie: str | None = None
    fps: float | None = None
    verify: bool = False
    quiet: bool = False
    json: bool = False
    serial: bool = False
    expect_ranks: int | None = None
    via: Literal["collective", "remote"] | None = None
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
    run: bool = False
    script: bool = False
    jobs: int | None = None
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
    name, *rest = arguments
    if name not in _COMMANDS:
        _without_command(arguments)
    parser = _parser_of(name)
    parsers = [parser]
    if name in {"job", "sweep"}:  # what is not for them is for the run
        parsers.append(_parser_of("run"))
    found, unknown = parser.parse_known_args(_bound(rest, parsers))
    values = vars(found)
    if len(parsers) > 1:
        of_run, left = parsers[-1].parse_known_args(unknown)
        values = {**vars(of_run), **values, "words": tuple(unknown)}
        unknown = left
    if unknown:
        raise InputError(_unknown(unknown[0], values.get("problem") or "", *parsers))
    problem = values.get("problem")
    if problem is not None and not problem.endswith(".toml"):
        raise InputError(f"a problem file must end in .toml, not {problem!r} (see: {parser.prog} --help)")
    for several in ("set", "constant", "boundary"):
        values[several] = tuple(values.get(several, ()))
    for listed in ("rows", "step"):
        values[listed] = tuple(values.get(listed) or ())
    if name == "verify":
        values["verify"] = True
    return Options(command=name, **values)


def _without_command(arguments: Sequence[str]) -> NoReturn:
    """Answer, or say what is wrong with arguments that do not begin with a command."""
    parser = _Parser(
        prog="simsplit",
        description="Time-stepped simulations over a NumPy array, split over MPI ranks.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action=_Version, nargs=0, dest=argparse.SUPPRESS, help="print the version")
    commands = parser.add_subparsers(dest="command", metavar="command")
    for name, command in _COMMANDS.items():
        commands.add_parser(name, help=command.help, add_help=False, allow_abbrev=False)
    commands.add_parser("remote", help="serve and call remote objects", add_help=False, allow_abbrev=False)
    found, unknown = parser.parse_known_args(arguments)
    if found.command is not None:
        raise InputError(
            f"{arguments[0]} stands before the command {found.command}. Put it after. (see: simsplit --help)"
        )
    before = f" before {unknown[0]}" if unknown else ""
    raise InputError(f"no command{before}. Give one: simsplit run … (see: simsplit --help)")


class _AnswerError(Exception):
    """Leaves argparse with a text to print."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text


def _quick(prog: str) -> argparse.HelpFormatter:
    """Return a formatter, as argparse wants one to check each option: without looking how wide the terminal is."""
    return argparse.HelpFormatter(prog, width=80)


class _Parser(argparse.ArgumentParser):
    """Raises where argparse would print and exit on every rank."""

    def __init__(self, *, formatter_class: Any = argparse.HelpFormatter, **options: Any) -> None:
        super().__init__(**options, formatter_class=_quick)
        self._for_help = formatter_class

    def error(self, message: str) -> NoReturn:
        raise InputError(f"{message} (see: {self.prog} --help)")

    def print_help(self, file: Any = None) -> None:
        self.formatter_class = self._for_help
        raise _AnswerError(self.format_help())


class _Version(argparse.Action):
    def __call__(self, *_: Any) -> None:
        raise _AnswerError(f"simsplit {__version__}\n")


def _parser_of(name: str) -> _Parser:
    """Return the parser of a command, which is all that is needed: those of all take several ms."""
    command = _COMMANDS[name]
    parser = _Parser(prog=f"simsplit {name}", description=command.description, allow_abbrev=False)
    command.add(parser)
    return parser


def _add_resume(parser: argparse.ArgumentParser) -> None:
    add_folder(parser)
    add_resume(parser)


def _add_plan(parser: argparse.ArgumentParser) -> None:
    add_run(parser)
    parser.add_argument("--ranks", type=integer(1), required=True, metavar="N", help="number of ranks")
    parser.add_argument(
        "--ranks-per-node", type=integer(1), metavar="N", help="that share a node's memory (default: its cores)"
    )


def _add_doctor(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of a list")
    add_ranks(parser)


def _add_bench(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--size", type=integer(1), metavar="N", help="rows of float64 (default 8,000,000)")
    parser.add_argument(
        "--grid", metavar="N[xM[xL]]", help="instead: steps of heat on a grid, beside NumPy in one process"
    )
    parser.add_argument("--steps", type=integer(1), metavar="S", help="number of steps (default 10, of a grid 40)")
    parser.add_argument(
        "--rounds", type=integer(1), default=5, metavar="R", help="each is measured so often, in turn (default 5)"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of a table")
    parser.add_argument("--plot", type=user_path, metavar="FILE.png", help="draw it, too")
    add_ranks(parser)


def _add_example(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", metavar="KERNEL", help="a built-in kernel, such as lorenz")


def _add_job(parser: argparse.ArgumentParser) -> None:
    from .options.slurm import add_job

    add_job(parser, integer(1))


def _add_sweep(parser: argparse.ArgumentParser) -> None:
    from .options.slurm import add_sweep

    add_sweep(parser, integer(1))


def _add_collect(parser: argparse.ArgumentParser) -> None:
    from .options.slurm import add_collect

    add_collect(parser)


class _Command(Record):
    """What the list of commands says of one, what its own help says, and what adds its options."""

    help: str
    description: str | None
    add: Callable[[argparse.ArgumentParser], None]


_COMMANDS = {
    "run": _Command(
        "run a simulation", "Run a simulation on all ranks: a kernel over an array, for each time step.", add_run
    ),
    "verify": _Command(
        "run it and compare with one process",
        "Run a simulation, and compare it bit for bit: run --verify.",
        add_verify,
    ),
    "plan": _Command(
        "say what a run would take",
        "Say who gets which rows and what fits where. Computes nothing, needs no MPI.",
        _add_plan,
    ),
    "doctor": _Command(
        "say what is here", "Say what simsplit finds on all ranks, and what would slow or break a run.", _add_doctor
    ),
    "bench": _Command(
        "measure this machine",
        "Measure how fast a history is written, beside filling its memory, one process and a plain MPI program.",
        _add_bench,
    ),
    "example": _Command(
        "print a problem file for a kernel", "Print a problem file with each key explained.", _add_example
    ),
    "resume": _Command(
        "continue a run that was stopped",
        "Continue the run in a run directory where its last checkpoint is, on any number of ranks.",
        _add_resume,
    ),
    "show": _Command("say what a run did", "Say what ran, how it ended, and what the history looks like.", add_show),
    "plot": _Command("draw a history", "Draw the history of a run as a picture, with matplotlib.", add_plot),
    "runs": _Command("list runs", "List the run directories in a folder.", add_runs),
    "job": _Command("print or submit a Slurm script", None, _add_job),
    "sweep": _Command("run each row of a table, or say what it would run", None, _add_sweep),
    "collect": _Command("make one table of many runs", None, _add_collect),
}


def _bound(arguments: Sequence[str], parsers: Sequence[argparse.ArgumentParser]) -> list[str]:
    """Write ``--offset -1e-3`` as ``--offset=-1e-3``: what begins with "-" is an option for argparse."""
    options = {name: action for each in parsers for name, action in each._option_string_actions.items()}  # noqa: SLF001, argparse has no public list
    bound: list[str] = []
    for argument in arguments:
        action = options.get(bound[-1]) if bound and bound[-1].startswith("--") else None
        takes_it = action is not None and action.nargs != 0
        if takes_it and argument.startswith("-") and not argument.startswith("--") and argument not in options:
            bound[-1] += f"={argument}"
        else:
            bound.append(argument)
    return bound


def _unknown(argument: str, after: str, *parsers: argparse.ArgumentParser) -> str:
    """Say what to write instead of an unknown argument; `after` is what may be its value."""
    options = [each._option_string_actions for each in parsers]  # noqa: SLF001, as above
    known = [option[2:].replace("-", "_") for each in options for option in each if option.startswith("--")]
    word, _, value = argument.lstrip("-").partition("=")
    word = word.replace("-", "_")
    found = near(word, known) if argument.startswith("-") else None
    hint = ""
    if found is not None:
        hint = f"Did you mean --{found.replace('_', '-')}? "
    elif "set" in known and word.isidentifier() and (value or after).strip("+-.[")[:1].isdecimal():
        hint = f"A parameter of the kernel is given by --set {word}=… "
    return f"unknown argument {argument}. {hint}(see: {parsers[0].prog} --help)"
