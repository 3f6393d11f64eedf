"""``simsplit resume``: continue the run in a run directory, on any number of ranks."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ...communicator import Turn
from ...runs.api import resume_into
from ...util.formatting import say
from .run import connect_ranks, spelled, tell

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
            accept_changes=options.accept_changes,
            checkpoint_every=options.checkpoint_every,
            time_limit=options.time_limit,
            hang_after=options.hang_after,
            progress=not options.quiet,
            progress_every=options.progress_every,
            check_rows=options.check_rows,
        )
        if found is not None:
            tell(options, *found, folder, communicator)
        elif communicator.rank == 0 and not options.quiet:
            say(f"the run in {folder} is finished: nothing to do")
