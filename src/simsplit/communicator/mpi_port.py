"""Messages between two ranks on MPI, by mpi4py: matched probes, and nothing that blocks.

A blocking receive would burn a core and slow every other thread down; so all calls return at once, and
whoever waits decides how often to ask.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mpi4py.MPI import Intracomm, Prequest, Request
    from mpi4py.MPI import Message as Matched

    from .port import Bytes, Message, Transfer


class _Transfer:
    __slots__ = ("_data", "_request")

    def __init__(self, request: Request, data: Bytes) -> None:
        self._request = request
        self._data = data  # kept alive until it is done

    def done(self) -> bool:
        """Return whether the transfer is over."""
        return self._request.Test()


class _Message:
    __slots__ = ("_byte", "_matched", "nbytes", "source")

    def __init__(self, matched: Matched, byte: object, source: int, nbytes: int) -> None:
        self._matched = matched
        self._byte = byte
        self.source = source
        self.nbytes = nbytes

    def receive(self, into: bytearray | memoryview) -> Transfer | None:
        """Begin to receive the message."""
        request = self._matched.Irecv([into, self.nbytes, self._byte])
        return None if request.Test() else _Transfer(request, into)


class MPIPort:
    """A port on a communicator of its own.

    Parameters
    ----------
    comm : mpi4py.MPI.Intracomm
        Duplicated, which is collective: no message of the port meets one of the user's.
    host : str
        Name of the host of this rank.
    """

    looks = 10  # about 1.5 µs: less than another rank needs for an answer

    def __init__(self, comm: Intracomm, host: str) -> None:
        from mpi4py import MPI

        self._MPI = MPI
        self._comm = comm.Dup()
        self._byte = MPI.BYTE
        self._any_source = MPI.ANY_SOURCE
        self._status = MPI.Status()
        self._head: Prequest | None = None
        self.rank = comm.Get_rank()
        self.size = comm.Get_size()
        self.host = host
        self.threads = MPI.Query_thread() >= MPI.THREAD_SERIALIZED

    def send(self, data: Bytes, destination: int, tag: int) -> Transfer | None:
        """Begin to send contiguous bytes; a few are sent at once."""
        request = self._comm.Isend([data, len(data), self._byte], destination, tag)
        return None if request.Test() else _Transfer(request, data)

    def probe(self, source: int | None, tag: int) -> Message | None:
        """Return the next message, if there is one."""
        status = self._status
        matched = self._comm.Improbe(self._any_source if source is None else source, tag, status)
        if matched is None:
            return None
        return _Message(matched, self._byte, status.Get_source(), status.Get_count(self._byte))

    def expect(self, tag: int, longest: int) -> None:
        """Be ready for messages of any rank under `tag`.

        One receive is always posted, which takes fewer calls than to look, to ask how long the message is, and to
        receive it.
        """
        self._bytes = memoryview(bytearray(longest))
        self._head = self._comm.Recv_init([self._bytes, longest, self._byte], self._any_source, tag)
        self._head.Start()

    def take(self) -> tuple[int, bytes | None] | None:
        """Return the next message of those that are expected, if it is here."""
        head, status = self._head, self._status
        if head is None:
            return None
        try:
            if not head.Test(status):
                return None
        except self._MPI.Exception as error:
            if error.Get_error_class() != self._MPI.ERR_TRUNCATE:
                raise
            data = None
        else:
            data = self._bytes[: status.Get_count(self._byte)].tobytes()
        source = status.Get_source()
        head.Start()
        return source, data

    def stop(self) -> None:
        """Expect no more messages."""
        head, self._head = self._head, None
        if head is not None:
            head.Cancel()
            head.Wait()  # it is cancelled, or the message is all here, for it is short
            head.Free()

    def close(self) -> None:
        """Give the communicator back. Collective."""
        self.stop()
        self._comm.Free()
