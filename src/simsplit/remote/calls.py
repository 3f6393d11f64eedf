"""The calling side of a rank: connections, calls that wait for their answer, futures and time limits."""

from __future__ import annotations

import heapq
import itertools
import threading
import time
from collections import Counter, deque
from typing import TYPE_CHECKING, Any, NamedTuple

from ..errors import CallTimeoutError, GoneError, RefusedError, RemoteError, UnknownNameError
from .codec import encode
from .context import current
from .failures import decode_failure
from .frame import Flag, Frame, FrameKind
from .futures import RemoteFuture
from .handshake import Peer
from .streams import RemoteIterator

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from .endpoint import Arrived, Endpoint
    from .handshake import Introduction
    from .settings import Settings
    from .uri import ObjectURI


class Request(NamedTuple):
    """What is called, and how.

    Attributes
    ----------
    target : ObjectURI
    method : str
    arguments : list
        ``[arguments by position, arguments by name, annotations]``; of a batch a list of
        ``[method, by position, by name]``.
    flags : int
    timeout : float or None
        Seconds.
    """

    target: ObjectURI
    method: str
    arguments: Any
    flags: int = 0
    timeout: float | None = None

    def __str__(self) -> str:
        return f"{self.target}.{self.method}" if self.method else str(self.target)


class Pending:
    """A call that waits for its answer."""

    __slots__ = ("answer", "correlation", "error", "future", "peer", "request", "unsettled")

    def __init__(self, correlation: int, request: Request, peer: Peer) -> None:
        self.correlation = correlation
        self.request = request
        self.peer = peer
        self.answer: Arrived | None = None
        self.error: RemoteError | None = None
        self.future: RemoteFuture | None = None
        self.unsettled = False  # the server was asked to cancel it, and has not answered

    def done(self) -> bool:
        """Return whether there is an answer, or will be none."""
        return self.answer is not None or self.error is not None


class Caller:
    """Calls that this rank makes.

    Parameters
    ----------
    endpoint : Endpoint
    settings : Settings
    introduction : Introduction
        What this rank says of itself when it first calls another.
    step : callable
        Makes progress once.
    wait : callable
        ``wait(done, timeout)`` makes progress until it is done.
    need_thread : callable
        Somebody waits without making progress.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        settings: Settings,
        introduction: Introduction,
        *,
        step: Callable[[], bool],
        wait: Callable[[Callable[[], bool], float | None], bool],
        need_thread: Callable[[], None],
    ) -> None:
        self.settings = settings
        self.step = step
        self.wait = wait
        self.need_thread = need_thread
        self.counts: Counter[str] = Counter()
        self._closed: str | None = None
        self._endpoint = endpoint
        self._introduction = introduction
        self._peers: dict[int, Peer] = {}
        self._calls: dict[int, Pending] = {}
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()
        self.deadlines: list[tuple[float, int]] = []
        self.finished: deque[Pending] = deque()  # of futures, to be settled outside of the endpoint's lock

    @property
    def idle(self) -> bool:
        """Whether no call waits for its answer."""
        return not self._calls and not self.finished

    def call(self, request: Request) -> Any:
        """Call and return the result.

        Raises
        ------
        RemoteError
            If the call cannot be made or has no answer; otherwise whatever the method raised.
        """
        deadline = None if request.timeout is None else time.perf_counter() + request.timeout
        pending = self._begin(request, deadline)
        if request.flags & Flag.ONEWAY:
            return None
        if not pending.done():
            self.wait(pending.done, None if deadline is None else deadline - time.perf_counter())
        if not pending.done():
            self._give_up(pending)
        return self.result(pending)

    def submit(self, request: Request) -> RemoteFuture:
        """Call and return the future of the result; arrays must not be changed until it is done.

        Only the first call to a rank waits, until that rank says welcome.
        """
        deadline = None if request.timeout is None else time.perf_counter() + request.timeout
        pending = self._begin(request, deadline, future=True)
        assert pending.future is not None  # noqa: S101, for the type checker
        if deadline is not None:
            with self._lock:
                heapq.heappush(self.deadlines, (deadline, pending.correlation))
        return pending.future

    def _begin(self, request: Request, deadline: float | None, *, future: bool = False) -> Pending:
        peer = self._connected(request, deadline)
        context = current.get()
        depth = 1 if context is None else context.depth + 1
        if depth > self.settings.max_depth:
            raise RefusedError(
                f"{request}: {depth} calls wait for each other, at most {self.settings.max_depth} may. "
                "Raise max_depth (SIMSPLIT_REMOTE_MAX_DEPTH) if it is no endless recursion."
            )
        encoded = encode(request.arguments, peer.hooks, ("args", "kwargs", "annotations"))
        if len(peer.waiting) >= peer.window:
            self._wait_for(lambda: len(peer.waiting) < peer.window or peer.gone is not None, request, deadline)
        pending = Pending(next(self._numbers), request, peer)
        if future:
            pending.future = RemoteFuture(self, pending)
        frame = Frame(
            FrameKind.REQUEST,
            pending.correlation,
            request.target.object,
            request.method,
            request.flags,
            depth,
            encoded.body,
            encoded.buffers,
        )
        answered = not request.flags & Flag.ONEWAY
        if answered:
            peer.waiting.add(pending.correlation)
            self._calls[pending.correlation] = pending
        try:
            sent = self._endpoint.send(frame, peer.rank)
        except BaseException:
            self._calls.pop(pending.correlation, None)
            peer.waiting.discard(pending.correlation)
            raise
        if peer.gone is not None:  # since it was last looked at, when this call was not yet known
            self.gone(peer.rank, peer.gone)
        if not answered and encoded.buffers and not sent():
            self._wait_for(lambda: sent() or peer.gone is not None, request, deadline)
        return pending

    def _wait_for(self, done: Callable[[], bool], request: Request, deadline: float | None) -> None:
        if not self.wait(done, None if deadline is None else deadline - time.perf_counter()):
            raise CallTimeoutError(f"{request}: not sent within {request.timeout} s")

    def _connected(self, request: Request, deadline: float | None) -> Peer:
        """Return the peer that is called, once it has welcomed this rank."""
        if self._closed is not None:
            raise GoneError(f"{request}: {self._closed}")
        rank = request.target.rank
        peer = self._peers.get(rank)
        if peer is None:
            if rank >= self._endpoint.size:
                raise UnknownNameError(
                    f"{request.target}: there is no rank {rank}; ranks go to {self._endpoint.size - 1}"
                )
            peer = self._peers.setdefault(rank, Peer(rank, self._introduction))
        if peer.gone is not None:
            raise GoneError(f"{request}: {peer.gone}")
        if not peer.welcome:
            with self._lock:  # one thread asks, or the other end would be asked twice
                if peer.settled():  # refused before: its validators may have changed their mind
                    peer.begin_again()
                ask, peer.asked = not peer.asked, True
            if ask:
                self._endpoint.send(peer.hello(), rank)
            self._wait_for(peer.settled, request, deadline)
            peer.require(request)
        return peer

    def accept(self, arrived: Arrived) -> None:
        """Take an answer in. Sorts only: it is called while nobody else can move messages."""
        pending = self._calls.get(arrived.head.correlation)
        if (
            pending is None
            or pending.peer.rank != arrived.head.source
            or self._calls.pop(pending.correlation, None) is None  # another thread gave it up just now
        ):
            self.counts["late"] += 1
            return
        pending.peer.waiting.discard(pending.correlation)
        pending.answer = arrived
        if pending.future is not None:
            self.finished.append(pending)

    def accept_word(self, arrived: Arrived) -> None:
        """Take in a server's word on a call that was to be cancelled."""
        pending = self._calls.get(arrived.head.correlation)
        if pending is None or pending.peer.rank != arrived.head.source:
            return
        if arrived.head.kind is FrameKind.CANCELLED:
            self.accept(arrived)
        pending.unsettled = False

    def peer(self, rank: int) -> Peer | None:
        """Return the peer of a rank that was called."""
        return self._peers.get(rank)

    def gone(self, rank: int, reason: str) -> None:
        """Give an error to all calls that wait for a rank that serves no more. Sorts only."""
        self._peers.setdefault(rank, Peer(rank, self._introduction)).gone = reason
        for pending in [pending for pending in list(self._calls.values()) if pending.peer.rank == rank]:
            self._drop(pending, GoneError(f"{pending.request}: {reason}. Whether it was carried out is not known."))

    def close(self, reason: str) -> None:
        """Make no more calls; give an error to those that wait."""
        self._closed = reason
        for rank in list(self._peers):
            self.gone(rank, reason)
        self.work()

    def _drop(self, pending: Pending, error: RemoteError) -> None:
        if self._calls.pop(pending.correlation, None) is None:
            return
        pending.peer.waiting.discard(pending.correlation)
        pending.error = error
        if pending.future is not None:
            self.finished.append(pending)

    def work(self) -> bool:
        """Settle the futures that are done or overdue; return whether there were any."""
        moved = False
        while (correlation := self._overdue()) is not None:
            pending = self._calls.get(correlation)
            if pending is not None:
                self._give_up(pending)
        while self.finished:
            try:
                pending = self.finished.popleft()
            except IndexError:  # another thread was faster
                break
            assert pending.future is not None  # noqa: S101, for the type checker
            cancelled = pending.answer is not None and pending.answer.head.kind is FrameKind.CANCELLED
            pending.future.settle(cancelled=cancelled)
            moved = True
        return moved

    def _overdue(self) -> int | None:
        """Return the next future's call whose time is over."""
        with self._lock:
            if self.deadlines and self.deadlines[0][0] <= time.perf_counter():
                return heapq.heappop(self.deadlines)[1]
        return None

    def _give_up(self, pending: Pending) -> None:
        request = pending.request
        self._drop(
            pending,
            CallTimeoutError(
                f"{request}: no answer within {request.timeout} s. Whether it was carried out is not known; "
                "it is not begun any more, if it has not been."
            ),
        )
        self._endpoint.send(Frame(FrameKind.CANCEL, pending.correlation), pending.peer.rank)

    def cancel(self, future: RemoteFuture) -> bool:
        """Ask the server not to begin a call; return whether it will not."""
        pending = future.pending
        if not future.done() and not pending.unsettled:
            pending.unsettled = True
            self._endpoint.send(Frame(FrameKind.CANCEL, pending.correlation), pending.peer.rank)
            self.wait(lambda: future.done() or not pending.unsettled, self.settings.cancel_wait)
            self.work()
        return future.cancelled()

    def result(self, pending: Pending) -> Any:
        """Return what a call that is done has as its result, or raise."""
        if pending.error is not None:
            raise pending.error
        answer = pending.answer
        assert answer is not None  # noqa: S101, for the type checker
        value = answer.value(pending.peer.hooks)
        if answer.head.kind is FrameKind.ERROR:
            raise decode_failure(value)
        if answer.head.flags & Flag.STREAM:
            return RemoteIterator(self, pending.request, value)
        return value


def arguments(positional: tuple[Any, ...], named: Mapping[str, Any], annotations: Mapping[str, Any]) -> list[Any]:
    """Return the arguments of a call as they travel."""
    return [list(positional), dict(named), dict(annotations)] if annotations else [list(positional), dict(named)]
