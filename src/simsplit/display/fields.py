"""Pictures of grids: the field at some steps, as images; of one dimension over space and time; movies."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ..errors import InputError
from ..kernels.base import COORDINATES
from ..rundir.recorded_run import evenly_spaced
from . import figure as picture
from .components import Components, Quantity

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy.typing as npt

    from .view import View

    Array = npt.NDArray[Any]

PANELS = 6  # steps that are drawn, unless some are chosen
_PIXELS = 1000  # along an axis; of more cells every second, third … is shown
_BESIDE = 3  # panels, in one line
_MOST = 12  # steps that may be chosen
_PLANE, _SPACE = 2, 3  # axes of a grid that is drawn as it is, and of one that is cut


class FieldQuantity(NamedTuple):
    """A real number of each cell.

    Attributes
    ----------
    field : str or None
        Of a structured dtype.
    quantity : Quantity
    """

    field: str | None
    quantity: Quantity

    @property
    def label(self) -> str:
        """What it is called."""
        label = self.quantity.label
        return label if self.field is None else self.field if label == "value" else f"{self.field} {label}"


class Fields:
    """The fields of a history on a grid.

    Parameters
    ----------
    view : View
        With cells.
    component : int or str, or sequence of them
        Which are wanted; none is the first few.
    place : int or None
        Of the cut along the last axis, of a grid of three dimensions or more; None is the middle.

    Raises
    ------
    InputError
        If there is no such component or place.
    """

    def __init__(self, view: View, component: Any, place: int | None) -> None:
        assert view.cells is not None  # noqa: S101, for the type checker
        self.view, self.cells = view, view.cells
        axes = len(self.cells.shape)
        if place is not None and axes < _SPACE:
            raise InputError(f"--slice is for grids of three dimensions; this one has {axes}.")
        self.places: tuple[int, ...] = ()
        if axes >= _SPACE:
            last = self.cells.shape[-1]
            if place is not None and not 0 <= place < last:
                raise InputError(f"--slice must be from 0 to {last - 1}, not {place}")
            middle = last // 2 if place is None else place
            self.places = (*(n // 2 for n in self.cells.shape[_PLANE:-1]), middle)
        self.quantities = self._chosen(component)
        shown = self.cells.shape[:_PLANE]
        self.strides = tuple(max(1, -(-n // _PIXELS)) for n in shown)

    def _chosen(self, component: Any) -> list[FieldQuantity]:
        history, axes = self.view.history, len(self.cells.shape)
        rest = history.shape[1 + axes :]
        if history.dtype.names is None:
            components = Components(rest, history.dtype, self.view.labels.components)
            return [FieldQuantity(None, each) for each in components.chosen(component)]
        given = [component] if isinstance(component, int | str) else list(component)
        words = [word.strip() for each in given for word in str(each).split(",") if word.strip()]
        names = list(dict.fromkeys(word.partition(".")[0] for word in words)) or list(history.dtype.names)
        found = []
        for name in names:
            if name not in history.dtype.names:
                raise InputError(f"--component must be of {', '.join(history.dtype.names)}, not {name}")
            base, shape = history.dtype[name].subdtype or (history.dtype[name], ())
            parts = [word.partition(".")[2] for word in words if word.partition(".")[0] == name and "." in word]
            components = Components((*rest, *shape), base)
            quantities = components.chosen([f"0.{part}" for part in parts]) if parts else components.default()
            found += [FieldQuantity(name, each) for each in quantities]
        return found

    def at(self, entry: int) -> list[Array]:
        """Return what is drawn of a step, by its place in the history: an array of 1 or 2 axes for each quantity."""
        block = self.view.history.block(slice(entry, entry + 1), slice(None))
        found = []
        for field, quantity in self.quantities:
            values = block if field is None else block[field]
            cells = prod(self.cells.shape)
            flat = values.reshape(1, cells, *values.shape[1 + len(self.cells.shape) :])
            where: Any = (..., *self.places)
            plane = quantity.of(flat).reshape(self.cells.shape)[where]
            found.append(plane[tuple(slice(None, None, stride) for stride in self.strides)])
        return found

    @property
    def notes(self) -> list[str]:
        """What the picture leaves out."""
        notes = []
        if self.places:
            names = [_coordinate(_PLANE + number) for number in range(len(self.places))]
            where = [
                f"{name} = {self.cells.origin[_PLANE + n] + place * self.cells.spacing[_PLANE + n]:g}"
                for n, (name, place) in enumerate(zip(names, self.places, strict=True))
            ]
            notes.append(f"the cut at {', '.join(where)}: others by --slice")
        if max(self.strides) > 1:
            notes.append(f"one of {max(self.strides)} cells along an axis is shown")
        return notes


def draw(fields: Fields, steps: Sequence[int]) -> tuple[Any, list[str]]:
    """Draw the field at some steps; return the figure, and what it leaves out.

    Parameters
    ----------
    fields : Fields
    steps : sequence of int
        The numbers of the steps; none is a few.

    Raises
    ------
    InputError
        If the history does not hold one of them, or matplotlib is missing.
    """
    if len(fields.cells.shape) == 1:
        return _over_time(fields)
    view = fields.view
    entries = _entries(view, steps)
    panels = [fields.at(entry) for entry in entries]
    number = len(fields.quantities)
    columns = len(entries) if number > 1 else _columns(len(entries))
    lines = number if number > 1 else -(-len(entries) // columns)
    rows, across = (fields.cells.edges(axis) for axis in (0, 1))
    ratio = (rows[1] - rows[0]) / (across[1] - across[0])
    height = min(max(3.2 * ratio, 1.2), 6.0)
    figure = picture.figure(1.5 + 3.6 * columns, 1.0 + (height + 0.5) * lines)
    axes = figure.subplots(lines, columns, sharex=True, sharey=True, squeeze=False)
    for line, quantity in enumerate(fields.quantities):
        low, high = _limits([values[line] for values in panels])
        here = axes[line] if number > 1 else axes.ravel()
        for panel, entry, values in zip(here, entries, panels, strict=False):
            image = _image(panel, fields, values[line], quantity, low, high)
            if line == 0:
                panel.set_title(_title(view, entry), fontsize="medium")
        for panel in here[len(entries) :]:
            panel.set_axis_off()
        for panel in here[: len(entries)][-columns:]:
            panel.tick_params(labelbottom=True)
        bar = figure.colorbar(image, ax=axes[line] if number > 1 else axes, pad=0.01)
        bar.set_label(view.labels.unit(quantity.label))
    for panel in axes[:, 0]:
        panel.set_ylabel(_coordinate(0))
    for panel in axes[-1]:
        panel.set_xlabel(_coordinate(1))
    left_out = len(view.times) - len(entries)
    notes = [f"{len(entries)} of {len(view.times):,} kept steps: others by --step"] if left_out else []
    return figure, [*notes, *fields.notes]


def _columns(panels: int) -> int:
    """Return how many panels stand beside each other."""
    return panels if panels <= _BESIDE else min(4, -(-panels // 2))


def frames(fields: Fields) -> Iterator[Array]:
    """Yield the picture of each kept step, with one scale of colours for all: uint8, shape (height, width, 3)."""
    backend = picture.agg()
    limits = [_limits([]) for _ in fields.quantities]
    for entry in range(len(fields.view.times)):  # the scale is known only when all were seen
        found = [_limits([values]) for values in fields.at(entry)]
        limits = [(min(a, c), max(b, d)) for (a, b), (c, d) in zip(limits, found, strict=True)]
    for entry in range(len(fields.view.times)):
        number = len(fields.quantities)
        figure = picture.figure(1.5 + 4.5 * number, 4.5)
        canvas = backend.FigureCanvasAgg(figure)
        axes = figure.subplots(1, number, squeeze=False)[0]
        shown = zip(axes, fields.quantities, fields.at(entry), limits, strict=True)
        for panel, quantity, values, (low, high) in shown:
            label = fields.view.labels.unit(quantity.label)
            if values.ndim == 1:
                first, last = fields.cells.edges(0)
                panel.plot(np.linspace(first, last, 2 * len(values) + 1)[1::2], values)
                panel.set(xlim=(first, last), ylim=(low, high), xlabel=_coordinate(0), ylabel=label)
            else:
                image = _image(panel, fields, values, quantity, low, high)
                panel.set(xlabel=_coordinate(1), ylabel=_coordinate(0))
                figure.colorbar(image, ax=panel).set_label(label)
        figure.suptitle(_title(fields.view, entry))
        canvas.draw()
        pixels = np.asarray(canvas.buffer_rgba())[..., :3]
        yield pixels[: pixels.shape[0] // 2 * 2, : pixels.shape[1] // 2 * 2]  # a movie wants even sizes


def _over_time(fields: Fields) -> tuple[Any, list[str]]:
    """Draw a grid of one dimension over space and time."""
    view = fields.view
    entries = [*range(len(view.times))]
    stride = -(-len(entries) // _PIXELS)
    shown = entries[::stride]
    values = [fields.at(entry) for entry in shown]
    number = len(fields.quantities)
    figure = picture.figure(3.0 + 5.0 * number, 5.5)
    axes = figure.subplots(1, number, sharey=True, squeeze=False)[0]
    first, last = fields.cells.edges(0)
    times = view.times[shown]
    step = (times[-1] - times[0]) / max(1, len(times) - 1) or 1.0
    extent = (first, last, times[-1] + step / 2, times[0] - step / 2)
    for index, (panel, quantity) in enumerate(zip(axes, fields.quantities, strict=True)):
        whole = np.stack([each[index] for each in values])
        low, high = _limits([whole])
        image = panel.imshow(
            whole, extent=extent, aspect="auto", interpolation="nearest", vmin=low, vmax=high, cmap=_colours(quantity)
        )
        panel.set_xlabel(_coordinate(0))
        figure.colorbar(image, ax=panel, pad=0.01).set_label(view.labels.unit(quantity.label))
    axes[0].set_ylabel(view.labels.time)
    notes = [f"one of {stride} kept steps is shown"] if stride > 1 else []
    return figure, [*notes, *fields.notes]


def _image(panel: Any, fields: Fields, values: Array, quantity: FieldQuantity, low: float, high: float) -> Any:
    """Draw a plane as it lies in memory: rows downwards, columns to the right."""
    (top, bottom), (left, right) = fields.cells.edges(0), fields.cells.edges(1)
    return panel.imshow(
        values,
        extent=(left, right, bottom, top),
        interpolation="nearest",
        vmin=low,
        vmax=high,
        cmap=_colours(quantity),
        aspect="equal" if 1 / 6 < (bottom - top) / (right - left) < 6 else "auto",  # noqa: PLR2004, else it is a line
    )


def _colours(quantity: FieldQuantity) -> str:
    return "twilight" if quantity.quantity.part == "phase" else "viridis"


def _limits(arrays: Sequence[Array]) -> tuple[float, float]:
    """Return the least and the greatest of all values that are finite."""
    low, high = np.inf, -np.inf
    for array in arrays:
        finite = array[np.isfinite(array)]
        if finite.size:
            low, high = min(low, float(finite.min())), max(high, float(finite.max()))
    return low, high


def _entries(view: View, steps: Sequence[int]) -> list[int]:
    """Return the places of steps in the history."""
    if not len(steps):
        return evenly_spaced(len(view.times), PANELS)
    if len(steps) > _MOST:
        raise InputError(f"--step names {len(steps)} steps: {_MOST} at most go into one picture.")
    known = [int(k) for k in view.steps]
    for k in steps:
        if k not in known:
            near = min(known, key=lambda each: abs(each - k))
            raise InputError(f"--step {k}: the history does not hold this step. The nearest that it holds is {near}.")
    return [known.index(k) for k in steps]


def _title(view: View, entry: int) -> str:
    name, _, unit = view.labels.time.partition(" (")
    return f"step {int(view.steps[entry]):,}, {name} {view.times[entry]:.6g} {unit.removesuffix(')')}".rstrip()


def _coordinate(axis: int) -> str:
    return COORDINATES[axis] if axis < len(COORDINATES) else f"axis {axis}"
