"""Decode the tree of a message into its value; the format is described in `codec`."""

from __future__ import annotations

from contextlib import suppress
from math import prod
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from ...errors import CodecError
from . import shapes
from . import values as kinds
from .encoder import DEEPEST, height_of
from .shapes import SCALARS as NATIVE
from .values import ValueType

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    import numpy.typing as npt

    from .codec import Hooks

    Array = npt.NDArray[Any]

_STR = frozenset({str})
_ORDERS = ("C", "F")
_SMALL = 16  # elements of a flat tuple that are not worth counting
_MOST_HASHED = 2**22  # values, and a hundred for each byte of a message, that are looked at to hash what came


def has_names(value: Any) -> bool:
    """Return whether a value is a dict whose keys are texts."""
    return type(value) is dict and _STR.issuperset(map(type, value))


def layout(entry: Any, size: int) -> tuple[np.dtype[Any], tuple[int, ...], Literal["C", "F"]]:
    """Return dtype, shape and order of a buffer, checked against the size that was announced."""
    if type(entry) is not list or len(entry) != 3:  # noqa: PLR2004, dtype, shape, order
        raise CodecError("not a message: a wrong entry in the table of buffers")
    dtype, shape = kinds.dtype_of(entry[0]), kinds.shape_of(entry[1])
    if entry[2] not in _ORDERS or prod(shape) * dtype.itemsize != size:
        raise CodecError(f"not a message: {dtype} of shape {shape} does not fill {size:,} bytes")
    return dtype, shape, "F" if entry[2] == "F" else "C"


class Reader:
    """Turns the tree of one message into its value.

    Parameters
    ----------
    hooks : Hooks
    buffers : list of ndarray
        Filled.
    nbytes : int
        Of the message without them.
    """

    def __init__(self, hooks: Hooks, buffers: list[Array], nbytes: int) -> None:
        self.hooks = hooks
        self.buffers: list[Array | None] = list(buffers)
        self._numbered: list[Any] = []
        self._numbers_are_right = True
        self._weights: dict[int, int] = {}  # of what is hashed with all that is in it, by address: how much that is
        self._heights: dict[int, int] = {}  # of tuples, by address: how many are within each other
        self._may_hash = _MOST_HASHED + 100 * nbytes

    def read(self, tree: Any, depth: int) -> Any:
        """Return the value of a tree that is within so many others.

        Raises
        ------
        CodecError
            If it holds none, as other exceptions that what is wrong in it provokes.
        """
        cls = type(tree)
        if cls is dict or cls is list:
            if depth > DEEPEST:
                raise CodecError(f"not a value: containers are nested more than {DEEPEST} deep")
            if cls is list and tree and type(tree[0]) is ValueType:
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
        return kinds.compose(kind, parts, self.hooks.registry)

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
        if not has_names(others):
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
        if not has_names(attributes):
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
        return self._number(_inline(*tree[1:]) if tree[0] is ValueType.ARRAY else self._buffer(*tree[1:]))

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


_BEFORE_ITS_PARTS: dict[ValueType, Callable[[Reader, list[Any], int], Any]] = {
    ValueType.SAME: Reader._same,  # noqa: SLF001, of this module, as all of these
    ValueType.WITHIN: Reader._within,  # noqa: SLF001
    ValueType.SET: Reader._set,  # noqa: SLF001
    ValueType.DICT: Reader._dict,  # noqa: SLF001
    ValueType.DATACLASS: Reader._dataclass,  # noqa: SLF001
    ValueType.EXCEPTION: Reader._exception,  # noqa: SLF001
    ValueType.ARRAY: Reader._array,  # noqa: SLF001
    ValueType.BUFFER: Reader._array,  # noqa: SLF001
    ValueType.PART: Reader._part,  # noqa: SLF001
}
_AFTER_ITS_PARTS: dict[ValueType, Callable[[Reader, list[Any]], Any]] = {
    ValueType.TUPLE: Reader._tuple,  # noqa: SLF001
    ValueType.FROZENSET: Reader._frozenset,  # noqa: SLF001
    ValueType.BYTEARRAY: lambda reader, parts: kinds.compose(ValueType.BYTEARRAY, parts, reader.hooks.registry),
    ValueType.REFERENCE: Reader._reference,  # noqa: SLF001
    ValueType.PICKLE: Reader._pickle,  # noqa: SLF001
}


def _is_key(key: Any) -> bool:
    """Return whether a key of MessagePack's own is one of ours: no container but a tuple can be one."""
    return type(key) in NATIVE or (type(key) is tuple and NATIVE.issuperset(map(type, key)))


def _inline(spec: Any, shape: Any, order: Any, data: Any) -> Array:
    if type(data) is not bytes:
        raise CodecError("not a value: an array without bytes")
    dtype, lengths, order = layout([spec, shape, order], len(data))
    flat = np.frombuffer(bytearray(data), dtype) if data else np.empty(prod(lengths), dtype)
    return flat.reshape(lengths, order=order)
