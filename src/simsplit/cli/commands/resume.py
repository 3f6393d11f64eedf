"""``simsplit resume``: continue the run in a run directory, on any number of ranks."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ...communicator import Turn
from ...options import OF_RESUME
from ...runs.api import resume_into
from ...util.formatting import say
from .run import connect_ranks, progress_of, spelled, tell

if TYPE_CHECKING:
    from ..parser import Options


def command(options: Options) -> None:
    """Continue a run. Collective.

    Raises
    ------
    SimsplitError
        On every rank.
    """
    with Turn(None, serial=options.serial):  # no kernel may run on its own ranks
        communicator = connect_ranks(options)
        folder = str(Path(str(options.name)))
        found = resume_into(
            folder,
            communicator,
            None,
            spelled,
            **{name: getattr(options, name) for name in OF_RESUME} | {"progress": progress_of(options)},
        )
        if found is not None:
            tell(options, *found, folder, communicator)
        elif communicator.rank == 0 and not options.quiet:
            say(f"the run in {folder} is finished: nothing to do")
