"""What the engine asks of whatever receives a history, and what it reports of a run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import numpy.typing as npt

    from .plan import Tile

    Array = npt.NDArray[Any]


class HistoryReceiver(Protocol):
    """Where the results of the steps go.

    It says where a rank computes its rows, so that they can be computed straight into their final place
    (root's rows of a gathered history, memory shared by a node, the buffer that a file is written from).
    """

    def rows(self, tile: Tile) -> Array:
        """Return where this rank is to put its results of `tile`. Not collective.

        An array of shape ``(steps, rows, *shape of a row)``, each step's rows C-contiguous.
        """

    def deliver(self, tile: Tile) -> None:
        """Pass on the results of `tile`, which are all in place. Collective."""


@dataclass(slots=True)
class Timings:
    """Seconds of wall time.

    Attributes
    ----------
    scatter : float
        Waiting for the rows of the initial array.
    compute : float
        The kernel.
    gather : float
        Bringing the results together, waiting for other ranks included.
    """

    scatter: float = 0.0
    compute: float = 0.0
    gather: float = 0.0
