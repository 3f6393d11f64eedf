"""The command line of remote objects: programs of one job, each on its own ranks.

::

    mpiexec -n 1 simsplit remote nameserver : -n 2 simsplit remote serve module:Class --name 'calculator_{rank}'
            : -n 1 python client.py
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import sys
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from .._version import __version__
from ..communicator import Agreement, connect
from ..communicator import launchers as launch
from ..errors import InputError, LaunchError, SimsplitError
from ..util import job_script
from ..util.formatting import say
from .client.caller import Request
from .exposure import is_exposed
from .startup import join
from .wire.frame import Flag

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from .session import Session

_EPILOG = """\
--script [module:Class client.py …] instead of a command prints a Slurm script that starts all programs as one job

exit status: 0 done, 2 bad input or option, 3 wrong launch, 7 a remote call failed, 1 the method raised
"""


def main(words: Sequence[str] | None = None) -> int:
    """Run one of the commands on this rank, and leave with the others.

    Parameters
    ----------
    words : sequence of str, optional
        By default those of the process.

    Returns
    -------
    int
        The exit status.
    """
    try:
        options = _parsed(words)
        if options is not None:
            with join() as here:
                options.command(here, options)
    except SimsplitError as error:
        if error.is_reporter:
            sys.stderr.write(f"simsplit: {error}\n")
        return error.exit_status
    return 0


def _parsed(words: Sequence[str] | None) -> argparse.Namespace | None:
    """Return the options; None if they asked for help, which is printed. Collective where there are other programs.

    The others wait for this one in `join`. So it meets them there, to end them with the same error.
    """
    launcher = launch.detect()
    many = launcher is not None and launcher.count > 1
    try:
        return _options(sys.argv[1:] if words is None else list(words))
    except InputError as error:
        with Agreement(connect(joins=True)) if many else nullcontext():
            raise error from None
    except _HelpError as help_:
        with suppress(InputError, LaunchError):  # help is given under a wrong launch, too
            if many:
                communicator = connect(joins=True)
                with Agreement(communicator):
                    text = f"rank {communicator.rank} only prints its {help_.what}: give every program a command"
                    raise InputError(text) from None
        if launcher is None or launcher.rank == 0:
            say(help_.text)
    return None


def _options(words: Sequence[str]) -> argparse.Namespace:
    """Return the options, or raise what asks for a text to print."""
    if words[:1] == ["--script"]:
        raise _HelpError(_script(words[1:]), "script")
    return _parser().parse_args(words)


def _script(words: Sequence[str]) -> str:
    """Return a Slurm script for remote objects: ``jobs/remote.sbatch``, with these arguments."""
    file = Path(__file__).with_name("remote.sbatch")
    if len(words) == 1:
        raise InputError(
            "--script: give a class and a client, or neither: simsplit remote --script module:Class client.py"
        )
    about = [
        f"Remote objects: a name server, objects and a client, made by simsplit {__version__}.",
        "Submit it in the folder it was made in. Arguments of sbatch go before its name"
        + (", those of the client after it." if words else "; after it a class, a client and the client's arguments."),
        "",
        f"  sbatch --ntasks=6 remote.sh{'' if words else ' module:Class client.py'}",
        "",
        "The objects are called calculator_1, calculator_2, …, or as SIMSPLIT_NAME says, which may hold {rank}.",
    ]
    return job_script.compose(file, about, {}, [], words)


def nameserver(here: Session, _options: argparse.Namespace) -> None:
    """Serve the names until no rank needs them. The rank is to be rank 0: the first program of the job."""
    if here.rank != 0:
        raise InputError(f"the name server is rank 0, and this is rank {here.rank}: name this program first in the job")
    here.request_loop()


def serve(here: Session, options: argparse.Namespace) -> None:
    """Serve an instance of a class until no rank needs it."""
    cls = load(options.target)
    name = None
    if options.name is not None:
        try:
            name = options.name.format(rank=here.rank, host=here.host)
        except (KeyError, IndexError, ValueError) as error:
            raise InputError(f"--name {options.name!r} may hold {{rank}} and {{host}}, nothing else") from error
    uri = here.serve(cls(), name=name, tags=options.tag, safe=True)
    say(f"{uri} {name or ''}".rstrip())
    here.request_loop()


def list_names(here: Session, options: argparse.Namespace) -> None:
    """Print names and URIs, once there are as many as are expected."""
    found: dict[str, str] = {}

    def enough() -> bool:
        found.update(here.names.list_names(options.prefix, options.pattern, tuple(options.tag)))
        return len(found) >= int(options.expect)

    if not here.wait_until(enough, here.settings.lookup_wait):
        raise InputError(f"--expect {options.expect}: {len(found)} are registered after {here.settings.lookup_wait} s")
    for name, uri in sorted(found.items()):
        say(f"{name}  {uri}")


def ping(here: Session, options: argparse.Namespace) -> None:
    """Print how long an empty call of each rank takes."""
    for rank in options.ranks or range(here.size):
        say(f"rank {rank}  {here.ping(rank) * 1e6:.0f} µs")


def methods(here: Session, options: argparse.Namespace) -> None:
    """Print what an object exposes."""
    target = here.resolve(options.uri)
    request = Request(target, "", Flag.GET, here.settings.timeout)
    for name, is_property in sorted(here.caller.call(request).items()):
        say(f"{name}{'' if is_property else '()'}")


def call(here: Session, options: argparse.Namespace) -> None:
    """Call a method and print its result."""
    result = getattr(here.proxy(options.uri), options.method)(*map(_argument, options.arguments))
    say(repr(result))


def load(target: str) -> type:
    """Return the class that ``module:Class`` names.

    Raises
    ------
    InputError
        If there is none, or nothing of it is exposed.
    """
    module, colon, name = target.partition(":")
    if not (module and colon and name):
        raise InputError(f"{target!r} names no class. Write module:Class, such as calculators:Calculator.")
    if os.getcwd() not in sys.path:  # noqa: PTH109, sys.path holds text
        sys.path.insert(0, os.getcwd())  # noqa: PTH109, the same
    try:
        cls = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise InputError(f"{target} cannot be loaded: {error}") from error
    if not isinstance(cls, type) or not is_exposed(cls):
        raise InputError(
            f"nothing of {target} is exposed. Mark the class, or its methods, with @simsplit.remote.expose."
        )
    return cls


def _argument(text: str) -> Any:
    """Return what a word of the command line means: JSON, or else the text itself."""
    try:
        return json.loads(text)
    except ValueError:
        return text


class _HelpError(Exception):
    """Leaves with a text to print: the help, or what else it is."""

    def __init__(self, text: str, what: str = "help") -> None:
        super().__init__(text)
        self.text = text
        self.what = what


class _Parser(argparse.ArgumentParser):
    """Raises where argparse would print and exit, while other programs wait for this one."""

    def error(self, message: str) -> NoReturn:
        raise InputError(f"{message} (see: {self.prog} --help)")

    def print_help(self, file: Any = None) -> None:
        raise _HelpError(self.format_help())


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="simsplit remote",
        description="Remote objects between the programs of one MPI job.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    commands = parser.add_subparsers(required=True, metavar="command")

    def add(name: str, function: Callable[[Session, argparse.Namespace], object]) -> argparse.ArgumentParser:
        text = (function.__doc__ or "").partition("\n")[0]
        sub = commands.add_parser(name, help=text, description=text, allow_abbrev=False)
        sub.set_defaults(command=function)
        return sub

    add("nameserver", nameserver)
    serving = add("serve", serve)
    serving.add_argument("target", metavar="module:Class", help="what to make an instance of")
    serving.add_argument("--name", help="for the name server; may hold {rank} and {host}")
    serving.add_argument("--tag", action="append", default=[], help="by which it is found too; may be given again")
    listing = add("list", list_names)
    listing.add_argument("--prefix", default="", help="what the names begin with")
    listing.add_argument("--pattern", default="*", help="what they look like, with *, ? and [...]")
    listing.add_argument("--tag", action="append", default=[], help="a tag that all have; may be given again")
    listing.add_argument("--expect", type=int, default=0, metavar="N", help="wait until there are N")
    pinging = add("ping", ping)
    pinging.add_argument("ranks", nargs="*", type=int, metavar="rank", help="by default all")
    showing = add("methods", methods)
    showing.add_argument("uri", help="MPI:object@rank, MPINAME:name or MPIMETA:tag,tag")
    calling = add("call", call)
    calling.add_argument("uri", help="MPI:object@rank, MPINAME:name or MPIMETA:tag,tag")
    calling.add_argument("method")
    calling.add_argument("arguments", nargs="*", metavar="argument", help="JSON, or else text")
    return parser
