"""A history in root's memory, gathered step by step straight into its final place."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from ..memory import require
from ..text import counted, readable

if TYPE_CHECKING:
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

    Attributes
    ----------
    history : ndarray, shape (steps, ...), or None
        On root; None elsewhere.

    Raises
    ------
    InputError
        If the history does not fit in root's memory. Not collective: to be made in an agreed block.
    """

    def __init__(self, communicator: Communicator, plan: Plan) -> None:
        self._communicator = communicator
        self.history: Array | None = None
        if communicator.rank == 0:
            step = readable(plan.history_nbytes // max(1, plan.steps))
            what = f"the history of {counted(plan.steps, 'step')} × {step} on rank 0"
            require(plan.history_nbytes, what, "Compute fewer steps or rows, or use a node with more memory.")
            self.history = np.empty(plan.history_shape, plan.history_dtype)
        else:
            nbytes = prod(plan.tile_shape) * plan.history_dtype.itemsize
            require(nbytes, f"a tile of results on rank {communicator.rank}", "Use more nodes, or shorter rows.")
            self._buffer = np.empty(plan.tile_shape, plan.history_dtype)

    def rows(self, tile: Tile) -> Array:
        """Return root's rows in the history, or this rank's buffer."""
        lower, upper = tile.spans[self._communicator.rank]
        if self.history is not None:
            return self.history[tile.steps.start : tile.steps.stop, lower:upper]
        return self._buffer[: len(tile.steps), : upper - lower]

    def deliver(self, tile: Tile) -> None:
        """Gather the rows of each step."""
        whole = None if self.history is None else self.history[tile.steps.start : tile.steps.stop]
        self._communicator.gatherv(self.rows(tile), tile.spans, whole)
