"""The options of long runs: checkpoints and stops, resuming, looking at what was run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .problem_options import add_ranks
from .values import duration, integer, integers, interval

if TYPE_CHECKING:
    from argparse import ArgumentParser, _ArgumentGroup
    from collections.abc import Mapping


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
    parser.add_argument("name", metavar="FOLDER", help="the run directory")
    parser.add_argument(
        "--accept-changes", action="store_true", help="go on though the problem, its files or the kernel were changed"
    )
    parser.add_argument("--quiet", action="store_true", help="print nothing but errors (and --json)")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of a summary")
    add_watching(parser, parser.add_argument_group("long runs"))
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


def add_looking(parsers: Mapping[str, ArgumentParser]) -> None:
    """Add the options of ``simsplit show``, ``plot`` and ``runs``."""
    show, plot, runs = (parsers[name] for name in ("show", "plot", "runs"))
    for parser in (show, plot):
        parser.add_argument("name", metavar="FOLDER", help="the run directory")
    runs.add_argument("name", nargs="?", metavar="FOLDER", help="that holds run directories (default: this one)")
    for parser in (show, runs):
        parser.add_argument("--json", action="store_true", help="print JSON")
    plot.add_argument(
        "--output", "-o", metavar="PICTURE", help="such as picture.png, .pdf or .svg (default history.png)"
    )
    plot.add_argument("--rows", type=integers, metavar="N,N,…", help="which become curves (default: 5 of them)")
    plot.add_argument(
        "--component", type=integer(0), metavar="N", help="of rows with several values, which to draw (default 0)"
    )
    plot.add_argument("--quiet", action="store_true", help="print nothing but errors")
