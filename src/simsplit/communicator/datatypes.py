"""Exchange arrays between some ranks in one collective MPI call.

Each pair of ranks gets one message, however many pieces of memory it comes from and goes to: a datatype
describes them all by their addresses, so that nothing is packed here, and all steps of a tile travel
together. A datatype also lifts the limit of libraries whose counts have 32 bits: what is longer is
described as so many runs of the greatest length and a rest.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mpi4py.MPI import Datatype, Intracomm

    from .interface import Array


def exchange(
    mpi: Any,
    comm: Intracomm,
    sends: Mapping[int, Sequence[Array]],
    receives: Mapping[int, Sequence[Array]],
    max_count: int,
) -> None:
    """Send arrays to ranks and receive arrays from ranks. Collective.

    Parameters
    ----------
    mpi : module
        ``mpi4py.MPI``.
    comm : mpi4py.MPI.Intracomm
    sends, receives : mapping of int to sequence of ndarray
        For each other rank. C-contiguous, but for axis 0, which may have any stride. What a rank sends has
        as many bytes as what the other receives from it.
    max_count : int
        The largest count that the library takes.
    """
    with DatatypeCache(mpi, max_count) as types:
        sent = types.for_all(sends, comm.Get_size())
        received = types.for_all(receives, comm.Get_size())
        comm.Alltoallw([mpi.BOTTOM, *sent], [mpi.BOTTOM, *received])


class DatatypeCache:
    """Makes datatypes, and frees them at the end of the block."""

    def __init__(self, mpi: Any, max_count: int) -> None:
        self._mpi = mpi
        self._most = max_count
        self._made: list[Datatype] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for each in self._made:
            each.Free()

    def for_all(
        self, arrays: Mapping[int, Sequence[Array]], size: int
    ) -> tuple[tuple[list[int], list[int]], list[Datatype]]:
        """Return counts, displacements and datatypes for all ranks."""
        counts, types = [0] * size, [self._mpi.BYTE] * size
        for rank, pieces in arrays.items():
            filled = [piece for piece in pieces if piece.nbytes]
            if filled:
                counts[rank], types[rank] = 1, self._at_addresses(filled).Commit()
        return (counts, [0] * size), types

    def _keep(self, made: Datatype) -> Datatype:
        self._made.append(made)
        return made

    def _at_addresses(self, arrays: Sequence[Array]) -> Datatype:
        addresses = [array.__array_interface__["data"][0] for array in arrays]
        types = [self._layout(array) for array in arrays]
        return self._keep(self._mpi.Datatype.Create_struct([1] * len(types), addresses, types))

    def _layout(self, array: Array) -> Datatype:
        if array.flags.c_contiguous:
            return self._run(self._mpi.BYTE, array.nbytes)
        return self._run(self._run(self._mpi.BYTE, array[0].nbytes), len(array), array.strides[0])

    def _run(self, of: Datatype, count: int, stride: int | None = None) -> Datatype:
        """Return `count` times a datatype, with `stride` bytes from one to the next, or none between them."""
        if count <= self._most:
            # An hvector without gaps is not seen to be contiguous, and copied byte by byte.
            made = of.Create_contiguous(count) if stride is None else of.Create_hvector(count, 1, stride)
            return self._keep(made)
        runs, rest = divmod(count, self._most)
        length = self._most * (of.Get_extent()[1] if stride is None else stride)
        whole = self._run(self._run(of, self._most, stride), runs, None if stride is None else length)
        if not rest:
            return whole
        last = self._run(of, rest, stride)
        return self._keep(self._mpi.Datatype.Create_struct([1, 1], [0, runs * length], [whole, last]))
