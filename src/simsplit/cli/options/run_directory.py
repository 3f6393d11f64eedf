"""The options of long runs: checkpoints and stops, resuming, looking at what was run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...util.validation import user_path
from .problem import add_check_rows, add_ranks
from .types import duration, integer, integers, interval

if TYPE_CHECKING:
    from argparse import ArgumentParser, _ArgumentGroup


def add_long_runs(parser: ArgumentParser) -> None:
    """Add the options of a run in a run directory."""
    long = parser.add_argument_group("long runs (with -o FOLDER)")
    long.add_argument(
        "--accept-changes", action="store_true", help="run though a file behind the problem has not its digest"
    )
    long.add_argument("--overwrite", action="store_true", help="replace the run that is in the folder")
    add_watching(parser, long)


def add_resume(parser: ArgumentParser) -> None:
    """Add the options of ``simsplit resume``."""
    _add_folder(parser)
    parser.add_argument(
        "--accept-changes", action="store_true", help="go on though the problem, its files or the kernel were changed"
    )
    parser.add_argument("--quiet", action="store_true", help="print nothing but errors (and --json)")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of a summary")
    long = parser.add_argument_group("long runs")
    add_check_rows(long)
    add_watching(parser, long)
    add_ranks(parser)


def add_watching(parser: ArgumentParser, group: _ArgumentGroup) -> None:
    """Add the options that say how a run is looked after."""
    group.add_argument(
        "--checkpoint-every",
        type=interval,
        metavar="TIME|N steps",
        help="such as 5min or 500steps (default 5min; 0: only when it stops)",
    )
    group.add_argument(
        "--time-limit", type=duration, metavar="TIME", help="stop in order after this time, such as 90s, 5min, 2h"
    )
    group.add_argument(
        "--hang-after",
        type=duration,
        metavar="TIME",
        help="end the job after so long without progress (default 10min; 0: never)",
    )
    parser.add_argument(
        "--progress-every", type=duration, metavar="TIME", help="between two lines of progress in a log (default 10s)"
    )


def add_show(parser: ArgumentParser) -> None:
    """Add the options of ``simsplit show``."""
    _add_folder(parser)
    _add_json(parser)


def add_plot(parser: ArgumentParser) -> None:
    """Add the options of ``simsplit plot``."""
    _add_folder(parser)
    parser.add_argument(
        "--output",
        "-o",
        type=user_path,
        metavar="PICTURE",
        help="such as picture.png, .pdf or .svg (default history.png)",
    )
    parser.add_argument("--rows", type=integers, metavar="N,N,…", help="which become curves (default: 5 of them)")
    parser.add_argument(
        "--component", type=integer(0), metavar="N", help="of rows with several values, which to draw (default 0)"
    )
    parser.add_argument("--quiet", action="store_true", help="print nothing but errors")


def add_runs(parser: ArgumentParser) -> None:
    """Add the options of ``simsplit runs``."""
    parser.add_argument(
        "name", nargs="?", type=user_path, metavar="FOLDER", help="that holds run directories (default: this one)"
    )
    _add_json(parser)


def _add_folder(parser: ArgumentParser) -> None:
    parser.add_argument("name", type=user_path, metavar="FOLDER", help="the run directory")


def _add_json(parser: ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print JSON")
