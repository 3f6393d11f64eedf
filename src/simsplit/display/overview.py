"""A history over time: all rows as colours, chosen rows as curves. Of one step, its values over the rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..util.formatting import pluralize
from . import figure as picture
from .rows import MARKED, RowColours, band, legend
from .summary import ROWS, STEPS, Summary, middles, summed_up

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from .components import Quantity
    from .scales import Scales
    from .view import View

    Array = npt.NDArray[Any]

CURVES = 5  # rows that are drawn as curves unless some are chosen


def draw(view: View, quantities: Sequence[Quantity], chosen: Sequence[int], scales: Scales) -> tuple[Any, list[str]]:
    """Draw it; return the figure, and what it leaves out.

    The whole history is read. Where it has more steps or rows than the picture has room for, a cell shows the mean
    of several values, and a curve becomes the band from the least to the greatest of them.

    Parameters
    ----------
    view : View
    quantities : sequence of Quantity
    chosen : sequence of int
        The rows that become curves.
    scales : Scales
    """
    found = summed_up(view.history, chosen, quantities)
    notes = [*_left_out(found, view, len(chosen)), *scales.check(found)]
    if len(view.times) == 1:
        return _step(view, quantities, found, scales), notes
    if view.rows == 1:
        return _one_row(view, quantities, found, scales), notes
    number = len(quantities)
    beside = number > 1
    figure = picture.figure(12, 1.5 + 2.2 * number) if beside else picture.figure(10, 7.5)
    layout: dict[str, Any] = {} if beside else {"height_ratios": [3, 2]}
    axes = figure.subplots(number if beside else 2, 2 if beside else 1, sharex=True, squeeze=False, **layout)
    colours = RowColours(chosen, view.row_names)
    t = middles(view.times, STEPS)
    for quantity, summary, (whole, curves) in zip(quantities, found, axes if beside else axes.T, strict=True):
        label = view.labels.unit(quantity.label)
        bar = _all_rows(figure, whole, t, summary, view, scales)
        if quantity.part == "phase":
            bar.mappable.set(cmap="twilight", clim=(-np.pi, np.pi))  # whose ends are the same colour
        if not beside:  # else it stands beside the curves
            bar.set_label(label)
        for n in range(len(chosen)):
            _curve(curves, t, summary, n, colours[n], banded=len(t) < len(view.times))
        _style(curves, label, scales)
        if colours.are_many:
            colours.explain(figure, curves)
    if not colours.are_many:
        colours.explain(figure, axes)
    for last in axes[-1]:
        _over_time(last, view, scales)
    return figure, notes


def _all_rows(figure: Any, axes: Any, t: Array, found: Summary, view: View, scales: Scales) -> Any:
    """Draw all rows over time, the values as colours; return the bar that explains them."""
    rows = middles(view.row_names.places, ROWS)
    mesh = axes.pcolormesh(t, rows, found.means.T, shading="nearest", rasterized=True, norm=scales.colours(found))
    _along_rows(axes, "y", view, scales)
    return figure.colorbar(mesh, ax=axes, pad=0.01)


def _curve(axes: Any, t: Array, found: Summary, number: int, colour: Any, *, banded: bool) -> Any:
    """Draw a chosen row over time; return what a legend shows of it."""
    least, greatest = found.least[:, number], found.greatest[:, number]
    if banded:
        return band(axes, t, least, greatest, colour)
    return axes.plot(t, least, color=colour, marker="." if len(t) <= MARKED else None)[0]


def _one_row(view: View, quantities: Sequence[Quantity], found: Sequence[Summary], scales: Scales) -> Any:
    """Draw the only row over time, a curve for each quantity."""
    figure = picture.figure(10, 5)
    axes, t = figure.subplots(), middles(view.times, STEPS)
    banded = len(t) < len(view.times)
    curves = [_curve(axes, t, summary, 0, f"C{n}", banded=banded) for n, summary in enumerate(found)]
    _name_quantities(figure, axes, view, quantities, curves, scales)
    _over_time(axes, view, scales)
    return figure


def _step(view: View, quantities: Sequence[Quantity], found: Sequence[Summary], scales: Scales) -> Any:
    """Draw the values of one step over the rows, a curve for each quantity."""
    figure = picture.figure(10, 5)
    axes, rows = figure.subplots(), middles(view.row_names.places, ROWS)
    drawn = []
    for n, summary in enumerate(found):
        least, greatest = summary.by_row
        if len(rows) == view.rows:
            drawn += axes.plot(rows, least, marker="." if view.rows <= MARKED else None)
        else:
            drawn.append(band(axes, rows, least, greatest, f"C{n}"))
    _name_quantities(figure, axes, view, quantities, drawn, scales)
    _along_rows(axes, "x", view, scales)
    time = f"{view.labels.time} = {view.times[0]:.6g}"
    view.labels = view.labels._replace(title=", ".join(filter(None, [view.labels.title, time])))
    return figure


def _name_quantities(
    figure: Any, axes: Any, view: View, quantities: Sequence[Quantity], drawn: Sequence[Any], scales: Scales
) -> None:
    """Say which curve is which quantity: along the axis, or, of several, below."""
    several = len(quantities) > 1
    if several:
        legend(figure, drawn, [quantity.label for quantity in quantities])
    _style(axes, view.labels.unit("value" if several else quantities[0].label), scales)


def _style(axes: Any, label: str, scales: Scales) -> None:
    """Name an axis of values."""
    axes.set_ylabel(label)
    axes.grid(visible=True, alpha=0.3)
    scales.axis(axes, "y", "value")


def _along_rows(axes: Any, which: str, view: View, scales: Scales) -> None:
    """Make the axis "x" or "y" one along the rows."""
    name = view.row_names.axis
    axes.set(**{f"{which}label": name})
    scales.axis(axes, which, name)
    if name == "row" and name not in scales:
        getattr(axes, f"{which}axis").get_major_locator().set_params(integer=True)


def _over_time(axes: Any, view: View, scales: Scales) -> None:
    """Make the horizontal axis one of time."""
    axes.set_xlabel(view.labels.time)
    if "time" in scales:
        scales.axis(axes, "x", "time")
        axes.set_xlim(view.times.min(), view.times.max())  # the cell of the first step may begin below 0


def _left_out(found: Sequence[Summary], view: View, curves: int) -> list[str]:
    """Say for people what the picture does not show."""
    steps, rows = len(view.times), view.rows
    shape = found[0].means.shape
    long, high = (-(-count // cells) for count, cells in zip((steps, rows), shape, strict=True))
    notes = []
    if steps == 1:
        if high > 1:
            notes.append(f"the band goes from the least to the greatest value of up to {pluralize(high, 'row')}")
    elif long * high > 1 and rows > 1:
        notes.append(f"each cell is the mean of up to {pluralize(long, 'step')} × {pluralize(high, 'row')}")
    if long > 1:
        notes.append(f"curves go from the least to the greatest value of up to {pluralize(long, 'step')}")
    if curves < rows and notes and steps > 1:
        notes.append(f"curves of {curves} of {rows:,} rows: others by --rows")
    if wrong := sum(each.not_numbers for each in found):
        notes.append(f"{pluralize(wrong, 'value')} not finite, left out")
    return notes
