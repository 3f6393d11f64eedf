"""What the names in an expression stand for: computed when an expression asks for them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ...errors import InputError
from ..base import COORDINATES, INDICES, Block, result_shape
from ..cells import Cells
from ..constants import Constant

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy.typing as npt

    from ..cells import Probe

_CELLS = 2  # in the middle of a trial: of one cell alone a condition would pass for a truth value


class Grid:
    """What names of a trial know of the grid."""

    def __init__(self, axes: int) -> None:
        self.shape = (_CELLS,) * axes
        self.spacing = (1.0,) * axes
        self.origin = (0.0,) * axes


class Names(dict[str, Any]):
    """The values of names for some rows.

    Parameters
    ----------
    x : ndarray or Cells
    block : Block
    parameters : mapping of str to object
    """

    def __init__(self, x: Any, block: Block, parameters: Mapping[str, Any]) -> None:
        super().__init__(parameters)
        self["x"], self["t"], self["k"], self["delta_t"] = x, block.t, block.k, block.delta_t
        self._x, self._block = x, block

    def __missing__(self, name: str) -> Any:
        if name.startswith("random."):
            return self._drawn(name)
        x, block = self._x, self._block
        if isinstance(x, Cells):
            axis = axis_of(name)
            margins = x.margins[axis] if axis < len(x.margins) else None
            values = values_along(name, block, x.array.ndim, margins or (0, 0))
            found: Any = x.like(values, tuple(margins if each == axis else None for each in range(len(x.margins))))
        else:
            found = values_along(name, block, np.ndim(x))
        self[name] = found
        return found

    def _drawn(self, name: str) -> Any:
        """Return random numbers, one for each value; each time others."""
        block, x = self._block, self._x
        shape = result_shape(x.array, block) if isinstance(x, Cells) else np.shape(x)
        if isinstance(x, Cells) and x.probe is not None:
            return of_each_row(x, np.zeros(shape))
        drawn = getattr(block.random, name.partition(".")[2])(*shape[1:])
        return x.like(drawn, ((0, 0),) * len(x.margins)) if isinstance(x, Cells) else drawn


def axis_of(name: str) -> int:
    """Return the axis that a name is along."""
    return INDICES.index(name) if name in INDICES else COORDINATES.index(name)


def values_along(name: str, block: Block, ndim: int, margins: tuple[int, int] = (0, 0)) -> npt.NDArray[Any]:
    """Return the numbers of the cells along an axis, or their coordinates, ``origin + number * spacing``.

    Parameters
    ----------
    name : str
        Of `INDICES` or `COORDINATES`.
    block : Block
    ndim : int
        Of the result, which is 1 long along the other axes.
    margins : tuple of (int, int)
        How many cells more on each side.

    Raises
    ------
    InputError
        If there is no such axis.
    """
    axis, grid = axis_of(name), block.grid
    if axis and (grid is None or axis >= len(grid.shape)):
        axes = "there is no grid" if grid is None else f"the grid has {len(grid.shape)}"
        raise InputError(f"{name} is along axis {axis}, but {axes}.")
    first, last = (block.lower, block.upper) if grid is None or axis == 0 else (0, grid.shape[axis])
    shape = [1] * ndim
    shape[axis] = -1
    numbers = np.arange(first - margins[0], last + margins[1]).reshape(shape)
    if name in INDICES:
        return numbers
    origin, spacing = (0.0, 1.0) if grid is None else (grid.origin[axis], grid.spacing[axis])
    return origin + numbers * spacing


def trial_parameters(
    parameters: Mapping[str, Any], probe: Probe, axes: int, row: tuple[int, ...], dtype: np.dtype[Any]
) -> tuple[Cells, Block, dict[str, Any]]:
    """Return cells of ones, a block and parameters of ones, for finding out how far a kernel reads.

    Parameters
    ----------
    parameters : mapping of str to object
    probe : Probe
    axes : int
        Of the grid.
    row : tuple of int
        Shape of a row of the array.
    dtype : numpy.dtype
        Of the array.
    """
    grid = Grid(axes)
    length = _CELLS + 2 * probe.margin
    around = ((probe.margin, probe.margin),) * axes
    x = Cells(np.ones((length,) * axes + row[axes - 1 :], dtype), around, grid.spacing, probe)
    given: dict[str, Any] = {}
    for name, value in parameters.items():
        if not isinstance(value, np.ndarray) and value is not None:
            given[name] = _constant(x, value)
            continue
        if value is None:
            raise InputError(f"parameter {name} is None on rank 0: rank 0 must have the array")
        own = (1,) * (x.array.ndim - value.ndim) + value.shape[1:]
        shape = (length, *(length if n > 1 and axis < axes - 1 else n for axis, n in enumerate(own)))
        given[name] = by_row(x, np.ones(shape, value.dtype))
    return x, Block(0, 0.0, 1.0, (0, _CELLS), {}, grid=grid, reach=around), given


def by_row(x: Cells, array: Any) -> Cells:
    """Return a parameter by row, of the same axes as x and with its margins, as cells."""
    return x.like(array, tuple(sides if n > 1 else None for n, sides in zip(array.shape, x.margins, strict=False)))


def of_each_row(x: Cells, array: Any) -> Cells:
    """Return an array that is the same for all rows, of a shape that broadcasts with one, as cells without margins."""
    array = array.reshape((1,) * (x.array.ndim - array.ndim) + array.shape)
    if x.probe is not None and not x.probe.strict:  # it must not look as if it cut off what is read
        margin = x.probe.margin
        shape = (*(n + 2 * margin if n > 1 else n for n in array.shape[: len(x.margins)]),)
        return by_row(x, np.ones(shape + array.shape[len(x.margins) :], array.dtype))
    margins = tuple((0, 0) if n > 1 else None for n in array.shape[: len(x.margins)])
    return x.like(array, margins)


def _constant(x: Cells, value: Any) -> Any:
    """Return a constant of the size of a trial."""
    if not isinstance(value, Constant):
        return value
    shape = value.array.shape
    shape = (1,) * (x.array.ndim - len(shape)) + shape
    axes = len(x.margins)
    small = (*(min(n, _CELLS) for n in shape[:axes]), *shape[axes:])
    return of_each_row(x, np.ones(small, value.array.dtype))
