"""Halos: the rows around those of a rank, which other ranks have, and the exchange that brings them.

A rank that computes several steps between two exchanges needs as many times its reach. So its halo may be larger
than its part, or than the parts of its neighbours: the rows are looked for among those of all ranks, and on a
periodic axis they go round as often as is needed.

Rows of a rank whose memory this one sees are copied from there; the message only says that they are ready, and
another one that they were read, so that their owner may write there again. Others travel as messages.
"""

from __future__ import annotations

from bisect import bisect_right
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ..grids.ghosts import negate

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy.typing as npt

    from ..communicator import Communicator

    Array = npt.NDArray[Any]


class Piece(NamedTuple):
    """Rows of a halo that one rank has, one behind the other.

    Attributes
    ----------
    first : int
        The number of the first row as the one who needs it counts: less than 0 or beyond the last row where a
        periodic axis goes round.
    rows : int
        How many there are.
    owner : int
        The rank that has them.
    row : int
        The number of the first row as its owner counts.
    rounds : int
        How often the axis went round, backwards if negative.
    """

    first: int
    rows: int
    owner: int
    row: int
    rounds: int


def halo_pieces(bounds: Sequence[tuple[int, int]], rank: int, halo: tuple[int, int], *, cyclic: bool) -> list[Piece]:
    """Return the pieces of the halo of a rank, in the order of their rows.

    Parameters
    ----------
    bounds : sequence of (int, int)
        The rows of each rank.
    rank : int
    halo : tuple of (int, int)
        How many rows are needed before its own, and after.
    cyclic : bool
        Whether the rows after the last one are the first ones again; else there are none.

    Examples
    --------
    >>> halo_pieces([(0, 2), (2, 3)], 1, (2, 1), cyclic=True)
    [Piece(first=0, rows=2, owner=0, row=0, rounds=0), Piece(first=3, rows=1, owner=0, row=0, rounds=1)]
    """
    lower, upper = bounds[rank]
    n = max(end for _, end in bounds)
    ends = [end for _, end in bounds]
    pieces: list[Piece] = []
    if lower == upper:  # it computes nothing
        return pieces
    for begin, end in ((lower - halo[0], lower), (upper, upper + halo[1])):
        first, last = (begin, end) if cyclic else (max(begin, 0), min(end, n))
        while first < last:
            rounds, row = divmod(first, n)
            owner = bisect_right(ends, row)
            rows = min(last - first, ends[owner] - row)
            pieces.append(Piece(first, rows, owner, row, rounds))
            first += rows
    return pieces


class Halo:
    """The halo of a rank's rows in one array, and the exchange that fills it.

    Parameters
    ----------
    communicator : Communicator
    bounds : sequence of (int, int)
        The rows of each rank.
    halo : tuple of (int, int)
        How many rows are before a rank's own in the array, and after.
    array : ndarray, shape (halo[0] + m + halo[1], ...), C-contiguous
        Holds the rank's own rows.
    cyclic, anti : bool
        Whether the rows after the last one are the first ones again, and whether with another sign.
    near : mapping of int to ndarray, optional
        The arrays of other ranks that lie in memory which both see: each of them has this rank's, too.
    """

    def __init__(
        self,
        communicator: Communicator,
        bounds: Sequence[tuple[int, int]],
        halo: tuple[int, int],
        array: Array,
        *,
        cyclic: bool,
        anti: bool,
        near: Mapping[int, Array] | None = None,
    ) -> None:
        rank, near = communicator.rank, {} if near is None else near
        self._array = array
        self._first = bounds[rank][0] - halo[0]
        self._anti = anti
        self.pieces = halo_pieces(bounds, rank, halo, cyclic=cyclic)
        self._copies: list[tuple[Array, Array]] = []  # to, and from
        sends: list[tuple[int, Array]] = []
        receives: list[tuple[int, Array]] = []
        for piece in self.pieces:
            rows = self._at(piece.first, piece.rows)
            if piece.owner == rank:
                self._copies.append((rows, self._at(piece.row, piece.rows)))
            elif piece.owner in near:
                place = piece.row - bounds[piece.owner][0] + halo[0]
                self._copies.append((rows, near[piece.owner][place : place + piece.rows]))
            else:
                receives.append((piece.owner, rows))
        readers: list[int] = []
        for other in range(len(bounds)):
            wanted = [piece for piece in halo_pieces(bounds, other, halo, cyclic=cyclic) if piece.owner == rank]
            if other in near and wanted:
                readers.append(other)
            elif other != rank:
                sends += [(other, self._at(piece.row, piece.rows)) for piece in wanted]
        owners = sorted({piece.owner for piece in self.pieces if piece.owner in near})
        self._messages = communicator.persistent(sends + _notes(readers), receives + _notes(owners))
        self._read = communicator.persistent(_notes(owners), _notes(readers))

    def _at(self, row: int, rows: int) -> Array:
        return self._array[row - self._first : row - self._first + rows]

    def start(self) -> None:
        """Begin the exchange: from now on neither the own rows nor the halo are written to."""
        self._messages.start()

    def test(self) -> None:
        """Let the messages go on."""
        self._messages.test()

    def finish(self) -> None:
        """Wait until the halo is there. The own rows may be written to after `release`."""
        self._messages.finish()
        for to, rows in self._copies:
            to[...] = rows
        self._read.start()
        for piece in self.pieces if self._anti else ():
            if piece.rounds % 2:
                negate(self._at(piece.first, piece.rows))

    def release(self) -> None:
        """Wait until no other rank reads the own rows any more."""
        self._read.finish()

    def close(self) -> None:
        """Finish what was started, and free the messages. Collective among those who exchange."""
        self._messages.close()
        self._read.close()


def _notes(ranks: Sequence[int]) -> list[tuple[int, Array]]:
    """Return a message of a byte for each rank, whose arrival is what it says."""
    return [(rank, np.zeros(1, np.uint8)) for rank in ranks]
