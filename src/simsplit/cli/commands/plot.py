"""``simsplit plot``: the history of a run as a picture."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...runs.run import Run
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
    output = options.output or "history.png"
    notes = Run(str(options.name)).plot(
        output,
        rows=options.rows,
        component=options.component or (),
        against=options.against,
        log=options.log or (),
        keep=options.keep or "all",
        reduce=options.reduce or (),
    )
    if not options.quiet:
        say("\n".join([f"written to {output}", *notes]))
