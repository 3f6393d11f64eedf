"""The contract on MPI, by mpi4py.

Rows travel as a datatype of one contiguous row of bytes: any dtype, byte order and row length goes
the same way, no pickle is involved, and a count is a number of rows, so that libraries whose counts
have 32 bits take parts of many gigabytes.
"""

from __future__ import annotations

import sys
import warnings
from array import array
from math import prod
from time import perf_counter
from typing import TYPE_CHECKING, Any, TypeVar

from ..errors import InputError, LaunchError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mpi4py.MPI import Datatype, Intracomm

    from .contract import Array, SharedFile
    from .port import Port

T = TypeVar("T")

_PINGS = 20


def load() -> Any:
    """Import ``mpi4py.MPI``, which loads the MPI library and starts it.

    Raises
    ------
    ImportError, RuntimeError
        If mpi4py is missing, or the MPI library is.
    """
    with warnings.catch_warnings():  # the launch guard looks at more launchers, and ends the run
        warnings.filterwarnings("ignore", "suspicious MPI execution environment", RuntimeWarning)
        from mpi4py import MPI
    return MPI


def abort_job(status: int) -> None:
    """End every process of the job at once; return if there is none but this one."""
    mpi = sys.modules.get("mpi4py.MPI")
    if mpi is not None and mpi.Is_initialized() and not mpi.Is_finalized() and mpi.COMM_WORLD.Get_size() > 1:
        mpi.COMM_WORLD.Abort(status)


def library(version: str) -> str:
    """Shorten what the MPI library says of itself.

    >>> library("Open MPI v5.0.11, package: Open MPI root@x Distribution, ident: 5.0.11")
    'Open MPI 5.0.11'
    """
    first = version.strip("\0\n ").partition("\n")[0].partition(",")[0]
    words = first.replace("MPICH Version:", "MPICH").replace("Open MPI v", "Open MPI ").split()
    return " ".join(words).removesuffix(" for Linux* OS")


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
        if not isinstance(comm, MPI.Intracomm) or comm == MPI.COMM_NULL:
            raise InputError(f"comm must be an intracommunicator of mpi4py or None, not {comm!r}")
        self._mpi = MPI
        self._comm = comm
        self.rank = comm.Get_rank()
        self.size = comm.Get_size()
        self.host = MPI.Get_processor_name()
        self.library = library(MPI.Get_library_version())
        levels = ("SINGLE", "FUNNELED", "SERIALIZED", "MULTIPLE")
        self.thread_level = next(name for name in levels if getattr(MPI, f"THREAD_{name}") == MPI.Query_thread())
        self.whole_job = self.size == MPI.COMM_WORLD.Get_size()
        self.largest_count = 2**63 - 1 if MPI.Get_version() >= (4, 0) else 2**31 - 1
        self._mine = array("i", [0])
        self._everyones = array("i", [0])

    def bcast(self, value: T | None) -> T:
        """Return root's `value` on every rank."""
        result: T = self._comm.bcast(value, root=0)
        return result

    def allgather(self, value: T) -> list[T]:
        """Return the `value` of every rank."""
        return self._comm.allgather(value)

    def bitwise_or(self, bits: int) -> int:
        """Return the bits that are set on at least one rank."""
        self._mine[0] = bits
        self._comm.Allreduce(self._mine, self._everyones, op=self._mpi.BOR)
        return self._everyones[0]

    def ping(self) -> float | None:
        """Return the seconds that a small message to the next rank and back takes."""
        message, seconds = array("i", [0]), None
        for turn in (0, 1):  # even ranks with the next ones, then odd ranks: each has one partner at a time
            first = self.rank % 2 == turn
            partner = self.rank + (1 if first else -1)
            if not 0 <= partner < self.size:
                continue
            for number in range(_PINGS + 1):
                if number == 1:  # the first one may have to open a connection
                    begun = perf_counter()
                if first:
                    self._comm.Send(message, partner)
                    self._comm.Recv(message, partner)
                else:
                    self._comm.Recv(message, partner)
                    self._comm.Send(message, partner)
            if first:
                seconds = (perf_counter() - begun) / _PINGS
        return seconds

    def scatterv(self, whole: Array | None, spans: Sequence[tuple[int, int]], part: Array) -> None:
        """Send each rank its rows of root's `whole`."""
        row = self._row_type(part.itemsize, part.shape[1:])
        if row is None:
            return
        try:
            if whole is not None:
                self._comm.Scatterv([whole, _layout(spans), row], self._mpi.IN_PLACE, root=0)
            else:
                self._comm.Scatterv(None, [part, len(part), row], root=0)
        finally:
            row.Free()

    def gatherv(self, parts: Array, spans: Sequence[tuple[int, int]], wholes: Array | None) -> None:
        """Bring each rank's `parts` into root's `wholes`."""
        row = self._row_type(parts.itemsize, parts.shape[2:])
        if row is None:
            return
        try:
            if wholes is not None:
                layout = _layout(spans)
                for whole in wholes:
                    self._comm.Gatherv(self._mpi.IN_PLACE, [whole, layout, row], root=0)
            else:
                for part in parts:
                    self._comm.Gatherv([part, len(part), row], None, root=0)
        finally:
            row.Free()

    def open(self, path: str) -> SharedFile:
        """Open a file for writing by MPI-IO."""
        from .files import MPIFile

        return MPIFile(path)

    def port(self) -> Port:
        """Return a port on a duplicate of the communicator."""
        from .mpi_port import MPIPort

        return MPIPort(self._comm, self.host)

    def _row_type(self, itemsize: int, shape: tuple[int, ...]) -> Datatype | None:
        """Return the datatype of one row, to be freed, or None for rows without a byte in them."""
        nbytes = itemsize * prod(shape)
        return self._mpi.BYTE.Create_contiguous(nbytes).Commit() if nbytes else None


def _layout(spans: Sequence[tuple[int, int]]) -> tuple[list[int], list[int]]:
    """Return counts and displacements in rows: Python's integers, which mpi4py hands on with 64 bits."""
    return [upper - lower for lower, upper in spans], [lower for lower, _ in spans]
