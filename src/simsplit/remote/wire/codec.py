"""Values as bytes and back: MessagePack for the structure, raw buffers for large arrays. No code travels.

MessagePack itself has None, bool, 64-bit integers, float, str, bytes, lists and dicts with str keys; these
go as they are. Anything else is a MessagePack array whose first element is an extension (an empty one,
whose code says what follows), which no value of the user can be:

======  ===========  ==================================================================
code    what         what follows
======  ===========  ==================================================================
1       tuple        its elements
2       set          its elements
3       frozenset    its elements
4       dict         key, value, key, value, … (where a key is not a str)
5       int          bytes, two's complement, little-endian
6       complex      real part, imaginary part
7       bytearray    bytes
8       Decimal      text
9       Fraction     numerator, denominator
10      UUID         16 bytes
11      datetime     ISO text without zone, fold, zone (None, microseconds, or a key)
12      date         ISO text
13      time         ISO text without zone, fold, zone
14      timedelta    days, seconds, microseconds
15      Enum         name of the class, name of the member, or value of a Flag
16      dataclass    name of the class, field, value, field, value, …, other attributes
17      scalar       NumPy's dtype, bytes; or nothing, and a str or bytes
18      array        dtype, shape, "C" or "F", bytes
19      buffer       index in the table of buffers
20      exception    module, qualified name, what it says (None: the argument), arguments, attributes
21      reference    text: a remote object (see `Hooks`)
22      pickle       bytes, indices in the table of buffers
23      part         shape, bytes: a value that is MessagePack by itself (see `shapes`)
24      same         number of an object
25      within       number of an object, elements
======  ===========  ==================================================================

A message is ``[table of buffers, value]``. The table gives dtype, shape and order of each buffer; it is
checked, and memory taken, before a byte of them is received. A value without extensions is ready as it is.

An object that is there twice arrives as one. Objects that have an identity (lists, dicts, sets, tuples,
bytearrays, arrays, dataclasses, exceptions, references, pickles) are numbered in the order in which the reader makes
them, and one that came before, or that holds the place, is written as "the same as number n". What is made after its
elements (a tuple, a frozenset) cannot be within itself; it is written in full there, and around that as "within":
elements are read, and the object is number n.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
import numpy as np

from ...errors import CodecError
from ...util.buffer_pool import pooled_empty
from . import values as kinds
from .decoder import Reader, has_names, layout
from .encoder import Encoder, RefusedValueError
from .shapes import CANNOT_ENCODE
from .shapes import SCALARS as NATIVE
from .values import ValueType

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    import numpy.typing as npt

    from .values import Registry

    Array = npt.NDArray[Any]

_NO_BUFFERS: list[Any] = []
_NO_TABLE = b"\x92\x90"  # how a message begins that has no buffers
_PLAIN_PART = [msgspec.msgpack.Ext(int(ValueType.PART), b""), None]
_BYTE = np.dtype(np.uint8)
_NONE: Mapping[str, Any] = MappingProxyType({})
_WRONG_TABLE = "not a message: its table of buffers is not the one that was announced"
_CANNOT_DECODE = (msgspec.DecodeError, RecursionError, ValueError, TypeError, OverflowError)


@dataclass(frozen=True, slots=True)
class Hooks:
    """What the codec asks of the layers above it.

    Attributes
    ----------
    registry : Registry
        The classes whose instances may travel.
    refer : callable
        Returns the text of the remote object that a value of an unknown type is, or None if it is none.
    resolve : callable
        Returns what that text stands for at this end.
    inline : int
        Bytes of an array up to which it travels inside the message, not as a buffer of its own.
    pickle : bool
        Whether values of unknown types may be pickled, and pickles be loaded, which can run any code.
    """

    registry: Registry = field(default_factory=kinds.Registry)
    refer: Callable[[Any], str | None] = lambda _value: None
    resolve: Callable[[str], Any] | None = None
    inline: int = 2**14
    pickle: bool = False


class Encoded(NamedTuple):
    """A value on its way out: `body` is MessagePack, `buffers` the memory of the large arrays (not copied)."""

    body: bytes
    buffers: list[memoryview]


def encode(value: Any, hooks: Hooks, parts: Sequence[str] = ()) -> Encoded:
    """Return the value as bytes.

    Parameters
    ----------
    value : object
        Arrays in it are not copied, and must not be changed until the buffers are sent.
    hooks : Hooks
    parts : sequence of str, optional
        What messages call the elements of the value, if it is a list.

    Raises
    ------
    CodecError
        If something in it cannot travel; the message says where.
    """
    body = encode_plain(value)
    if body is not None:
        return Encoded(body, [])
    writer = Encoder(hooks)
    with _told(parts):
        tree = writer.whole(value)
        if type(tree) is list and tree[:2] == _PLAIN_PART:
            return Encoded(_NO_TABLE + tree[2], [])
        return Encoded(_encode([writer.table, tree]), writer.buffers)


@contextmanager
def _told(parts: Sequence[str] = ()) -> Iterator[None]:
    """Say what cannot travel."""
    try:
        yield
    except RefusedValueError as refusal:
        raise CodecError(f"{refusal.where(parts)} cannot travel: {refusal.reason}") from refusal.__cause__
    except CANNOT_ENCODE as error:
        raise CodecError(f"value cannot travel: {error}") from None


class Gathering:
    """Values of one message that are encoded one after the other, each as it is when it is added.

    Parameters
    ----------
    hooks : Hooks
    depth : int
        Of the lists around the values.
    """

    def __init__(self, hooks: Hooks, depth: int) -> None:
        self.trees: list[msgspec.Raw] = []
        self._depth = depth
        self._writer = Encoder(hooks)
        self._writer.around(depth)

    def add(self, value: Any, parts: Sequence[str] = ()) -> None:
        """Encode a value; its arrays may be changed from now on.

        Raises
        ------
        CodecError
            If it cannot travel; it is then left out.
        """
        writer = self._writer
        mark = _, known = writer.mark()
        try:
            with _told(parts):
                self.trees.append(msgspec.Raw(_encode(writer.whole(value, self._depth))))
            writer.buffers[known:] = map(copied, writer.buffers[known:])
        except BaseException:
            writer.back_to(mark)
            raise

    def encoded(self, value: Any) -> Encoded:
        """Return the message; `value` is MessagePack's own, with `trees` in it."""
        return Encoded(_encode([self._writer.table, value]), self._writer.buffers)


def copied(buffer: memoryview) -> memoryview:
    """Return memory of its own with the same bytes."""
    memory = pooled_empty((buffer.nbytes,), _BYTE)[0]
    memory[:] = buffer
    return memory.data


_encode = msgspec.msgpack.Encoder().encode


def encode_plain(value: Any) -> bytes | None:
    """Return the bytes of a value that MessagePack has all of; None if it has not.

    It looks into one list, where no object can be twice.
    """
    cls = type(value)
    if cls in NATIVE or (cls is list and NATIVE.issuperset(map(type, value))):
        try:
            return _encode((_NO_BUFFERS, value))
        except CANNOT_ENCODE:  # a large integer, which the writer knows how to send, or what it will refuse
            return None
    return None


def encode_arguments(
    positional: tuple[Any, ...], named: dict[str, Any], annotations: dict[str, Any] | None, hooks: Hooks
) -> tuple[bytes, list[memoryview]]:
    """Return the arguments of a call as bytes: body and buffers, as `encode` does, if they are not encoded yet.

    Raises
    ------
    CodecError
        If something in them cannot travel; the message says where.
    """
    if type(positional) is Encoded:  # those of a batch
        return positional
    if (
        annotations is None
        and (NATIVE.issuperset(map(type, positional)) or _are_flat(positional))
        and (not named or NATIVE.issuperset(map(type, named.values())))
    ):
        try:
            return _encode((_NO_BUFFERS, (positional, named))), _NO_BUFFERS
        except CANNOT_ENCODE:
            pass  # as in `encode_plain`
    value = [list(positional), named] if annotations is None else [list(positional), named, annotations]
    return encode(value, hooks, ("args", "kwargs", "annotations"))


def _are_flat(values: tuple[Any, ...]) -> bool:
    """Return whether one of the values is a list of plain values, and the others are plain: no object can be twice."""
    inner = [value for value in values if type(value) not in NATIVE]
    return len(inner) == 1 and type(inner[0]) is list and NATIVE.issuperset(map(type, inner[0]))


def decode_arguments(
    body: bytes | bytearray | memoryview, hooks: Hooks
) -> tuple[list[Any], dict[str, Any], Mapping[str, Any]]:
    """Return the arguments by position and by name, and the annotations, of a request without buffers.

    Raises
    ------
    CodecError
        If it holds none; nothing else, whatever the bytes, and no code is run.
    """
    try:
        table, (positional, named) = _decode_plain_arguments(body)
    except (_SpecialError, *_CANNOT_DECODE):  # whatever it is, the slower way finds out
        return as_arguments(decode(body, hooks))
    if table:
        raise CodecError(_WRONG_TABLE)
    return positional, named, _NONE


def as_arguments(value: Any) -> tuple[list[Any], dict[str, Any], Mapping[str, Any]]:
    """Return a value as arguments by position and by name, and annotations.

    Raises
    ------
    CodecError
        If it is something else.
    """
    if type(value) is list and len(value) in (2, 3):
        positional, named = value[:2]
        annotations = value[2] if len(value) == 3 else _NONE  # noqa: PLR2004, annotations too
        if type(positional) is list and has_names(named) and (annotations is _NONE or has_names(annotations)):
            return positional, named, annotations
    raise CodecError("a request without arguments")


def decode(body: bytes | bytearray | memoryview, hooks: Hooks) -> Any:
    """Return the value of a message without buffers.

    Raises
    ------
    CodecError
        If it holds none; nothing else, whatever the bytes, and no code is run.
    """
    try:
        table, value = _decode_plain(body)
    except _SpecialError:  # it is read again, as a tree
        return Decoding(body).value(hooks)
    except _CANNOT_DECODE as error:
        raise CodecError(f"not a message: {error}") from None
    if table != _NO_BUFFERS:
        raise CodecError(_WRONG_TABLE)
    return value


class _SpecialError(Exception):
    """The message holds an extension."""


def _stop(_code: int, _nothing: memoryview) -> Any:
    raise _SpecialError


_decode_plain = msgspec.msgpack.Decoder(ext_hook=_stop).decode
_decode_plain_arguments = msgspec.msgpack.Decoder(
    tuple[list[Any], tuple[list[Any], dict[str, Any]]], ext_hook=_stop
).decode
_decode_tree = msgspec.msgpack.Decoder(ext_hook=lambda code, _nothing: ValueType(code)).decode


class Decoding:
    """A message that came: first its table, which says what memory the buffers need, then its value.

    Parameters
    ----------
    body : bytes-like
        From any source: whatever it holds, nothing but `CodecError` is raised, and no code is run.
    sizes : sequence of int
        The bytes of each buffer that follows; the table must agree with them.

    Attributes
    ----------
    buffers : list of ndarray
        The memory that the buffers are to be received into.
    """

    __slots__ = ("_nbytes", "_tree", "buffers")

    buffers: list[Array]

    def __init__(self, body: bytes | bytearray | memoryview, sizes: Sequence[int] = ()) -> None:
        self._nbytes = len(body)
        try:
            table, self._tree = _decode_tree(body)
        except _CANNOT_DECODE as error:
            raise CodecError(f"not a message: {error}") from None
        if type(table) is not list or len(table) != len(sizes):
            raise CodecError(_WRONG_TABLE)
        layouts = [layout(entry, size) for entry, size in zip(table, sizes, strict=True)]
        try:
            self.buffers = [pooled_empty(shape, dtype, order)[0] for dtype, shape, order in layouts]
        except (MemoryError, ValueError) as error:
            raise CodecError(f"no memory for the {sum(sizes):,} bytes of the message: {error}") from None

    def value(self, hooks: Hooks) -> Any:
        """Return the value, once the buffers are filled.

        Raises
        ------
        CodecError
            If the message does not hold one.
        """
        try:
            return Reader(hooks, self.buffers, self._nbytes).read(self._tree, 0)
        except CodecError:
            raise
        except Exception as error:  # whatever a malformed message provokes
            raise CodecError(f"not a value: {type(error).__name__}: {error}") from error
