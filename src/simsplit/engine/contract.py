"""What the engine asks of whatever receives a history, and what it reports of a run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import numpy.typing as npt

    Array = npt.NDArray[Any]


class HistoryReceiver(Protocol):
    """Where the results of the steps go.

    It says where a rank computes its rows, so that they can be computed straight into their final place
    (root's rows of a gathered history, memory shared by a node, the buffer that a file is written from).
    """

    def part(self, k: int) -> Array:
        """Return where this rank is to put its rows of step `k`, C-contiguous. Not collective."""

    def deliver(self, k: int) -> None:
        """Pass on the rows of step `k`, which are all in place. Collective."""


@dataclass(slots=True)
class Timings:
    """Seconds of wall time, by the clock of one rank.

    Attributes
    ----------
    scatter : float
        Distributing the initial array.
    compute : float
        The kernel.
    gather : float
        Bringing the results together, waiting for other ranks included.
    """

    scatter: float = 0.0
    compute: float = 0.0
    gather: float = 0.0
