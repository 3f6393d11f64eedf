"""The command line: one module a command."""

from __future__ import annotations

import sys
from contextlib import suppress
from importlib import import_module
from typing import TYPE_CHECKING

from ..communicator import launchers as launch
from ..errors import LaunchError
from .parser import parse

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
        The exit status; not 0 only for ``simsplit remote``.

    Raises
    ------
    SimsplitError
        On every rank, with the exit status.
    """
    words = sys.argv[1:] if arguments is None else list(arguments)
    if words[:1] == ["remote"]:  # programs of one job, each with options of its own: they meet by other rules
        from ..remote.cli import main as remote

        return remote(words[1:])
    options = parse(words)
    if options.answer is not None:
        launcher = launch.detect()
        if launcher is None or launcher.rank == 0:
            print(options.answer, end="", flush=True)
        if launcher is None or launcher.count == 1:
            return 0
        with suppress(LaunchError):  # help is given under a wrong launch, too
            import_module(".commands.run", __name__).meet(options)  # the others may run: none is to wait for this one
        return 0
    # The module of a command is loaded when it is called for.
    module = {"verify": "run"}.get(options.command, options.command)
    room = "slurm" if module in {"job", "sweep", "collect"} else "commands"
    import_module(f".{room}.{module}", __name__).command(options)
    return 0
