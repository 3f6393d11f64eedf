"""Draw a history with matplotlib (extra ``plot``)."""

from __future__ import annotations

from collections.abc import Callable  # noqa: TC003, the type of a field
from functools import partial
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple

import numpy as np

from ..errors import InputError
from ..rundir.recorded_run import evenly_spaced
from ..util.dtypes import dtype_label
from ..util.formatting import pluralize
from . import figure as picture
from .history import InMemory, component_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy.typing as npt

    from ..result import Against, Result
    from ..rundir.recorded_run import RecordedRun
    from .history import History

    Array = npt.NDArray[Any]

_STEPS, _ROWS = 800, 400  # cells of the picture along either axis at most: none is smaller than a pixel
_CURVES = 5  # rows that are drawn as curves unless some are chosen
_TELLABLE = 10  # curves with a colour of their own


def draw(
    run: RecordedRun,
    output: str | BinaryIO,
    *,
    rows: Sequence[int] = (),
    component: int | str = 0,
    against: tuple[str, npt.ArrayLike] | None = None,
) -> list[str]:
    """Draw the history of a run, or its reductions if it keeps no step, with the names and units that the run has."""
    problem = run.record["problem"]
    named = _Named(
        str(run.path),
        f"{problem['kernel']}: {problem['formula']}",
        run.label("time", "time_unit"),
        partial(run.label, unit="unit"),
        tuple(problem.get("components", ())),
    )
    if not run.complete:
        return draw_reductions(run.reductions(), run.step_times(), output, named, component)
    return draw_history(run.history(), run.times()[: run.complete], output, named, rows, component, against)


def draw_result(
    result: Result,
    output: str | BinaryIO,
    *,
    rows: Sequence[int] = (),
    component: int | str = 0,
    against: Against = None,
) -> list[str]:
    """Draw the history of a result, or its reductions if it keeps no step."""
    named, history = _Named("the result", components=result.components), result.history
    if history is not None and len(history):
        return draw_history(InMemory(history), result.times, output, named, rows, component, against)
    return draw_reductions(result.reductions, result.step_times, output, named, component)


class _Named(NamedTuple):
    """What the picture and messages call things."""

    what: str
    title: str = ""
    time: str = "time"
    label: Callable[[str], str] = str
    components: tuple[str, ...] = ()

    def component(self, wanted: int | str, values: int) -> tuple[int, str]:
        """Return the number of a component, and what it is called, of rows with so many values."""
        names = self.components if len(self.components) == values else ()
        text = str(wanted)
        found = names.index(text) if text in names else int(text) if text.isascii() and text.isdecimal() else values
        if found >= values:
            named = f"{', '.join(names)}, or " if names else ""
            raise InputError(f"--component must be {named}from 0 to {values - 1}, not {wanted}")
        return found, names[found] if names else "value" if values == 1 else f"component {found}"


def draw_history(
    history: History,
    times: Array,
    output: str | BinaryIO,
    named: _Named,
    rows: Sequence[int],
    component: int | str,
    against: Against = None,
) -> list[str]:
    """Draw the history over time and rows, and chosen rows as curves; return what the picture leaves out.

    Of a history with one step the values are drawn over the rows.

    The whole history is read. Where it has more steps or rows than the picture has room for, a cell shows the mean
    of several values, and a curve becomes the band from the least to the greatest of them.

    Parameters
    ----------
    history : History
    times : ndarray
        Of the steps that are drawn, the first ones.
    output : str or binary file
        The picture: what matplotlib knows, such as ``.png``, ``.pdf`` or ``.svg``; into an open file a small ``.png``.
    named : _Named
    rows : sequence of int
        Those that become curves.
    component : int or str
        Of rows with several values the one that is drawn: its name, or its number in C order.
    against : (str, ndarray of shape (n,)), optional
        A parameter, and its value for each row: all values are drawn against it, and neither time nor rows.
    """
    complete = len(times)
    if history.dtype.names is not None:
        raise InputError(f"the values of {named.what} have fields, {dtype_label(history.dtype)}: they cannot be drawn.")
    count, values = history.shape[1], int(np.prod(history.shape[2:]))
    chosen = list(rows) or evenly_spaced(count, _CURVES)
    _require_there(chosen, count, values)
    number, what = named.component(component, values)
    found = _summed_up(history, complete, chosen, number)
    title = named.title
    if against is not None:
        from .density import draw_density, values_by_row

        name, parameter = values_by_row(against, count)
        figure = picture.figure(10, 6)
        axes = draw_density(figure, history, complete, number, parameter, found.whole)
        axes.set_xlabel(name)
        notes = []
    elif complete == 1:
        figure = picture.figure(10, 5)
        axes = figure.subplots()
        _draw_step(axes, found, count)
        title = ", ".join(filter(None, [title, f"{named.time} = {times[0]:.6g}"]))
        notes = _left_out(found, complete, count, len(chosen))
    else:
        figure = picture.figure(10, 7.5)
        above, axes = figure.subplots(2, 1, height_ratios=[3, 2], sharex=True)
        t = _middles(times, _STEPS)
        _draw_whole(figure, above, t, found, count, named.label(what))
        _draw_curves(figure, axes, t, found, chosen, banded=len(t) < complete)
        axes.set_xlabel(named.time)
        notes = _left_out(found, complete, count, len(chosen))
    if found.not_numbers:
        notes.append(f"{pluralize(found.not_numbers, 'value')} not finite, left out")
    axes.set_ylabel(named.label(what))
    figure.suptitle(title, wrap=True)
    figure.axes[0].set_title("\n".join(notes), fontsize="small", loc="left")
    picture.save(figure, output)
    return notes


def _draw_step(axes: Any, found: _Summary, count: int) -> None:
    """Draw the values of one step over the rows."""
    rows = _middles(np.arange(count), _ROWS)
    least, greatest = found.by_row
    if len(rows) == count:
        axes.plot(rows, least, marker="." if count <= _ROWS // 10 else None)
    else:
        axes.fill_between(rows, least, greatest, alpha=0.5, linewidth=1)
    axes.set_xlabel("row")
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.grid(visible=True, alpha=0.3)


def _draw_whole(figure: Any, axes: Any, t: Array, found: _Summary, count: int, label: str) -> None:
    """Draw all rows over time, the values as colours."""
    low, high = found.whole  # means may hardly differ: their colours are those of single values all the same
    rows = _middles(np.arange(count), _ROWS)
    mesh = axes.pcolormesh(t, rows, found.means.T, shading="nearest", rasterized=True, vmin=low, vmax=high)
    figure.colorbar(mesh, ax=axes, label=label, pad=0.01)
    axes.set_ylabel("row")
    axes.yaxis.get_major_locator().set_params(integer=True)


def _draw_curves(figure: Any, axes: Any, t: Array, found: _Summary, chosen: Sequence[int], *, banded: bool) -> None:
    """Draw chosen rows over time; what they are called stands above them, or beside them."""
    from matplotlib import colormaps
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize

    many = len(chosen) > _TELLABLE
    scale, colours = Normalize(min(chosen), max(chosen)), colormaps["viridis"]
    for number, (row, least, greatest) in enumerate(zip(chosen, found.least.T, found.greatest.T, strict=True)):
        colour = colours(scale(row)) if many else f"C{number}"
        _draw_curve(axes, t, least, greatest, banded=banded, label=f"row {row}", color=colour)
    axes.grid(visible=True, alpha=0.3)
    if many:
        figure.colorbar(ScalarMappable(scale, colours), ax=axes, label="row", pad=0.01)
    else:
        _add_legend(axes)


def _draw_curve(axes: Any, t: Array, least: Array, greatest: Array, *, banded: bool, label: str, color: Any) -> None:
    """Draw a curve; where a place stands for several steps, the band from the least to the greatest value of each."""
    if banded:
        axes.fill_between(t, least, greatest, label=label, color=color, alpha=0.5, linewidth=1)
    else:
        axes.plot(t, least, label=label, color=color, marker="." if len(t) <= _STEPS // 20 else None)


def _add_legend(axes: Any) -> None:
    """Say above the axes what the curves are, never over them."""
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1), ncols=_CURVES, frameon=False)


def draw_reductions(
    reductions: Mapping[str, Array], times: Array, output: str | BinaryIO, named: _Named, component: int | str
) -> list[str]:
    """Draw what was computed over all rows of every step; return what the picture leaves out.

    The mean is a curve, in a band of one standard deviation on either side, in one from the least to the greatest
    value, as far as they are there. A sum has axes of its own. Complex numbers are drawn as absolute values.
    """
    if not reductions or not len(times):
        raise InputError(f"{named.what} has no complete step yet: there is nothing to draw.")
    shape = next(iter(reductions.values())).shape[1:]
    number, what = named.component(component, int(np.prod(shape)))
    curves = {}
    for name, values in reductions.items():
        curves[name] = component_of(np.asarray(values), 1, number).astype(np.float64)
    summed = curves.pop("sum", None)
    several = summed is not None and bool(curves)
    figure = picture.figure(10, 7.5 if several else 5)
    axes = figure.subplots(2 if several else 1, 1, sharex=True, squeeze=False)[:, 0]
    t = _middles(times, _STEPS)
    if curves:
        _draw_spread(axes[0], t, curves)
        axes[0].set_ylabel(named.label(what))
    if summed is not None:
        _draw_line(axes[-1], t, summed, label="sum", color="C0")
        axes[-1].set_ylabel(named.label(f"sum of {what}" if named.components else "sum"))
    for each in axes:
        each.grid(visible=True, alpha=0.3)
        _add_legend(each)
    axes[-1].set_xlabel(named.time)
    figure.suptitle(named.title, wrap=True)
    picture.save(figure, output)
    long = -(-len(times) // len(t))
    return [] if long == 1 else [f"curves go from the least to the greatest value of up to {pluralize(long, 'step')}"]


def _draw_spread(axes: Any, t: Array, curves: Mapping[str, Array]) -> None:
    """Draw the mean with what there is of its surroundings, or what there is alone."""
    mean, deviation = curves.get("mean"), curves.get("std")
    if "min" in curves and "max" in curves:
        _draw_band(axes, t, curves["min"], curves["max"], label="min to max", color="C0", alpha=0.15)
    else:
        for name in ("min", "max"):
            if name in curves:
                _draw_line(axes, t, curves[name], label=name, color="C1")
    if mean is not None and deviation is not None:
        _draw_band(axes, t, mean - deviation, mean + deviation, label="mean ± std", color="C0", alpha=0.35)
    elif deviation is not None:
        _draw_line(axes, t, deviation, label="std", color="C2")
    if mean is not None:
        _draw_line(axes, t, mean, label="mean", color="C0")


def _draw_line(axes: Any, t: Array, values: Array, *, label: str, color: str) -> None:
    """Draw a value of each step as a curve."""
    _draw_curve(axes, t, *_range_in_cells(values, values, t), banded=len(t) < len(values), label=label, color=color)


def _draw_band(axes: Any, t: Array, least: Array, greatest: Array, *, label: str, color: str, alpha: float) -> None:
    """Draw the band between two values of each step."""
    axes.fill_between(t, *_range_in_cells(least, greatest, t), label=label, color=color, alpha=alpha, linewidth=0)


def _range_in_cells(least: Array, greatest: Array, t: Array) -> tuple[Array, Array]:
    """Return the least and the greatest value of the steps at each place."""
    _, first = _cells(slice(0, len(least)), len(least), len(t))
    return np.fmin.reduceat(least, first), np.fmax.reduceat(greatest, first)


def _require_there(rows: list[int], count: int, values: int) -> None:
    """Refuse rows that the history does not have."""
    if not count or not values:
        raise InputError("the history has no values: there is nothing to draw.")
    for row in rows:
        if not 0 <= row < count:
            raise InputError(f"--rows must be from 0 to {count - 1}, not {row}")


class _Summary(NamedTuple):
    """What is drawn: the mean of each cell, the range of each chosen row in each, of each run of rows, and of all."""

    means: Array
    least: Array
    greatest: Array
    by_row: tuple[Array, Array]
    whole: tuple[float, float]
    not_numbers: int


@np.errstate(over="ignore", invalid="ignore")  # of great values; a cell without a number stays empty
def _summed_up(history: History, complete: int, chosen: list[int], component: int) -> _Summary:
    """Read each piece of a history once; of complex numbers take the absolute values."""
    rows = history.shape[1]
    shape = min(complete, _STEPS), min(rows, _ROWS)
    sums, counts = np.zeros(shape), np.zeros(shape, np.int64)
    least = np.full((shape[0], len(chosen)), np.nan)
    greatest, low, high = least.copy(), np.nan, np.nan
    by_row = np.full(shape[1], np.nan), np.full(shape[1], np.nan)
    for steps, within in history.pieces(complete):
        values = component_of(history.block(steps, within), 2, component)
        values = np.where(np.isfinite(values), values, np.nan).astype(np.float64)
        low, high = np.fmin(low, np.fmin.reduce(values, axis=None)), np.fmax(high, np.fmax.reduce(values, axis=None))
        times, first_steps = _cells(steps, complete, shape[0])
        places, first_rows = _cells(within, rows, shape[1])
        for total, part in ((sums, np.nan_to_num(values)), (counts, np.isfinite(values))):
            along = np.add.reduceat(part, first_steps, axis=0, dtype=total.dtype)
            total[times, places] += np.add.reduceat(along, first_rows, axis=1)
        for of_rows, better in zip(by_row, (np.fmin, np.fmax), strict=True):
            of_rows[places] = better(of_rows[places], better.reduceat(better.reduce(values, axis=0), first_rows))
        for number, row in enumerate(chosen):
            if within.start <= row < within.stop:
                curve = values[:, row - within.start]
                for best, better in ((least, np.fmin), (greatest, np.fmax)):
                    best[times, number] = better(best[times, number], better.reduceat(curve, first_steps))
    return _Summary(sums / counts, least, greatest, by_row, (low, high), complete * rows - int(counts.sum()))


def _cells(part: slice, count: int, cells: int) -> tuple[slice, Array]:
    """Return the cells of a part of `count` indices, and where in the part each of them begins."""
    numbers = np.arange(part.start, part.stop) * cells // count
    return slice(numbers[0], numbers[-1] + 1), np.flatnonzero(np.diff(numbers, prepend=-1))


def _middles(values: Array, most: int) -> Array:
    """Return the middle of the values of each cell."""
    _, first = _cells(slice(0, len(values)), len(values), min(len(values), most))
    return np.asarray((values[first] + values[np.append(first[1:], len(values)) - 1]) / 2)


def _left_out(found: _Summary, steps: int, rows: int, curves: int) -> list[str]:
    """Say for people what the picture does not show."""
    long, high = (-(-count // cells) for count, cells in zip((steps, rows), found.means.shape, strict=True))
    notes = []
    if steps == 1:
        if high > 1:
            notes.append(f"the band goes from the least to the greatest value of up to {pluralize(high, 'row')}")
    elif long * high > 1:
        notes.append(f"each cell is the mean of up to {pluralize(long, 'step')} × {pluralize(high, 'row')}")
    if long > 1:
        notes.append(f"curves go from the least to the greatest value of up to {pluralize(long, 'step')}")
    if curves < rows and notes and steps > 1:
        notes.append(f"curves of {curves} of {rows:,} rows: others by --rows")
    return notes
