"""Draw how dense values lie over a parameter or another component, such as in a bifurcation diagram."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import InputError

if TYPE_CHECKING:
    import numpy.typing as npt

    from .against import Along
    from .components import Quantity
    from .scales import Scales
    from .summary import Summary
    from .view import Selected

    Array = npt.NDArray[Any]

_CELLS = 1200, 700  # of the picture, along the parameter and along the values: about a pixel each


def draw_density(
    axes: Any, history: Selected, quantity: Quantity, found: Summary, along: Along, scales: Scales
) -> None:
    """Draw how many values lie where: all rows of all steps, none left out, in an image of up to `_CELLS`.

    The whole history is read.

    Parameters
    ----------
    axes : Axes
    history : Selected
    quantity : Quantity
    found : Summary
        Of its values.
    along : Along
        The place of each row, or the component that gives the place of each value.
    scales : Scales
    """
    from matplotlib.colors import LogNorm

    if not np.isfinite(found.whole).all():
        raise InputError("no value is finite: there is nothing to draw.")
    low, high = found.whole
    up = _edges(found.positive if "value" in scales else low, high, _CELLS[1], logarithmic="value" in scales)
    columns = min(_CELLS[0], 4 * history.shape[1])  # the values of a few rows are to be seen
    across = _edges(*_span(history, along, scales), columns, logarithmic=along.name in scales)
    counts = np.zeros((columns, _CELLS[1]))
    for steps, within in history.pieces():
        block = history.block(steps, within)
        values = quantity.of(block)
        x = along.quantity.of(block) if along.quantity is not None else np.asarray(along.places)[within]
        places = np.broadcast_to(x, values.shape)
        drawn = np.isfinite(values) & np.isfinite(places)
        counts += np.histogram2d(places[drawn], values[drawn], (across, up))[0]
    image = np.ma.masked_equal(counts.T, 0)
    mesh = axes.pcolormesh(across, up, image, cmap="Blues", norm=LogNorm(0.3, max(1, counts.max())), rasterized=True)
    mesh.set_edgecolor("face")  # else a thin curve breaks where a cell is less than a pixel


def _span(history: Selected, along: Along, scales: Scales) -> tuple[float, float]:
    """Return the least and the greatest place."""
    low, high = np.inf, -np.inf
    of_steps = history.pieces() if along.quantity is not None else [(None, slice(None))]
    for steps, within in of_steps:
        if along.quantity is not None and steps is not None:
            places = along.quantity.of(history.block(steps, within))
        else:
            places = np.asarray(along.places)
        usual = places[np.isfinite(places) & ((places > 0) | (along.name not in scales))]
        if usual.size:
            low, high = min(low, float(usual.min())), max(high, float(usual.max()))
    if not low <= high:
        raise InputError(f"no value of {along.name} can be drawn: there is nothing to draw.")
    return low, high


def _edges(low: float, high: float, cells: int, *, logarithmic: bool = False) -> Array:
    """Return the edges of cells whose middles go from `low` to `high`."""
    if logarithmic:
        return np.asarray(np.exp(_edges(np.log(low), np.log(high), cells)))
    half = (high - low) / (2 * max(1, cells - 1)) or 0.5 * max(1e-9, abs(low)) / cells
    return np.linspace(low - half, high + half, cells + 1)
