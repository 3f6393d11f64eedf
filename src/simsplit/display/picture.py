"""Draw a run or a result with matplotlib (extra ``plot``).

`draw_view` chooses the kind of picture; each kind is a module whose ``draw`` returns a figure and what it leaves out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from ..errors import InputError
from ..rundir.recorded_run import evenly_spaced
from ..util.records import Record
from . import against, overview, reductions
from . import figure as picture
from .scales import Scales
from .view import View, of_result, of_run

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..result import Against, Result
    from ..rundir.recorded_run import RecordedRun


class Choice(Record):
    """What a user wants to see. Each attribute is as the argument of `Result.plot`."""

    rows: Sequence[int] = ()
    component: int | str | Sequence[int | str] = ()
    against: Against = None
    log: str | Sequence[str] = ()
    keep: str = "all"
    reduce: str | Sequence[str] = ()
    steps: Sequence[int] = ()
    cut: int | None = None
    movie: float | None = None  # how many steps a second, of a movie


def draw(run: RecordedRun, output: str | BinaryIO, **chosen: Any) -> list[str]:
    """Draw a run, with the names and units that it has; see `draw_view` and `Choice`."""
    return draw_view(of_run(run), output, Choice(**chosen))


def draw_result(result: Result, output: str | BinaryIO, **chosen: Any) -> list[str]:
    """Draw a result, on root; see `draw_view` and `Choice`."""
    return draw_view(of_result(result), output, Choice(**chosen))


def draw_view(view: View, output: str | BinaryIO, choice: Choice) -> list[str]:
    """Draw a picture; return what it leaves out.

    Parameters
    ----------
    view : View
    output : str or binary file
        The picture: what matplotlib knows, such as ``.png``, ``.pdf`` or ``.svg``; into an open file a small ``.png``.
    choice : Choice

    Raises
    ------
    InputError
        If matplotlib is missing, or what is chosen is not there.
    OutputError
        If the picture cannot be written.
    """
    if view.cells is not None and len(view.times) and not choice.reduce and choice.against is None and not choice.rows:
        return _draw_fields(view, output, choice)
    if len(choice.steps) or choice.cut is not None or choice.movie is not None:
        raise InputError(
            "--step, --slice and --movie are for the field of a grid, which this is not. Give a run with a grid."
        )
    quantities = view.components.chosen(choice.component)
    chosen = list(choice.rows) or evenly_spaced(view.rows, overview.CURVES)
    for row in chosen:
        if not 0 <= row < view.rows:
            raise InputError(f"--rows must be from 0 to {view.rows - 1}, not {row}")
    if choice.reduce or not len(view.times):
        if choice.against is not None:
            raise InputError("--against is for a history, but these are reductions, which are drawn over time.")
        figure, notes = reductions.draw(view, quantities, choice.reduce, Scales(choice.log, ("time", "value")))
    else:
        view.keep(choice.keep)
        along = against.axis(view, choice.against)
        names = ("time", view.row_names.axis) if along is None else (along.name,)
        scales = Scales(choice.log, ("value", *names))
        _require_places(view, along, scales)
        if along is None:
            figure, notes = overview.draw(view, quantities, chosen, scales)
        else:
            figure, notes = against.draw(view, quantities, along, chosen, scales)
    if (
        not choice.component
        and choice.component != 0
        and len({each.number for each in quantities}) < view.components.count
    ):
        notes.append(f"the first of {view.components.count:,} components: others by --component")
    figure.suptitle(view.labels.title, wrap=True)
    figure.axes[0].set_title("\n".join(notes), fontsize="small", loc="left")
    picture.save(figure, output)
    return notes


def _draw_fields(view: View, output: str | BinaryIO, choice: Choice) -> list[str]:
    """Draw the field of a grid, or make a movie of it."""
    from . import fields, movie

    view.keep(choice.keep)
    if choice.log:
        raise InputError("--log is for curves, but the field of a grid is drawn. Leave it out, or give --rows.")
    found = fields.Fields(view, choice.component, choice.cut)
    if choice.movie is not None and isinstance(output, str):
        movie.kind_of(output)
        movie.write(output, fields.frames(found), choice.movie)
        return found.notes
    figure, notes = fields.draw(found, choice.steps)
    figure.suptitle(view.labels.title, wrap=True)
    if notes:
        figure.supxlabel("\n".join(notes), fontsize="small", x=0.01, ha="left")
    picture.save(figure, output)
    return notes


def _require_places(view: View, along: against.Along | None, scales: Scales) -> None:
    """Leave out steps that a logarithmic axis of time has no place for; refuse it where it has one for none."""
    if "time" in scales:
        later = np.flatnonzero(view.times > 0)
        if not len(later):
            raise InputError("--log time wants times above 0, but there is none.")
        view.select(range(later[0], later[-1] + 1))
    name = view.row_names.axis if along is None else along.name
    places = view.row_names.places if along is None else along.places
    if name in scales and places is not None and not (places > 0).any():
        raise InputError(f"--log {name} wants values above 0, but there is none.")
