"""What was computed over all rows, over time: the mean, around it the standard deviation, the extremes, the sum."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import InputError
from ..problem import REDUCTIONS
from ..util.formatting import pluralize
from . import figure as picture
from .rows import MARKED, band, legend
from .summary import STEPS, cells, middles

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy.typing as npt

    from .components import Quantity
    from .scales import Scales
    from .view import View

    Array = npt.NDArray[Any]

_COLOURS = {"mean": "C0", "min": "C1", "max": "C3", "std": "C2", "sum": "C0"}


def draw(
    view: View, quantities: Sequence[Quantity], wanted: str | Sequence[str], scales: Scales
) -> tuple[Any, list[str]]:
    """Draw them, a panel for each quantity, below each other, and one for its sum; return the figure, and its notes.

    The mean is a curve, in a band of one standard deviation on either side, in one from the least to the greatest
    value, as far as they are there.

    Parameters
    ----------
    view : View
    quantities : sequence of Quantity
    wanted : str or sequence of str
        The names of the reductions, in a text with commas or one by one; none is all.
    scales : Scales

    Raises
    ------
    InputError
        If the run has not computed them.
    """
    names = _names(view, wanted)
    groups = [each for each in ([name for name in names if name != "sum"], [n for n in names if n == "sum"]) if each]
    panels = [(quantity, group) for quantity in quantities for group in groups]
    figure = picture.figure(10, 5 if len(panels) == 1 else 2.1 + 2.7 * len(panels))
    axes = figure.subplots(len(panels), 1, sharex=True, squeeze=False)[:, 0]
    t = middles(view.step_times, STEPS)
    handles: dict[str, Any] = {}
    for panel, (quantity, group) in zip(axes, panels, strict=True):
        handles |= _panel(panel, t, {name: _values(view.reductions[name], quantity) for name in group}, quantity)
        panel.set_ylabel(view.labels.unit(f"sum of {quantity.label}" if group == ["sum"] else quantity.label))
        panel.grid(visible=True, alpha=0.3)
        scales.axis(panel, "y", "value")
    shown = {name: handle for name, handle in handles.items() if name != "sum" or len(groups) == 1}
    legend(figure, list(shown.values()), list(shown))
    axes[-1].set_xlabel(view.labels.time)
    scales.axis(axes[-1], "x", "time")
    long = -(-len(view.step_times) // len(t))
    notes = [f"curves go from the least to the greatest value of up to {pluralize(long, 'step')}"] if long > 1 else []
    return figure, notes


def _names(view: View, wanted: str | Sequence[str]) -> list[str]:
    """Return the reductions that are wanted, in the order of `REDUCTIONS`."""
    there = [name for name in REDUCTIONS if name in view.reductions]
    names = [name.strip() for name in wanted.split(",")] if isinstance(wanted, str) and wanted else list(wanted)
    for name in names:
        if name not in there:
            known = ", ".join(there) or "none: run it with --reduce mean,std"
            raise InputError(f"--reduce must name what {view.labels.what} has computed ({known}), not {name}")
    return [name for name in there if name in names or not names]


def _panel(axes: Any, t: Array, found: Mapping[str, Array], quantity: Quantity) -> dict[str, Any]:
    """Draw the reductions of one quantity; return what a legend shows of each."""
    left, handles = dict(found), {}
    if "min" in left and "max" in left:
        handles["min to max"] = _band(axes, t, left.pop("min"), left.pop("max"), alpha=0.15)
    if "mean" in left and "std" in left and not quantity.part:  # that of complex values is not that of their parts
        deviation = left.pop("std")
        handles["mean ± std"] = _band(axes, t, left["mean"] - deviation, left["mean"] + deviation, alpha=0.35)
    for name, values in left.items():
        if len(t) == len(values):
            marker = "." if len(t) <= MARKED else None
            (handles[name],) = axes.plot(t, values, color=_COLOURS[name], marker=marker)
        else:
            handles[name] = band(axes, t, *_extremes(values, values, len(t)), _COLOURS[name])
    return handles


def _band(axes: Any, t: Array, low: Array, high: Array, alpha: float) -> Any:
    """Draw what lies between two curves, or of one step a line."""
    least, greatest = _extremes(low, high, len(t))
    if len(t) == 1:
        return axes.vlines(t, least, greatest, color="C0", alpha=alpha, linewidth=6)
    return axes.fill_between(t, least, greatest, color="C0", alpha=alpha, linewidth=0)


def _extremes(low: Array, high: Array, count: int) -> tuple[Array, Array]:
    """Return the least and the greatest value of each of so many cells."""
    _, first = cells(slice(0, len(low)), len(low), count)
    return np.fmin.reduceat(low, first), np.fmax.reduceat(high, first)


def _values(reduction: Array, quantity: Quantity) -> Array:
    """Return one quantity of a reduction, shape (steps,); a standard deviation has no parts."""
    taken = quantity if reduction.dtype.kind == "c" else quantity._replace(part="")
    return taken.of(np.asarray(reduction)[:, np.newaxis])[:, 0]
