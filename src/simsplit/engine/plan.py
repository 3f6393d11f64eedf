"""Who gets which rows, and how many bytes: known before anything runs. Pure arithmetic."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from math import prod
from typing import TYPE_CHECKING, Any

from ..bounds import bounds, part

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True)
class Plan:
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
    """

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    history_dtype: np.dtype[Any]
    steps: int
    ranks: int

    @cached_property
    def bounds(self) -> list[tuple[int, int]]:
        """The bounds ``[lower, upper)`` of each rank's rows."""
        return bounds(self.shape[0], self.ranks)

    @cached_property
    def counts(self) -> list[int]:
        """The number of each rank's rows."""
        return [upper - lower for lower, upper in self.bounds]

    def part_shape(self, rank: int) -> tuple[int, ...]:
        """Return the shape of the part of `rank`."""
        lower, upper = part(self.shape[0], self.ranks, rank)
        return (upper - lower, *self.shape[1:])

    @property
    def history_shape(self) -> tuple[int, ...]:
        """Shape of the history, ``(steps, *shape)``."""
        return (self.steps, *self.shape)

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
        return self._away(self.dtype)

    @property
    def gathered_nbytes(self) -> int:
        """Bytes of the history that come to root from other ranks."""
        return self._away(self.history_dtype) * self.steps

    def _away(self, dtype: np.dtype[Any]) -> int:
        rows = self.shape[0] - self.counts[0]
        return rows * prod(self.shape[1:]) * dtype.itemsize
