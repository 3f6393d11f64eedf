"""Frames in and out of a rank: the only place that touches the port, and one thread at a time does.

Whoever waits calls `Endpoint.progress`, and so moves the messages of all. Frames of one rank are handed on
in the order in which it sent them: one whose buffers are still on their way holds back those behind it.
"""

from __future__ import annotations

import logging
from collections import Counter, deque
from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import CodecError, RefusedError, RemoteError
from .codec import Decoding, Hooks
from .frame import AGREEMENT, CHUNK, LAST_TAG, LONGEST_HEAD, Flag, Frame, Head, unpack

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from ..communicator import Message, Port, Transfer

log = logging.getLogger("simsplit.remote")

HEADS = 0  # their tag
_AT_ONCE = 64  # heads that one round takes
_OVER = object()


@dataclass(slots=True)
class Arrived:
    """A frame that came whole.

    Attributes
    ----------
    head : Head
        With its source.
    decoding : Decoding or None
        Its value, not yet decoded.
    error : RemoteError or None
        Why there is no value: it was refused, and let go of.
    """

    head: Head
    decoding: Decoding | None = None
    error: RemoteError | None = None

    def value(self, hooks: Hooks) -> Any:
        """Return the value, or raise why there is none."""
        if self.decoding is None:
            raise self.error or CodecError("the message holds no value")
        return self.decoding.value(hooks)

    def decode(self, body: memoryview, sizes: tuple[int, ...]) -> None:
        """Look into the body, and take memory for the buffers."""
        try:
            self.decoding = Decoding(body, sizes)
        except CodecError as error:
            self.error = error

    def refuse(self, error: RemoteError) -> None:
        """Forget the value."""
        self.error, self.decoding = error, None


class Endpoint:
    """A rank's end of the traffic.

    Parameters
    ----------
    port : Port
        Used by nobody else.
    max_nbytes : int
        Bytes of one message, in or out.
    accept : callable
        Gets each frame that came. It runs while no other thread can move messages: it sorts frames, and
        neither sends nor runs a user's code.

    Attributes
    ----------
    counts : Counter
        ``malformed``: messages that were dropped, for they are no frames; ``refused``: frames over the limit.
    sent, received : int
        Frames, without those of the agreement on leaving, which asks for these numbers.
    """

    def __init__(self, port: Port, max_nbytes: int, accept: Callable[[Arrived], None]) -> None:
        self.rank, self.size, self.host = port.rank, port.size, port.host
        self.counts: Counter[str] = Counter()
        self.sent = self.received = 0
        self._port = port
        self._max_nbytes = max_nbytes
        self._accept = accept
        self._lock = Lock()
        self._tag = 0
        self._sending: dict[int, deque[Transfer]] = {}
        self._arriving: dict[int, deque[Iterator[None]]] = {}
        self._pieces = 0  # how many were begun, to tell whether anything moved

    def send(self, frame: Frame, destination: int) -> Callable[[], bool]:
        """Begin to send a frame.

        Returns
        -------
        callable
            Tells whether all of it is sent, so that its buffers may be changed.

        Raises
        ------
        RefusedError
            If it is over the limit.
        """
        nbytes = len(frame.body)
        for buffer in frame.buffers:
            nbytes += buffer.nbytes
        if nbytes > self._max_nbytes:
            raise RefusedError(_too_large(nbytes, self._max_nbytes))
        with self._lock:
            if frame.kind not in AGREEMENT:
                self.sent += 1
            self._tag = self._tag % LAST_TAG + 1
            head, buffers = frame.pack(self._tag)
            last = self._begin_to_send(head, destination, HEADS)
            for buffer in buffers:
                for start in range(0, buffer.nbytes, CHUNK):
                    last = self._begin_to_send(buffer[start : start + CHUNK], destination, self._tag)
        queue = self._sending.get(destination)
        return _sent if not queue or last is None else lambda: last not in queue

    def _begin_to_send(self, data: bytes | memoryview, destination: int, tag: int) -> Transfer | None:
        """Send and return the transfer, or None if it is over already."""
        transfer = self._port.send(data, destination, tag)
        if transfer.done():
            return None
        self._sending.setdefault(destination, deque()).append(transfer)
        return transfer

    @property
    def sending(self) -> bool:
        """Whether anything is still on its way out."""
        return any(self._sending.values())

    @property
    def arriving(self) -> bool:
        """Whether anything is half here."""
        return any(self._arriving.values())

    def progress(self) -> bool:
        """Move what can be moved; return whether anything did. Returns at once if another thread is at it."""
        if not self._lock.acquire(blocking=False):
            return False
        try:
            moved = self._sending_moved() if self._sending else False
            if self._arriving:
                moved |= self._arriving_moved()
            for _ in range(_AT_ONCE):
                message = self._port.probe(None, HEADS)
                if message is None and moved:  # an MPI library may look at one message for each call
                    message = self._port.probe(None, HEADS)
                if message is None:
                    break
                moved = True
                self._begin_to_receive(message)
            return moved
        finally:
            self._lock.release()

    def _sending_moved(self) -> bool:
        moved = False
        for destination in list(self._sending):
            queue = self._sending[destination]
            while queue and queue[0].done():  # they are done in order, or nearly so
                queue.popleft()
                moved = True
            if not queue:
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

    def _begin_to_receive(self, message: Message) -> None:
        source = message.source
        if message.nbytes > CHUNK:  # it cannot be let go of without memory for it, so it stays where it is
            self.malformed(source, CodecError(f"a head of {message.nbytes:,} bytes"))
        elif source in self._arriving:
            self._arriving[source].append(self._receive(message))
        else:
            data = bytearray(message.nbytes)
            transfer = message.receive(data)
            if transfer.done():
                head = self._read(source, data)
                if head is None:
                    return
                if not head.sizes:  # what most frames come to
                    self._hand_on(Arrived(head))
                    return
                arrival = self._receive_rest(head)
            else:
                arrival = self._receive(message, data, transfer)
            if next(arrival, _OVER) is not _OVER:
                self._arriving[source] = deque([arrival])

    def _receive(
        self, message: Message, data: bytearray | None = None, transfer: Transfer | None = None
    ) -> Iterator[None]:
        """Receive a frame and hand it on; stop at each place where there is something to wait for."""
        if data is None or transfer is None:
            data = bytearray(message.nbytes)
            transfer = message.receive(data)
        while not transfer.done():
            yield
        head = self._read(message.source, data)
        if head is not None:
            yield from self._receive_rest(head)

    def _receive_rest(self, head: Head) -> Iterator[None]:
        arrived = Arrived(head)
        if head.sizes:
            yield from self._receive_buffers(arrived, head)
        self._hand_on(arrived)

    def _read(self, source: int, data: bytearray) -> Head | None:
        try:
            head = unpack(data)
            if len(data) > LONGEST_HEAD:
                raise CodecError(f"a head of {len(data):,} bytes")  # noqa: TRY301, as unpack does
        except CodecError as error:
            self.malformed(source, error)
            return None
        head.source = source
        return head

    def _hand_on(self, arrived: Arrived) -> None:
        head = arrived.head
        if head.kind not in AGREEMENT:
            self.received += 1
        if not head.sizes and head.body:
            arrived.decode(head.body, ())
        self._accept(arrived)

    def _receive_buffers(self, arrived: Arrived, head: Head) -> Iterator[None]:
        nbytes = len(head.body) + sum(head.sizes)
        sizes, body = head.sizes, head.body
        if nbytes > self._max_nbytes:
            self.counts["refused"] += 1
            arrived.error = RefusedError(_too_large(nbytes, self._max_nbytes))
        elif head.flags & Flag.BODY_APART:
            try:
                body = memoryview(bytearray(sizes[0]))
            except MemoryError:
                arrived.error = CodecError(f"no memory for the {sizes[0]:,} bytes of the message")
            yield from self._fill(arrived, [None if arrived.error else body], sizes[:1])
            sizes = sizes[1:]
        if arrived.error is None:
            arrived.decode(body, sizes)
        memory: list[memoryview | None] = [None] * len(sizes)
        if arrived.decoding is not None:
            memory = [_bytes_of(array) for array in arrived.decoding.buffers]
        yield from self._fill(arrived, memory, sizes)

    def _fill(self, arrived: Arrived, memory: Sequence[memoryview | None], sizes: Sequence[int]) -> Iterator[None]:
        """Receive buffers; where there is no memory, let go of them, piece by piece."""
        source, tag = arrived.head.source, arrived.head.tag
        pending: list[Transfer] = []
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
                    transfer = message.receive(bytearray(message.nbytes))
                    while not transfer.done():
                        yield
        for transfer in pending:
            while not transfer.done():
                yield

    def malformed(self, source: int, error: Exception) -> None:
        """Count and log a message that was dropped."""
        self.counts["malformed"] += 1
        log.warning("dropped a message from rank %d: %s", source, error)

    def close(self) -> None:
        """Give the port back. Collective."""
        self._port.close()


def _bytes_of(array: np.ndarray[Any, Any]) -> memoryview:
    return array.reshape(-1, order="A").view(np.uint8).data


def _too_large(nbytes: int, limit: int) -> str:
    return (
        f"a message of {nbytes:,} bytes; at most {limit:,} are accepted. Send it in parts, or raise "
        "max_message_nbytes (SIMSPLIT_REMOTE_MAX_MESSAGE_NBYTES) on both ranks."
    )


def _sent() -> bool:
    return True
