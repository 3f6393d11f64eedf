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

from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from math import prod
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import msgspec
import numpy as np

from ...errors import CodecError
from ...util.buffer_pool import empty
from .. import shapes
from ..shapes import CANNOT_ENCODE
from . import values as kinds
from .encoder import AS_IT_IS, DEEPEST, RefusedValueError, Writer, height_of
from .values import Kind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    import numpy.typing as npt

    from .values import Registry

    Array = npt.NDArray[Any]

NATIVE = AS_IT_IS | {int}
_STR = frozenset({str})
_ORDERS = ("C", "F")
_NO_BUFFERS: list[Any] = []
_NO_TABLE = b"\x92\x90"  # how a message begins that has no buffers
_PLAIN_PART = [msgspec.msgpack.Ext(int(Kind.PART), b""), None]
_BYTE = np.dtype(np.uint8)
_SMALL = 16  # elements of a flat tuple that are not worth counting
_MOST_HASHED = 2**22  # values, and a hundred for each byte of a message, that are looked at to hash what came
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
    writer = Writer(hooks)
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
        self._writer = Writer(hooks)
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
    memory = empty((buffer.nbytes,), _BYTE)[0]
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
        and NATIVE.issuperset(map(type, positional))
        and (not named or NATIVE.issuperset(map(type, named.values())))
    ):
        try:
            return _encode((_NO_BUFFERS, (positional, named))), _NO_BUFFERS
        except CANNOT_ENCODE:
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
            return _Reader(hooks, self.buffers, self._nbytes).read(self._tree, 0)
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

    def __init__(self, hooks: Hooks, buffers: list[Array], nbytes: int) -> None:
        self.hooks = hooks
        self.buffers: list[Array | None] = list(buffers)
        self._numbered: list[Any] = []
        self._numbers_are_right = True
        self._weights: dict[
            int, int
        ] = {}  # by address, of what is numbered and hashed with all that is in it: how much
        self._heights: dict[int, int] = {}  # of tuples, by address: how many are within each other
        self._may_hash = _MOST_HASHED + 100 * nbytes

    def read(self, tree: Any, depth: int) -> Any:
        cls = type(tree)
        if cls is dict or cls is list:
            if depth > DEEPEST:
                raise CodecError(f"not a value: containers are nested more than {DEEPEST} deep")
            if cls is list and tree and type(tree[0]) is Kind:
                return self._special(tree, depth)
            made: Any = cls()
            self._numbered.append(made)
            if cls is list:
                self._read_into(made, tree, depth)
            elif all(map(_is_key, tree)):
                for key, item in tree.items():
                    made[key] = self.read(item, depth + 1)
            else:
                raise CodecError("not a value: a key that is written otherwise")
            return made
        if cls in NATIVE:
            return tree
        raise CodecError(f"not a value: {cls.__name__}")

    def _read_into(self, made: list[Any], trees: list[Any], depth: int) -> list[Any]:
        for tree in trees:
            made.append(tree if type(tree) in NATIVE else self.read(tree, depth + 1))  # noqa: PERF401, it may be in itself
        return made

    def _special(self, tree: list[Any], depth: int) -> Any:
        """Read what begins with an extension, and number it if it has an identity."""
        kind = tree[0]
        if kind in _BEFORE_ITS_PARTS:
            return _BEFORE_ITS_PARTS[kind](self, tree, depth)
        parts = self._read_into([], tree[1:], depth)
        if kind in _AFTER_ITS_PARTS:
            return self._number(_AFTER_ITS_PARTS[kind](self, parts))
        return kinds.put_together(kind, parts, self.hooks.registry)

    def _number(self, made: Any) -> Any:
        self._numbered.append(made)
        return made

    def _same(self, tree: list[Any], _depth: int) -> Any:
        (number,) = tree[1:]
        if type(number) is not int or not 0 <= number < len(self._numbered) or not self._numbers_are_right:
            raise CodecError("not a value: no object has the number that another is said to be the same as")
        return self._numbered[number]

    def _within(self, tree: list[Any], depth: int) -> Any:
        self._read_into([], tree[2:], depth)
        return self._same(tree[:2], depth)

    def _tuple(self, parts: list[Any]) -> Any:
        made = tuple(parts)
        height = height_of(made, self._heights)
        if height > DEEPEST:  # by way of those that came before; to hash it, C calls itself as often
            raise CodecError(f"not a value: containers are nested more than {DEEPEST} deep")
        if height:
            self._heights[id(made)] = height
        if height or len(made) > _SMALL:
            self._weigh(made, made)
        return made

    def _frozenset(self, parts: list[Any]) -> Any:
        self._hash(parts)
        return frozenset(parts)

    def _weigh(self, made: Any, parts: Iterable[Any]) -> None:
        """Note how much is looked at to hash an object: all that is in it, as often as it is there."""
        self._weights[id(made)] = 1 + sum(self._weights.get(id(part), 1) for part in parts)

    def _hash(self, elements: Iterable[Any]) -> None:
        """Refuse what would take for ever to hash, such as a pair of twice the same pair of twice the same …."""
        self._may_hash -= sum(self._weights.get(id(element), 1) for element in elements)
        if self._may_hash < 0:
            raise CodecError("not a value: what is in a set, or a key, holds the same too often")

    def _set(self, tree: list[Any], depth: int) -> Any:
        made: set[Any] = self._number(set())
        for part in tree[1:]:
            element = self.read(part, depth + 1)
            self._hash([element])
            made.add(element)
        return made

    def _dict(self, tree: list[Any], depth: int) -> Any:
        made: dict[Any, Any] = self._number({})
        for key_tree, item in zip(tree[1::2], tree[2::2], strict=True):
            key = self.read(key_tree, depth + 1)
            self._hash([key])
            made[key] = self.read(item, depth + 1)
        return made

    def _dataclass(self, tree: list[Any], depth: int) -> Any:
        made = self._number(kinds.blank(tree[1], self.hooks.registry))
        parts = self._read_into([], tree[2:], depth)
        others = parts.pop() if len(parts) % 2 else {}
        state = dict(zip(parts[::2], parts[1::2], strict=True)) if _STR.issuperset(map(type, parts[::2])) else {}
        kinds.check_fields(type(made), state)
        if not _has_names(others):
            raise CodecError("not a value: a dataclass with attributes that have no names")
        kinds.set_state(made, {**others, **state})
        self._weigh_if_hashed(made, state.values())
        return made

    def _exception(self, tree: list[Any], depth: int) -> Any:
        module, name, text, arguments, state = tree[1:]
        try:
            given = self.read(arguments, depth + 1)
            made = self._number(kinds.exception(module, name, text, given, self.hooks.registry))
            attributes = self.read(state, depth + 1)
        except CodecError as error:  # what it says is not lost because of something that it carries
            self._numbers_are_right = False  # of what comes later: not all was read
            return kinds.stand_in(str(module), str(name), str(text), str(error))
        if not _has_names(attributes):
            raise CodecError("not a value: an exception with attributes that have no names")
        with suppress(AttributeError, TypeError):  # of a slot that another class of that name has
            kinds.set_state(made, attributes)
        self._weigh_if_hashed(made, [*given, *attributes.values()])
        return made

    def _weigh_if_hashed(self, made: Any, parts: Iterable[Any]) -> None:
        own: Any = type(made).__hash__
        if own is not None and own is not object.__hash__:
            self._weigh(made, parts)

    def _array(self, tree: list[Any], _depth: int) -> Any:
        return self._number(_inline(*tree[1:]) if tree[0] is Kind.ARRAY else self._buffer(*tree[1:]))

    def _part(self, tree: list[Any], _depth: int) -> Any:
        return shapes.read(*tree[1:])

    def _reference(self, parts: list[Any]) -> Any:
        (text,) = parts
        if self.hooks.resolve is None or type(text) is not str:
            raise CodecError("a remote object cannot be used here")
        return self.hooks.resolve(text)

    def _buffer(self, index: Any) -> Array:
        if type(index) is not int or not 0 <= index < len(self.buffers):
            raise CodecError(f"not a value: no buffer {kinds.short(index)}")
        array, self.buffers[index] = self.buffers[index], None
        if array is None:
            raise CodecError(f"not a value: buffer {index} is used twice")
        return array

    def _pickle(self, parts: list[Any]) -> Any:
        data, *indices = parts
        if not self.hooks.pickle:
            raise CodecError("a pickle came, but pickle is not switched on at this end (SIMSPLIT_REMOTE_PICKLE)")
        import pickle

        return pickle.loads(data, buffers=[self._buffer(index) for index in indices])  # noqa: S301, both ends agreed


_BEFORE_ITS_PARTS: dict[Kind, Callable[[_Reader, list[Any], int], Any]] = {
    Kind.SAME: _Reader._same,  # noqa: SLF001, of this module, as all of these
    Kind.WITHIN: _Reader._within,  # noqa: SLF001
    Kind.SET: _Reader._set,  # noqa: SLF001
    Kind.DICT: _Reader._dict,  # noqa: SLF001
    Kind.DATACLASS: _Reader._dataclass,  # noqa: SLF001
    Kind.EXCEPTION: _Reader._exception,  # noqa: SLF001
    Kind.ARRAY: _Reader._array,  # noqa: SLF001
    Kind.BUFFER: _Reader._array,  # noqa: SLF001
    Kind.PART: _Reader._part,  # noqa: SLF001
}
_AFTER_ITS_PARTS: dict[Kind, Callable[[_Reader, list[Any]], Any]] = {
    Kind.TUPLE: _Reader._tuple,  # noqa: SLF001
    Kind.FROZENSET: _Reader._frozenset,  # noqa: SLF001
    Kind.BYTEARRAY: lambda reader, parts: kinds.put_together(Kind.BYTEARRAY, parts, reader.hooks.registry),
    Kind.REFERENCE: _Reader._reference,  # noqa: SLF001
    Kind.PICKLE: _Reader._pickle,  # noqa: SLF001
}


def _is_key(key: Any) -> bool:
    """Return whether a key of MessagePack's own is one of ours: no container but a tuple can be one."""
    return type(key) in NATIVE or (type(key) is tuple and NATIVE.issuperset(map(type, key)))


def _inline(spec: Any, shape: Any, order: Any, data: Any) -> Array:
    if type(data) is not bytes:
        raise CodecError("not a value: an array without bytes")
    dtype, lengths, order = _layout([spec, shape, order], len(data))
    flat = np.frombuffer(bytearray(data), dtype) if data else np.empty(prod(lengths), dtype)
    return flat.reshape(lengths, order=order)
