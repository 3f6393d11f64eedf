"""Several ranks as threads of one process: what MPI does, without MPI, for tests of what lies above it."""

from __future__ import annotations

import pickle
from concurrent.futures import ThreadPoolExecutor
from functools import reduce
from math import prod
from operator import or_
from threading import Barrier
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy.typing as npt

    from simsplit.communicator.node import Node

    Array = npt.NDArray[Any]

PATIENCE = 240  # seconds; a rank that is missing from a collective call breaks it for the others


class ThreadRank:
    """One of several ranks. Objects are pickled and arrays travel as bytes, as they do between processes."""

    comm = None
    thread_level = None
    library = "threads"
    is_world = True
    max_count = 2**63 - 1
    shares: Node | None = None  # what a test gives it

    def __init__(self, rank: int, barrier: Barrier, slots: list[Any]) -> None:
        self.rank = rank
        self.size = len(slots)
        self.host = f"host{rank // 2}"
        self._barrier = barrier
        self._slots = slots

    def _exchange(self, value: Any) -> list[Any]:
        self._slots[self.rank] = pickle.dumps(value)
        self._barrier.wait(PATIENCE)
        everyone = [pickle.loads(text) for text in self._slots]  # noqa: S301, our own
        self._barrier.wait(PATIENCE)
        return everyone

    def bcast(self, value: Any) -> Any:
        return self._exchange(value if self.rank == 0 else None)[0]

    def allgather(self, value: Any) -> list[Any]:
        return self._exchange(value)

    def allreduce_or(self, bits: int) -> int:
        return reduce(or_, self._exchange(bits))

    def exchange(self, sends: Any, receives: Any) -> None:
        packed = {rank: b"".join(piece.tobytes() for piece in pieces) for rank, pieces in sends.items()}
        everyone = self._exchange(packed)
        for rank, pieces in receives.items():
            data = everyone[rank][self.rank]
            for piece in pieces:
                piece[...] = np.frombuffer(data[: piece.nbytes], piece.dtype).reshape(piece.shape)
                data = data[piece.nbytes :]
            assert data == b""

    def node(self) -> Node | None:
        return self.shares

    def scatterv(self, whole: Array | None, spans: Sequence[tuple[int, int]], part: Array) -> None:
        assert (whole is not None) == (self.rank == 0)
        assert whole is None or whole.flags.c_contiguous
        data = self._exchange(None if whole is None else whole.tobytes())[0]
        lower, upper = spans[self.rank]
        if self.rank:
            assert part.flags.c_contiguous
            assert len(part) == upper - lower
            _bytes(part)[:] = _rows(data, part.itemsize * prod(part.shape[1:]), lower, upper)

    def gatherv(self, parts: Array, spans: Sequence[tuple[int, int]], wholes: Array | None) -> None:
        assert (wholes is not None) == (self.rank == 0)
        assert all(len(part) == spans[self.rank][1] - spans[self.rank][0] for part in parts)
        everyone = self._exchange([part.tobytes() for part in parts])
        row = parts.itemsize * prod(parts.shape[2:])
        for step, whole in enumerate([] if wholes is None else wholes):
            for rank in range(1, self.size):
                lower, upper = spans[rank]
                _bytes(whole)[lower * row : upper * row] = _rows(everyone[rank][step], row, 0, upper - lower)


def _bytes(array: Array) -> Array:
    assert array.flags.c_contiguous
    return array.reshape(-1).view(np.uint8)


def _rows(data: bytes, row_nbytes: int, lower: int, upper: int) -> Array:
    return np.frombuffer(data, np.uint8)[lower * row_nbytes : upper * row_nbytes]


def on_ranks(size: int, function: Callable[[ThreadRank], Any]) -> list[Any]:
    """Call `function` on each of `size` ranks; return, per rank, what it returned or the exception it raised."""
    barrier = Barrier(size)
    slots: list[Any] = [None] * size

    def call(rank: int) -> Any:
        try:
            return function(ThreadRank(rank, barrier, slots))
        except BaseException as error:  # noqa: BLE001, the test looks at it
            return error

    with ThreadPoolExecutor(size) as threads:
        return list(threads.map(call, range(size)))
