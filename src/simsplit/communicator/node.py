"""The ranks of a node, and the memory they share."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

from ..util.buffer_pool import best_fit
from .shared_memory import SegmentOwner, attach

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    import numpy.typing as npt

    from ..util.buffer_pool import Segment
    from .interface import Communicator


class Window(NamedTuple):
    """Memory that all ranks of a node see.

    Attributes
    ----------
    memory : ndarray of uint8, shape (nbytes,)
        It holds anything. On the leader of the node the window is in use as long as any view of this
        array is there.
    warm : bool
        Whether it was used before, so that the system need not find memory for it any more.
    """

    memory: npt.NDArray[np.uint8]
    warm: bool


class AllocationDecision(NamedTuple):
    """What the leader decided: the segment to use again, or those to let go of and the address of a new one."""

    again: int | None
    dropped: list[int]
    address: tuple[str, int, int] | None


class Node:
    """The ranks of one node.

    A window that is no longer in use is kept for the next run that asks for as much: first touch of fresh
    memory costs more than what is then computed into it. One that nobody can use is let go of when another
    is made.

    Parameters
    ----------
    local : Communicator
        These ranks.
    leaders : Communicator or None
        The lowest rank of each node, in the order of the nodes; None on other ranks.
    members : sequence of sequence of int
        The ranks of each node, of the whole communicator: both in rising order.
    index : int
        Which of them is this one.
    """

    def __init__(
        self, local: Communicator, leaders: Communicator | None, members: Sequence[Sequence[int]], index: int
    ) -> None:
        self.local = local
        self.leaders = leaders
        self.members = members
        self.index = index
        self._pool: list[Segment] = []

    def share(self, nbytes: int) -> Window | None:
        """Return memory that all ranks of the node see, or None if there is none. Collective among them."""
        offer: SegmentOwner | None = None
        deal: AllocationDecision | None = None
        if self.local.rank == 0:
            deal, offer = self._decide(nbytes)
        try:
            again, dropped, address = self.local.bcast(deal)
            if again is not None:
                return Window(self._pool[again].lease(nbytes), warm=True)
            for index in dropped:
                del self._pool[index]
            segment = None if offer is None else offer.segment
            if address is not None and segment is None:
                with suppress(OSError, ValueError):
                    segment = attach(address)
            missing = self.local.allreduce_or(segment is None)
        finally:
            if offer is not None:
                offer.close()
        if missing or segment is None:
            return None
        self._pool.append(segment)
        return Window(segment.lease(nbytes), warm=False)

    def _decide(self, nbytes: int) -> tuple[AllocationDecision, SegmentOwner | None]:
        if (segment := best_fit(self._pool, nbytes)) is not None:
            return AllocationDecision(self._pool.index(segment), [], None), None
        free = [index for index, each in enumerate(self._pool) if not each.is_leased]
        offer = None
        with suppress(OSError, ValueError, OverflowError):
            offer = SegmentOwner(nbytes)
        return AllocationDecision(None, free[::-1], None if offer is None else offer.address), offer
