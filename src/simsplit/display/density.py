"""Draw all values of a history against a parameter that has a value for each row, such as a bifurcation diagram."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import InputError
from .history import component_of

if TYPE_CHECKING:
    import numpy.typing as npt

    from .history import History

    Array = npt.NDArray[Any]

_CELLS = 1200, 700  # of the picture, along the parameter and along the values: about a pixel each


def values_by_row(against: str | tuple[str, npt.ArrayLike], rows: int) -> tuple[str, Array]:
    """Return the name of a parameter, and its values as numbers, shape (rows,).

    Raises
    ------
    InputError
        If there are none, or not one for each row.
    """
    if isinstance(against, str):
        raise InputError(
            f'a result does not know the values of {against}: give them, too: against=("{against}", values)'
        )
    name, given = against
    values = np.asarray(given)
    if values.shape != (rows,) or values.dtype.kind not in "biuf":
        raise InputError(
            f"against takes {rows} real numbers, one a row, but {name} is of {values.dtype}, shape {values.shape}"
        )
    return name, values.astype(np.float64)


def draw_density(
    figure: Any, history: History, complete: int, component: int, parameter: Array, span: tuple[float, float]
) -> Any:
    """Draw how many values lie where: all rows of all steps, none left out, in an image of `_CELLS`.

    The whole history is read.

    Parameters
    ----------
    figure : Figure
        Gets axes without names.
    history : History
    complete : int
        The number of its steps that are there.
    component : int
    parameter : ndarray, shape (n,)
        Of each row.
    span : (float, float)
        The least and the greatest value of the history.

    Returns
    -------
    Axes
    """
    from matplotlib.colors import LogNorm

    usual = np.isfinite(parameter)
    if not usual.any() or not np.isfinite(span).all():
        raise InputError("no value is finite, or none of the parameter: there is nothing to draw.")
    edges = [_edges(parameter[usual].min(), parameter[usual].max(), _CELLS[0]), _edges(*span, _CELLS[1])]
    counts = np.zeros(_CELLS)
    for steps, within in history.pieces(complete):
        values = component_of(history.block(steps, within), 2, component).astype(np.float64)
        places = np.broadcast_to(parameter[within], values.shape)
        drawn = np.isfinite(values) & np.isfinite(places)
        counts += np.histogram2d(places[drawn], values[drawn], edges)[0]
    axes = figure.subplots()
    image = np.ma.masked_equal(counts.T, 0)
    mesh = axes.pcolormesh(*edges, image, cmap="Blues", norm=LogNorm(0.3, max(1, counts.max())), rasterized=True)
    mesh.set_edgecolor("face")  # else a thin curve breaks where a cell is less than a pixel
    return axes


def _edges(low: float, high: float, cells: int) -> Array:
    """Return the edges of cells whose middles go from `low` to `high`."""
    half = (high - low) / (2 * (cells - 1)) or 0.5 * max(1e-9, abs(low)) / cells
    return np.linspace(low - half, high + half, cells + 1)
