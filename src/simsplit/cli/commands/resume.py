"""``simsplit resume``: continue the run in a run directory, on any number of ranks."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...communicator import Agreement, Turn
from ...errors import InputError
from ...problem_file import build as problems
from ...problem_file.resolved import digests, require_unchanged
from ...problem_file.settings import resolve
from ...rundir.digest import digest_of_text
from ...rundir.directory import PROBLEM, read_record
from ...runs.api import run_into
from ...runs.run_directory import ResumedRunDirectory
from ...util.formatting import say
from .run import meet, read, run_options_of, tell

if TYPE_CHECKING:
    from ...communicator import Communicator
    from ..parser import Options


def command(options: Options) -> None:
    """Continue a run. Collective.

    Raises
    ------
    SimsplitError
        On every rank.
    """
    with Turn(None, serial=options.serial):  # no kernel may run on its own ranks
        _command(options)


def _command(options: Options) -> None:
    communicator = meet(options)
    folder = Path(str(options.name))
    record, text = _read(communicator, folder)
    if record["status"] == "finished":
        if communicator.rank == 0 and not options.quiet:
            say(f"the run in {folder} is finished: nothing to do")
        return
    with Agreement(communicator):
        settings = resolve(options.replace(problem=str(folder / PROBLEM), output=None, format=None), text)
        problem = problems.make(settings, root=communicator.rank == 0)
    found = digests(settings, problem, communicator) | {"problem": digest_of_text(text)}
    with Agreement(communicator):
        if not options.accept_changes:
            require_unchanged(record["problem"]["digests"], found)
        run_options = run_options_of(options, settings.replace(output=str(folder)))
    destination = ResumedRunDirectory(str(folder), run_options, record)
    result = run_into(problem, communicator, run_options, destination)
    tell(options, problem, result, str(folder), communicator)


def _read(communicator: Communicator, folder: Path) -> tuple[dict[str, Any], str]:
    """Return the record and the problem file. One rank asks the file system, not all of them."""
    found = None
    with Agreement(communicator):
        if communicator.rank == 0:
            record = read_record(folder)
            if "digests" not in record["problem"]:
                raise InputError(f"the run in {folder} was begun from Python: resume it there.")
            found = record, read(str(folder / PROBLEM))
    return communicator.bcast(found)
