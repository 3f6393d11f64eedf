"""A history in root's memory, gathered step by step straight into its final place."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..memory import readable, require

if TYPE_CHECKING:
    import numpy.typing as npt

    from ..communicator import Communicator
    from ..engine import Plan

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
        self._counts = plan.counts
        self.history: Array | None = None
        if communicator.rank == 0:
            what = (
                f"the history of {plan.steps} steps × {readable(plan.history_nbytes // max(1, plan.steps))} on rank 0"
            )
            require(plan.history_nbytes, what, "Compute fewer steps or rows, or use a node with more memory.")
            self.history = np.empty(plan.history_shape, plan.history_dtype)
            self._buffer = self.history[:0]
        else:
            self._buffer = np.empty(plan.part_shape(communicator.rank), plan.history_dtype)

    def part(self, k: int) -> Array:
        """Return root's rows in the history, or this rank's buffer."""
        return self._buffer if self.history is None else self.history[k, : self._counts[0]]

    def deliver(self, k: int) -> None:
        """Gather the rows of step `k`."""
        whole = None if self.history is None else self.history[k]
        self._communicator.gatherv(self.part(k), self._counts, whole)
