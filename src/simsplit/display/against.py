"""Values against a parameter, as in a bifurcation diagram, or against another component: a phase portrait."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ..errors import InputError
from ..util.formatting import pluralize
from . import figure as picture
from .density import draw_density
from .rows import MARKED, RowColours, is_ordered, legend
from .summary import summed_up
from .view import by_row

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from ..result import Against
    from .components import Quantity
    from .scales import Scales
    from .view import View

    Array = npt.NDArray[Any]

_STEPS = 5  # with a colour each; the values of more become a picture of how dense they are
_DOTS = 50_000  # as do so many values
_SIZES = ((500, 9.0), (5_000, 5.0), (_DOTS, 2.5))  # of so many dots
_POINTS = 50_000  # of a trajectory


class Along(NamedTuple):
    """What the horizontal axis shows.

    Attributes
    ----------
    name : str
        For options and messages.
    places : ndarray, shape (rows,), or None
        Where each row is.
    quantity : Quantity or None
        Or the component whose values it shows.
    """

    name: str
    places: Array | None
    quantity: Quantity | None = None


def axis(view: View, wanted: Against) -> Along | None:
    """Return what the horizontal axis is to show: None is the time.

    Raises
    ------
    InputError
        If there is no such thing.
    """
    if wanted is None or wanted == "time":
        return None
    if isinstance(wanted, tuple):
        name, given = wanted
        return Along(name, by_row(name, given, view.rows))
    name = str(wanted)
    if name == "row":
        return Along(name, np.arange(view.rows, dtype=np.float64))
    if name in view.parameters and name not in view.components.names:
        return Along(name, by_row(name, view.parameters[name](), view.rows))
    others = ["time", "row", *(f"{each} (a parameter by row)" for each in view.parameters)]
    (first, *_) = view.components.find(name, "--against", others)
    return Along(first.label, None, first)


def draw(
    view: View, quantities: Sequence[Quantity], along: Along, chosen: Sequence[int], scales: Scales
) -> tuple[Any, list[str]]:
    """Draw it, a panel for each quantity; return the figure, and what it leaves out.

    Parameters
    ----------
    view : View
    quantities : sequence of Quantity
    along : Along
    chosen : sequence of int
        The rows whose trajectories a phase portrait has.
    scales : Scales
    """
    if along.quantity is not None:
        quantities = [each for each in quantities if each != along.quantity] or quantities
    number = len(quantities)
    figure = picture.figure(10 if along.quantity is None else 8, 6 if number == 1 else 1.5 + 3 * number)
    panels = list(figure.subplots(number, 1, sharex=True, squeeze=False)[:, 0])
    if along.quantity is not None and len(view.times) > 1:
        notes = _trajectories(figure, panels, view, quantities, along.quantity, chosen)
    elif len(view.times) <= _STEPS and len(view.times) * view.rows <= _DOTS:
        notes = _dots(figure, panels, view, quantities, along)
    else:
        found = summed_up(view.history, (), quantities)
        notes = scales.check(found)
        if wrong := sum(each.not_numbers for each in found):
            notes.append(f"{pluralize(wrong, 'value')} not finite, left out")
        for panel, quantity, summary in zip(panels, quantities, found, strict=True):
            draw_density(panel, view.history, quantity, summary, along, scales)
    panels[-1].set_xlabel(along.name if along.quantity is None else view.labels.unit(along.name))
    scales.axis(panels[-1], "x", along.name)
    for panel, quantity in zip(panels, quantities, strict=True):
        panel.set_ylabel(view.labels.unit(quantity.label))
        panel.grid(visible=True, alpha=0.3)
        if along.quantity is not None and {along.quantity.part, quantity.part} == {"real", "imag"}:
            panel.set_aspect("equal", "datalim")
        scales.axis(panel, "y", "value")
    return figure, notes


def _trajectories(
    figure: Any, panels: Sequence[Any], view: View, quantities: Sequence[Quantity], x: Quantity, chosen: Sequence[int]
) -> list[str]:
    """Draw the way of each chosen row, from a dot at its beginning."""
    notes = []
    if (every := -(-len(view.times) // _POINTS)) > 1:
        view.select(range(0, len(view.times), every))
        notes.append(f"one of {every} steps")
    values = _values(view, [x, *quantities], chosen)
    colours = RowColours(chosen, view.row_names)
    for panel, of_panel in zip(panels, values[1:], strict=True):
        for n in range(len(chosen)):
            panel.plot(values[0, :, n], of_panel[:, n], color=colours[n], linewidth=1)
            panel.plot(values[0, :1, n], of_panel[:1, n], "o", color=colours[n], markersize=4)
    colours.explain(figure, panels)
    if len(chosen) < view.rows:
        notes.append(f"{len(chosen)} of {view.rows:,} rows: others by --rows")
    if wrong := int(np.isnan(values).any(axis=0).sum()):
        notes.append(f"{pluralize(wrong, 'point')} not finite, left out")
    return notes


def _dots(figure: Any, panels: Sequence[Any], view: View, quantities: Sequence[Quantity], along: Along) -> list[str]:
    """Draw the values of a few steps, each with a colour: dots, or curves where the parameter goes one way."""
    steps, rows = len(view.times), view.rows
    if along.quantity is None:
        x = np.broadcast_to(np.asarray(along.places), (steps, rows))
        values = [*_values(view, quantities, range(rows))]
    else:
        x, *values = _values(view, [along.quantity, *quantities], range(rows))
    line = along.places is not None and is_ordered(along.places)
    style: dict[str, Any] = {"linestyle": "-" if line else "none", "markeredgewidth": 0}
    if not line or rows <= MARKED:
        style |= {"marker": ".", "markersize": next(size for most, size in _SIZES if steps * rows <= most)}
    wrong = sum(int(np.isnan(each).sum()) for each in (values if along.quantity is None else [x, *values]))
    for panel, of_panel in zip(panels, values, strict=True):
        for k in range(steps):
            panel.plot(x[k], of_panel[k], color=f"C{k}", **style)
    if steps > 1:
        marked = style | ({} if line else {"markersize": _SIZES[0][1]})
        handles = [panels[0].plot([], [], color=f"C{k}", **marked)[0] for k in range(steps)]
        legend(figure, handles, [f"{view.labels.time} = {t:.6g}" for t in view.times])
    if not any(np.isfinite(line.get_ydata()).any() for panel in panels for line in panel.lines):
        raise InputError("no value is finite: there is nothing to draw.")
    return [f"{pluralize(wrong, 'value')} not finite, left out"] if wrong else []


def _values(view: View, quantities: Sequence[Quantity], chosen: Sequence[int]) -> Array:
    """Return the values of chosen rows, shape (quantities, steps, chosen rows), reading a piece at a time."""
    values = np.full((len(quantities), len(view.times), len(chosen)), np.nan)
    for steps, rows in view.history.pieces():
        curves = [(row - rows.start, n) for n, row in enumerate(chosen) if rows.start <= row < rows.stop]
        if curves:
            columns, places = (list(each) for each in zip(*curves, strict=True))
            block = view.history.block(steps, rows)[:, columns]
            for number, quantity in enumerate(quantities):
                values[number][steps, places] = quantity.of(block)
    return values
