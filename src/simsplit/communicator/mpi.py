"""The communicator on MPI, by mpi4py.

Arrays travel as bytes, by a datatype of one row: any dtype, byte order and row length goes the same way, and
no pickle is involved. Many small steps, and what is more than the library counts to, go by `exchange`.
"""

from __future__ import annotations

import os
import sys
import warnings
from array import array
from contextlib import contextmanager, suppress
from math import prod
from stat import S_ISFIFO
from time import monotonic, sleep
from typing import TYPE_CHECKING, Any, TypeVar

from ..errors import InputError, LaunchError
from ..util.forks import forked_from_mpi
from ..util.records import Record
from . import launchers as launch
from .datatypes import exchange
from .interrupts import interrupts

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from mpi4py.MPI import Datatype, Intracomm

    from .interface import Array, Messages
    from .node import Node

T = TypeVar("T")

_UNKNOWN: Any = object()
_keyval: int | None = None
_SMALL = 256 * 2**10  # bytes of a rank's rows of a step: for less, one message for several steps is faster
_NO_RANK = (
    "this process was {} from a rank, and must not talk to the other ranks in its place. Run in the rank itself, or "
    "give serial=True to run in this process alone."
)


def load() -> Any:
    """Import ``mpi4py.MPI``, which loads the MPI library and starts it.

    Raises
    ------
    ImportError, RuntimeError
        If mpi4py is missing, or the MPI library is.
    LaunchError
        If this is a process that `multiprocessing` started from a rank: the library would end it.
    """
    if "multiprocessing.spawn" in sys.modules and "mpi4py.MPI" not in sys.modules and launch.detect() is not None:
        from multiprocessing import parent_process

        if parent_process() is not None:
            raise LaunchError(_NO_RANK.format("started"))
    with interrupts.default(), warnings.catch_warnings():  # the launch guard looks at more launchers, and ends the run
        warnings.filterwarnings("ignore", "suspicious MPI execution environment", RuntimeWarning)
        from mpi4py import MPI
    return MPI


def abort_job(status: int) -> None:
    """End every process of the job at once; return if there is none but this one."""
    mpi = sys.modules.get("mpi4py.MPI")
    if mpi is not None and mpi.Is_initialized() and not mpi.Is_finalized() and mpi.COMM_WORLD.Get_size() > 1:
        for number in (1, 2):
            wait_until_read(number)
        mpi.COMM_WORLD.Abort(status)


def wait_until_read(number: int, patience: float = 2.0) -> None:
    """Wait until the reader of a pipe has what was written to it: a launcher that ends a job may not read the rest.

    Parameters
    ----------
    number : int
        Of the file, such as 2 for stderr. If it is no pipe there is nothing to wait for.
    patience : float, default 2.0
        Seconds to wait at most: the reader may have stopped.
    """
    import fcntl
    import termios

    unread = bytearray(4)
    until = monotonic() + patience
    with suppress(OSError):
        is_pipe = S_ISFIFO(os.fstat(number).st_mode)
        while is_pipe and monotonic() < until:
            fcntl.ioctl(number, termios.FIONREAD, unread)
            if not any(unread):
                return
            sleep(0.001)


def library(version: str) -> str:
    """Shorten what the MPI library says of itself.

    >>> library("Open MPI v5.0.11, package: Open MPI root@x Distribution, ident: 5.0.11")
    'Open MPI 5.0.11'
    """
    first = version.strip("\0\n ").partition("\n")[0].partition(",")[0]
    words = first.replace("MPICH Version:", "MPICH").replace("Open MPI v", "Open MPI ").split()
    return " ".join(words).removesuffix(" for Linux* OS")


class _Kept(Record):
    """What hangs on a communicator of the user's."""

    node: Node | None
    made: list[Any]
    own: list[Any]  # a communicator for messages between two ranks, if one was needed


def _forget(comm: Any, _key: int, kept: _Kept) -> None:
    """Free what was made for a communicator that is being freed; at the end of MPI all is, without this."""
    from mpi4py import MPI

    if comm != MPI.COMM_WORLD:
        for each in kept.made:
            each.Free()


class MPICommunicator:
    """The ranks of an intracommunicator of mpi4py, which stays the caller's.

    Parameters
    ----------
    comm : mpi4py.MPI.Intracomm
        Used for collective calls only; none is pending when a call of simsplit returns.
    """

    def __init__(self, comm: Intracomm) -> None:
        from mpi4py import MPI

        if not MPI.Is_initialized() or MPI.Is_finalized():
            raise LaunchError("MPI is not running: it was finalized, or never initialized (mpi4py.rc.initialize).")
        if forked_from_mpi():
            raise LaunchError(_NO_RANK.format("forked"))
        if isinstance(comm, MPI.Comm) and comm == MPI.COMM_NULL:
            raise InputError(
                "comm is COMM_NULL: it was freed, or this rank is none of its ranks. Free it after the last run, and "
                "run on its ranks only."
            )
        if not isinstance(comm, MPI.Intracomm):
            raise InputError(f"comm must be an intracommunicator of mpi4py or None, not {comm!r}")
        self._mpi = MPI
        self.comm = comm
        self.rank = comm.Get_rank()
        self.size = comm.Get_size()
        self.host = MPI.Get_processor_name()
        self.library = library(MPI.Get_library_version())
        levels = ("SINGLE", "FUNNELED", "SERIALIZED", "MULTIPLE")
        self.thread_level = next(name for name in levels if getattr(MPI, f"THREAD_{name}") == MPI.Query_thread())
        self.is_world = self.size == MPI.COMM_WORLD.Get_size()
        self.max_count = 2**63 - 1 if MPI.Get_version() >= (4, 0) else 2**31 - 1
        self._node: Node | None = _UNKNOWN
        self._mine = array("i", [0])
        self._everyones = array("i", [0])

    def bcast(self, value: T | None) -> T:
        """Return root's `value` on every rank."""
        result: T = self.comm.bcast(value, root=0)
        return result

    def allgather(self, value: T) -> list[T]:
        """Return the `value` of every rank."""
        return self.comm.allgather(value)

    def allreduce_or(self, bits: int) -> int:
        """Return the bits that are set on at least one rank."""
        self._mine[0] = bits
        self.comm.Allreduce(self._mine, self._everyones, op=self._mpi.BOR)
        return self._everyones[0]

    def exchange(self, sends: Mapping[int, Sequence[Array]], receives: Mapping[int, Sequence[Array]]) -> None:
        """Send arrays to some ranks, and receive arrays from some."""
        exchange(self._mpi, self.comm, sends, receives, self.max_count)

    def scatterv(self, whole: Array | None, spans: Sequence[tuple[int, int]], part: Array) -> None:
        """Send each rank its rows of root's `whole`."""
        row_nbytes = part.itemsize * prod(part.shape[1:])
        if not self._countable(spans, row_nbytes):
            pieces = {} if whole is None else {rank: [whole[slice(*spans[rank])]] for rank in range(1, self.size)}
            self.exchange(pieces, {0: [part]} if whole is None else {})
            return
        with self._rows_of(row_nbytes) as row:
            if whole is None:
                self.comm.Scatterv(None, [part, len(part), row], root=0)
            else:
                self.comm.Scatterv([whole, _layout(spans), row], self._mpi.IN_PLACE, root=0)

    def gatherv(self, parts: Array, spans: Sequence[tuple[int, int]], wholes: Array | None) -> None:
        """Bring each rank's `parts` into root's `wholes`: a message a step, or one for many small steps."""
        row_nbytes = parts.itemsize * prod(parts.shape[2:])
        most = max(upper - lower for lower, upper in spans) * row_nbytes
        if (len(parts) > 1 and most < _SMALL) or not self._countable(spans, row_nbytes):
            pieces = {} if wholes is None else {rank: [wholes[:, slice(*spans[rank])]] for rank in range(1, self.size)}
            self.exchange({0: [parts]} if wholes is None else {}, pieces)
            return
        with self._rows_of(row_nbytes) as row:
            layout = _layout(spans)
            for k in range(len(parts)):
                if wholes is None:
                    self.comm.Gatherv([parts[k], len(parts[k]), row], None, root=0)
                else:
                    self.comm.Gatherv(self._mpi.IN_PLACE, [wholes[k], layout, row], root=0)

    def _countable(self, spans: Sequence[tuple[int, int]], row_nbytes: int) -> bool:
        """Return whether the library can count the rows, and the bytes of one; without a byte there is no type."""
        return 0 < row_nbytes <= self.max_count and max(upper for _, upper in spans) <= self.max_count

    @contextmanager
    def _rows_of(self, nbytes: int) -> Iterator[Datatype]:
        """Return the datatype of one row: any dtype and row length goes the same way, and counts are rows."""
        row = self._mpi.BYTE.Create_contiguous(nbytes).Commit()
        try:
            yield row
        finally:
            row.Free()

    def persistent(self, sends: Sequence[tuple[int, Array]], receives: Sequence[tuple[int, Array]]) -> Messages:
        """Return messages from and into some arrays. Collective, as the first of them makes a communicator."""
        from .persistent import PersistentMessages

        kept = self._kept()
        if not kept.own:
            kept.own.append(self.comm.Dup())
            kept.made.append(kept.own[0])
        return PersistentMessages(self._mpi, kept.own[0], sends, receives)

    def node(self) -> Node | None:
        """Return the ranks that share memory with this one; None if no two ranks of any node do."""
        if self._node is _UNKNOWN:
            self._node = self._kept().node
        return self._node

    def _kept(self) -> _Kept:
        """Return what hangs on the user's communicator, or hang it there: until that is freed, windows stay warm."""
        global _keyval  # noqa: PLW0603, one key for all communicators of the process
        if _keyval is None:
            _keyval = self._mpi.Comm.Create_keyval(delete_fn=_forget)
        kept: Any = self.comm.Get_attr(_keyval)
        if kept is None:
            kept = _Kept(*self.node_of(self.comm.Split_type(self._mpi.COMM_TYPE_SHARED, self.rank)), own=[])
            self.comm.Set_attr(_keyval, kept)
        found: _Kept = kept
        return found

    def node_of(self, local: Any) -> tuple[Node | None, list[Any]]:
        """Return the node of the ranks in `local`, and the communicators that were made for it. Collective."""
        from .node import Node

        lowest = local.bcast(self.rank)
        of_rank = self.comm.allgather(lowest)
        members = [[rank for rank in range(self.size) if of_rank[rank] == first] for first in sorted(set(of_rank))]
        if len(members) == self.size:
            return None, [local]
        leads = lowest == self.rank
        leaders: Any = self.comm.Split(0 if leads else self._mpi.UNDEFINED, self.rank)
        index = next(index for index, ranks in enumerate(members) if ranks[0] == lowest)
        node = Node(MPICommunicator(local), MPICommunicator(leaders) if leads else None, members, index)
        return node, [local, leaders] if leads else [local]


def _layout(spans: Sequence[tuple[int, int]]) -> tuple[list[int], list[int]]:
    """Return counts and displacements in rows: Python's integers, which mpi4py hands on with 64 bits."""
    return [upper - lower for lower, upper in spans], [lower for lower, _ in spans]
