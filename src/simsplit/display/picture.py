"""Draw a history with matplotlib (extra ``plot``)."""

from __future__ import annotations

from collections.abc import Callable  # noqa: TC003, the type of a field
from functools import partial
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple, Protocol

import numpy as np

from ..errors import InputError
from ..rundir.recorded_run import evenly_spaced
from ..util.dtypes import dtype_label
from ..util.formatting import pluralize
from . import figure as picture

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    import numpy.typing as npt

    from ..result import Result
    from ..rundir.recorded_run import RecordedRun

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
    against: str | tuple[str, npt.ArrayLike] | None = None,
) -> list[str]:
    """Draw the history of a result, or its reductions if it keeps no step."""
    named, history = _Named("the result", components=result.components), result.history
    if history is not None and len(history):
        return draw_history(_InMemory(history), result.times, output, named, rows, component, against)
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


class History(Protocol):
    """What is drawn: a history in a file, or one in memory."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Its shape."""

    @property
    def dtype(self) -> np.dtype[Any]:
        """Its dtype."""

    def pieces(self, steps: int) -> Iterable[tuple[slice, slice]]:
        """Return the runs of steps and rows in which its first steps are best read."""

    def block(self, steps: slice, within: slice) -> Array:
        """Return a part of it."""


class _InMemory(NamedTuple):
    """A history in memory, with what `draw_history` uses of one in a file."""

    array: Array

    @property
    def shape(self) -> tuple[int, ...]:
        """Its shape."""
        return self.array.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        """Its dtype."""
        return self.array.dtype

    def pieces(self, steps: int) -> list[tuple[slice, slice]]:
        """Return the one piece that it is."""
        return [(slice(0, steps), slice(0, self.shape[1]))]

    def block(self, steps: slice, within: slice) -> Array:
        """Return a part of it."""
        return self.array[steps, within]


def draw_history(
    history: History,
    times: Array,
    output: str | BinaryIO,
    named: _Named,
    rows: Sequence[int],
    component: int | str,
    against: str | tuple[str, npt.ArrayLike] | None = None,
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
    notes = _left_out(found, complete, count, len(chosen))
    if against is not None:
        from .density import draw_density, values_by_row

        name, parameter = values_by_row(against, count)
        notes = notes[-1:] if found.not_numbers else []
        figure = picture.figure(10, 6)
        draw_density(figure, history, complete, number, parameter, found.whole)
        figure.axes[0].set_xlabel(name)
        figure.axes[0].set_ylabel(named.label(what))
        figure.suptitle(named.title, wrap=True)
    elif complete == 1:
        figure = picture.figure(10, 5)
        _draw_step(figure.subplots(), found, count)
        figure.axes[0].set_ylabel(named.label(what))
        figure.suptitle(", ".join(filter(None, [named.title, f"{named.time} = {times[0]:.6g}"])), wrap=True)
    else:
        figure = picture.figure(10, 7.5)
        above, below = figure.subplots(2, 1, height_ratios=[3, 2], sharex=True)
        t = _middles(times, _STEPS)
        _draw_whole(figure, above, t, found, count, named.label(what))
        _draw_curves(figure, below, t, found, chosen, banded=len(t) < complete)
        below.set_xlabel(named.time)
        below.set_ylabel(named.label(what))
        figure.suptitle(named.title, wrap=True)
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
        if banded:
            axes.fill_between(t, least, greatest, label=f"row {row}", color=colour, alpha=0.5, linewidth=1)
        else:
            marker = "." if len(t) <= _STEPS // 20 else None
            axes.plot(t, least, label=f"row {row}", color=colour, marker=marker)
    axes.grid(visible=True, alpha=0.3)
    if many:
        figure.colorbar(ScalarMappable(scale, colours), ax=axes, label="row", pad=0.01)
    else:
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
        curve = np.asarray(values).reshape(len(times), -1)[:, number]
        curves[name] = (np.abs(curve) if np.iscomplexobj(curve) else curve).astype(np.float64)
    summed = curves.pop("sum", None)
    several = summed is not None and bool(curves)
    figure = picture.figure(10, 7.5 if several else 5)
    axes = figure.subplots(2 if several else 1, 1, sharex=True, squeeze=False)[:, 0]
    t = _middles(times, _STEPS)
    if curves:
        _draw_spread(axes[0], t, curves)
        axes[0].set_ylabel(named.label(what))
    if summed is not None:
        _draw_band(axes[-1], t, summed, summed, label="sum", color="C0", line=True)
        axes[-1].set_ylabel(named.label(f"sum of {what}" if named.components else "sum"))
    for each in axes:
        each.grid(visible=True, alpha=0.3)
        each.legend(loc="lower center", bbox_to_anchor=(0.5, 1), ncols=_CURVES, frameon=False)
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
                _draw_band(axes, t, curves[name], curves[name], label=name, color="C1", line=True)
    if mean is not None and deviation is not None:
        _draw_band(axes, t, mean - deviation, mean + deviation, label="mean ± std", color="C0", alpha=0.35)
    elif deviation is not None:
        _draw_band(axes, t, deviation, deviation, label="std", color="C2", line=True)
    if mean is not None:
        _draw_band(axes, t, mean, mean, label="mean", color="C0", line=True)


def _draw_band(
    axes: Any,
    t: Array,
    least: Array,
    greatest: Array,
    *,
    label: str,
    color: str,
    alpha: float = 0.5,
    line: bool = False,
) -> None:
    """Draw a band between two curves, or one curve if it is a `line` and there is a place for each step."""
    if line and len(t) == len(least):
        axes.plot(t, least, label=label, color=color, marker="." if len(t) <= _STEPS // 20 else None)
        return
    _, first = _cells(slice(0, len(least)), len(least), len(t))
    low, high = np.fmin.reduceat(least, first), np.fmax.reduceat(greatest, first)
    axes.fill_between(t, low, high, label=label, color=color, alpha=alpha, linewidth=1 if line else 0)


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
        block = history.block(steps, within)
        values = block.reshape(*block.shape[:2], -1)[:, :, component]
        values = np.abs(values) if np.iscomplexobj(values) else values
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
    if found.not_numbers:
        notes.append(f"{pluralize(found.not_numbers, 'value')} not finite, left out")
    return notes
