"""Several ranks as threads of one process: what MPI does, without MPI, for tests of what lies above it."""

from __future__ import annotations

import pickle
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from functools import reduce
from math import prod
from operator import or_
from queue import Queue
from threading import Barrier, Event
from typing import TYPE_CHECKING, Any

import numpy as np

from simsplit.communicator.node import Window

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy.typing as npt

    from simsplit.communicator.node import Node

    Array = npt.NDArray[Any]
    Mail = dict[tuple[int, int, int], Queue[Any]]

PATIENCE = 240  # seconds; a rank that is missing from a collective call breaks it for the others


class ThreadRank:
    """One of several ranks. Objects are pickled and arrays travel as bytes, as they do between processes."""

    comm = None
    thread_level = None
    library = "threads"
    is_world = True
    max_count = 2**63 - 1
    shares: Node | None = None  # what a test gives it

    def __init__(self, rank: int, barrier: Barrier, slots: list[Any], mail: Mail | None = None) -> None:
        self._mail = {} if mail is None else mail
        self._counts: Counter[tuple[str, int]] = Counter()
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
        found: int = reduce(or_, self._exchange(bits))
        return found

    def exchange(self, sends: Any, receives: Any) -> None:
        packed = {rank: b"".join(piece.tobytes() for piece in pieces) for rank, pieces in sends.items()}
        everyone = self._exchange(packed)
        for rank, pieces in receives.items():
            data = everyone[rank][self.rank]
            for piece in pieces:
                piece[...] = np.frombuffer(data[: piece.nbytes], piece.dtype).reshape(piece.shape)
                data = data[piece.nbytes :]
            assert data == b""

    def persistent(self, sends: Any, receives: Any) -> ThreadMessages:
        return ThreadMessages(self._mail, self._counts, self.rank, sends, receives)

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


class ThreadNode:
    """Some of these ranks as the ranks of a node. What they share holds anything, and is another's at each call."""

    def __init__(self, members: Sequence[Sequence[int]], rank: int, windows: dict[Any, Array]) -> None:
        self.members = members
        self.index = next(index for index, ranks in enumerate(members) if rank in ranks)
        self._windows = windows
        self._calls = 0

    def share(self, nbytes: int) -> Window:
        self._calls += 1
        fresh = np.full(nbytes, 0xAB, np.uint8)
        window = self._windows.setdefault((self.index, self._calls), fresh)
        assert window.nbytes == nbytes
        return Window(window, warm=True)


class ThreadMessages:
    """Messages that are read from the sender's memory as late as MPI may read it: when the receiver waits for them.

    Those between two ranks go to the receives in the order in which both were started.
    """

    def __init__(self, mail: Mail, counts: Counter[tuple[str, int]], rank: int, sends: Any, receives: Any) -> None:
        self._mail, self._counts, self._rank, self._sends, self._receives = mail, counts, rank, sends, receives
        assert all(array.flags.c_contiguous for _, array in (*sends, *receives))
        self._read: list[Event] = []
        self._posted: list[int] = []
        self._running = False

    def start(self) -> None:
        assert not self._running
        self._running = True
        self._read = [Event() for _ in self._sends]
        self._posted = [self._next("receive", peer) for peer, _ in self._receives]
        for (peer, array), read in zip(self._sends, self._read, strict=True):
            self._box(self._rank, peer, self._next("send", peer)).put((array, read))

    def _box(self, sender: int, receiver: int, number: int) -> Queue[Any]:
        # Of two threads that ask at once both get the same.
        return self._mail.setdefault((sender, receiver, number), Queue())

    def _next(self, what: str, peer: int) -> int:
        self._counts[what, peer] += 1
        return self._counts[what, peer]

    def test(self) -> None:
        assert self._mail is not None

    def finish(self) -> None:
        if not self._running:
            return
        for (peer, array), number in zip(self._receives, self._posted, strict=True):
            sent, read = self._box(peer, self._rank, number).get(timeout=PATIENCE)
            assert sent.nbytes == array.nbytes
            array[...] = sent.reshape(array.shape)
            read.set()
        assert all(read.wait(PATIENCE) for read in self._read)
        self._running = False

    def close(self) -> None:
        self.finish()


def _bytes(array: Array) -> Array:
    assert array.flags.c_contiguous
    return array.reshape(-1).view(np.uint8)


def _rows(data: bytes, row_nbytes: int, lower: int, upper: int) -> Array:
    return np.frombuffer(data, np.uint8)[lower * row_nbytes : upper * row_nbytes]


def on_ranks(size: int, function: Callable[[ThreadRank], Any]) -> list[Any]:
    """Call `function` on each of `size` ranks; return, per rank, what it returned or the exception it raised."""
    barrier = Barrier(size)
    slots: list[Any] = [None] * size
    mail: Mail = {}

    def call(rank: int) -> Any:
        try:
            return function(ThreadRank(rank, barrier, slots, mail))
        except BaseException as error:  # noqa: BLE001, the test looks at it
            return error

    with ThreadPoolExecutor(size) as threads:
        return list(threads.map(call, range(size)))
