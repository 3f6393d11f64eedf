"""Fill the ghost cells of padded rows.

Ghosts are set along axis 0 first, then along 1, 2 and so on, with those that are there already included, so that
corners are defined. Along all axes but the first they depend on their own row alone, so that any rank may fill them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..kernels.base import COORDINATES, INDICES
from ..util.dtypes import iter_fields

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import numpy.typing as npt

    from ..kernels.cells import Reach
    from .grid import Layout

    Array = npt.NDArray[Any]


def runs(first: int, last: int, n: int, *, cyclic: bool, most: int | None = None) -> Iterator[tuple[int, int, int]]:
    """Return rows ``[first, last)`` as runs that do not go round, each with the number of its first row on the grid.

    Parameters
    ----------
    first, last : int
        Less than 0 or more than `n` where a cyclic axis goes round.
    n : int
        The number of rows of the grid.
    cyclic : bool
    most : int, optional
        The rows of a run at most.

    Examples
    --------
    >>> list(runs(-2, 4, 3, cyclic=True))
    [(-2, 0, 1), (0, 3, 0), (3, 4, 0)]
    """
    while first < last:
        row = first % n if cyclic else first
        upper = min(last, first + n - row) if cyclic else last
        upper = upper if most is None else min(upper, first + most)
        yield first, upper, row
        first = upper


class Ghosts:
    """Fills the ghosts of the cells of a grid.

    Parameters
    ----------
    layout : Layout
    reach : tuple of (int, int)
        How many ghosts there are before and after the cells, along each axis.
    numbers : mapping of str to number
        Parameters that boundaries may use.
    delta_t : float
    """

    def __init__(self, layout: Layout, reach: Reach, numbers: Mapping[str, Any], delta_t: float) -> None:
        self.layout = layout
        self.reach = reach
        self._numbers = {**numbers, "delta_t": delta_t}

    def padded_row(self, row: tuple[int, ...]) -> tuple[int, ...]:
        """Return the shape of a row with its ghosts."""
        within = [n + low + high for n, (low, high) in zip(row, self.reach[1:], strict=False)]
        return (*within, *row[len(within) :])

    def inner(self, array: Array) -> Array:
        """Return rows without the ghosts of each, a view."""
        return array[self._cut(1, len(self.reach))]

    def _cut(self, first: int, last: int) -> tuple[slice, ...]:
        """Return the cells within along axes ``[first, last)``, all along the others."""
        cuts = [slice(None)] * last
        for axis in range(first, last):
            low, high = self.reach[axis]
            cuts[axis] = slice(low, None if high == 0 else -high)
        return tuple(cuts)

    def fill_columns(self, rows: Array, first: int, k: int, t: float) -> None:
        """Fill the ghosts of each row, along all axes but the first.

        Parameters
        ----------
        rows : ndarray, shape (m, ...), padded
        first : int
            The number of the first row, less than 0 or beyond the last one where a cyclic axis goes round.
        k, t
            The step, and its time.
        """
        n, cyclic = self.layout.shape[0], self.layout.is_cyclic(0)
        for lower, upper, row in runs(first, first + len(rows), n, cyclic=cyclic):
            self._fill_run(rows[lower - first : upper - first], row, k, t)

    def _fill_run(self, rows: Array, first: int, k: int, t: float) -> None:
        axes = len(self.reach)
        for axis in range(1, axes):
            low, high = self.reach[axis]
            if (not low and not high) or not self.layout.shape[axis]:
                continue
            along = np.moveaxis(rows[self._cut(axis + 1, axes)], axis, 0)
            within = along[low : len(along) - high]
            if self.layout.is_cyclic(axis):
                self._wrap(along, within, axis, low, high)
                continue
            for side, ghosts, inner in (
                (0, along[:low][::-1], within),
                (1, along[len(along) - high :], within[::-1]),
            ):
                if len(ghosts):
                    self._fill(axis, side, ghosts, inner, first, k, t)

    def _wrap(self, along: Array, within: Array, axis: int, low: int, high: int) -> None:
        n = len(within)
        anti = self.layout.is_anti(axis)
        for place in (*range(low), *range(low + n, low + n + high)):
            times, cell = divmod(place - low, n)
            along[place] = within[cell]
            if anti and times % 2:
                negate(along[place])

    def fill_rows(self, side: int, ghosts: Array, inner: Array, k: int, t: float) -> None:
        """Fill ghost rows before the first row (`side` 0) or after the last one (1), and the ghosts of these rows.

        Parameters
        ----------
        side : int
        ghosts : ndarray, shape (h, ...), padded
            From the edge outwards.
        inner : ndarray, shape (h + 1 or more, ...), padded
            From the edge inwards.
        k, t
            The step, and its time.
        """
        self._fill(0, side, self.inner(ghosts), self.inner(inner), 0, k, t)
        n = self.layout.shape[0]
        outside = range(-1, -1 - len(ghosts), -1) if side == 0 else range(n, n + len(ghosts))
        for row, ghost in zip(outside, range(len(ghosts)), strict=True):
            self._fill_run(ghosts[ghost : ghost + 1], row, k, t)

    def pad(self, values: Array, first: int, before: int, after: int, k: int, t: float) -> Array:
        """Return rows with the ghosts of each, and with ghost rows around where the grid ends.

        Parameters
        ----------
        values : ndarray, shape (m, ...)
            Of a cyclic axis all rows, if there are to be ghost rows.
        first : int
            The number of the first row.
        before, after : int
            How many ghost rows there are.
        k, t
            The step, and its time.

        Returns
        -------
        ndarray, shape (before + m + after, ...)
        """
        n, end = len(values), before + len(values)
        whole = np.zeros((before + n + after, *self.padded_row(values.shape[1:])), values.dtype)
        self.inner(whole)[before:end] = values
        self.fill_columns(whole[before:end], first, k, t)
        if self.layout.is_cyclic(0):
            anti = self.layout.is_anti(0)
            for place in (*range(before), *range(end, end + after)):
                rounds, row = divmod(place - before, n)
                ghost = whole[place : place + 1]
                ghost[...] = whole[before + row : before + row + 1]
                if rounds % 2 and anti:
                    negate(ghost)
                    self.fill_columns(ghost, row, k, t)
            return whole
        if before:
            self.fill_rows(0, whole[:before][::-1], whole[before : 2 * before + 1], k, t)
        if after:
            self.fill_rows(1, whole[end:], whole[max(0, end - after - 1) : end][::-1], k, t)
        return whole

    def _fill(self, axis: int, side: int, ghosts: Array, inner: Array, first: int, k: int, t: float) -> None:
        boundary = self.layout.sides[axis][side]
        far = len(ghosts) + (boundary.least or 0)
        names = EdgeNames(self, axis, side, ghosts, first, {**self._numbers, "k": k, "t": t})
        boundary.fill(ghosts, inner[:far], names, self.layout.spacing[axis])


class EdgeNames(dict[str, Any]):
    """Values of the names in a boundary, which are computed when they are asked for.

    Their first axis is that of the edge, outwards; the others follow in their order.
    """

    def __init__(
        self, ghosts: Ghosts, axis: int, side: int, array: Array, first: int, known: Mapping[str, Any]
    ) -> None:
        super().__init__(known)
        self._ghosts, self._axis, self._side, self._array, self._first = ghosts, axis, side, array, first

    def __missing__(self, name: str) -> Any:
        if name not in (*INDICES, *COORDINATES):
            raise KeyError(name)
        axis = (INDICES if name in INDICES else COORDINATES).index(name)
        found = self[name] = self._numbers(axis)
        if name in COORDINATES:
            layout = self._ghosts.layout
            found = self[name] = layout.origin[axis] + found * layout.spacing[axis]
        return found

    def _numbers(self, axis: int) -> Array:
        """Return the numbers of the cells along an axis."""
        n, edge = self._ghosts.layout.shape[axis], self._axis
        if axis == edge:
            count = len(self._array)
            numbers = np.arange(-1, -1 - count, -1) if self._side == 0 else np.arange(n, n + count)
            place = 0
        else:
            place = axis + 1 if axis < edge else axis
            length = self._array.shape[place]
            before = self._ghosts.reach[axis][0] if axis < edge and axis else 0  # those that are filled already
            numbers = np.arange(length) - before + (self._first if axis == 0 else 0)
        shape = [1] * self._array.ndim
        shape[place] = -1
        return numbers.reshape(shape)


def negate(values: Array) -> None:
    """Change the sign of values, in place."""
    for leaf in iter_fields(values):
        leaf[...] = -leaf  # np.negative(leaf, out=leaf) is wrong for some strides, in NumPy 2.4 at least
