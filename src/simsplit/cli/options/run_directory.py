"""The options of the commands that look at run directories."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...util.validation import user_path
from .types import finite, integer, integers

if TYPE_CHECKING:
    from argparse import ArgumentParser


def add_show(parser: ArgumentParser) -> None:
    """Add the options of ``simsplit show``."""
    add_folder(parser)
    _add_json(parser)


def add_plot(parser: ArgumentParser) -> None:
    """Add the options of ``simsplit plot``."""
    add_folder(parser)
    parser.add_argument(
        "--output",
        "-o",
        type=user_path,
        metavar="PICTURE",
        help="such as picture.png, .pdf or .svg (default history.png)",
    )
    parser.add_argument("--rows", type=integers, metavar="N,N,…", help="which become curves (default: 5 of them)")
    parser.add_argument(
        "--component",
        metavar="NAME,NAME,…",
        help="of rows with several values, which to draw: names or numbers (default: all if they are few, else the "
        "first); of complex values also a part, such as 0.abs (real, imag, abs, phase)",
    )
    parser.add_argument(
        "--against",
        metavar="NAME",
        help="instead of time: a parameter by row (a bifurcation diagram), row, or a component (a phase portrait)",
    )
    parser.add_argument("--log", metavar="NAMES", help="logarithmic axes: value, time, or what else an axis shows")
    parser.add_argument(
        "--keep", metavar="WHICH", help="of the steps that the history holds: last, last:N or every:K (default all)"
    )
    parser.add_argument(
        "--reduce",
        metavar="NAMES",
        help="what the run computed over all rows, such as mean,std, instead of the history",
    )
    parser.add_argument("--step", type=integers, metavar="K,K,…", help="of a grid: the steps that are drawn")
    parser.add_argument("--slice", type=integer(0), metavar="N", help="of a grid of three dimensions: the layer")
    parser.add_argument(
        "--movie",
        type=user_path,
        metavar="FILE",
        help="of a grid: a .gif or .mp4 of all steps, in place of a picture",
    )
    parser.add_argument("--fps", type=finite, metavar="N", help="steps a second in a movie (default 10)")
    parser.add_argument("--quiet", "-q", action="store_true", help="print nothing but errors")


def add_runs(parser: ArgumentParser) -> None:
    """Add the options of ``simsplit runs``."""
    parser.add_argument(
        "name", nargs="?", type=user_path, metavar="FOLDER", help="that holds run directories (default: this one)"
    )
    _add_json(parser)


def add_folder(parser: ArgumentParser) -> None:
    """Add the run directory."""
    parser.add_argument("name", type=user_path, metavar="FOLDER", help="the run directory")


def _add_json(parser: ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print JSON")
