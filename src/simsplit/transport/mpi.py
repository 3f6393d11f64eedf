"""The transport on MPI, by mpi4py: a persistent receive or matched probes, and no blocking call.

A blocking receive would burn a core and slow every other thread down; so all calls return at once, and
whoever waits decides how often to ask.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mpi4py.MPI import Intracomm, Request
    from mpi4py.MPI import Message as Matched

    from .interface import Bytes, Message, Take, Transfer


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


class _PersistentReceiver:
    """Short messages of any rank, by one receive that is always posted.

    It takes fewer calls than to look, to ask how long the message is, and to receive it. But one that is too long
    is an error for MPI, after which not every library can go on: Open MPI 5.0 ends with a fault of memory.
    """

    def __init__(self, comm: Intracomm, tag: int, longest: int) -> None:
        from mpi4py import MPI

        self._error, self._too_long = MPI.Exception, MPI.ERR_TRUNCATE
        self._byte = MPI.BYTE
        self._status = MPI.Status()
        self._longest = longest
        # One byte more: MPICH does not report every truncation, so a message that fills the buffer is too long.
        self._bytes = memoryview(bytearray(longest + 1))
        self._receive = comm.Recv_init([self._bytes, longest + 1, MPI.BYTE], MPI.ANY_SOURCE, tag)
        self._receive.Start()

    def take(self) -> tuple[int, bytes | None] | None:
        receive, status = self._receive, self._status
        try:
            if not receive.Test(status):
                return None
        except self._error as error:
            if error.Get_error_class() != self._too_long:
                raise
            data = None
        else:
            nbytes = status.Get_count(self._byte)
            data = self._bytes[:nbytes].tobytes() if nbytes <= self._longest else None
        source = status.Get_source()
        receive.Start()
        return source, data

    def stop(self) -> None:
        self._receive.Cancel()
        self._receive.Wait()  # it is cancelled, or the message is all here, for it is short
        self._receive.Free()


class _ProbingReceiver:
    """Short messages of any rank, by looking for each. One that is too long stays where it is."""

    def __init__(self, comm: Intracomm, tag: int, longest: int) -> None:
        from mpi4py import MPI

        self._byte = MPI.BYTE
        self._any_source = MPI.ANY_SOURCE
        self._status = MPI.Status()
        self._probe = comm.Improbe
        self._tag = tag
        self._longest = longest
        self._bytes = memoryview(bytearray(longest))

    def take(self) -> tuple[int, bytes | None] | None:
        status = self._status
        matched = self._probe(self._any_source, self._tag, status)
        if matched is None:
            return None
        source, nbytes = status.Get_source(), status.Get_count(self._byte)
        if nbytes > self._longest:
            return source, None
        matched.Recv([self._bytes, nbytes, self._byte])  # which is all here, for it is short
        return source, self._bytes[:nbytes].tobytes()

    def stop(self) -> None:
        """Do nothing: nothing is posted."""


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

        self._survives_what_is_too_long = MPI.Get_library_version().startswith("MPICH")
        self._comm = comm.Dup()
        self._byte = MPI.BYTE
        self._any_source = MPI.ANY_SOURCE
        self._status = MPI.Status()
        self._heads: _PersistentReceiver | _ProbingReceiver | None = None
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

    def post_receive(self, tag: int, longest: int) -> Take:
        """Be ready for messages of any rank under `tag`; return what takes the next one."""
        way = _PersistentReceiver if self._survives_what_is_too_long else _ProbingReceiver
        self._heads = way(self._comm, tag, longest)
        return self._heads.take

    def stop(self) -> None:
        """Expect no more messages."""
        heads, self._heads = self._heads, None
        if heads is not None:
            heads.stop()

    def close(self) -> None:
        """Give the communicator back. Collective."""
        self.stop()
        self._comm.Free()
