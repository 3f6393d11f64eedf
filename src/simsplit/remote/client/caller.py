"""The calling side of a rank: connections, pending calls, futures and time limits."""

from __future__ import annotations

import heapq
import itertools
import threading
import time
from collections import Counter, deque
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple

from ...communicator import interrupts
from ...errors import AccessDeniedError, CallTimeoutError, PeerGoneError, RemoteError, UnknownNameError
from ..link.backoff import LAST_LOOKS, need_room
from ..link.identity import Peer
from ..server.context import current
from ..uri import PING, ObjectURI
from ..wire.codec import copied, encode_arguments
from ..wire.exceptions import decode_failure
from ..wire.frame import SMALL, Flag, Frame, FrameKind
from .futures import RemoteFuture
from .streams import RemoteIterator

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..link.endpoint import Endpoint
    from ..link.identity import Identity
    from ..server.context import Running
    from ..settings import Settings
    from ..wire.codec import Hooks
    from ..wire.frame import IncomingFrame


class Request(NamedTuple):
    """What is called, and how; the arguments come with each call.

    Attributes
    ----------
    target : ObjectURI
    method : str
    flags : int
    timeout : float or None
        Seconds.
    shown : str
        What messages call it, if it is none that a user made.
    """

    target: ObjectURI
    method: str
    flags: int = 0
    timeout: float | None = None
    shown: str = ""

    def __str__(self) -> str:
        if self.shown:
            return self.shown
        return f"{self.target}.{self.method}" if self.method else str(self.target)


_LOOKS = 5  # before a call waits with all that belongs to it: the answer to a small one is often there by then
_CROWDED = 1000  # time limits that are kept before the first look at which of them still matter


class PendingCall:
    """A call that waits for its answer."""

    answer: IncomingFrame | None = None
    error: RemoteError | None = None
    future: RemoteFuture | None = None
    unsettled = False  # the server was asked to cancel it, and has not answered
    peer: Peer  # once it is connected

    def __init__(self, correlation: int, request: Request) -> None:
        self.correlation = correlation
        self.request = request

    def done(self) -> bool:
        """Return whether there is an answer, or will be none."""
        return self.answer is not None or self.error is not None


class Client:
    """Calls that this rank makes.

    Parameters
    ----------
    endpoint : Endpoint
    settings : Settings
    introduction : Identity
        What this rank says of itself when it first calls another.
    step : callable
        Makes progress once.
    wait : callable
        ``wait(done, timeout)`` makes progress until it is done; returns whether it is.
    need_thread : callable
        Somebody waits without making progress.
    serves : callable
        Tells whether a method of the user's may run while this rank waits.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        settings: Settings,
        introduction: Identity,
        *,
        step: Callable[..., bool],
        wait: Callable[[Callable[[], bool], float | None], bool],
        need_thread: Callable[[], None],
        serves: Callable[[], bool],
    ) -> None:
        self.settings = settings
        self.step = step
        self.wait = wait
        self.need_thread = need_thread
        self._serves = serves
        self.counts: Counter[str] = Counter()
        self._closed: str | None = None
        self._endpoint = endpoint
        self._introduction = introduction
        self._peers: dict[int, Peer] = {}
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()
        self.deadlines: list[tuple[float, int, Peer]] = []  # of futures: when, which call, of whom
        self._crowded = _CROWDED
        self.finished: deque[PendingCall] = deque()  # of futures, to be settled outside of the endpoint's lock
        self.left: deque[tuple[int, int]] = deque()  # streams that nobody reads any more: rank and number

    @property
    def idle(self) -> bool:
        """Whether no call waits for its answer."""
        return not self.finished and not any(peer.calls for peer in list(self._peers.values()))

    def call(
        self,
        request: Request,
        positional: tuple[Any, ...] = (),
        named: dict[str, Any] | None = None,
        annotations: dict[str, Any] | None = None,
    ) -> Any:
        """Call and return the result.

        Parameters
        ----------
        request : Request
        positional : tuple
            Arguments by position; of a batch an `Encoded` list ``[method, by position, by name]`` for each call.
        named : dict, optional
            Arguments by name.
        annotations : dict, optional

        Raises
        ------
        RemoteError
            If the call cannot be made or has no answer; otherwise whatever the method raised.
        """
        timeout = request.timeout
        deadline = None if timeout is None else time.perf_counter() + timeout
        pending = PendingCall(next(self._numbers), request)
        self._begin(pending, positional, named or {}, annotations, deadline)
        if request.flags & Flag.ONEWAY:
            return None
        try:
            if current.get() is None:  # otherwise only what is deeper than the running request may be carried out
                for _ in range(_LOOKS):
                    self.step()
                    if pending.answer is not None:
                        break
            if pending.answer is not None:
                if interrupts.pending:
                    interrupts.heed()
            elif not self.wait(pending.done, None if deadline is None else deadline - time.perf_counter()):
                self._give_up(pending)
        except BaseException:  # nobody waits for it any more, and it must not keep the ranks from leaving
            self._abandon(pending)
            raise
        return self.result(pending)

    def submit(
        self,
        request: Request,
        positional: tuple[Any, ...],
        named: dict[str, Any],
        annotations: dict[str, Any] | None = None,
    ) -> RemoteFuture:
        """Call and return the future of the result. What is given may be changed at once: large arrays are copied.

        Only the first call to a rank waits, until that rank says welcome.
        """
        deadline = None if request.timeout is None else time.perf_counter() + request.timeout
        pending = PendingCall(next(self._numbers), request)
        future = pending.future = RemoteFuture(self, pending)
        peer = self._begin(pending, positional, named, annotations, deadline)
        if deadline is not None:
            with self._lock:
                heapq.heappush(self.deadlines, (deadline, pending.correlation, peer))
                if len(self.deadlines) > self._crowded:  # most are of calls that were answered long ago
                    self.deadlines = [each for each in self.deadlines if each[1] in each[2].calls]
                    heapq.heapify(self.deadlines)
                    self._crowded = 2 * len(self.deadlines) + _CROWDED
        return future

    def _begin(
        self,
        pending: PendingCall,
        positional: tuple[Any, ...],
        named: dict[str, Any],
        annotations: dict[str, Any] | None,
        deadline: float | None,
    ) -> Peer:
        """Send a request, and note that it waits for its answer, unless it is oneway."""
        need_room()
        if self.left:
            self.close_left()
        request, correlation = pending.request, pending.correlation
        target, method, flags, _, _ = request
        peer = self._peers.get(target.rank)
        if peer is None or not peer.welcome or peer.gone is not None:
            peer = self._connected(request, deadline)
        pending.peer = peer
        running = current.get()
        depth = 1 if running is None else self._depth(request, running)
        body, buffers = encode_arguments(positional, named, annotations, peer.hooks)
        if buffers and (pending.future is not None or self._serves()):  # or they could change before they are sent
            buffers = [copied(buffer) for buffer in buffers]
        if flags & Flag.ONEWAY:
            self._apply_backpressure(peer, request, depth)
        else:
            peer.calls[correlation] = pending
            if len(peer.calls) > peer.window:
                self._wait_for_place(pending, deadline)
        sent = _sent
        try:
            if not buffers and len(body) <= SMALL:
                self._endpoint.send_small(
                    peer.rank, FrameKind.REQUEST, correlation, target.object, method, flags, depth, body
                )
            else:
                frame = Frame(FrameKind.REQUEST, correlation, target.object, method, flags, depth, body, buffers)
                sent = self._endpoint.send(frame, peer.rank)
        except BaseException:
            peer.calls.pop(correlation, None)
            raise
        if peer.gone is not None:  # since it was last looked at, when this call was not yet known
            self.gone(peer.rank, peer.gone)
        if buffers and flags & Flag.ONEWAY and not sent():
            self._wait_for(lambda: sent() or peer.gone is not None, request, deadline)
        return peer

    def _depth(self, request: Request, running: Running) -> int:
        """Return how many calls wait for each other with this one, which a request that runs makes."""
        depth = running.depth + 1
        if depth > self.settings.max_depth:
            raise AccessDeniedError(
                f"{request}: {depth} calls wait for each other, at most {self.settings.max_depth} may. "
                "Raise max_depth (SIMSPLIT_REMOTE_MAX_DEPTH), and Python's own limit (sys.setrecursionlimit), if it is "
                "no endless recursion."
            )
        return depth

    def _wait_for_place(self, pending: PendingCall, deadline: float | None) -> None:
        """Wait until one more call may wait for its answer."""
        peer = pending.peer
        while True:
            with self._lock:  # two threads must not both take the last place
                peer.calls.pop(pending.correlation, None)
                if len(peer.calls) < peer.window or peer.gone is not None:
                    peer.calls[pending.correlation] = pending
                    return
            self._wait_for(lambda: len(peer.calls) < peer.window or peer.gone is not None, pending.request, deadline)

    def _apply_backpressure(self, peer: Peer, request: Request, depth: int) -> None:
        """Wait for the other rank if it has heard nothing but oneway calls for long: it has to keep them."""
        peer.unacked_oneway += 1
        if peer.unacked_oneway >= peer.window:
            self.call(Request(ObjectURI(PING, peer.rank), "", Flag.GET, request.timeout, str(request)))
            if depth == 1:  # a deeper ping is answered before calls that are not as deep
                peer.unacked_oneway = 0

    def _wait_for(self, done: Callable[[], bool], request: Request, deadline: float | None) -> None:
        if not self.wait(done, None if deadline is None else deadline - time.perf_counter()):
            raise CallTimeoutError(f"{request}: not sent within {request.timeout} s")

    def _connected(self, request: Request, deadline: float | None) -> Peer:
        """Return the peer that is called, once it has welcomed this rank."""
        if self._closed is not None:
            raise PeerGoneError(f"{request}: {self._closed}")
        rank = request.target.rank
        peer = self._peers.get(rank)
        if peer is None:
            if rank >= self._endpoint.size:
                raise UnknownNameError(
                    f"{request.target}: there is no rank {rank}; ranks go to {self._endpoint.size - 1}"
                )
            peer = self._peers.setdefault(rank, Peer(rank, self._introduction))
        if peer.gone is not None:
            raise PeerGoneError(f"{request}: {peer.gone}")
        if not peer.welcome:
            with self._lock:  # one thread asks, or the other end would be asked twice
                if peer.settled():  # refused before: its validators may have changed their mind
                    peer.begin_again()
                if not peer.asked:
                    hello = peer.hello()
                    peer.asked = True
                    self._endpoint.send(hello, rank)
            self._wait_for(lambda: peer.settled() or self._closed is not None, request, deadline)
            if self._closed is not None:  # by another thread, which did not find this peer yet
                raise PeerGoneError(f"{request}: {self._closed}")
            peer.require(request)
        return peer

    def accept(self, arrived: IncomingFrame) -> None:
        """Take an answer in. Sorts only: it is called while nobody else can move messages."""
        peer = self._peers.get(arrived.source)
        pending = None if peer is None else peer.calls.get(arrived.correlation)
        if pending is not None:
            pending.answer = arrived  # before another thread can find the call neither here nor answered
        if peer is None or pending is None or peer.calls.pop(arrived.correlation, None) is None:
            self.counts["late"] += 1  # it was given up, perhaps just now, or never made
            return
        if pending.future is not None:
            self.finished.append(pending)

    def waits_for(self, arrived: IncomingFrame) -> bool:
        """Return whether an answer is one that a call waits for."""
        peer = self._peers.get(arrived.source)
        return peer is not None and arrived.correlation in peer.calls

    def on_ack(self, arrived: IncomingFrame) -> None:
        """Take in a server's word on a call that was to be cancelled."""
        peer = self._peers.get(arrived.source)
        pending = None if peer is None else peer.calls.get(arrived.correlation)
        if pending is None:
            return
        if arrived.kind == FrameKind.CANCELLED:
            self.accept(arrived)
        pending.unsettled = False

    def hooks(self, request: Request) -> Hooks:
        """Return how the arguments of a call are to be encoded."""
        if not self.settings.pickle:
            return self._introduction.hooks
        deadline = None if request.timeout is None else time.perf_counter() + request.timeout
        return self._connected(request, deadline).hooks

    def peer(self, rank: int) -> Peer | None:
        """Return the peer of a rank that was called."""
        return self._peers.get(rank)

    def gone(self, rank: int, reason: str) -> None:
        """Give an error to all calls that wait for a rank that serves no more. Sorts only."""
        peer = self._peers.setdefault(rank, Peer(rank, self._introduction))
        peer.gone = reason
        for pending in list(peer.calls.values()):
            self._drop(pending, PeerGoneError(f"{pending.request}: {reason}. Whether it was carried out is not known."))

    def end(self, reason: str) -> None:
        """Make no more calls; give an error to those that wait. Sorts only."""
        if self._closed is None:
            self._closed = reason
            for rank in list(self._peers):
                self.gone(rank, reason)

    def close(self, reason: str) -> None:
        """Do so, and settle the futures."""
        self.end(reason)
        self.work()

    def _drop(self, pending: PendingCall, error: RemoteError) -> None:
        if pending.peer.calls.pop(pending.correlation, None) is None:  # it was answered, or dropped, just now
            return
        pending.error = error
        if pending.future is not None:
            self.finished.append(pending)

    def work(self) -> bool:
        """Settle the futures that are done or overdue; return whether there were any."""
        moved = False
        while (overdue := self._overdue()) is not None:
            _, correlation, peer = overdue
            pending = peer.calls.get(correlation)
            if pending is not None:
                self._look_again()
                if correlation in peer.calls:
                    self._give_up(pending)
        while self.finished:
            try:
                pending = self.finished.popleft()
            except IndexError:  # another thread was faster
                break
            assert pending.future is not None  # noqa: S101, for the type checker
            cancelled = pending.answer is not None and pending.answer.kind == FrameKind.CANCELLED
            pending.future.settle(cancelled=cancelled)
            moved = True
        return moved

    def _overdue(self) -> tuple[float, int, Peer] | None:
        """Return the next future's call whose time is over."""
        with self._lock:
            if self.deadlines and self.deadlines[0][0] <= time.perf_counter():
                return heapq.heappop(self.deadlines)
        return None

    def _look_again(self) -> None:
        """Take all answers in that have come: the last request that was carried out here may have taken long."""
        for _ in range(LAST_LOOKS):
            if not self._endpoint.progress():
                return

    def _abandon(self, pending: PendingCall) -> None:
        """Forget a call, and ask the server not to begin it."""
        if pending.peer.calls.pop(pending.correlation, None) is not None:
            with suppress(Exception):  # another one is raised
                self._endpoint.send(Frame(FrameKind.CANCEL, pending.correlation), pending.peer.rank)

    def close_left(self) -> None:
        """Let the servers close the streams that nobody reads any more."""
        with suppress(IndexError):  # another thread was faster
            while True:
                rank, number = self.left.popleft()
                peer = self._peers.get(rank)
                if peer is not None and peer.gone is None:
                    self._endpoint.send(Frame(FrameKind.CLOSE, number), rank)

    def _give_up(self, pending: PendingCall) -> None:
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
            if pending.done():  # another thread may be about to settle the future
                self.wait(future.done, self.settings.cancel_wait)
        return future.cancelled()

    def result(self, pending: PendingCall) -> Any:
        """Return what a call that is done has as its result, or raise."""
        if pending.error is not None:
            raise pending.error
        answer = pending.answer
        assert answer is not None  # noqa: S101, for the type checker
        value = answer.value(pending.peer.hooks)
        if answer.kind == FrameKind.ERROR:
            raise decode_failure(value)
        if answer.flags & Flag.STREAM:
            return RemoteIterator(self, pending.request, value)
        return value


def _sent() -> bool:
    return True
