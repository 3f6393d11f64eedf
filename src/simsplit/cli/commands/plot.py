"""``simsplit plot``: the history of a run as a picture."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ...errors import InputError
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
    run = Run(str(options.name))
    if options.movie is not None:
        if options.output is not None:
            raise InputError("--movie and --output: give one of them, for a movie or for a picture.")
        chosen: dict[str, Any] = {"component": options.component or (), "keep": options.keep or "all"}
        speed = 10.0 if options.fps is None else options.fps
        run.movie(options.movie, **chosen, cut=options.slice, frames_per_second=speed)
        if not options.quiet:
            say(f"written to {options.movie}")
        return
    output = options.output or "history.png"
    notes = run.plot(
        output,
        rows=options.rows,
        component=options.component or (),
        against=options.against,
        log=options.log or (),
        keep=options.keep or "all",
        reduce=options.reduce or (),
        steps=options.step,
        cut=options.slice,
    )
    if not options.quiet:
        say("\n".join([f"written to {output}", *notes]))
