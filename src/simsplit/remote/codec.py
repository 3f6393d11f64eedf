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
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import msgspec
import numpy as np

from ..errors import CodecError
from . import kinds
from .kinds import Kind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    import numpy.typing as npt

    from .kinds import Registry

    Array = npt.NDArray[Any]

DEEPEST = 100  # containers within each other
MOST_BUFFERS = 4096  # of one message

_Ext = msgspec.msgpack.Ext
_encoder = msgspec.msgpack.Encoder()
_AS_IT_IS = frozenset({type(None), bool, float, str, bytes})
_NATIVE = _AS_IT_IS | {int}
_STR = frozenset({str})
_INT64 = range(-(2**63), 2**64)
_ORDERS = ("C", "F")


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
    if _is_simple(value):
        try:
            return Encoded(_encoder.encode([[], value]), [])
        except (UnicodeEncodeError, OverflowError, ValueError):
            pass  # a large integer, which the writer knows how to send, or what it will refuse
    writer, tree = _write(value, hooks, parts)
    try:
        return Encoded(_encoder.encode([writer.table, tree]), writer.buffers)
    except (UnicodeEncodeError, OverflowError, ValueError, TypeError) as error:
        raise CodecError(f"value cannot travel: {error}") from None


def _is_simple(value: Any) -> bool:
    """Return whether MessagePack has all of a value, as it has of the arguments and results of most calls.

    Looks into one list, and into one list and one dict in it, so that no object can be there twice.
    """
    cls = type(value)
    if cls is list and len(value) == 2 and type(value[0]) is list and type(value[1]) is dict:  # noqa: PLR2004, arguments
        positional, named = value
        if not _NATIVE.issuperset(map(type, positional)):
            return False
        return not named or (_STR.issuperset(map(type, named)) and _NATIVE.issuperset(map(type, named.values())))
    return cls in _NATIVE or (cls is list and _NATIVE.issuperset(map(type, value)))


def _write(value: Any, hooks: Hooks, parts: Sequence[str]) -> tuple[_Writer, Any]:
    writer = _Writer(hooks)
    try:
        return writer, writer.write(value, 0)
    except _RefusedError as refusal:
        raise CodecError(f"{refusal.where(parts)} cannot travel: {refusal.reason}") from refusal.__cause__


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

    __slots__ = ("_plain", "_tree", "buffers")

    buffers: list[Array]

    def __init__(self, body: bytes | bytearray | memoryview, sizes: Sequence[int] = ()) -> None:
        self._plain = True
        try:
            table, self._tree = msgspec.msgpack.decode(body, ext_hook=self._mark)
        except (msgspec.DecodeError, RecursionError, ValueError, TypeError, OverflowError) as error:
            raise CodecError(f"not a message: {error}") from None
        if type(table) is not list or len(table) != len(sizes):
            raise CodecError("not a message: its table of buffers is not the one that was announced")
        layouts = [_layout(entry, size) for entry, size in zip(table, sizes, strict=True)]
        try:
            self.buffers = [np.empty(shape, dtype, order) for dtype, shape, order in layouts]
        except (MemoryError, ValueError) as error:
            raise CodecError(f"no memory for the {sum(sizes):,} bytes of the message: {error}") from None

    def _mark(self, code: int, _nothing: memoryview) -> Kind:
        self._plain = False
        return Kind(code)

    def value(self, hooks: Hooks) -> Any:
        """Return the value, once the buffers are filled.

        Raises
        ------
        CodecError
            If the message does not hold one.
        """
        if self._plain:
            return self._tree
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


class _RefusedError(Exception):
    """Something that cannot travel; the path grows on the way up."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason
        self.path: list[str] = []

    def where(self, parts: Sequence[str]) -> str:
        """Return the path from the value, or from the part of it that has a name."""
        named = {f"[{number}]": part for number, part in enumerate(parts)}
        if self.path and self.path[-1] in named:
            return named[self.path.pop()] + "".join(reversed(self.path))
        return "value" + "".join(reversed(self.path))


class _Writer:
    """Turns one value into a tree of what MessagePack has."""

    def __init__(self, hooks: Hooks) -> None:
        self.hooks = hooks
        self.table: list[Any] = []
        self.buffers: list[memoryview] = []
        self._seen: dict[int, Any] = {}  # the objects themselves too: an address may be used again

    def write(self, value: Any, depth: int) -> Any:
        cls = type(value)
        if cls in _AS_IT_IS:
            return value
        if cls is int:
            return value if value in _INT64 else self._special(Kind.INT, _integer(value))
        if depth >= DEEPEST:
            raise _RefusedError(f"containers are nested more than {DEEPEST} deep")
        if cls is list:
            self._once(value)
            return self._elements(value, depth)
        if cls is dict:
            self._once(value)
            return self._mapping(value, depth)
        if cls is tuple:
            return self._special(Kind.TUPLE, *self._elements(value, depth))
        return self._other(value, cls, depth)

    def _other(self, value: Any, cls: type, depth: int) -> Any:
        if cls is np.ndarray or cls is np.memmap:
            self._once(value)
            return self._array(value)
        if cls is set or cls is frozenset:
            if cls is set:
                self._once(value)
            return self._special(Kind.SET if cls is set else Kind.FROZENSET, *self._elements(list(value), depth))
        if cls is bytearray:
            self._once(value)
            return self._special(Kind.BYTEARRAY, bytes(value))
        try:
            apart = kinds.take_apart(value, cls, self.hooks.registry)
        except CodecError as error:
            raise _RefusedError(str(error)) from None
        if apart is not None:
            kind, names, values = apart
            if kind is Kind.DATACLASS and not kinds.is_frozen(cls):
                self._once(value)
            return self._special(kind, *self._named("{}", names, values, depth))
        reference = self.hooks.refer(value)
        if reference is not None:
            return self._special(Kind.REFERENCE, reference)
        if self.hooks.pickle:
            return self._pickle(value)
        raise _RefusedError(kinds.advice(value, cls))

    @staticmethod
    def _special(kind: Kind, *rest: Any) -> list[Any]:
        return [_Ext(int(kind), b""), *rest]

    def _elements(self, values: Sequence[Any], depth: int) -> list[Any]:
        result = []
        write, simple, deeper = self.write, _AS_IT_IS, depth + 1
        for number, value in enumerate(values):
            if type(value) in simple:
                result.append(value)
                continue
            try:
                result.append(write(value, deeper))
            except _RefusedError as refusal:
                refusal.path.append(f"[{number}]")
                raise
        return result

    def _mapping(self, value: dict[Any, Any], depth: int) -> Any:
        if all(type(key) is str for key in value):
            return dict(zip(value, self._named("[{!r}]", value, value.values(), depth), strict=True))
        keys = self._named(" key {!r:.40}", value, value, depth)
        items = self._named("[{!r:.40}]", value, value.values(), depth)
        return self._special(Kind.DICT, *(part for pair in zip(keys, items, strict=True) for part in pair))

    def _named(self, form: str, names: Iterable[Any], values: Iterable[Any], depth: int) -> list[Any]:
        result = []
        for name, value in zip(names, values, strict=True):
            try:
                result.append(self.write(value, depth + 1))
            except _RefusedError as refusal:
                refusal.path.append(form.format(name))
                raise
        return result

    def _once(self, value: Any) -> None:
        if id(value) in self._seen:
            raise _RefusedError(
                f"it is the same {type(value).__name__} as one that comes before it or that holds it, and would "
                "arrive as another. Copy it where two are meant (copy.copy)."
            )
        self._seen[id(value)] = value

    def _array(self, array: Array) -> Any:
        if array.dtype.kind not in kinds.NUMPY_KINDS or not array.dtype.itemsize:
            raise _RefusedError(kinds.no_dtype(array.dtype))
        order = "F" if array.flags.f_contiguous and not array.flags.c_contiguous else "C"
        whole = np.asarray(array) if array.flags.forc else np.ascontiguousarray(array)
        layout = [array.dtype.str, list(array.shape), order]
        if array.nbytes <= self.hooks.inline:
            return self._special(Kind.ARRAY, *layout, whole.tobytes(order="A"))
        return self._special(Kind.BUFFER, self._buffer(layout, whole.reshape(-1, order="A").view(np.uint8).data))

    def _buffer(self, layout: list[Any], memory: memoryview) -> int:
        if len(self.buffers) == MOST_BUFFERS:
            raise _RefusedError(f"more than {MOST_BUFFERS} large arrays in one message. Join them, or send several.")
        self.table.append(layout)
        self.buffers.append(memory)
        return len(self.buffers) - 1

    def _pickle(self, value: Any) -> Any:
        import pickle

        apart: list[pickle.PickleBuffer] = []
        try:
            data = pickle.dumps(value, protocol=5, buffer_callback=apart.append)
            raws = [buffer.raw() for buffer in apart]
        except Exception as error:
            raise _RefusedError(f"it cannot be pickled: {error}") from error
        return self._special(Kind.PICKLE, data, *(self._buffer(["|u1", [raw.nbytes], "C"], raw) for raw in raws))


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
        if cls in _AS_IT_IS or cls is int:
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


def _integer(value: int) -> bytes:
    length = value.bit_length() // 8 + 1
    if length > kinds.LONGEST_INTEGER:
        raise _RefusedError(f"the integer has {length:,} bytes; at most {kinds.LONGEST_INTEGER:,} travel")
    return value.to_bytes(length, "little", signed=True)


def _inline(spec: Any, shape: Any, order: Any, data: Any) -> Array:
    if type(data) is not bytes:
        raise CodecError("not a value: an array without bytes")
    dtype, lengths, order = _layout([spec, shape, order], len(data))
    flat = np.frombuffer(bytearray(data), dtype) if data else np.empty(prod(lengths), dtype)
    return flat.reshape(lengths, order=order)
