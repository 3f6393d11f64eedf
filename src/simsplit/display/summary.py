"""Sum a history up to the cells that a picture has room for, reading each piece of it once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from .components import Quantity
    from .view import Selected

    Array = npt.NDArray[Any]

STEPS, ROWS = 800, 400  # cells of the picture along either axis at most: none is smaller than a pixel


class Summary:
    """What is drawn of one quantity.

    Attributes
    ----------
    least, greatest : ndarray, shape (cells along the steps, chosen rows)
    by_row : (ndarray, ndarray), shape (cells along the rows,)
        The least and the greatest value of each run of rows.
    whole : (float, float)
        The least and the greatest value.
    positive : float
        The least value above 0; NaN if there is none.
    not_numbers, not_positive : int
        How many values are not finite, and how many of the others are not above 0.
    """

    def __init__(self, shape: tuple[int, int], chosen: int) -> None:
        self._sums, self._counts = np.zeros(shape), np.zeros(shape, np.int64)
        self.least = np.full((shape[0], chosen), np.nan)
        self.greatest = self.least.copy()
        self.by_row = np.full(shape[1], np.nan), np.full(shape[1], np.nan)
        self.whole = np.nan, np.nan
        self.positive = np.nan
        self.not_numbers = self.not_positive = 0

    @property
    def means(self) -> Array:
        """The mean of each cell, shape (cells along the steps, cells along the rows); NaN where it has no number."""
        with np.errstate(invalid="ignore", over="ignore"):
            return np.asarray(self._sums / self._counts)

    @np.errstate(over="ignore", invalid="ignore")  # of great values
    def add(self, values: Array, along: _Cells, across: _Cells, curves: Sequence[tuple[int, int]]) -> None:
        """Add a piece of the history.

        Parameters
        ----------
        values : ndarray
            With NaN where there is no number.
        along, across : _Cells
            Of its steps and of its rows.
        curves : sequence of (int, int)
            Which column is which of the chosen rows.
        """
        numbers = np.isfinite(values)
        self.not_numbers += values.size - int(numbers.sum())
        self.not_positive += int((values <= 0).sum())
        low, high = self.whole
        self.whole = np.fmin(low, np.fmin.reduce(values, axis=None)), np.fmax(high, np.fmax.reduce(values, axis=None))
        above = values[values > 0]
        self.positive = np.fmin(self.positive, above.min()) if above.size else self.positive
        for total, part in ((self._sums, np.where(numbers, values, 0.0)), (self._counts, numbers)):
            summed = np.add.reduceat(part, along.first, axis=0, dtype=total.dtype)
            total[along.where, across.where] += np.add.reduceat(summed, across.first, axis=1)
        for of_rows, better in zip(self.by_row, (np.fmin, np.fmax), strict=True):
            found = better.reduceat(better.reduce(values, axis=0), across.first)
            of_rows[across.where] = better(of_rows[across.where], found)
        for column, curve in curves:
            for best, better in ((self.least, np.fmin), (self.greatest, np.fmax)):
                found = better.reduceat(values[:, column], along.first)
                best[along.where, curve] = better(best[along.where, curve], found)


def summed_up(history: Selected, chosen: Sequence[int], quantities: Sequence[Quantity]) -> list[Summary]:
    """Return what is drawn of each quantity; `chosen` are the rows that become curves."""
    steps, rows = history.shape[:2]
    shape = min(steps, STEPS), min(rows, ROWS)
    found = [Summary(shape, len(chosen)) for _ in quantities]
    for within, across in history.pieces():
        block = history.block(within, across)
        curves = [(row - across.start, n) for n, row in enumerate(chosen) if across.start <= row < across.stop]
        for quantity, summary in zip(quantities, found, strict=True):
            summary.add(quantity.of(block), cells(within, steps, shape[0]), cells(across, rows, shape[1]), curves)
    return found


class _Cells(NamedTuple):
    """The cells of a run of indices, and where in the run each of them begins."""

    where: slice
    first: Array


def cells(part: slice, count: int, most: int) -> _Cells:
    """Return the cells, `most` of them, of a part of `count` indices."""
    numbers = np.arange(part.start, part.stop) * most // count
    return _Cells(slice(numbers[0], numbers[-1] + 1), np.flatnonzero(np.diff(numbers, prepend=-1)))


def middles(values: Array, most: int) -> Array:
    """Return the middle of the values of each cell."""
    _, first = cells(slice(0, len(values)), len(values), min(len(values), most))
    return np.asarray((values[first] + values[np.append(first[1:], len(values)) - 1]) / 2)
