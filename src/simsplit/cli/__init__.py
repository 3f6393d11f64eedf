"""The command line: one module a command."""

from __future__ import annotations

import sys
from contextlib import suppress
from importlib import import_module
from typing import TYPE_CHECKING

from ..communicator import Agreement
from ..communicator import launchers as launch
from ..errors import LaunchError
from ..util.formatting import say
from .parser import parse

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["main"]

# Where a command is, if not in the module of commands that is called like it.
_MODULES = {
    "verify": "commands.run",
    "job": "slurm.job",
    "sweep": "slurm.sweep",
    "collect": "slurm.collect",
}
_OF_ONE = ("plan", "example", "show", "plot", "runs", "job", "sweep", "collect")  # of many ranks one does it


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
    launcher = launch.detect()
    many = launcher is not None and launcher.count > 1
    if options.answer is not None:
        if many:
            with suppress(LaunchError):  # help is given under a wrong launch, too
                # The others may run: none is to wait for this one.
                import_module(".commands.run", __name__).connect_ranks(options)
        if launcher is None or launcher.rank == 0:
            say(options.answer)
        return 0
    # The module of a command is loaded when it is called for.
    command = import_module(f".{_MODULES.get(options.command, f'commands.{options.command}')}", __name__).command
    if many and options.command in _OF_ONE:
        communicator = import_module(".commands.run", __name__).connect_ranks(options)
        with Agreement(communicator):
            if communicator.rank == 0:
                command(options)
    else:
        command(options)
    return 0
