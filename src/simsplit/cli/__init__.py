"""The command line: one module a command."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from ..communicator import launch
from .parser import Answer, parse

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line on every rank.

    Parameters
    ----------
    arguments : sequence of str, optional
        By default those of the process.

    Returns
    -------
    int
        The exit status 0.

    Raises
    ------
    SimsplitError
        On every rank, with the exit status.
    """
    parsed = parse(sys.argv[1:] if arguments is None else arguments)
    if isinstance(parsed, Answer):
        launcher = launch.detect()
        if launcher is None or launcher.rank == 0:
            print(parsed.text, end="")
        return 0
    from . import run

    run.command(parsed)
    return 0
