"""Turns a value into a tree of what MessagePack has, and raw buffers; `codec` describes both."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from ...errors import CodecError
from . import values as kinds
from .values import Kind

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import numpy.typing as npt

    from .codec import Hooks

    Array = npt.NDArray[Any]

DEEPEST = 100  # containers within each other
MOST_BUFFERS = 256  # of one message; arrays beyond that are copied into it
AS_IT_IS = frozenset({type(None), bool, float, str, bytes})

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


class Writer:
    """Turns one value into a tree.

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
        self._seen: dict[int, Any] = {}  # the objects themselves too: an address may be used again

    def write(self, value: Any, depth: int = 0) -> Any:
        """Return the tree of a value.

        Raises
        ------
        RefusedValueError
            If something in it cannot travel.
        """
        cls = type(value)
        if cls in AS_IT_IS:
            return value
        if cls is int:
            return value if value in _INT64 else self._special(Kind.INT, _integer(value))
        if depth >= DEEPEST:
            raise RefusedValueError(f"containers are nested more than {DEEPEST} deep")
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
            raise RefusedValueError(str(error)) from None
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
        raise RefusedValueError(kinds.advice(value, cls))

    @staticmethod
    def _special(kind: Kind, *rest: Any) -> list[Any]:
        return [_Ext(int(kind), b""), *rest]

    def _elements(self, values: Sequence[Any], depth: int) -> list[Any]:
        result = []
        write, simple, deeper = self.write, AS_IT_IS, depth + 1
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
            except RefusedValueError as refusal:
                refusal.path.append(form.format(name))
                raise
        return result

    def _once(self, value: Any) -> None:
        if id(value) in self._seen:
            raise RefusedValueError(
                f"it is the same {type(value).__name__} as one that comes before it or that holds it, and would "
                "arrive as another. Copy it where two are meant (copy.copy)."
            )
        self._seen[id(value)] = value

    def _array(self, array: Array) -> Any:
        if array.dtype.kind not in kinds.NUMPY_KINDS or not array.dtype.itemsize:
            raise RefusedValueError(kinds.no_dtype(array.dtype))
        order = "F" if array.flags.f_contiguous and not array.flags.c_contiguous else "C"
        whole = np.asarray(array) if array.flags.forc else np.ascontiguousarray(array)
        layout = [array.dtype.str, list(array.shape), order]
        if array.nbytes <= self.hooks.inline or len(self.buffers) == MOST_BUFFERS:
            return self._special(Kind.ARRAY, *layout, whole.tobytes(order="A"))
        return self._special(Kind.BUFFER, self._buffer(layout, whole.reshape(-1, order="A").view(np.uint8).data))

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
        return self._special(Kind.PICKLE, data, *(self._buffer(["|u1", [raw.nbytes], "C"], raw) for raw in raws))


def _integer(value: int) -> bytes:
    length = value.bit_length() // 8 + 1
    if length > kinds.LONGEST_INTEGER:
        raise RefusedValueError(f"the integer has {length:,} bytes; at most {kinds.LONGEST_INTEGER:,} travel")
    return value.to_bytes(length, "little", signed=True)
