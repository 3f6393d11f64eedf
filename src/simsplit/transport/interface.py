"""The transport interface of the remote layer: messages between two ranks.

No call blocks, and one thread at a time uses a transport. Messages from one rank to another with one tag arrive in the
order in which they were sent.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

Bytes = bytes | bytearray | memoryview
# Returns the source and the bytes of the next posted message, or None if there is none; bytes of None: it was too long.
Take = Callable[[], tuple[int, bytes | None] | None]


class Transfer(Protocol):
    """A transfer in progress. Its buffer must not be touched until it is done."""

    def done(self) -> bool:
        """Return whether it is complete. Not called again once it is."""


class Message(Protocol):
    """A matched message: it can be received only through this object."""

    @property
    def source(self) -> int:
        """The rank that sent it."""

    @property
    def nbytes(self) -> int:
        """Its length."""

    def receive(self, into: bytearray | memoryview) -> Transfer | None:
        """Start to receive it into a buffer of exactly its size. None: it is complete already."""


class Transport(Protocol):
    """One rank's end of the point-to-point messages of a group of ranks."""

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
        """Whether several threads may use it, one at a time."""

    @property
    def looks(self) -> int:
        """How many times it pays to poll again at once after an empty poll."""

    def send(self, data: Bytes, destination: int, tag: int) -> Transfer | None:
        """Start to send at most 2**31 - 1 contiguous bytes; tags are 0 to 32767. None: they are sent."""

    def probe(self, source: int | None, tag: int) -> Message | None:
        """Return the next message from `source` (None: any rank) with `tag`, or None."""

    def post_receive(self, tag: int, longest: int) -> Take:
        """Post a receive for messages from any rank with `tag`; return the function that takes the next one.

        `longest` is their maximum size in bytes. It must be below the eager limit of the MPI library: a message that
        waits for its receiver would hold back those of other ranks.
        """

    def stop(self) -> None:
        """Cancel the posted receive; what `post_receive` returned must not be called again. Not collective."""

    def close(self) -> None:
        """Close the transport. Collective; no message may be in flight."""
