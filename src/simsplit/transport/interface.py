"""What the remote layer asks of messages between two ranks, and the same within one process.

Nothing here blocks, and a port is used by one thread at a time. Messages from one rank to another under one
tag arrive in the order in which they were sent.
"""

from __future__ import annotations

import platform
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

Bytes = bytes | bytearray | memoryview
# Returns the next message that is expected, if it is here: its source, and what it holds, None if it was too long.
Take = Callable[[], tuple[int, bytes | None] | None]


class Transfer(Protocol):
    """A message on its way; its memory must be left alone until it is done."""

    def done(self) -> bool:
        """Return whether it is over: sent, or all there. Not asked again once it is."""


class Message(Protocol):
    """A message that has come and that nobody else can receive any more."""

    @property
    def source(self) -> int:
        """The rank that sent it."""

    @property
    def nbytes(self) -> int:
        """Its length."""

    def receive(self, into: bytearray | memoryview) -> Transfer | None:
        """Begin to receive it; `into` has room for exactly its bytes. None: it is all there already."""


class Port(Protocol):
    """A rank's end of the messages of a group of ranks that nobody else sends to."""

    @property
    def rank(self) -> int:
        """Number of this rank, from 0."""

    @property
    def size(self) -> int:
        """Number of ranks."""

    @property
    def host(self) -> str:
        """Name of the host of this rank."""

    @property
    def threads(self) -> bool:
        """Whether it may be used by several threads, one at a time."""

    @property
    def looks(self) -> int:
        """How often it pays to look for a message again at once, where there was none."""

    def send(self, data: Bytes, destination: int, tag: int) -> Transfer | None:
        """Begin to send contiguous bytes, at most 2**31 - 1 of them; tags go from 0 to 32767. None: they are sent."""

    def probe(self, source: int | None, tag: int) -> Message | None:
        """Return the next message of `source` (None: of any rank) under `tag`, if there is one."""

    def expect(self, tag: int, longest: int) -> Take:
        """Be ready for messages of any rank under `tag`, of at most so many bytes; return what takes the next one.

        `longest` is to be so little that an MPI library sends the message without waiting for its receiver; otherwise
        one that is half here keeps those of other ranks back.
        """

    def stop(self) -> None:
        """Expect no more messages; what `expect` returned must not be called again. Not collective."""

    def close(self) -> None:
        """Give the port back. Collective; no message is on its way any more."""


class _Parcel:
    """A message within one process: its memory is the sender's until it is received."""

    __slots__ = ("_data", "nbytes", "source")

    def __init__(self, source: int, data: Bytes) -> None:
        self.source = source
        self._data: Bytes | None = data
        self.nbytes = len(data)

    def receive(self, into: bytearray | memoryview) -> None:
        assert self._data is not None  # noqa: S101, for the type checker: it is received once
        into[:] = self._data
        self._data = None

    def done(self) -> bool:
        """Return whether it was received."""
        return self._data is None


class Loopback:
    """A port of a group whose ranks live in one process. Made by `loopback`."""

    threads = True
    looks = 0  # whoever looks is the one who would send

    def __init__(self, rank: int, boxes: Sequence[dict[int, deque[_Parcel]]]) -> None:
        self.rank = rank
        self.size = len(boxes)
        self.host = platform.node()
        self._boxes = boxes

    def send(self, data: Bytes, destination: int, tag: int) -> Transfer | None:
        """Begin to send: leave the message for its receiver."""
        parcel = _Parcel(self.rank, data)
        self._boxes[destination].setdefault(tag, deque()).append(parcel)
        return None if type(data) is bytes else parcel  # bytes cannot change under way, so their memory is not missed

    def probe(self, source: int | None, tag: int) -> _Parcel | None:
        """Return the next message, if there is one."""
        box = self._boxes[self.rank].get(tag)
        if not box:
            return None
        if source is None or box[0].source == source:
            return box.popleft()
        parcel = next((parcel for parcel in list(box) if parcel.source == source), None)
        if parcel is not None:
            box.remove(parcel)
        return parcel

    def expect(self, tag: int, longest: int) -> Take:
        """Be ready for messages under `tag`; return what takes the next one."""

        def take() -> tuple[int, bytes | None] | None:
            parcel = self.probe(None, tag)
            if parcel is None:
                return None
            data = bytearray(parcel.nbytes)
            parcel.receive(data)
            return parcel.source, bytes(data) if len(data) <= longest else None

        return take

    def stop(self) -> None:
        """Do nothing: who is not asked expects nothing."""

    def close(self) -> None:
        """Do nothing: the memory goes when the last port of the group does."""


def loopback(size: int) -> list[Loopback]:
    """Return the ports of `size` ranks that live in this process."""
    boxes: list[dict[int, deque[_Parcel]]] = [{} for _ in range(size)]
    return [Loopback(rank, boxes) for rank in range(size)]
