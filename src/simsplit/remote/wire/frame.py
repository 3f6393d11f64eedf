"""The frame of a message: a head, and the buffers that follow it.

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
20      2       depth: how many calls, of which this is the innermost, wait for each other; 0 means 1
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
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from ...errors import CodecError
from .codec import Decoding, as_arguments, decode, decode_arguments

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ...errors import RemoteError
    from ..link.identity import Connection
    from .codec import Hooks

MAGIC = b"SSRO"
VERSION = 1
LONGEST_HEAD = 4000  # bytes: an MPI library sends as much at once, whether or not the receiver looks
SMALL = 3 * 2**10  # bytes of a body that fits into a head, whatever the names
CHUNK = 2**24  # bytes
LAST_TAG = 32766  # 32767 is what every MPI library has
MOST_BUFFERS = 257  # the body among them

_START = MAGIC + bytes([VERSION])
_HEAD = struct.Struct("<5sBHQHHHHHHI")
_HEAD_BYTES = _HEAD.size
_LONGEST_NAME = 255  # bytes: two of them, and the sizes of the most buffers, fit into a head


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
    GONE = 12  # I serve no more; if the correlation id is not 0, I have left
    IDLE = 13  # I need nothing more from anyone, and how many messages I sent and received
    CONFIRM = 14  # root asks: still?
    CONFIRMED = 15
    END = 16  # all ranks may leave
    CLOSE = 17  # of a stream, whose number is the correlation id: nobody reads it any more


class Flag:
    """How a request is meant, and how a message is laid out; plain integers, to be combined with ``|``."""

    NONE = 0
    ONEWAY = 1  # no answer is wanted
    BATCH = 2  # several calls in one
    GET = 4  # the value of a property
    SET = 8  # the same, to be set
    STREAM = 16  # of a result: an iterator stays at the server
    BODY_APART = 32  # the first buffer is the body


ANSWERS = frozenset({FrameKind.RESULT, FrameKind.ERROR})
AGREEMENT = frozenset({FrameKind.IDLE, FrameKind.CONFIRM, FrameKind.CONFIRMED, FrameKind.END})  # on leaving
_LAST_KIND = FrameKind.CLOSE
_ALL_FLAGS = 2 * Flag.BODY_APART - 1


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

    __slots__ = ("body", "buffers", "correlation", "depth", "flags", "kind", "method", "object")

    def __init__(
        self,
        kind: int,
        correlation: int = 0,
        object: str = "",  # noqa: A002
        method: str = "",
        flags: int = 0,
        depth: int = 0,
        body: bytes = b"",
        buffers: Sequence[memoryview] = (),
    ) -> None:
        self.kind = kind
        self.correlation = correlation
        self.object = object
        self.method = method
        self.flags = flags
        self.depth = depth
        self.body = body
        self.buffers = buffers

    def pack(self, tag: int) -> tuple[bytes, Sequence[memoryview]]:
        """Return the head, and the buffers that follow it under `tag`."""
        names, named, method = _names(self.object, self.method)
        flags, body, buffers = self.flags, self.body, self.buffers
        if _HEAD_BYTES + len(names) + 8 * len(buffers) + len(body) > LONGEST_HEAD:
            flags |= Flag.BODY_APART
            buffers = [memoryview(body), *buffers]
            body = b""
        count = len(buffers)
        head = _HEAD.pack(
            _START,
            self.kind,
            flags,
            self.correlation,
            named,
            method,
            self.depth,
            tag if count else 0,
            count,
            0,
            len(body),
        )
        sizes = struct.pack(f"<{count}Q", *[buffer.nbytes for buffer in buffers])
        return b"".join((head, names, sizes, body)), buffers


def pack_small(
    kind: int,
    correlation: int,
    object: str,  # noqa: A002
    method: str,
    flags: int,
    depth: int,
    body: bytes,
) -> bytes:
    """Return what `Frame.pack` would of a frame without buffers, and with a body of at most `SMALL` bytes."""
    names, named, called = _names(object, method)
    return _HEAD.pack(_START, kind, flags, correlation, named, called, depth, 0, 0, 0, len(body)) + names + body


def overtakes(head: bytes) -> bool:
    """Return whether a frame does not wait for the rest of one before it, which may never come.

    It is one of the agreement on leaving, which tells by its numbers what is still on its way, or the last one of all.
    """
    kind = head[len(_START)] if len(head) >= _HEAD_BYTES else 0
    return kind in AGREEMENT or (kind == FrameKind.GONE and any(head[8:16]))


@lru_cache(maxsize=1024)
def _names(name: str, method: str) -> tuple[bytes, int, int]:
    """Return the names as they travel, and their lengths: most calls are of a few methods again and again."""
    try:
        one, other = name.encode(), method.encode()
    except UnicodeEncodeError as error:
        raise CodecError(f"the name {name + method!r:.80} cannot travel: {error}") from None
    if max(len(one), len(other)) > _LONGEST_NAME:
        raise CodecError(f"the name {name + method!r:.80} cannot travel: it has more than {_LONGEST_NAME:,} bytes")
    return one + other, len(one), len(other)


@lru_cache(maxsize=1024)
def _read_names(names: bytes, named: int) -> tuple[str, str]:
    """Return the names of object and method."""
    try:
        return names[:named].decode(), names[named:].decode()
    except UnicodeDecodeError as error:
        raise CodecError(f"not a frame: {error}") from None


class IncomingFrame:
    """A message that came; `value` gives what it holds.

    Parameters
    ----------
    data : bytes
        The head.
    source : int
        The rank that it is from.

    Attributes
    ----------
    kind, correlation, object, method, flags, depth, body
        As in `Frame`.
    source : int
    tag : int
        Of the buffers that follow.
    sizes : tuple of int
        Bytes of each of them.
    decoding : Decoding or None
        The body, looked into, with memory for the buffers, if there are any.
    error : RemoteError or None
        Why there is no value: it was refused, and let go of.
    connection, annotations, nested
        Of a request that is carried out, see `context.Running`.

    Raises
    ------
    CodecError
        If it is no head; nothing else, whatever the bytes.
    """

    object = method = ""
    tag = 0
    sizes: tuple[int, ...] = ()
    decoding: Decoding | None = None
    error: RemoteError | None = None
    connection: Connection
    annotations: Mapping[str, Any]
    nested: int

    def __init__(self, data: bytes, source: int) -> None:
        try:
            start, kind, flags, correlation, named, method, depth, tag, buffers, zero, body = _HEAD.unpack_from(data)
        except struct.error:
            raise CodecError(f"not a frame: {len(data)} bytes, a head has at least {_HEAD_BYTES}") from None
        if start != _START:
            raise CodecError(f"not a frame: it begins with {data[:5]!r}, not with {MAGIC!r} and version {VERSION}")
        end = _HEAD_BYTES + named + method
        rest = end + 8 * buffers
        if (
            zero
            or len(data) != rest + body
            or not 1 <= kind <= _LAST_KIND
            or ((flags or tag or buffers) and not _fits(flags, tag, buffers, body))
        ):
            raise CodecError(
                f"not a frame: kind {kind}, flags {flags}, tag {tag}, {buffers} buffers in {len(data):,} bytes"
            )
        self.kind = kind
        self.flags = flags
        self.correlation = correlation
        self.depth = depth or 1
        self.source = source
        self.body: bytes | bytearray | memoryview = data[rest:]
        if end > _HEAD_BYTES:
            self.object, self.method = _read_names(data[_HEAD_BYTES:end], named)
        if buffers:
            self.tag = tag
            self.sizes = struct.unpack_from(f"<{buffers}Q", data, end)

    def value(self, hooks: Hooks) -> Any:
        """Return the value, or raise why there is none."""
        if self.error is not None:
            raise self.error
        if self.decoding is not None:
            return self.decoding.value(hooks)
        return decode(self.body, hooks)

    def arguments(self, hooks: Hooks) -> tuple[list[Any], dict[str, Any], Mapping[str, Any]]:
        """Return the arguments of a request by position and by name, and the annotations."""
        if self.error is None and self.decoding is None:
            body, self.body = self.body, b""
            return decode_arguments(body, hooks)
        value = self.value(hooks)
        self.decoding, self.body = None, b""  # no reference to large arguments stays behind
        return as_arguments(value)

    def peek(self, sizes: tuple[int, ...]) -> None:
        """Look into the body, and take memory for the buffers, if there are others than the body."""
        if not sizes:
            return
        try:
            self.decoding = Decoding(self.body, sizes)
        except CodecError as error:
            self.error = error

    def refuse(self, error: RemoteError) -> None:
        """Forget the value."""
        self.error, self.decoding, self.body = error, None, b""


def _fits(flags: int, tag: int, buffers: int, body: int) -> bool:
    """Return whether there are such flags, and whether they agree with number and tag of the buffers."""
    if flags & ~_ALL_FLAGS or (flags & Flag.BODY_APART and (body or not buffers)):
        return False
    return 1 <= buffers <= MOST_BUFFERS and 1 <= tag <= LAST_TAG if buffers else not tag
