"""Send and receive frames. Only this module uses the transport, one thread at a time.

Whoever waits calls `Endpoint.progress`, and so moves the messages of all. Frames of one rank are handed on
in the order in which it sent them: one whose buffers are still on their way holds back those behind it.
"""

from __future__ import annotations

import logging
import time
from collections import Counter, deque
from threading import Lock
from typing import TYPE_CHECKING, Any

import numpy as np

from ...errors import AccessDeniedError, CodecError
from ..wire.frame import AGREEMENT, ANSWERS, CHUNK, LAST_TAG, LONGEST_HEAD, Flag, IncomingFrame, overtakes, pack_small

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from ...errors import RemoteError
    from ...transport.interface import Bytes, Transfer, Transport
    from ..wire.frame import Frame

log = logging.getLogger("simsplit.remote")

HEADS = 0  # their tag
_AT_ONCE = 64  # heads that one round takes
_OVER = object()


class Endpoint:
    """The frames of one rank, in and out.

    Parameters
    ----------
    port : Transport
        Used by nobody else.
    max_nbytes : int
        Bytes of one message, in or out.
    accept : callable
        Gets each frame that came. It runs while no other thread can move messages: it sorts frames, and
        neither sends nor runs a user's code.
    refusal : callable
        Says of a frame whose buffers are still to come why it is not wanted, if it is not: no memory is then
        taken for them. It runs as `accept` does.
    patience : float
        Seconds that the rest of a frame is waited for before the ranks may leave without it.

    Attributes
    ----------
    counts : Counter
        ``malformed``: messages that were dropped, for they are no frames; ``refused``: frames over the limit.
    sent, received : int
        Frames, without those of the agreement on leaving, which asks for these numbers.
    """

    def __init__(
        self,
        port: Transport,
        max_nbytes: int,
        accept: Callable[[IncomingFrame], None],
        refusal: Callable[[IncomingFrame], RemoteError | None] = lambda _arrived: None,
        patience: float = 10.0,
    ) -> None:
        self.rank, self.size, self.host = port.rank, port.size, port.host
        self.counts: Counter[str] = Counter()
        self.sent = self.received = 0
        self._port = port
        self._send_now: Callable[[Bytes, int, int], Transfer | None] = port.send
        self._max_nbytes = max_nbytes
        self._accept = accept
        self._refusal = refusal
        self._lock = Lock()
        self._tag = 0
        self._sending: dict[int, deque[Transfer]] = {}
        self._arriving: dict[int, deque[Iterator[None]]] = {}
        self._left: set[int] = set()  # ranks that take nothing more
        self._looks = port.looks
        self._take = port.post_receive(HEADS, LONGEST_HEAD)
        self._quiet = False  # whether there was no message at the last look
        self._pieces = 0  # how many were begun, to tell whether anything moved
        self._patience = patience
        self._last_piece = (-1, 0.0)  # their number at the last look, and since when it is that

    def send(self, frame: Frame, destination: int) -> Callable[[], bool]:
        """Begin to send a frame.

        Returns
        -------
        callable
            Tells whether all of it is sent, so that its buffers may be changed.

        Raises
        ------
        AccessDeniedError
            If it is over the limit.
        """
        nbytes = len(frame.body)
        for buffer in frame.buffers:
            nbytes += buffer.nbytes
        if nbytes > self._max_nbytes:
            raise AccessDeniedError(_too_large(nbytes, self._max_nbytes))
        with self._lock:
            self._tag = tag = self._tag % LAST_TAG + 1
            head, buffers = frame.pack(tag)
            under_way = self._begin_to_send(head, destination, HEADS)
            if frame.kind not in AGREEMENT:
                self.sent += 1
            for buffer in buffers:
                for start in range(0, buffer.nbytes, CHUNK):
                    piece = self._begin_to_send(buffer[start : start + CHUNK], destination, tag)
                    under_way = piece or under_way
        if under_way is None:
            return _sent
        queue = self._sending.get(destination, ())
        return lambda: under_way not in queue  # which is emptied in order

    def send_small(
        self, destination: int, kind: int, correlation: int, name: str, method: str, flags: int, depth: int, body: bytes
    ) -> None:
        """Begin to send a frame without buffers, with a body of at most `SMALL` bytes; none of the agreement.

        This is what most frames are, in fewer steps than `send` takes. The names, and errors, are as there.
        """
        if len(body) > self._max_nbytes:
            raise AccessDeniedError(_too_large(len(body), self._max_nbytes))
        head = pack_small(kind, correlation, name, method, flags, depth, body)
        with self._lock:
            transfer = self._send_now(head, destination, HEADS)
            self.sent += 1
            if transfer is not None:
                self._sending.setdefault(destination, deque()).append(transfer)

    def _begin_to_send(self, data: bytes | memoryview, destination: int, tag: int) -> Transfer | None:
        """Send and return the transfer, or None if it is over already."""
        transfer = self._send_now(data, destination, tag)
        if transfer is not None:
            self._sending.setdefault(destination, deque()).append(transfer)
        return transfer

    @property
    def sending(self) -> bool:
        """Whether any transfer out is in progress."""
        return bool(self._sending)

    def is_receiving(self) -> bool:
        """Return whether a frame is half received, and part of it arrived in the last `patience` seconds."""
        if not self._arriving:
            return False
        now = time.monotonic()
        if self._last_piece[0] != self._pieces:
            self._last_piece = (self._pieces, now)
        return now - self._last_piece[1] < self._patience

    def is_busy(self) -> bool:
        """Return whether any transfer is in progress."""
        return bool(self._sending or self._arriving)

    def progress(self) -> bool:
        """Advance all transfers; return whether anything moved. Returns at once if another thread is doing it.

        Takes all heads that have arrived, so that a cancellation is seen before its request begins. Replies are
        dispatched immediately because a caller is blocked on them; so is the first message after an idle period,
        which is most likely alone.
        """
        if not self._lock.acquire(False):
            return False
        try:
            moved = self._sending_moved() if self._sending else False
            if self._arriving:
                moved |= self._arriving_moved()
            take = self._take
            message = take()
            looks = 0
            while message is None and looks < self._looks:  # the next is likely to come while one would go round
                message = take()
                looks += 1
            if message is None:
                self._quiet = not moved
                return moved
            answered = self._take_in(message)
            if not (answered or self._quiet):
                self._take_the_rest()
            self._quiet = False
            return True
        finally:
            self._lock.release()

    def _take_the_rest(self) -> None:
        for _ in range(_AT_ONCE):
            message = self._take()
            if message is None:  # an MPI library may look at one message for each call
                message = self._take()
            if message is None or self._take_in(message):
                return

    def _sending_moved(self) -> bool:
        moved = False
        for destination in list(self._sending):
            queue = self._sending[destination]
            while queue and queue[0].done():  # they are done in order, or nearly so
                queue.popleft()
                moved = True
            given_up = destination in self._left  # as the answer to a request that began before it left
            if given_up:
                _keep_for_ever(queue)
            if given_up or not queue:
                del self._sending[destination]
        return moved

    def _arriving_moved(self) -> bool:
        begun = self._pieces
        for source in list(self._arriving):
            queue = self._arriving[source]
            while queue and next(queue[0], _OVER) is _OVER:
                queue.popleft()
                self._pieces += 1
            if not queue:
                del self._arriving[source]
        return self._pieces != begun

    def _take_in(self, message: tuple[int, bytes | None]) -> bool:
        """Dispatch a frame, or start to receive its buffers; return whether it was an answer."""
        source, data = message
        if data is None:
            self.malformed(source, CodecError(f"a head of more than {LONGEST_HEAD:,} bytes"))
            return False
        if source in self._arriving and not overtakes(data):
            self._arriving[source].append(self._read(data, source))
            return False
        try:
            arrived = IncomingFrame(data, source)
        except CodecError as error:
            self.malformed(source, error)
            return False
        if arrived.sizes:
            self._go_on(source, self._receive_buffers(arrived))
            return False
        kind = arrived.kind
        self._accept(arrived)
        if kind not in AGREEMENT:
            self.received += 1  # last: until then the ranks cannot agree that nothing is on its way
        return kind in ANSWERS

    def _go_on(self, source: int, arrival: Iterator[None]) -> None:
        """Receive what has arrived, and keep the rest for later."""
        if next(arrival, _OVER) is not _OVER:
            self._arriving[source] = deque([arrival])

    def _read(self, data: bytes, source: int) -> Iterator[None]:
        """Read a delayed head, receive its buffers, and dispatch the frame."""
        try:
            arrived = IncomingFrame(data, source)
        except CodecError as error:
            self.malformed(source, error)
            return
        yield from self._receive_buffers(arrived)

    def _receive_buffers(self, arrived: IncomingFrame) -> Iterator[None]:
        """Receive the buffers of a head, and dispatch the frame."""
        sizes = arrived.sizes
        if sizes:
            nbytes = len(arrived.body) + sum(sizes)
            unwanted: RemoteError | None = self._refusal(arrived)
            if nbytes > self._max_nbytes:
                unwanted = AccessDeniedError(_too_large(nbytes, self._max_nbytes))
            if unwanted is not None:
                self.counts["refused"] += 1
                arrived.refuse(unwanted)
            elif arrived.flags & Flag.BODY_APART:
                yield from self._receive_body(arrived, sizes[0])
                sizes = sizes[1:]
            if arrived.error is None:
                arrived.peek(sizes)
            memory: list[memoryview | None] = [None] * len(sizes)
            if arrived.decoding is not None:
                memory = [_bytes_of(array) for array in arrived.decoding.buffers]
            yield from self._fill(arrived, memory, sizes)
        self._accept(arrived)
        if arrived.kind not in AGREEMENT:
            self.received += 1  # last, as in `_take_in`

    def _receive_body(self, arrived: IncomingFrame, size: int) -> Iterator[None]:
        try:
            arrived.body = _bytes_of(np.empty(size, np.uint8))  # not filled with zeros first, as a bytearray is
        except MemoryError:
            arrived.refuse(CodecError(f"no memory for the {size:,} bytes of the message"))
            yield from self._fill(arrived, [None], [size])
        else:
            yield from self._fill(arrived, [memoryview(arrived.body)], [size])

    def _fill(
        self, arrived: IncomingFrame, memory: Sequence[memoryview | None], sizes: Sequence[int]
    ) -> Iterator[None]:
        """Receive buffers; where there is no memory, discard them piece by piece."""
        source, tag = arrived.source, arrived.tag
        pending: list[Transfer | None] = []
        for whole, size in zip(memory, sizes, strict=True):
            for start in range(0, size, CHUNK):
                expected = min(CHUNK, size - start)
                while (message := self._port.probe(source, tag)) is None:
                    yield
                self._pieces += 1
                piece = None if whole is None else whole[start : start + expected]
                if message.nbytes != expected:
                    arrived.refuse(CodecError(f"not a frame: a piece of {message.nbytes:,} bytes, not {expected:,}"))
                    piece = None
                if piece is not None:
                    pending.append(message.receive(piece))
                elif message.nbytes <= CHUNK:
                    yield from _wait_for(message.receive(bytearray(message.nbytes)))
        for transfer in pending:
            yield from _wait_for(transfer)

    def forget(self, rank: int) -> None:
        """Stop waiting for transfers to or from a rank that has left."""
        with self._lock:
            self._left.add(rank)
            _keep_for_ever(self._sending.pop(rank, None))
            _keep_for_ever(self._arriving.pop(rank, None))

    def abandon(self) -> None:
        """Stop waiting for any transfer, since this rank leaves; others may still receive what it sent."""
        with self._lock:
            self._take = _nothing
            self._port.stop()
        for rank in range(self.size):
            self.forget(rank)

    def fall_silent(self) -> None:
        """Send nothing any more: nobody receives it, and a later group of ranks could take it for its own."""
        self._send_now = _send_nothing

    def malformed(self, source: int, error: Exception) -> None:
        """Count and log a message that was dropped."""
        self.counts["malformed"] += 1
        log.warning("dropped a message from rank %d: %s", source, error)

    def close(self) -> None:
        """Close the transport. Collective."""
        self._port.close()


def _wait_for(transfer: Transfer | None) -> Iterator[None]:
    while transfer is not None and not transfer.done():
        yield


def _keep_for_ever(transfers: deque[Any] | None) -> None:
    """Never free the memory of transfers in progress.

    MPI reads or writes it as long as it runs, which is until Python itself has ended and freed all it knows.
    """
    if transfers:
        import ctypes

        ctypes.pythonapi.Py_IncRef(ctypes.py_object(transfers))


def _bytes_of(array: np.ndarray[Any, Any]) -> memoryview:
    return array.reshape(-1, order="A").view(np.uint8).data


def _too_large(nbytes: int, limit: int) -> str:
    return (
        f"a message of {nbytes:,} bytes; at most {limit:,} are accepted. Send it in parts, or raise "
        "max_message_nbytes (SIMSPLIT_REMOTE_MAX_MESSAGE_NBYTES) on both ranks."
    )


def _nothing() -> None:
    return None


def _send_nothing(_data: Bytes, _destination: int, _tag: int) -> None:
    return None


def _sent() -> bool:
    return True
