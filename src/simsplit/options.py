"""The options of a run, in one table.

The command line's parser, the keys of problem files, what messages say is accepted, and the checks of
`simsplit.run` are made of it. An option has one name everywhere: ``delta_t`` in a file and in Python, ``--delta-t``
on the command line.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from .errors import InputError
from .util.validation import duration, finite, integer, interval, number

PARAMETER_TABLES = ("parameters", "constants")  # of a problem file: what the kernel is given
GRID = ("shape", "spacing", "origin", "boundary")  # the keys of its table [grid]
FORMATS = ("npy", "zarr", "h5")
BACKENDS = ("auto", "numpy", "numba")
TRANSPORTS = ("auto", "gatherv", "shared")

PROGRESS = ("auto", "bar", "lines", "no")
VIA = ("collective", "remote")

# The groups of the help.
PROBLEM = "the problem"
RESULTS = "the results"
RANKS = "the ranks"
SPEED = "the way it is computed, which changes no bit of the results"
LONG = "long runs (with -o FOLDER)"
OTHER = ""


class Option(NamedTuple):
    """One option.

    Attributes
    ----------
    name : str
    group : str
        The group of the help that it stands in.
    help : str
    type : str
        "text", "path", "integer", "count" for an integer or "auto", "number", "duration", "interval", "yes or no",
        "flag", "choice", or "several" for a text that may be repeated.
    metavar : str or None
        What the help calls the value.
    choices : tuple of str
        Of a choice.
    least : int
        Of an integer.
    short : str or None
        A short form for the command line.
    accepted : str or None
        What the message about a wrong value in a file says; by default what the type says.
    default : object
        What is taken if nothing is given.
    """

    name: str
    group: str
    help: str
    type: str = "text"
    metavar: str | None = None
    choices: tuple[str, ...] = ()
    least: int = 0
    short: str | None = None
    accepted: str | None = None
    default: Any = None

    @property
    def spelled(self) -> str:
        """What users of the command line call it."""
        return f"--{self.name.replace('_', '-')}"

    @property
    def says_accepted(self) -> str:
        """What a problem file may say."""
        if self.accepted is not None:
            return f"{self.accepted} is accepted."
        if self.type == "choice":
            return f"{one_of(self.choices)} is accepted."
        return f"{_ACCEPTED.get(self.type, 'A text in quotes')} is accepted."


_ACCEPTED = {"integer": "A whole number", "number": "A number", "yes or no": "true or false"}

TABLE = (
    Option(
        "kernel",
        PROBLEM,
        'built in (affine, gbm, logistic, lorenz, oscillator, sir), "package.module:function", a function in a file '
        '("model.py:function"), or an expression such as "(offset + x * multiplier) * t" (default affine)',
        metavar="KERNEL",
    ),
    Option(
        "set",
        PROBLEM,
        "a parameter of the kernel: a number, or a value for each row, in brackets ([0.1,0.2,0.3]) or in a .npy "
        "file; may be repeated",
        "several",
        "NAME=VALUE",
    ),
    Option(
        "constant",
        PROBLEM,
        "a parameter that is an array, the same for all rows, such as a matrix: in brackets or in a .npy file; may be "
        "repeated",
        "several",
        "NAME=VALUE",
    ),
    Option(
        "kind",
        PROBLEM,
        "of a function or an expression: x is the initial array (map, the default) or the state (step)",
        "choice",
        choices=("map", "step"),
    ),
    Option(
        "grid",
        PROBLEM,
        "the cells of a grid, for kernels that read neighbours or coordinates: one number for each axis (default the "
        "shape of the array)",
        "text",
        "N[xM[xL]]",
    ),
    Option(
        "spacing",
        PROBLEM,
        "between the cells of a grid: one number, or one for each axis (default 1)",
        metavar="S[,S…]",
    ),
    Option(
        "origin",
        PROBLEM,
        "the coordinate of the first cell: one number, or one for each axis (default 0)",
        metavar="O[,O…]",
    ),
    Option(
        "boundary",
        PROBLEM,
        "what lies beyond the edges: periodic, anti-periodic, fixed V, wall V, no-flux, flux Q, mirror, or an "
        "expression of t, coordinates and inner; of both sides of an axis with | between them, and AXIS= (rows, "
        "columns, layers) before those of one axis; may be repeated",
        "several",
        "BOUNDARY",
    ),
    Option("import_from", PROBLEM, "where to look for package.module too; the current folder is .", "path", "DIR"),
    Option("offset", PROBLEM, "of affine: added to each value (default 3)", "number", "O"),
    Option("multiplier", PROBLEM, "of affine: each value is multiplied by it first (default 5)", "number", "M"),
    Option("size", PROBLEM, "start from the array 0 … N-1 (default 7)", "integer", "N"),
    Option(
        "input",
        PROBLEM,
        "start from the array in this file (or .zarr, .h5), from step K of the run in a folder (FOLDER@K), or "
        "from rows in brackets, such as [1,2,3] or [[1,0],[0,1]]; axis 0 is split",
        "path",
        "FILE.npy",
        accepted="A .npy file in quotes, or a list of rows",
    ),
    Option(
        "initial",
        PROBLEM,
        'start from an expression of row, such as "exp(-(row / 10)**2)", with --size of them (rows); each rank '
        "computes its own rows",
        metavar="EXPRESSION",
    ),
    Option("fill", PROBLEM, "start from --size rows of this number", "number", "V"),
    Option(
        "dtype",
        PROBLEM,
        "of the initial array, such as float32 (default float64, or that of the file)",
        metavar="DTYPE",
    ),
    Option(
        "result_dtype",
        PROBLEM,
        "of what a function of your own returns; without it the first row is computed once more, to learn it",
        metavar="DTYPE",
    ),
    Option("delta_t", PROBLEM, "time from one step to the next (default 0.5)", "number", "D"),
    Option("start_time", PROBLEM, "time of step 0 (default 0)", "number", "T"),
    Option("steps", PROBLEM, "number of steps (default 5)", "integer", "S"),
    Option("until", PROBLEM, "instead of steps: the last step is the last one up to this time", "number", "T"),
    Option("seed", PROBLEM, "of random numbers (default 0)", "integer", "N"),
    Option(
        "nan",
        PROBLEM,
        "whether a result that is not a number ends the run (default allow)",
        "choice",
        choices=("allow", "error"),
    ),
    Option(
        "keep",
        PROBLEM,
        "steps that the history holds: all (the default), last, last:N, every:K, which is 0, K, 2K and so on, or none",
        metavar="WHICH",
        accepted='"all", "last", "none", "last:N" or "every:K"',
    ),
    Option(
        "reduce",
        PROBLEM,
        "compute over all rows of every step, kept or not: any of mean,min,max,std,sum",
        metavar="NAMES",
    ),
    Option(
        "reduce_over",
        PROBLEM,
        "compute these over all rows (the default), or over all cells of a grid",
        "choice",
        choices=("rows", "cells"),
    ),
    Option("time_unit", PROBLEM, "of time, for pictures and files, such as days", metavar="UNIT"),
    Option("unit", PROBLEM, "of the values, the same", metavar="UNIT"),
    Option(
        "output",
        RESULTS,
        "write the history, shape (kept steps, *shape of the array), into FILE.npy, .zarr or .h5; or everything "
        "about the run into a folder, where a run that is stopped can be resumed",
        "path",
        "FILE|FOLDER",
        short="-o",
    ),
    Option("format", RESULTS, "of the history in a folder (default npy)", "choice", choices=FORMATS),
    Option("quiet", RESULTS, "print nothing but errors (and --json)", "flag", short="-q"),
    Option("json", RESULTS, "print one JSON object instead of a table", "flag"),
    Option(
        "check_rows",
        RESULTS,
        "look whether a function or a class of your own is row-local: compute some rows again beside others, and "
        "compare the bits (default yes)",
        "yes or no",
        "yes|no",
        default=True,
    ),
    Option("serial", RANKS, "one process, without MPI", "flag"),
    Option(
        "expect_ranks",
        RANKS,
        "fail unless there are N ranks (also: SIMSPLIT_EXPECT_RANKS)",
        "integer",
        "N",
        least=1,
    ),
    Option(
        "transport",
        SPEED,
        "how the results come to rank 0: by messages, or through memory that the ranks of a node share (default "
        "auto: shared, unless the history is small)",
        "choice",
        choices=TRANSPORTS,
        default="auto",
    ),
    Option(
        "block_size",
        SPEED,
        "bytes of a step that are computed at a time (default a quarter of the level 2 cache)",
        "integer",
        "BYTES",
        least=1,
        accepted="A whole number of bytes",
    ),
    Option(
        "depth",
        SPEED,
        "steps between two exchanges of rows, of a kernel that reads neighbours (default auto: by the latency)",
        "count",
        "K|auto",
        accepted='A whole number of 1 or more, or "auto",',
        least=1,
    ),
    Option(
        "via",
        SPEED,
        "how the ranks work together: collective calls, or remote objects called by rank 0 (default collective)",
        "choice",
        choices=VIA,
        default="collective",
    ),
    Option(
        "backend",
        SPEED,
        "what does the arithmetic: NumPy, or compiled code (numba); auto takes that where it saves time and gives "
        "the same bits (default auto)",
        "choice",
        choices=BACKENDS,
        default="auto",
    ),
    Option("accept_changes", LONG, "run though a file behind the problem has not its digest", "flag"),
    Option("overwrite", LONG, "replace the run that is in the folder", "flag"),
    Option(
        "checkpoint_every",
        LONG,
        "such as 5min or 500steps (default 5min; 0: only when it stops)",
        "interval",
        "TIME|N steps",
    ),
    Option("time_limit", LONG, "stop in order after this time, such as 90s, 5min, 2h", "duration", "TIME"),
    Option(
        "hang_after", LONG, "end the job after so long without progress (default 10min; 0: never)", "duration", "TIME"
    ),
    Option("verify", OTHER, "compare with one process, bit for bit; exit status 6 if different", "flag"),
    Option(
        "progress",
        OTHER,
        "how progress is told on stderr: by a bar, by lines, or not; auto is a bar where stderr, or that of mpiexec, "
        "is a terminal (default auto)",
        "choice",
        choices=PROGRESS,
        default=False,  # of a program
    ),
    Option("progress_every", OTHER, "between two lines of progress in a log (default 10s)", "duration", "TIME"),
)
BY_NAME = {option.name: option for option in TABLE}
# Those that a run may be resumed with, beside others than when it began.
OF_RESUME = (
    "accept_changes",
    "check_rows",
    "depth",
    "checkpoint_every",
    "time_limit",
    "hang_after",
    "progress",
    "progress_every",
)


def one_of(values: tuple[Any, ...]) -> str:
    """Return values as a message lists them: "a", "b" or "c"."""
    words = [f'"{each}"' if isinstance(each, str) else str(each) for each in values]
    return f"{', '.join(words[:-1])} or {words[-1]}"


def checked(name: str, value: Any) -> Any:
    """Return the value of an option that a program gives; None is right where it is the default.

    Raises
    ------
    InputError
        If it is wrong.
    """
    option = BY_NAME[name]
    if option.type == "flag":
        return bool(value)
    if value is None and option.default is None:
        return None
    if option.type == "choice" and value not in option.choices:
        if isinstance(value, bool) and isinstance(option.default, bool):  # progress=True
            return value
        raise InputError(f"{name} must be {one_of(option.choices)}, not {value!r}")
    if option.type == "yes or no" and value not in (True, False):
        raise InputError(f"{name} must be True or False, not {value!r}")
    if option.type == "integer" or (option.type == "count" and value != "auto"):
        integer(name, value, option.least)
    elif option.type == "interval":
        interval(name, value)
    elif option.type == "duration":
        return duration(name, value)
    return value


def check_key(key: str, name: str, value: Any) -> None:
    """Refuse what a key of a problem file, or the option of its name, must not be, whatever its type allows.

    Parameters
    ----------
    key : str
    name : str
        For the message.
    value : object
        Of the type that the key has.

    Raises
    ------
    InputError
    """
    option = BY_NAME.get(key)
    if key in ("input", "output") and isinstance(value, str) and (not value or "\0" in value):
        raise InputError(f"{name} must be a path, not {value!r}")
    if option is not None and (option.type == "integer" or (option.type == "count" and value != "auto")):
        integer(name, value, option.least)
    elif isinstance(value, float):
        finite(name, value)
    elif isinstance(value, Mapping) and key in PARAMETER_TABLES:
        for parameter, given in value.items():
            if not isinstance(given, str):
                _check_numbers(f"{name}: {parameter}", given)
            elif not given.endswith(".npy"):
                raise InputError(f"{name}: {parameter} must be a number, a list, or a .npy file, not {given!r}")
    elif isinstance(value, list):
        _check_numbers(f"{name}: each value", value)


def _check_numbers(name: str, value: Any) -> None:
    """Refuse what is neither a finite number nor a list of them, or of such lists."""
    if isinstance(value, list):
        for each in value:
            _check_numbers(name, each)
    else:
        number(name, value)
