"""A history in root's memory, gathered step by step straight into its final place."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from ..util.formatting import format_bytes, pluralize
from ..util.memory_limits import require_memory

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from ..communicator import Communicator
    from ..engine import Plan, Tile

    Array = npt.NDArray[Any]


class GatheredHistory:
    """Receives the steps on root, by ``Gatherv``. Root computes its own rows where they stay.

    Parameters
    ----------
    communicator : Communicator
    plan : Plan
    history : ndarray, shape (kept steps, ...), optional
        One that root has already.

    Attributes
    ----------
    history : ndarray, shape (kept steps, ...), or None
        On root; None elsewhere.
    in_place : bool
        True on root, if its memory was used before.

    Raises
    ------
    InputError
        If the history does not fit in root's memory. Not collective: to be made in an agreed block.
    """

    def __init__(self, communicator: Communicator, plan: Plan, history: Array | None = None) -> None:
        self._communicator = communicator
        self._plan = plan
        self._fetched: Array | None = None
        self.history = history
        self.in_place = False
        if history is not None:
            return
        if communicator.rank == 0:
            steps = len(plan.kept)
            step = format_bytes(plan.history_nbytes // max(1, steps))
            what = f"the history of {pluralize(steps, 'step')} × {step} on rank 0"
            instead = "Compute fewer steps or rows, or use a node with more memory."
            from ..util import buffer_pool as lending

            mapped = lending.has_warm(plan.history_shape, plan.history_dtype)
            require_memory(plan.history_nbytes, what, instead, mapped=mapped)
            self.history, self.in_place = lending.pooled_empty(plan.history_shape, plan.history_dtype)
        else:
            nbytes = prod(plan.tile_shape) * plan.history_dtype.itemsize
            require_memory(nbytes, f"a tile of results on rank {communicator.rank}", "Use more nodes, or shorter rows.")
            self._buffer = np.empty(plan.tile_shape, plan.history_dtype)

    def rows(self, tile: Tile) -> Array:
        """Return root's rows in the history, or this rank's buffer."""
        lower, upper = tile.spans[self._communicator.rank]
        if self.history is not None:
            return self.history[tile.positions, lower:upper]
        return self._buffer[: len(tile.steps), : upper - lower]

    def deliver(self, tile: Tile) -> None:
        """Gather the rows of each step."""
        whole = None if self.history is None else self.history[tile.positions]
        self._communicator.gatherv(self.rows(tile), tile.spans, whole)

    def fetch(self, position: int, spans: Sequence[tuple[int, int]]) -> Array:
        """Scatter rows of a step; root's are those of the history."""
        lower, upper = spans[self._communicator.rank]
        if self.history is not None:
            self._communicator.scatterv(self.history[position], spans, self.history[position, lower:upper])
            return self.history[position, lower:upper]
        if self._fetched is None or len(self._fetched) < upper - lower:
            self._fetched = np.empty((upper - lower, *self._plan.shape[1:]), self._plan.history_dtype)
        rows = self._fetched[: upper - lower]
        self._communicator.scatterv(None, spans, rows)
        return rows

    def finish(self) -> None:
        """Do nothing: the history is where it stays."""

    def abort(self) -> None:
        """Do nothing: memory is given back with the receiver."""
