"""The options that say what is simulated, what becomes of the results, and on which ranks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...util.validation import LEAST, user_path
from .types import finite, integer, yes_or_no

if TYPE_CHECKING:
    from argparse import ArgumentParser, _ArgumentGroup


def add_problem(parser: ArgumentParser) -> None:
    """Add the options that say what is simulated."""
    parser.add_argument(
        "problem", nargs="?", type=user_path, metavar="PROBLEM.toml", help="a file; options override what it says"
    )
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
        "--import-from",
        type=user_path,
        metavar="DIR",
        help="where to look for package.module too; the current folder is .",
    )
    problem.add_argument("--offset", type=finite, metavar="O", help="of affine: added to each value (default 3)")
    problem.add_argument(
        "--multiplier", type=finite, metavar="M", help="of affine: each value is multiplied by it first (default 5)"
    )
    array = problem.add_mutually_exclusive_group()
    array.add_argument(
        "--size", type=integer(LEAST["size"]), metavar="N", help="start from the array 0 … N-1 (default 7)"
    )
    array.add_argument(
        "--input",
        type=user_path,
        metavar="FILE.npy",
        help="start from the array in this file (or .zarr, .h5), from step K of the run in a folder (FOLDER@K), or "
        "from rows in brackets, such as [1,2,3] or [[1,0],[0,1]]; axis 0 is split",
    )
    problem.add_argument(
        "--dtype",
        metavar="DTYPE",
        help="of the initial array, such as float32 (default float64, or that of the file)",
    )
    problem.add_argument("--delta-t", type=finite, metavar="D", help="time from one step to the next (default 0.5)")
    problem.add_argument("--start-time", type=finite, metavar="T", help="time of step 0 (default 0)")
    problem.add_argument("--steps", type=integer(LEAST["steps"]), metavar="S", help="number of steps (default 5)")
    problem.add_argument("--seed", type=integer(LEAST["seed"]), metavar="N", help="of random numbers (default 0)")
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


def add_results(parser: ArgumentParser) -> None:
    """Add the options that say what becomes of the results."""
    results = parser.add_argument_group("the results")
    results.add_argument(
        "--output",
        "-o",
        type=user_path,
        metavar="FILE|FOLDER",
        help="write the history, shape (kept steps, *shape of the array), into FILE.npy, .zarr or .h5; or everything "
        "about the run into a folder, where a run that is stopped can be resumed",
    )
    results.add_argument("--format", choices=("npy", "zarr", "h5"), help="of the history in a folder (default npy)")
    results.add_argument("--quiet", action="store_true", help="print nothing but errors (and --json)")
    results.add_argument("--json", action="store_true", help="print one JSON object instead of a table")
    add_check_rows(results)
    add_ranks(parser)
    speed = parser.add_argument_group("the way it is computed, which changes no bit of the results")
    speed.add_argument(
        "--transport",
        choices=("auto", "gatherv", "shared"),
        help="how the results come to rank 0: by messages, or through memory that the ranks of a node share (default "
        "auto: shared, unless the history is small)",
    )
    speed.add_argument(
        "--block-size",
        type=integer(LEAST["block_size"]),
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


def add_check_rows(group: _ArgumentGroup) -> None:
    """Add the option that says whether to check a kernel."""
    group.add_argument(
        "--check-rows",
        type=yes_or_no,
        metavar="yes|no",
        help="look whether a function or a class of your own is row-local: compute some rows again beside others, and "
        "compare the bits (default yes)",
    )


def add_ranks(parser: ArgumentParser) -> None:
    """Add the options on the ranks."""
    ranks = parser.add_argument_group("the ranks")
    ranks.add_argument("--serial", action="store_true", help="one process, without MPI")
    ranks.add_argument(
        "--expect-ranks",
        type=integer(1),
        metavar="N",
        help="fail unless there are N ranks (also: SIMSPLIT_EXPECT_RANKS)",
    )
