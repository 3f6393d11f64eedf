"""Encode values as trees of MessagePack types, and raw buffers; the format is described in `codec`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from ...errors import CodecError
from . import shapes
from . import values as kinds
from .values import ValueType

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import numpy.typing as npt

    from .codec import Hooks

    Array = npt.NDArray[Any]

DEEPEST = 100  # containers within each other
MOST_BUFFERS = 256  # of one message; arrays beyond that are copied into it
AS_IT_IS = shapes.SCALARS - {int}

_TRIED = 2  # down to this depth, and from so many elements on, a container may be encoded by itself
_MANY = 16
_Ext = msgspec.msgpack.Ext
_INT64 = range(-(2**63), 2**64)


class RefusedValueError(Exception):
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


class _SharedError(Exception):
    """An object is in a part that was encoded by itself, and outside of it too."""


class Encoder:
    """Turns values into trees, of which one message is made.

    Parameters
    ----------
    hooks : Hooks

    Attributes
    ----------
    table : list
        Dtype, shape and order of each buffer.
    buffers : list of memoryview
        The memory of the large arrays, not copied.
    """

    def __init__(self, hooks: Hooks) -> None:
        self.hooks = hooks
        self.table: list[Any] = []
        self.buffers: list[memoryview] = []
        self._count = 0  # objects that the reader numbers
        self._seen: dict[int, tuple[int, Any]] = {}  # by address: the number, and the object, or its place may be taken
        self._heights: dict[int, int] = {}  # of tuples, by address: how many are within each other
        self._parts: set[int] | None = (
            None  # addresses in parts that were encoded by themselves; None: there are to be none
        )

    def around(self, lists: int) -> None:
        """Count lists that the reader finds around the trees that come next."""
        self._count += lists

    def whole(self, value: Any, depth: int = 0) -> Any:
        """Return the tree of a value, all as it is now but for the buffers; it shares nothing with those before it.

        `depth` is that of the lists around it.

        Raises
        ------
        RefusedValueError
            If something in it cannot travel. The writer is then as it was before.
        """
        mark = self.mark()
        for alone in (True, False):
            self._parts = set() if alone else None
            try:
                return self._write(value, depth)
            except _SharedError:
                self.back_to(mark)
            except BaseException:
                self.back_to(mark)
                raise
            finally:
                self._seen.clear()
                self._heights.clear()
        raise AssertionError("without parts nothing can be in one")  # pragma: no cover

    def mark(self) -> tuple[int, int]:
        """Return what `back_to` needs."""
        return self._count, len(self.buffers)

    def back_to(self, mark: tuple[int, int]) -> None:
        """Forget what was written since."""
        self._count, buffers = mark
        del self.table[buffers:], self.buffers[buffers:]

    def _write(self, value: Any, depth: int) -> Any:
        cls = type(value)
        if cls in AS_IT_IS or (cls is int and value in _INT64):
            return value
        known = self._seen.get(id(value))
        if known is not None:
            return self._special(ValueType.SAME, known[0])
        if depth >= DEEPEST:
            raise RefusedValueError(f"containers are nested more than {DEEPEST} deep")
        if cls is list or cls is dict or cls is tuple:
            if self._parts is not None:
                if id(value) in self._parts:
                    raise _SharedError
                if (depth <= _TRIED or len(value) >= _MANY) and not shapes.is_small(value):
                    part = shapes.part(value, DEEPEST - depth)
                    if part is not None and part.ids.isdisjoint(self._seen) and part.ids.isdisjoint(self._parts):
                        self._parts |= part.ids
                        return self._special(ValueType.PART, part.shape, part.data)
            if cls is tuple:
                return self._complete(value, ValueType.TUPLE, value, depth)
            self._register(value)
            return self._elements(value, depth) if cls is list else self._mapping(value, depth)
        return self._other(value, cls, depth)

    def _register(self, value: Any) -> None:
        """Give an object its number, as the reader does."""
        self._seen[id(value)] = (self._count, value)
        self._count += 1

    def _complete(self, value: Any, kind: ValueType, elements: Sequence[Any], depth: int) -> Any:
        """Write what the reader can only make once it has all elements."""
        written = self._elements(elements, depth)
        known = self._seen.get(id(value))
        if known is not None:  # by now: there is a circle, and it was written within itself
            return self._special(ValueType.WITHIN, known[0], *written)
        if kind is ValueType.TUPLE:
            height = height_of(value, self._heights)
            if height:
                self._heights[id(value)] = height
            if height > DEEPEST:
                raise RefusedValueError(f"containers are nested more than {DEEPEST} deep")
        self._register(value)
        return self._special(kind, *written)

    def _other(self, value: Any, cls: type, depth: int) -> Any:
        if cls is np.ndarray or cls is np.memmap:
            self._register(value)
            return self._array(value)
        if cls is set:
            self._register(value)
            return self._special(ValueType.SET, *self._elements(list(value), depth))
        if cls is frozenset:
            return self._complete(value, ValueType.FROZENSET, list(value), depth)
        if cls is bytearray:
            self._register(value)
            return self._special(ValueType.BYTEARRAY, bytes(value))
        return self._special(ValueType.INT, _integer(value)) if cls is int else self._rest(value, cls, depth)

    def _rest(self, value: Any, cls: type, depth: int) -> Any:
        try:
            apart = kinds.decompose(value, cls, self.hooks.registry)
        except CodecError as error:
            raise RefusedValueError(str(error)) from None
        if apart is not None:
            return self._apart(value, *apart, depth)
        reference = self.hooks.refer(value)
        if reference is None and not self.hooks.pickle:
            raise RefusedValueError(kinds.advice(value, cls))
        self._register(value)
        return self._pickle(value) if reference is None else self._special(ValueType.REFERENCE, reference)

    def _apart(self, value: Any, kind: ValueType, names: Sequence[str], values: Sequence[Any], depth: int) -> Any:
        made = {ValueType.DATACLASS: 1, ValueType.EXCEPTION: 4}.get(kind)  # of how many parts the reader makes it
        written = self._named("{}", names[:made], values[:made], depth)
        if made is not None:
            known = self._seen.get(id(value))
            if known is not None:  # an exception that its arguments lead to
                return self._special(ValueType.WITHIN, known[0], *written)
            self._register(value)
            written += self._named("{}", names[made:], values[made:], depth)
        return self._special(kind, *written)

    @staticmethod
    def _special(kind: ValueType, *rest: Any) -> list[Any]:
        return [_Ext(int(kind), b""), *rest]

    def _elements(self, values: Sequence[Any], depth: int) -> list[Any]:
        result = []
        write, simple, deeper = self._write, AS_IT_IS, depth + 1
        for number, value in enumerate(values):
            if type(value) in simple:
                result.append(value)
                continue
            try:
                result.append(write(value, deeper))
            except RefusedValueError as refusal:
                refusal.path.append(f"[{number}]")
                raise
        return result

    def _mapping(self, value: dict[Any, Any], depth: int) -> Any:
        if AS_IT_IS.issuperset(map(type, value)) or all(map(_is_native, value)):
            return dict(zip(value, self._named("[{!r:.40}]", value, value.values(), depth), strict=True))
        result = self._special(ValueType.DICT)
        for key, item in value.items():
            result += self._named(" key {!r:.40}", [key], [key], depth)
            result += self._named("[{!r:.40}]", [key], [item], depth)
        return result

    def _named(self, form: str, names: Iterable[Any], values: Iterable[Any], depth: int) -> list[Any]:
        result = []
        for name, value in zip(names, values, strict=True):
            try:
                result.append(self._write(value, depth + 1))
            except RefusedValueError as refusal:
                refusal.path.append(form.format(name))
                raise
        return result

    def _array(self, array: Array) -> Any:
        if array.dtype.kind not in kinds.NUMPY_KINDS or not array.dtype.itemsize:
            raise RefusedValueError(kinds.no_dtype(array.dtype))
        order = "F" if array.flags.f_contiguous and not array.flags.c_contiguous else "C"
        whole = np.asarray(array) if array.flags.forc else np.ascontiguousarray(array)
        layout = [array.dtype.str, list(array.shape), order]
        if array.nbytes <= self.hooks.inline or len(self.buffers) == MOST_BUFFERS:
            return self._special(ValueType.ARRAY, *layout, whole.tobytes(order="A"))
        return self._special(ValueType.BUFFER, self._buffer(layout, whole.reshape(-1, order="A").view(np.uint8).data))

    def _buffer(self, layout: list[Any], memory: memoryview) -> int:
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
            raise RefusedValueError(f"it cannot be pickled: {error}") from error
        if len(self.buffers) + len(raws) > MOST_BUFFERS:
            data, raws = pickle.dumps(value, protocol=5), []
        return self._special(ValueType.PICKLE, data, *(self._buffer(["|u1", [raw.nbytes], "C"], raw) for raw in raws))


def _is_native(key: Any) -> bool:
    return type(key) in AS_IT_IS or (type(key) is int and key in _INT64)


def height_of(value: tuple[Any, ...], heights: dict[int, int]) -> int:
    """Return how many tuples are within each other, by way of those that came before, too; a flat one is none."""
    if shapes.SCALARS.issuperset(map(type, value)):
        return 0
    return 1 + max((heights.get(id(part), 0) for part in value if type(part) is tuple), default=0)


def _integer(value: int) -> bytes:
    length = value.bit_length() // 8 + 1
    if length > kinds.LONGEST_INTEGER:
        raise RefusedValueError(f"the integer has {length:,} bytes; at most {kinds.LONGEST_INTEGER:,} travel")
    return value.to_bytes(length, "little", signed=True)
