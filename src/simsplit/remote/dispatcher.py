"""Dispatch incoming frames to their handlers, and run work that is due.

Whoever waits, on whichever thread, calls `Dispatcher.poll`, and so makes progress for all.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from ..errors import CodecError, RemoteError
from .wire.codec import Hooks
from .wire.frame import AGREEMENT, ANSWERS, Frame, FrameKind

if TYPE_CHECKING:
    from .client.caller import Client
    from .link.endpoint import Endpoint
    from .link.identity import AccessControl
    from .link.termination import TerminationDetector
    from .link.workers import WorkerPool
    from .server.daemon import Daemon
    from .server.nameserver import NameServer
    from .wire.frame import IncomingFrame

_PLAIN = Hooks()
_REQUEST = FrameKind.REQUEST
_INTRODUCTIONS = frozenset({FrameKind.HELLO, FrameKind.PROOF})
_WORDS = frozenset({FrameKind.CANCELLED, FrameKind.RUNNING})


class Dispatcher:
    """The handlers of one rank, and the loop that drives them.

    Attributes
    ----------
    endpoint, reception, daemon, caller, leaving, threads
        Those parts.
    names : NameServer or None
        Where it is on this rank.
    """

    endpoint: Endpoint
    reception: AccessControl
    daemon: Daemon
    caller: Client
    leaving: TerminationDetector
    threads: WorkerPool
    names: NameServer | None = None

    def __init__(self) -> None:
        self._urgent: deque[IncomingFrame] = deque()  # what must not wait behind requests

    def poll(self, floor: int = 0, *, serve: bool = True) -> bool:
        """Move messages, run due work, and execute at most one request.

        Parameters
        ----------
        floor : int
            Only a request that is deeper is carried out.
        serve : bool
            Whether one is carried out at all.

        Returns
        -------
        bool
            Whether there was anything.
        """
        moved = self.endpoint.progress()
        while self._urgent:
            self._handle_control()
            moved = True
        caller, leaving, daemon = self.caller, self.leaving, self.daemon
        if caller.finished or caller.deadlines:
            moved |= caller.work()
        if leaving.arrived or (leaving.agrees and not moved and leaving.is_due()):
            moved |= leaving.work()
        if daemon.streams.open:
            daemon.close_streams()
        queue = daemon.queue
        if serve and (queue.plain or (queue.nested and queue)) and not self.threads.idle_workers:
            moved |= daemon.serve_one(floor)
        return moved

    def counts_if_idle(self) -> tuple[int, int] | None:
        """Return the numbers of messages sent and received, or None while work is left."""
        daemon, endpoint, leaving = self.daemon, self.endpoint, self.leaving
        streams = daemon.streams
        if (
            daemon.queue
            or self._urgent
            or (streams.open and streams.are_left)
            or endpoint.sending
            or endpoint.is_receiving()
        ):
            return None
        if leaving.failed is None:
            busy = bool(daemon.running) or not self.caller.idle
        else:  # what waits for others may wait for ever: it does not count
            busy = len(daemon.running) > len(leaving.waits_within) or bool(self.caller.finished)
        return None if busy else (endpoint.sent, endpoint.received)

    def accept(self, arrived: IncomingFrame) -> None:
        """Dispatch an incoming frame. Sends nothing and runs no user code."""
        kind = arrived.kind
        if kind == _REQUEST:
            self.daemon.accept(arrived)
            if self.threads.wanted:
                self.threads.wake()
        elif kind in ANSWERS:
            self.caller.accept(arrived)
        elif kind in _WORDS:
            self.caller.on_ack(arrived)
        elif kind in AGREEMENT:
            self.leaving.accept(arrived)
        elif kind == FrameKind.CLOSE:  # now, so that a stream that is asked for behind it finds its place free
            self.daemon.streams.leave(arrived.source, arrived.correlation)
        else:
            self._urgent.append(arrived)

    def refusal(self, arrived: IncomingFrame) -> RemoteError | None:
        """Return why the buffers of a frame are refused, or None. Sends nothing and runs no user code."""
        if arrived.kind == FrameKind.REQUEST:
            return self.daemon.refusal(arrived, self.reception.guests.get(arrived.source))
        if arrived.kind not in ANSWERS:
            return CodecError("not a frame: it has buffers, which only requests and answers have")
        return None if self.caller.waits_for(arrived) else CodecError("an answer that nobody waits for any more")

    def _handle_control(self) -> None:
        try:
            arrived = self._urgent.popleft()
        except IndexError:  # another thread was faster
            return
        try:
            answer = self._answer_at_once(arrived)
        except (RemoteError, TypeError, ValueError, OverflowError) as error:
            self.endpoint.malformed(arrived.source, error)
            return
        if answer is not None:
            self.endpoint.send(answer, arrived.source)

    def _answer_at_once(self, arrived: IncomingFrame) -> Frame | None:
        kind, source = arrived.kind, arrived.source
        if kind in _INTRODUCTIONS:
            return self.reception.answer(arrived)
        if kind == FrameKind.CANCEL:
            cancelled = self.daemon.cancel(source, arrived.correlation)
            return Frame(FrameKind.CANCELLED if cancelled else FrameKind.RUNNING, arrived.correlation)
        if kind == FrameKind.GONE:
            self._is_gone(arrived)
            return None
        peer = self.caller.peer(source)
        return None if peer is None else peer.accept(arrived)

    def _is_gone(self, arrived: IncomingFrame) -> None:
        rank = arrived.source
        try:
            reason, final = arrived.value(_PLAIN)
        except (RemoteError, TypeError, ValueError):
            reason, final = f"rank {rank} serves no more", False
        self.caller.gone(rank, str(reason))
        self.leaving.note_failure(str(reason))
        self.reception.leave(rank)
        self.daemon.streams.forget(rank)
        if self.names is not None:
            self.names.forget_rank(rank)
        if final:
            self.endpoint.forget(rank)
            self.leaving.absent(rank)
