"""The options of the commands that look at run directories."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...util.validation import user_path
from .types import integers

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
        "--component", metavar="NAME", help="of rows with several values, which to draw: a name or a number (default 0)"
    )
    parser.add_argument(
        "--against", metavar="PARAMETER", help="draw all values against a parameter by row, such as a bifurcation"
    )
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
