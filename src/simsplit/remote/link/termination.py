"""Distributed termination: a rank leaves when no other rank can still need it, and no message is lost.

A rank that needs nothing more from anyone is passive: it serves until all are. When it has nothing to do for a moment
it reports to root (IDLE) how many messages it has sent and received. When all ranks have reported, and as many
were received as were sent, root asks once more (CONFIRM, CONFIRMED); only if the numbers are still the same
nothing was on its way between the two rounds, nothing can ever come again, and root lets all go (END). Numbers that do
not agree, and do not change for a while either, mean a message that was dropped as malformed; then root
goes on without it.

A rank that fails tells everyone (GONE): their calls to it get an error. It still takes part in the agreement, but
for a limited time; a rank that leaves without it says so, and the others agree without that rank. From then on a rank
that waits for what others do, with no time limit, takes part too: what it waits for may never come. If all ranks
are passive or wait like that, its waiting ends with an error.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from typing import TYPE_CHECKING, Any, Self

from ...errors import RemoteError
from ..wire.codec import Hooks, encode
from ..wire.frame import Frame, FrameKind

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..wire.frame import IncomingFrame
    from .workers import WorkerPool

log = logging.getLogger("simsplit.remote")

ROOT = 0
_PAUSE = 2e-4  # seconds between two looks
_PLAIN = Hooks()


class Waiting:
    """Notes, in a ``with`` block, that something waits for what other ranks do, with no time limit.

    Parameters
    ----------
    leaving : TerminationDetector
    threads : WorkerPool
    within : bool
        Whether it is a request that waits.
    done : callable, optional
        Tells whether the wait is over; any thread may ask. Otherwise who waits counts in `looks` how often it asked.
    """

    __slots__ = ("_done", "_innermost", "_lists", "_outer", "looks")

    def __init__(
        self, leaving: TerminationDetector, threads: WorkerPool, *, within: bool, done: Callable[[], bool] | None = None
    ) -> None:
        self.looks = 0
        self._done = done
        self._innermost = leaving.innermost
        if not within:
            self._lists = [leaving.waits]
        elif threads.run_this_code():
            self._lists = [leaving.waits_within]
        else:
            self._lists = [leaving.waits_within, leaving.waits]

    def __enter__(self) -> Self:
        for waits in self._lists:
            waits.append(self)
        thread = threading.get_ident()
        self._outer = self._innermost.get(thread)
        self._innermost[thread] = self
        return self

    def __exit__(self, *_: object) -> None:
        for waits in self._lists:
            waits.remove(self)
        thread = threading.get_ident()
        if self._outer is None:
            del self._innermost[thread]
        else:
            self._innermost[thread] = self._outer

    def goes_on(self, looks: int) -> bool:
        """Return whether it is not over, and was not a moment ago, when it had asked so often."""
        return self.looks >= looks + 2 if self._done is None else not self._done()  # the first may have begun before


class TerminationDetector:
    """One rank's part in the agreement.

    Parameters
    ----------
    rank, size : int
    send : callable
        ``send(frame, destination)``.
    count : callable
        Returns how many messages were sent and received; None while the rank has anything to do.
    malformed : callable
        ``malformed(source, error)`` is told of a message that is none of the agreement.
    patience : float
        Seconds that root waits for messages that seem to be on their way, while nothing moves.
    end : callable
        Called when the ranks have agreed. Sorts only.

    Attributes
    ----------
    passive : bool
        Whether this rank needs nothing more from anyone.
    agrees : bool
        Whether it takes part now, or may, for a rank has failed.
    ended : bool
        Whether all ranks may leave.
    incomplete : bool
        Whether a rank left without the agreement.
    failed : str or None
        How the first rank ended that failed, as far as this one knows.
    waits, waits_within : list
        As long as there are waits without a time limit, of the program and of requests (within one of the program,
        unless a thread of the layer runs it).
    innermost : dict of int to Waiting
        The last of them that began, by thread; it holds up those before it.
    """

    def __init__(
        self,
        rank: int,
        size: int,
        send: Callable[[Frame, int], object],
        count: Callable[[], tuple[int, int] | None],
        malformed: Callable[[int, Exception], None],
        patience: float,
        end: Callable[[], None] = lambda: None,
    ) -> None:
        self._passive = False
        self.agrees = False
        self.ended = False
        self.failed: str | None = None
        self.waits: list[Waiting] = []
        self.waits_within: list[Waiting] = []
        self.innermost: dict[int, Waiting] = {}
        self._end = end
        self._rank = rank
        self._send = send
        self._count = count
        self._malformed = malformed
        self._patience = patience
        self._stuck: tuple[dict[int, tuple[int, int]], float] = ({}, 0.0)  # numbers that do not agree, and since when
        self.arrived: deque[IncomingFrame] = deque()
        self._lock = threading.Lock()
        self._reported: tuple[int, int] | None = None
        self._seen: tuple[int, int] | None = None  # at the first look that found them
        self._looks: dict[Waiting, int] = {}  # of those that waited then
        self._next_look = 0.0
        # What follows is root's.
        self._expected = set(range(size))
        self.incomplete = False
        self._reports: dict[int, tuple[int, int]] = {}
        self._wave = 0
        self._asked: dict[int, tuple[int, int]] = {}  # the reports that the round under way is to confirm
        self._confirmed: dict[int, tuple[int, int] | None] | None = None  # None: no round is under way

    @property
    def passive(self) -> bool:
        """Whether this rank needs nothing more from anyone."""
        return self._passive

    @passive.setter
    def passive(self, passive: bool) -> None:
        self._passive = passive
        self.agrees = passive or self.failed is not None

    def note_failure(self, reason: str) -> None:
        """Note how a rank ended that failed."""
        self.failed = self.failed or reason
        self.agrees = True

    def accept(self, arrived: IncomingFrame) -> None:
        """Take a message of the agreement in. Sorts only."""
        self.arrived.append(arrived)

    def absent(self, rank: int) -> None:
        """Go on without a rank that has left."""
        with self._lock:  # another thread may be about to decide
            self._expected.discard(rank)
            self.incomplete = True
            self._reports.pop(rank, None)
            self._confirmed = None
            if rank == ROOT:
                self.ended = True

    def is_due(self) -> bool:
        """Return whether there is work, or may be: a rank that nobody needs looks for it now and then.

        It reports only what two looks find, or a server would report after each call.
        """
        if self.arrived:
            return True
        if self.ended or not self._is_at_rest():
            return False
        now = time.perf_counter()
        if now < self._next_look:
            return False
        self._next_look = now + _PAUSE
        return True

    def _is_at_rest(self) -> bool:
        """Return whether this rank needs nothing more, or waits for what may never come."""
        return self.passive or (self.failed is not None and bool(self.waits))

    def work(self) -> bool:
        """Do what is to be done now, unless another thread is at it; return whether there was anything."""
        if not self._lock.acquire(blocking=False):
            return False
        try:
            return self._work()
        finally:
            self._lock.release()

    def _work(self) -> bool:
        moved = False
        while self.arrived:
            arrived = self.arrived.popleft()
            try:
                self._take(arrived)
            except (RemoteError, TypeError, ValueError, IndexError, OverflowError) as error:
                self._malformed(arrived.source, error)
            moved = True
        if not self.ended and self._is_at_rest():
            counts = self._count()
            waiting = set(self.innermost.values()) if self.failed is not None else set()
            if counts is None or counts != self._seen or waiting != self._looks.keys():
                self._seen, self._looks = counts, {each: each.looks for each in waiting}
            elif counts != self._reported and all(each.goes_on(looks) for each, looks in self._looks.items()):
                self._reported = counts
                self._tell_root(FrameKind.IDLE, counts)
                moved = True
            if self._rank == ROOT:
                self._decide()
        else:
            self._confirmed = None  # root goes on with its own: what the others confirm is of no use
        return moved

    def _tell_root(self, kind: int, value: Any) -> None:
        if self._rank == ROOT:
            self._reports[ROOT] = value
        else:
            self._send(Frame(kind, body=encode(list(value), _PLAIN).body), ROOT)

    def _take(self, arrived: IncomingFrame) -> None:
        kind, source = arrived.kind, arrived.source
        if kind is FrameKind.END and source == ROOT:
            self._all_may_leave()
        elif kind is FrameKind.CONFIRM and source == ROOT:
            counts = self._count() if self._is_at_rest() else None
            if counts is None:
                self._reported = None  # to be reported anew
            body = encode([arrived.correlation, *(counts or ())], _PLAIN).body
            self._send(Frame(FrameKind.CONFIRMED, body=body), ROOT)
        elif kind is FrameKind.IDLE:
            sent, received = arrived.value(_PLAIN)
            self._reports[source] = (int(sent), int(received))
        elif kind is FrameKind.CONFIRMED:
            wave, *counts_there = arrived.value(_PLAIN)
            counts = (int(counts_there[0]), int(counts_there[1])) if counts_there else None
            if counts is None:  # it reports anew, whatever has become of the round
                self._reports.pop(source, None)
            if self._confirmed is not None and wave == self._wave:
                self._confirmed[source] = counts

    def _decide(self) -> None:
        """Root: begin a round, or end one."""
        if self._confirmed is None:
            if self._reports.keys() >= self._expected and (self.incomplete or self._counts_match()):
                self._wave += 1
                self._confirmed = {}
                self._asked = dict(self._reports)  # a later report belongs to no sum that was looked at
                for rank in self._expected - {ROOT}:
                    self._send(Frame(FrameKind.CONFIRM, self._wave), rank)
            else:
                return
        if self._confirmed.keys() >= self._expected - {ROOT}:
            own = self._confirmed[ROOT] = self._count() if self._is_at_rest() else None
            confirmed, self._confirmed = self._confirmed, None
            same = all(
                confirmed[rank] is not None and confirmed[rank] == self._asked.get(rank) for rank in self._expected
            )
            if same:
                for rank in self._expected - {ROOT}:
                    self._send(Frame(FrameKind.END), rank)
                self._all_may_leave()
            elif own is None:
                self._reported = None
                self._reports.pop(ROOT, None)

    def _all_may_leave(self) -> None:
        self._end()
        self.ended = True

    def _counts_match(self) -> bool:
        reports = [self._reports[rank] for rank in self._expected]
        missing = sum(sent for sent, _ in reports) - sum(received for _, received in reports)
        if not missing:
            return True
        now = time.monotonic()
        if self._stuck[0] != self._reports:
            self._stuck = (dict(self._reports), now)
        elif now - self._stuck[1] > self._patience:
            log.warning("left with %d messages that were sent and did not arrive", missing)
            return True
        return False
