"""The transport between ranks of one process."""

from __future__ import annotations

import platform
from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .interface import Bytes, Take, Transfer


class _LocalMessage:
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

    def __init__(self, rank: int, boxes: Sequence[dict[int, deque[_LocalMessage]]]) -> None:
        self.rank = rank
        self.size = len(boxes)
        self.host = platform.node()
        self._boxes = boxes

    def send(self, data: Bytes, destination: int, tag: int) -> Transfer | None:
        """Begin to send: leave the message for its receiver."""
        parcel = _LocalMessage(self.rank, data)
        self._boxes[destination].setdefault(tag, deque()).append(parcel)
        return None if type(data) is bytes else parcel  # bytes cannot change under way, so their memory is not missed

    def probe(self, source: int | None, tag: int) -> _LocalMessage | None:
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

    def post_receive(self, tag: int, longest: int) -> Take:
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
    boxes: list[dict[int, deque[_LocalMessage]]] = [{} for _ in range(size)]
    return [Loopback(rank, boxes) for rank in range(size)]
