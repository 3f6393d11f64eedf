"""The options of ``simsplit job``, called what Slurm calls them, of ``simsplit sweep`` and ``simsplit collect``."""

from __future__ import annotations

import re
from argparse import ArgumentTypeError
from typing import TYPE_CHECKING

from ...util.validation import user_path

if TYPE_CHECKING:
    from argparse import ArgumentParser
    from collections.abc import Callable

_JOB = """\
Print a Slurm script that runs a problem until it is finished, with limits of memory and time from the plan. Other
options are those of "simsplit run", which go with it.
"""
_SWEEP = """\
Run each row of a table of parameters, here or as an array job of Slurm; or say what they would run. A column is an
option of "simsplit run", or a parameter of the kernel; the column "name" names the run directory. Other options are
those of "simsplit run", for all rows.
"""
_COLLECT = "Make one table, and a picture if asked for, of all runs in a folder: problem, end, last step."
_LONGEST = 366 * 24 * 3600  # seconds


def add_job(parser: ArgumentParser, positive: Callable[[str], int]) -> None:
    """Add the options to a parser; `positive` is what reads an integer of 1 or more."""
    parser.description = _JOB
    # The problem and its options are read by the parser of `run`; what the usage says of them stands here.
    parser.usage = "simsplit job [PROBLEM.toml] [options of simsplit run] --ntasks-per-node N [options]"
    asked = parser.add_argument_group("what Slurm is asked for")
    asked.add_argument("--nodes", type=positive, metavar="N", help="number of nodes (default 1)")
    asked.add_argument("--ntasks-per-node", type=positive, required=True, metavar="N", help="ranks on each node")
    asked.add_argument("--cpus-per-task", type=positive, metavar="N", help="cores for each rank (default 1)")
    asked.add_argument(
        "--time",
        type=_time,
        metavar="LIMIT",
        help="for one start, such as 2:00:00 or 1-12 (default: estimated, by trying the kernel here for a moment)",
    )
    asked.add_argument("--account", type=_word, help="that pays for it")
    asked.add_argument("--partition", type=_word, help="of the cluster")
    parser.add_argument(
        "-o", "--output", type=user_path, metavar="DIR", help="the run directory (default runs/<job's name>-<number>)"
    )
    parser.add_argument("--launch", metavar="COMMAND", help='such as "srun --mpi=pmi2" (default mpiexec)')
    parser.add_argument("--submit", action="store_true", help="hand it to sbatch, and print the number of the job")


def add_sweep(parser: ArgumentParser, positive: Callable[[str], int]) -> None:
    """Add the options to a parser; `positive` is what reads an integer of 1 or more."""
    parser.description = _SWEEP
    parser.usage = "simsplit sweep TABLE [PROBLEM.toml] [options of simsplit run] [options]"
    parser.add_argument(
        "table", type=user_path, metavar="TABLE", help="a .csv file, or a .toml file with a [[run]] for each row"
    )
    parser.add_argument(
        "--runs", type=user_path, metavar="DIR", help="folder of the run directories (default runs/<table's name>)"
    )
    chosen = parser.add_mutually_exclusive_group()
    chosen.add_argument(
        "--run",
        action="store_true",
        help="run all rows here, but those that are finished; then make one table and one picture of all",
    )
    chosen.add_argument("--script", action="store_true", help="print a Slurm script that runs them as an array job")
    chosen.add_argument("--row", type=positive, metavar="N", help="print one row for a script: directory, arguments")
    here = parser.add_argument_group("with --run")
    here.add_argument(
        "-j", "--jobs", type=positive, metavar="N", help="rows that run at a time (default: as many as cores allow)"
    )
    here.add_argument(
        "-n", "--ranks", type=positive, metavar="RANKS", help="MPI ranks of each (default 1: one process, without MPI)"
    )


def add_collect(parser: ArgumentParser) -> None:
    """Add the options to a parser."""
    parser.description = _COLLECT
    parser.add_argument("name", type=user_path, metavar="FOLDER", help="that holds the run directories")
    parser.add_argument(
        "-o", "--output", type=user_path, metavar="TABLE.csv", help="where the table goes (default: it is printed)"
    )
    parser.add_argument(
        "--plot", type=user_path, metavar="FILE", help="draw the mean over all rows of each run: .png, .pdf or .svg"
    )


def _word(text: str) -> str:
    if not re.fullmatch(r"[\w.,:+@-]+", text, re.ASCII) or text.startswith("-"):
        raise ArgumentTypeError(f"must be a name, without spaces and quotes, not {text!r}")
    return text


def _time(text: str) -> int:
    """Return the seconds of a time as Slurm writes it: M, M:S, H:M:S, D-H, D-H:M or D-H:M:S."""
    seconds = 0
    if re.fullmatch(r"(\d{1,4}-\d{1,9}(:\d{1,9}){0,2})|(\d{1,9}(:\d{1,9}){0,2})", text, re.ASCII):
        days, dash, rest = text.rpartition("-")
        numbers = [int(number) for number in rest.split(":")]
        if dash:
            hours, minutes, left = [*numbers, 0, 0][:3]
        elif len(numbers) == 1:
            hours, minutes, left = 0, numbers[0], 0
        else:
            hours, minutes, left = [0, *numbers][-3:]
        seconds = ((int(days or 0) * 24 + hours) * 60 + minutes) * 60 + left
    if not 60 <= seconds <= _LONGEST:  # noqa: PLR2004, a minute: Slurm counts in minutes
        raise ArgumentTypeError(
            f"must be a time of a minute to a year, such as 90 (minutes), 2:00:00 or 1-12 (days-hours), not {text!r}"
        )
    return seconds
