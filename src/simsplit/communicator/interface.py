"""The communicator interface that the engine uses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy.typing as npt
    from mpi4py.MPI import Intracomm

    from .node import Node

    Array = npt.NDArray[Any]

T = TypeVar("T")


class SharedFile(Protocol):
    """A file that all ranks write to at once, each in places of its own. Not collective; raises `OSError`."""

    def write(self, data: Array, offset: int) -> None:
        """Write all bytes of a C-contiguous array at `offset`."""

    def sync(self) -> None:
        """Make what this rank wrote durable."""

    def close(self) -> None:
        """Close it."""


class Messages(Protocol):
    """Messages between ranks that are sent again and again. Not collective: each rank starts and finishes its own."""

    def start(self) -> None:
        """Start all of them."""

    def test(self) -> None:
        """Let the library go on with them."""

    def finish(self) -> None:
        """Wait until all that was started is there; do nothing if nothing was."""

    def close(self) -> None:
        """Wait for what was started, and free what was made for it."""


class Communicator(Protocol):
    """The ranks of one run; root is rank 0. Every method is collective, `node` the first time it is called."""

    @property
    def comm(self) -> Intracomm | None:
        """The communicator of mpi4py behind it, or None without MPI."""

    @property
    def rank(self) -> int:
        """Number of this rank, from 0."""

    @property
    def size(self) -> int:
        """Number of ranks, 1 or more."""

    @property
    def host(self) -> str:
        """Name of the host of this rank."""

    @property
    def library(self) -> str | None:
        """The MPI library and its version, or None without MPI."""

    @property
    def thread_level(self) -> str | None:
        """What the MPI library allows threads to do, such as "MULTIPLE", or None without MPI."""

    @property
    def is_world(self) -> bool:
        """Whether these ranks are all the processes of the job."""

    @property
    def max_count(self) -> int:
        """The largest count that the library takes; what is longer is split, see `exchange`."""

    def bcast(self, value: T | None) -> T:
        """Return root's `value`, a small object, on every rank."""

    def allgather(self, value: T) -> list[T]:
        """Return the `value` of every rank, small objects, in the order of the ranks."""

    def allreduce_or(self, bits: int) -> int:
        """Return the bits that are set on at least one rank, 0 to 2^31 - 1. Cheap: it is asked at every step."""

    def exchange(self, sends: Mapping[int, Sequence[Array]], receives: Mapping[int, Sequence[Array]]) -> None:
        """Send arrays to some ranks, and receive arrays from some.

        Parameters
        ----------
        sends, receives : mapping of int to sequence of ndarray
            What goes to another rank, and comes from it: C-contiguous, but for axis 0, which may have any
            stride. A rank sends as many bytes as the other receives from it.
        """

    def scatterv(self, whole: Array | None, spans: Sequence[tuple[int, int]], part: Array) -> None:
        """Send each rank its rows of root's `whole` into `part`; root's own stay where they are.

        Parameters
        ----------
        whole : ndarray, shape (n, ...), C-contiguous, on root; None elsewhere
        spans : sequence of (int, int)
            Where each rank's rows lie in `whole`: ``[lower, upper)``, not overlapping.
        part : ndarray, shape (upper - lower, ...), C-contiguous
            Not touched on root. The dtype and the shape of a row are the same on every rank.
        """

    def gatherv(self, parts: Array, spans: Sequence[tuple[int, int]], wholes: Array | None) -> None:
        """Bring each rank's `parts` into root's `wholes`, where root's own rows already are.

        Parameters
        ----------
        parts : ndarray, shape (steps, upper - lower, ...), each step C-contiguous
            On root its values are not looked at. The dtype and the shape of a row are the same on every rank.
        spans : sequence of (int, int)
            Where each rank's rows belong in each step of `wholes`: ``[lower, upper)``, not overlapping.
        wholes : ndarray, shape (steps, n, ...), each step C-contiguous, on root; None elsewhere
        """

    def persistent(self, sends: Sequence[tuple[int, Array]], receives: Sequence[tuple[int, Array]]) -> Messages:
        """Return messages from and into some arrays, to be started any number of times.

        Parameters
        ----------
        sends, receives : sequence of (int, ndarray)
            What goes to another rank, and comes from it: C-contiguous. Of the same two ranks the messages stand in
            the same order on both, and each has as many bytes on both.
        """

    def node(self) -> Node | None:
        """Return the ranks that share memory with this one; None if no two ranks of any node do.

        The same object for every run on the same ranks.
        """
