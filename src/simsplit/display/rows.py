"""What the rows are called, and the colours of those that become curves."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy.typing as npt

    Array = npt.NDArray[Any]

MARKED = 40  # points of a curve that are marked each
_TELLABLE = 10  # curves with a colour of their own
_SAID = 2  # parameters that a label names


class RowNames:
    """What the rows are called: by their numbers, or after a parameter that is another in each row, in order.

    Parameters
    ----------
    count : int
    parameters : mapping of str to ndarray, shape (rows,)
        Those that have a value for each row.

    Attributes
    ----------
    axis : str
        What an axis along the rows is called.
    """

    def __init__(self, count: int, parameters: Mapping[str, Array]) -> None:
        self._count, self._parameters = count, parameters
        self.axis = "row"
        if len(parameters) == 1:
            ((name, values),) = parameters.items()
            if is_ordered(values):
                self.axis = name

    @property
    def places(self) -> Array:
        """Where each row is along its axis."""
        return np.arange(self._count) if self.axis == "row" else self._parameters[self.axis]

    def labels(self, rows: Sequence[int]) -> list[str]:
        """Return what rows are called, with as many digits as tell them apart."""
        found: list[str] = []
        for digits in range(3, 18):
            found = [self._label(row, digits) for row in rows]
            if len(set(found)) == len(set(rows)):
                break
        return found

    def _label(self, row: int, digits: int) -> str:
        said = ", ".join(f"{name} = {values[row]:.{digits}g}" for name, values in [*self._parameters.items()][:_SAID])
        if self.axis != "row":
            return said
        return f"row {row} ({said})" if said else f"row {row}"


def is_ordered(values: Array) -> bool:
    """Return whether values only grow, or only fall, from one to the next."""
    steps = np.diff(values)
    return bool(np.isfinite(values).all() and len(steps) and ((steps > 0).all() or (steps < 0).all()))


class RowColours:
    """The colours of rows: one each, or, of more rows than there are colours, those of a bar.

    Parameters
    ----------
    chosen : sequence of int
    names : RowNames
    """

    def __init__(self, chosen: Sequence[int], names: RowNames) -> None:
        from matplotlib import colormaps
        from matplotlib.colors import Normalize

        self.are_many = len(chosen) > _TELLABLE
        self._names, self._chosen = names, chosen
        values = names.places[list(chosen)]
        self._map, self._scale = colormaps["viridis"], Normalize(values.min(), values.max())
        self._colours = [self._map(self._scale(each)) if self.are_many else f"C{n}" for n, each in enumerate(values)]

    def __getitem__(self, number: int) -> Any:
        return self._colours[number]

    def explain(self, figure: Any, axes: Any) -> None:
        """Say which colour is which row: below the whole figure, or by a bar beside the axes."""
        from matplotlib.cm import ScalarMappable
        from matplotlib.lines import Line2D

        if self.are_many:
            bar = figure.colorbar(ScalarMappable(self._scale, self._map), ax=axes, label=self._names.axis, pad=0.01)
            if self._names.axis == "row":
                bar.ax.yaxis.get_major_locator().set_params(integer=True)
        else:
            handles = [Line2D([], [], color=self[n]) for n in range(len(self._chosen))]
            legend(figure, handles, self._names.labels(self._chosen))


def band(axes: Any, x: Array, low: Array, high: Array, colour: Any) -> Any:
    """Draw what lies between two curves, so that it is to be seen where they meet."""
    from matplotlib.colors import to_rgba

    return axes.fill_between(x, low, high, facecolor=to_rgba(colour, 0.4), edgecolor=colour, linewidth=1)


def legend(figure: Any, handles: Sequence[Any], labels: Sequence[str]) -> None:
    """Say below a figure what is what, so that nothing lies over a curve."""
    columns = max(1, min(len(labels), int(figure.get_figwidth() * 11 / (max(map(len, labels), default=0) + 6))))
    rows = -(-len(labels) // columns)
    figure.legend(handles, labels, loc="outside lower center", ncols=-(-len(labels) // rows), frameon=False)
