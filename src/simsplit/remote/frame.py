"""One message as it travels: a head, and the buffers that follow it.

The head is one MPI message. Whoever receives it (from any source) knows all about the buffers, and receives
them from that source alone, under the tag that the head names; so nothing that other ranks send can come
between them. Numbers are little-endian.

======  ======  ======================================================================
offset  bytes   what
======  ======  ======================================================================
0       4       ``SSRO``
4       1       version of this layout: 1
5       1       kind, see `FrameKind`
6       2       flags, see `Flag`
8       8       correlation id: an answer has that of its request
16      2       length of the object's name
18      2       length of the method's name
20      2       depth: how many calls, of which this is the innermost, wait for each other
22      2       tag of the buffers, 1 … 32766; 0 if there are none
24      2       number of buffers
26      2       0
28      4       length of the body
32              the object's name, UTF-8
…               the method's name, UTF-8
…               the sizes of the buffers, 8 bytes each
…               the body, as `codec` writes it
======  ======  ======================================================================

A body that would make the head longer than `LONGEST_HEAD` travels as the first of the buffers. A buffer travels
as one MPI message for each `CHUNK` bytes, in order: small enough for libraries that count with 32 bits, and
for a receiver that has to let go of what it refused.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ..errors import CodecError

if TYPE_CHECKING:
    from collections.abc import Sequence

MAGIC = b"SSRO"
VERSION = 1
LONGEST_HEAD = 2**16  # bytes: what a receiver takes unseen
CHUNK = 2**24  # bytes
LAST_TAG = 32766  # 32767 is what every MPI library has
MOST_BUFFERS = 4097  # the body among them

_HEAD = struct.Struct("<4sBBHQHHHHHHI")
_HEAD_BYTES = _HEAD.size


class FrameKind:
    """What a message is for: plain integers, for they are compared often."""

    HELLO = 1  # the first from one rank to another: who am I
    CHALLENGE = 2  # prove that you know the passphrase
    PROOF = 3
    WELCOME = 4
    REFUSED = 5  # no calls from you, and why
    REQUEST = 6
    RESULT = 7
    ERROR = 8
    CANCEL = 9  # do not begin that request
    CANCELLED = 10  # it has not been begun
    RUNNING = 11  # it has been, or is unknown
    GONE = 12  # I serve no more
    IDLE = 13  # I need nothing more from anyone, and how many messages I sent and received
    CONFIRM = 14  # root asks: still?
    CONFIRMED = 15
    END = 16  # all ranks may leave


class Flag:
    """How a request is meant, and how a message is laid out; plain integers, to be combined with ``|``."""

    NONE = 0
    ONEWAY = 1  # no answer is wanted
    BATCH = 2  # several calls in one
    GET = 4  # the value of a property
    SET = 8  # the same, to be set
    STREAM = 16  # of a result: an iterator stays at the server
    BODY_APART = 32  # the first buffer is the body


AGREEMENT = frozenset({FrameKind.IDLE, FrameKind.CONFIRM, FrameKind.CONFIRMED, FrameKind.END})  # on leaving
_LAST_KIND = FrameKind.END
_ALL_FLAGS = 2 * Flag.BODY_APART - 1


@dataclass(slots=True)
class Frame:
    """A message on its way out.

    Attributes
    ----------
    kind : int
        Of `FrameKind`.
    correlation : int
        Below 2**64.
    object, method : str
        Empty where they mean nothing.
    flags : int
        Of `Flag`.
    depth : int
        Below 2**16.
    body : bytes
        What `codec.encode` gave.
    buffers : sequence of memoryview
        Contiguous bytes.
    """

    kind: int
    correlation: int = 0
    object: str = ""
    method: str = ""
    flags: int = 0
    depth: int = 0
    body: bytes = b""
    buffers: Sequence[memoryview] = ()

    def pack(self, tag: int) -> tuple[bytes, list[memoryview]]:
        """Return the head, and the buffers that follow it under `tag`."""
        name, method = self.object.encode(), self.method.encode()
        flags, body = self.flags, self.body
        buffers = list(self.buffers) if self.buffers else []
        if _HEAD_BYTES + len(name) + len(method) + 8 * len(buffers) + len(body) > LONGEST_HEAD:
            flags |= Flag.BODY_APART
            buffers.insert(0, memoryview(body))
            body = b""
        head = _HEAD.pack(
            MAGIC,
            VERSION,
            self.kind,
            flags,
            self.correlation,
            len(name),
            len(method),
            self.depth,
            tag if buffers else 0,
            len(buffers),
            0,
            len(body),
        )
        if not buffers:
            return b"".join((head, name, method, body)), buffers
        sizes = struct.pack(f"<{len(buffers)}Q", *[buffer.nbytes for buffer in buffers])
        return b"".join((head, name, method, sizes, body)), buffers


@dataclass(slots=True)
class Head:
    """A head that came; `sizes` are those of the buffers that follow under `tag`. The rest is as in `Frame`."""

    kind: int
    flags: int
    correlation: int
    object: str
    method: str
    depth: int
    tag: int
    sizes: tuple[int, ...]
    body: memoryview
    source: int = field(default=-1)


def unpack(data: bytes | bytearray) -> Head:
    """Read a head.

    Raises
    ------
    CodecError
        If it is none; nothing else, whatever the bytes.
    """
    size = len(data)
    if size < _HEAD_BYTES:
        raise CodecError(f"not a frame: {size} bytes, a head has at least {_HEAD_BYTES}")
    magic, version, kind, flags, correlation, named, method, depth, tag, buffers, zero, body = _HEAD.unpack_from(data)
    if magic != MAGIC or version != VERSION:
        raise CodecError(f"not a frame: it begins with {bytes(data[:5])!r}, not with {MAGIC!r} and version {VERSION}")
    begin = _HEAD_BYTES + named + method
    end = begin + 8 * buffers
    if (
        not 1 <= kind <= _LAST_KIND
        or flags & ~_ALL_FLAGS
        or zero
        or size != end + body
        or buffers > MOST_BUFFERS
        or bool(buffers) != (1 <= tag <= LAST_TAG)
        or (flags & Flag.BODY_APART and not (buffers and not body))
    ):
        raise CodecError(f"not a frame: kind {kind}, flags {flags}, tag {tag}, {buffers} buffers in {size:,} bytes")
    view = memoryview(data)
    try:
        name = str(view[_HEAD_BYTES : _HEAD_BYTES + named], "utf-8") if named else ""
        called = str(view[_HEAD_BYTES + named : begin], "utf-8") if method else ""
    except UnicodeDecodeError as error:
        raise CodecError(f"not a frame: {error}") from None
    sizes = struct.unpack_from(f"<{buffers}Q", data, begin) if buffers else ()
    return Head(kind, flags, correlation, name, called, depth, tag, sizes, view[end:])
