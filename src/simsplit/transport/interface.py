"""What the remote layer asks of messages between two ranks.

Nothing here blocks, and a port is used by one thread at a time. Messages from one rank to another under one
tag arrive in the order in which they were sent.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

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


class Transport(Protocol):
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

    def post_receive(self, tag: int, longest: int) -> Take:
        """Be ready for messages of any rank under `tag`, of at most so many bytes; return what takes the next one.

        `longest` is to be so little that an MPI library sends the message without waiting for its receiver; otherwise
        one that is half here keeps those of other ranks back.
        """

    def stop(self) -> None:
        """Expect no more messages; what `post_receive` returned must not be called again. Not collective."""

    def close(self) -> None:
        """Give the port back. Collective; no message is on its way any more."""
