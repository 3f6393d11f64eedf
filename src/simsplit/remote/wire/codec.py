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
16      dataclass    name of the class, field, value, field, value, …
17      scalar       NumPy's dtype, bytes
18      array        dtype, shape, "C" or "F", bytes
19      buffer       index in the table of buffers
20      exception    module, qualified name, arguments, attributes
21      reference    text: a remote object (see `Hooks`)
22      pickle       bytes, indices in the table of buffers
======  ===========  ==================================================================

A message is ``[table of buffers, value]``. The table gives dtype, shape and order of each buffer; it is
checked, and memory taken, before a byte of them is received. A value without extensions is ready as it is.

The value is a tree: an object that can be changed and that appears in it twice (or within itself) is refused,
for its identity would be lost without a word.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import prod
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import msgspec
import numpy as np

from ...errors import CodecError
from ...util.buffer_pool import empty
from . import values as kinds
from .encoder import AS_IT_IS, DEEPEST, RefusedValueError, Writer
from .values import Kind

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import numpy.typing as npt

    from .values import Registry

    Array = npt.NDArray[Any]

NATIVE = AS_IT_IS | {int}
_STR = frozenset({str})
_ORDERS = ("C", "F")
_NO_BUFFERS: list[Any] = []
_NONE: Mapping[str, Any] = MappingProxyType({})
_WRONG_TABLE = "not a message: its table of buffers is not the one that was announced"
_CANNOT_ENCODE = (UnicodeEncodeError, OverflowError, ValueError, TypeError)
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
    writer = Writer(hooks)
    try:
        return Encoded(_encode([writer.table, writer.write(value)]), writer.buffers)
    except RefusedValueError as refusal:
        raise CodecError(f"{refusal.where(parts)} cannot travel: {refusal.reason}") from refusal.__cause__
    except _CANNOT_ENCODE as error:
        raise CodecError(f"value cannot travel: {error}") from None


_encode = msgspec.msgpack.Encoder().encode


def encode_plain(value: Any) -> bytes | None:
    """Return the bytes of a value that MessagePack has all of; None if it has not.

    It looks into one list, where no object can be twice.
    """
    cls = type(value)
    if cls in NATIVE or (cls is list and NATIVE.issuperset(map(type, value))):
        try:
            return _encode((_NO_BUFFERS, value))
        except _CANNOT_ENCODE:  # a large integer, which the writer knows how to send, or what it will refuse
            return None
    return None


def encode_arguments(
    positional: tuple[Any, ...], named: dict[str, Any], annotations: dict[str, Any] | None, hooks: Hooks
) -> tuple[bytes, list[memoryview]]:
    """Return the arguments of a call as bytes: body and buffers, as `encode` does.

    Raises
    ------
    CodecError
        If something in them cannot travel; the message says where.
    """
    if (
        annotations is None
        and NATIVE.issuperset(map(type, positional))
        and (not named or NATIVE.issuperset(map(type, named.values())))
    ):
        try:
            return _encode((_NO_BUFFERS, (positional, named))), _NO_BUFFERS
        except _CANNOT_ENCODE:
            pass  # as in `encode_plain`
    value = [list(positional), named] if annotations is None else [list(positional), named, annotations]
    return encode(value, hooks, ("args", "kwargs", "annotations"))


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
        if type(positional) is list and _has_names(named) and (annotations is _NONE or _has_names(annotations)):
            return positional, named, annotations
    raise CodecError("a request without arguments")


def _has_names(value: Any) -> bool:
    return type(value) is dict and _STR.issuperset(map(type, value))


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
_decode_tree = msgspec.msgpack.Decoder(ext_hook=lambda code, _nothing: Kind(code)).decode


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

    __slots__ = ("_tree", "buffers")

    buffers: list[Array]

    def __init__(self, body: bytes | bytearray | memoryview, sizes: Sequence[int] = ()) -> None:
        try:
            table, self._tree = _decode_tree(body)
        except _CANNOT_DECODE as error:
            raise CodecError(f"not a message: {error}") from None
        if type(table) is not list or len(table) != len(sizes):
            raise CodecError(_WRONG_TABLE)
        layouts = [_layout(entry, size) for entry, size in zip(table, sizes, strict=True)]
        try:
            self.buffers = [empty(shape, dtype, order)[0] for dtype, shape, order in layouts]
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
            return _Reader(hooks, self.buffers).read(self._tree, 0)
        except CodecError:
            raise
        except Exception as error:  # whatever a malformed message provokes
            raise CodecError(f"not a value: {type(error).__name__}: {error}") from error


def _layout(entry: Any, size: int) -> tuple[np.dtype[Any], tuple[int, ...], Literal["C", "F"]]:
    """Return dtype, shape and order of a buffer, checked against the size that was announced."""
    if type(entry) is not list or len(entry) != 3:  # noqa: PLR2004, dtype, shape, order
        raise CodecError("not a message: a wrong entry in the table of buffers")
    dtype, shape = kinds.dtype_of(entry[0]), kinds.shape_of(entry[1])
    if entry[2] not in _ORDERS or prod(shape) * dtype.itemsize != size:
        raise CodecError(f"not a message: {dtype} of shape {shape} does not fill {size:,} bytes")
    return dtype, shape, "F" if entry[2] == "F" else "C"


class _Reader:
    """Turns the tree of one message into its value."""

    def __init__(self, hooks: Hooks, buffers: list[Array]) -> None:
        self.hooks = hooks
        self.buffers: list[Array | None] = list(buffers)

    def read(self, tree: Any, depth: int) -> Any:
        cls = type(tree)
        if cls is dict or cls is list:
            if depth > DEEPEST:
                raise CodecError(f"not a value: containers are nested more than {DEEPEST} deep")
            if cls is dict:
                return {key: self.read(item, depth + 1) for key, item in tree.items()}
            if tree and type(tree[0]) is Kind:
                return self._special(tree, depth)
            return [self.read(item, depth + 1) for item in tree]
        if cls in AS_IT_IS or cls is int:
            return tree
        raise CodecError(f"not a value: {cls.__name__}")

    def _special(self, tree: list[Any], depth: int) -> Any:
        kind = tree[0]
        if kind is Kind.ARRAY:
            return _inline(*tree[1:])
        if kind is Kind.BUFFER:
            return self._buffer(tree[1])
        parts = [self.read(item, depth + 1) for item in tree[1:]]
        if kind is Kind.TUPLE:
            return tuple(parts)
        if kind is Kind.REFERENCE:
            if self.hooks.resolve is None or type(parts[0]) is not str:
                raise CodecError("a remote object cannot be used here")
            return self.hooks.resolve(parts[0])
        if kind is Kind.PICKLE:
            return self._pickle(*parts)
        return kinds.put_together(kind, parts, self.hooks.registry)

    def _buffer(self, index: Any) -> Array:
        if type(index) is not int or not 0 <= index < len(self.buffers):
            raise CodecError(f"not a value: no buffer {index!r:.40}")
        array, self.buffers[index] = self.buffers[index], None
        if array is None:
            raise CodecError(f"not a value: buffer {index} is used twice")
        return array

    def _pickle(self, data: Any, *indices: Any) -> Any:
        if not self.hooks.pickle:
            raise CodecError("a pickle came, but pickle is not switched on at this end (SIMSPLIT_REMOTE_PICKLE)")
        import pickle

        return pickle.loads(data, buffers=[self._buffer(index) for index in indices])  # noqa: S301, both ends agreed


def _inline(spec: Any, shape: Any, order: Any, data: Any) -> Array:
    if type(data) is not bytes:
        raise CodecError("not a value: an array without bytes")
    dtype, lengths, order = _layout([spec, shape, order], len(data))
    flat = np.frombuffer(bytearray(data), dtype) if data else np.empty(prod(lengths), dtype)
    return flat.reshape(lengths, order=order)
