"""Messages that the same ranks send each other again and again, from and into the same memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mpi4py.MPI import Intracomm

    from .interface import Array

_PIECE = 2**30  # bytes of one message: what any library counts to


class PersistentMessages:
    """Messages by MPI's persistent requests.

    Between two ranks each message has a tag of its own: of those that are started together, a library may start any
    first.

    Parameters
    ----------
    mpi : module
        ``mpi4py.MPI``.
    comm : mpi4py.MPI.Intracomm
        Used by nothing else.
    sends, receives : sequence of (int, ndarray)
        As of `Communicator.persistent`.
    """

    def __init__(
        self, mpi: Any, comm: Intracomm, sends: Sequence[tuple[int, Array]], receives: Sequence[tuple[int, Array]]
    ) -> None:
        self._requests: list[Any] = []
        self._all = mpi.Prequest
        self._running = False
        for make, messages in ((comm.Recv_init, receives), (comm.Send_init, sends)):
            tags: dict[int, int] = {}
            for peer, array in messages:
                data = array.reshape(-1).view("u1") if array.nbytes else array[:0]
                for begin in range(0, len(data), _PIECE):
                    tag = tags[peer] = tags.get(peer, -1) + 1
                    self._requests.append(make([data[begin : begin + _PIECE], mpi.BYTE], peer, tag))

    def start(self) -> None:
        """Start all of them."""
        if self._requests:
            self._all.Startall(self._requests)
        self._running = True

    def test(self) -> None:
        """Let the library go on with them: most move nothing while the rank computes."""
        if self._running and self._requests:
            self._all.Testall(self._requests)

    def finish(self) -> None:
        """Wait until all that was started is there."""
        if self._running and self._requests:
            self._all.Waitall(self._requests)
        self._running = False

    def close(self) -> None:
        """Wait for what was started, and free what was made for it."""
        self.finish()
        for request in self._requests:
            request.Free()
        self._requests = []
