"""The plan of a run: the rows and bytes of each rank, and the tiles. Known before anything runs."""

from __future__ import annotations

from functools import cached_property
from math import prod
from typing import TYPE_CHECKING, Any

from ..bounds import bounds, part
from ..problem import kept_steps
from ..util.records import Record

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np

TILE = 16 * 2**20  # bytes of a rank's results that are computed and delivered together
STEPS_AT_ONCE = 4  # kept in a tile, or more where a tile holds more steps of all rows; of large rows more hardly pay
STEPS_BETWEEN = 2**16  # computed in a tile at most, however few of them are kept


class Tile(Record):
    """Results that are computed and delivered together: a few steps of some rows of every part.

    Attributes
    ----------
    computed : range
        The numbers of the steps that are computed.
    steps : range
        The numbers of those among them that the history holds.
    positions : slice
        Where these are in the history, along its axis 0.
    spans : list of (int, int)
        The rows ``[lower, upper)`` of each rank; those of a rank whose part is at its end are empty.
    """

    computed: range
    steps: range
    positions: slice
    spans: list[tuple[int, int]]


def kept_before(numbers: range, k: int) -> int:
    """Return how many of `numbers`, which rise, are less than `k`.

    >>> [kept_before(range(0, 10, 3), k) for k in (0, 1, 3, 4, 10, 99)]
    [0, 1, 1, 2, 4, 4]
    """
    return min(max(0, -((numbers.start - k) // numbers.step)), len(numbers))


class Plan(Record):
    """The split of one problem over a number of ranks.

    Attributes
    ----------
    shape : tuple of int
        Shape of the initial array; axis 0 is split.
    dtype, history_dtype : numpy.dtype
        Of the initial array, and of the history.
    steps : int
        Number of steps.
    ranks : int
        Number of ranks.
    tile_nbytes : int
        How many bytes of a rank's results are computed and delivered together; at least one row is.
    keep : str
        Which steps the history holds (see `Problem`).
    grain : int
        The rows that stay together, such as those of a chunk of a file; a part is a number of such grains.
    reach : tuple of (int, int)
        How many cells the kernel reads before and after a cell, along each axis of the grid; empty if it reads none.
    reduced_axes : int
        How many axes reductions go over: 1 for the rows, or all axes of the grid.
    """

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    history_dtype: np.dtype[Any]
    steps: int
    ranks: int
    tile_nbytes: int = TILE
    keep: str = "all"
    grain: int = 1
    reach: tuple[tuple[int, int], ...] = ()
    reduced_axes: int = 1

    @cached_property
    def kept(self) -> range:
        """The numbers of the steps that the history holds."""
        return kept_steps(self.keep, self.steps)

    @cached_property
    def bounds(self) -> list[tuple[int, int]]:
        """The bounds ``[lower, upper)`` of each rank's rows."""
        rows, grain = self.shape[0], self.grain
        return [
            (min(lower * grain, rows), min(upper * grain, rows))
            for lower, upper in bounds(-(-rows // grain), self.ranks)
        ]

    @property
    def longest(self) -> int:
        """The number of rows of the longest part, which is root's."""
        return self.part_shape(0)[0]

    @property
    def tile_shape(self) -> tuple[int, ...]:
        """Shape of a rank's results in the largest tile, ``(kept steps, rows, *shape of a row)``."""
        steps = min(STEPS_AT_ONCE, len(self.kept))
        rows = min(max(1, self.tile_nbytes // max(1, steps * self.history_row_nbytes)), self.longest)
        if rows == self.longest:
            fit = min(STEPS_BETWEEN, self.tile_nbytes // max(1, rows * self.history_row_nbytes))
            steps = min(max(steps, fit), len(self.kept))
        return (steps, rows, *self.shape[1:])

    def batch(self, first: int, steps: int, *, every: bool) -> range:
        """Return the numbers of the steps that are computed together.

        Parameters
        ----------
        first : int
            From this step on.
        steps : int
            As many, unless a tile holds fewer, or there are no more.
        every : bool
            Go through every step, as a step kernel must; else through those that the history holds.
        """
        place = kept_before(self.kept, first)
        ahead = self.kept[place : place + self.tile_shape[0]]
        if not every:
            return ahead[:steps]
        most = min(steps, STEPS_BETWEEN)
        if len(ahead) == self.tile_shape[0] and ahead:
            most = min(most, ahead[-1] + 1 - first)
        return range(first, min(first + most, self.steps))

    def tiles(self, batch: range) -> Iterator[Tile]:
        """Return the tiles of a batch of steps, which together hold all its rows."""
        positions = slice(kept_before(self.kept, batch.start), kept_before(self.kept, batch[-1] + 1))
        for spans in self.spans(self.tile_shape[1]):
            yield Tile(batch, self.kept[positions], positions, spans)

    def spans(self, rows: int) -> Iterator[list[tuple[int, int]]]:
        """Return runs of `rows` rows of every part, until all are through; a part at its end gives none."""
        for start in range(0, self.longest, rows):
            yield [(min(lower + start, upper), min(lower + start + rows, upper)) for lower, upper in self.bounds]

    def of(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Plan:
        """Return the plan for another array that is split like this one, such as a parameter."""
        return self.replace(shape=shape, dtype=dtype)

    def part_shape(self, rank: int) -> tuple[int, ...]:
        """Return the shape of the part of `rank`."""
        rows, grain = self.shape[0], self.grain
        lower, upper = part(-(-rows // grain), self.ranks, rank)
        return (min(upper * grain, rows) - min(lower * grain, rows), *self.shape[1:])

    @property
    def history_shape(self) -> tuple[int, ...]:
        """Shape of the history, ``(kept steps, *shape)``."""
        return (len(self.kept), *self.shape)

    @property
    def row_nbytes(self) -> int:
        """Bytes of a row of the initial array."""
        return prod(self.shape[1:]) * self.dtype.itemsize

    @property
    def history_row_nbytes(self) -> int:
        """Bytes of a row of one step of the history."""
        return prod(self.shape[1:]) * self.history_dtype.itemsize

    @property
    def initial_nbytes(self) -> int:
        """Bytes of the initial array."""
        return prod(self.shape) * self.dtype.itemsize

    @property
    def history_nbytes(self) -> int:
        """Bytes of the history."""
        return prod(self.history_shape) * self.history_dtype.itemsize

    @property
    def scattered_nbytes(self) -> int:
        """Bytes of the initial array that leave root."""
        return self._remote_fraction(self.dtype)

    @property
    def gathered_nbytes(self) -> int:
        """Bytes of the history that come to root from other ranks."""
        return self._remote_fraction(self.history_dtype) * len(self.kept)

    def _remote_fraction(self, dtype: np.dtype[Any]) -> int:
        rows = self.shape[0] - self.longest
        return rows * prod(self.shape[1:]) * dtype.itemsize
