"""``simsplit plot``: the history of a run as a picture."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...display.picture import draw
from ...problem_file.build import parameter_by_row
from ...rundir.recorded_run import open_run
from ...util.formatting import say

if TYPE_CHECKING:
    from ..parser import Options


def command(options: Options) -> None:
    """Draw it. Not collective.

    Raises
    ------
    InputError
        If there is no such run, or matplotlib is missing.
    OutputError
        If the picture cannot be written.
    """
    if options.error is not None:
        raise options.error
    run = open_run(str(options.name))
    output = options.output or "history.png"
    against = None if options.against is None else (options.against, parameter_by_row(run, options.against))
    notes = draw(run, output, rows=options.rows, component=options.component or 0, against=against)
    if not options.quiet:
        say("\n".join([f"written to {output}", *notes]))
