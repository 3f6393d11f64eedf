"""Fast path for plain values: MessagePack types and tuples, inspected and decoded by C code.

A value is looked at level by level, by functions that run in C: which types the values at one place have, and
whether any list or dict is there twice, which MessagePack would make two of. It has no tuples either; so where
there are tuples, the shape of the value says where, and a decoder that is made for this shape makes them again.

A shape is None, for anything without tuples, or a list of three:

* whether bytes are among the values at this place, and so no str;
* of lists and tuples: None; ``[0, shape]``, lists; ``[1, shape]``, tuples; ``[2, shape, …]``, tuples of so many;
* of dicts: None; ``[0, shape]``; ``[1, key, shape, …]``, dicts with these keys, each an ASCII str.
"""

from __future__ import annotations

import sys
from functools import lru_cache
from itertools import chain
from operator import itemgetter
from typing import TYPE_CHECKING, Any, NamedTuple, TypedDict

import msgspec

from ...errors import CodecError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

SCALARS = frozenset({type(None), bool, int, float, str, bytes})
CANNOT_ENCODE = (UnicodeEncodeError, OverflowError, ValueError, TypeError)

_CONTAINERS = frozenset({list, tuple, dict})
_KNOWN = SCALARS | _CONTAINERS
_TUPLE = frozenset({tuple})
_STR = frozenset({str})
_COLUMNS = 64  # elements of tuples, and keys of dicts, of which each is looked at by itself
_FEW = 32  # values of a small container
_LONG = 64  # elements of tuples that are not sent twice
_LONGEST_SHAPE = 2**12  # bytes
_DEEPEST_SHAPE = 100
_LIST, _TUPLES, _COLUMNED = range(3)

_encode = msgspec.msgpack.Encoder().encode
_decode_shape = msgspec.msgpack.Decoder().decode


class Part(NamedTuple):
    """A value as MessagePack.

    Attributes
    ----------
    shape : bytes or None
        None: there are no tuples.
    data : bytes
    ids : set of int
        The addresses of lists, dicts and tuples that others may refer to.
    """

    shape: bytes | None
    data: bytes
    ids: set[int]


class _OtherError(Exception):
    """Something that MessagePack has not, or that is there twice."""


class _MixedError(_OtherError):
    """Values at one place that no decoder tells apart, such as lists and tuples."""


def is_small(value: Any) -> bool:
    """Return whether a list, dict or tuple has so few values that they are sent sooner one by one."""
    left, containers = _FEW, [value]
    while containers:
        container = containers.pop()
        left -= len(container)
        if left < 0:
            return False
        inner = container.values() if type(container) is dict else container
        containers += [each for each in inner if type(each) in _CONTAINERS]
    return True


def part(value: Any, deepest: int) -> Part | None:
    """Return a list, dict or tuple as MessagePack, if it has all of it.

    Parameters
    ----------
    value : list, dict or tuple
    deepest : int
        Containers that may be within each other.
    """
    looking = _Looking(deepest)
    try:
        shape = looking.shape([value], {type(value)}, 0)
        if shape is None:
            return Part(None, _encode(value), looking.ids)
        packed = _encode(shape)
        return Part(packed, _encode(value), looking.ids) if len(packed) <= _LONGEST_SHAPE else None
    except (_OtherError, *CANNOT_ENCODE):  # among them a large integer: the writer knows how to send it
        return None


class _Looking:
    """Looks at one value.

    Attributes
    ----------
    ids : set of int
        As in `Part`.
    """

    def __init__(self, deepest: int) -> None:
        self.ids: set[int] = set()
        self._deepest = deepest
        self._columns = _COLUMNS

    def shape(self, level: Sequence[Any], types: set[type], depth: int) -> Any:
        """Return the shape that all values at one place have."""
        if types <= SCALARS:
            return None
        if not types <= _KNOWN or depth >= self._deepest:
            raise _OtherError
        sequences = mapping = None
        if tuple in types:
            if list in types:
                raise _MixedError
            sequences = self._of_tuples(_only(tuple, level, types), depth)
        elif list in types:
            lists = _only(list, level, types)
            self._once(lists, level)
            inner = set(map(type, chain.from_iterable(lists)))
            if not inner <= SCALARS:
                below = self.shape(list(chain.from_iterable(lists)), inner, depth + 1)
                sequences = None if below is None else [_LIST, below]
        if dict in types:
            mapping = self._of_dicts(_only(dict, level, types), level, depth)
        if sequences is None and mapping is None:
            return None
        if str in types and bytes in types:
            raise _MixedError
        return [bytes in types, sequences, mapping]

    def _of_tuples(self, tuples: Sequence[tuple[Any, ...]], depth: int) -> Any:
        types = set(map(type, chain.from_iterable(tuples)))
        if types <= SCALARS:
            if sum(map(len, tuples)) > _LONG * len(tuples):
                self._once(tuples)
            return [_TUPLES, None]
        self._once(tuples)  # or it would grow with every tuple that is there twice
        items = list(chain.from_iterable(tuples))
        shape = self._below(items, types, depth, tuples, lambda: range(_same(map(len, tuples))))
        return [_COLUMNED, *shape.values()] if type(shape) is dict else [_TUPLES, shape]

    def _of_dicts(self, dicts: Sequence[dict[Any, Any]], level: Sequence[Any], depth: int) -> Any:
        self._once(dicts, level)
        key_types = set(map(type, chain.from_iterable(dicts)))
        if not key_types <= SCALARS:
            tuples = [key for key in chain.from_iterable(dicts) if type(key) is tuple]
            if not key_types - SCALARS <= _TUPLE or not SCALARS.issuperset(map(type, chain.from_iterable(tuples))):
                raise _OtherError
        types = set(map(type, chain.from_iterable(map(dict.values, dicts))))
        if types <= SCALARS:
            return None
        keys = lambda: _ascii(_same(map(tuple, dicts))) if key_types <= _STR else _same(())  # noqa: E731
        values = list(chain.from_iterable(map(dict.values, dicts)))
        shape = self._below(values, types, depth, dicts, keys)
        if type(shape) is dict:
            return [1, *chain.from_iterable(shape.items())]
        return None if shape is None else [0, shape]

    def _below(
        self,
        items: Sequence[Any],
        types: set[type],
        depth: int,
        holders: Sequence[Any],
        keys: Callable[[], Iterable[Any]],
    ) -> Any:
        """Return the shape of what all tuples, or dicts, hold; if it has none, a dict of one for each key."""
        ids = set(self.ids)
        try:
            return self.shape(items, types, depth + 1)
        except _MixedError:
            self.ids = ids
        found = list(keys())
        self._columns -= len(found)
        if self._columns < 0:
            raise _OtherError
        shapes = {}
        for key in found:
            column = list(map(itemgetter(key), holders))
            shapes[key] = self.shape(column, set(map(type, column)), depth + 1)
        return shapes

    def _once(self, containers: Sequence[Any], level: Sequence[Any] | None = None) -> None:
        """See to it that each is there once."""
        held = _HELD if containers is level else _HELD + 1
        if _COUNTS and max(map(sys.getrefcount, containers)) <= held:
            return  # by what holds it, and by this look alone
        ids = set(map(id, containers))
        if len(ids) != len(containers) or not ids.isdisjoint(self.ids):
            raise _OtherError
        self.ids |= ids


def _same(values: Iterable[Any]) -> Any:
    """Return the one value that all are."""
    found = set(values)
    if len(found) != 1:
        raise _OtherError
    return found.pop()


def _ascii(keys: tuple[str, ...]) -> tuple[str, ...]:
    """Return the keys, if msgspec finds them again: of a record it knows ASCII keys alone."""
    if not all(map(str.isascii, keys)):
        raise _OtherError
    return keys


def _only(cls: type, level: Sequence[Any], types: set[type]) -> Sequence[Any]:
    return level if len(types) == 1 else [value for value in level if type(value) is cls]


_COUNTS = getattr(sys, "_is_gil_enabled", lambda: True)()  # otherwise the counts mean something else


def _held() -> int:
    """Return how many references there are to what one container and a level hold, in this Python."""
    level: list[Any] = list(chain.from_iterable([[[]]]))
    return max(map(sys.getrefcount, level)) + 1  # what held it is gone already


_HELD = _held()


def read(shape: Any, data: Any) -> Any:
    """Return the value of a `Part`.

    Raises
    ------
    CodecError
        If it is none; nothing else, whatever the bytes.
    """
    if type(data) is not bytes or not (shape is None or (type(shape) is bytes and len(shape) <= _LONGEST_SHAPE)):
        raise CodecError("not a value: a part without a shape")
    try:
        return _decoder(shape)(data)
    except (msgspec.DecodeError, RecursionError, ValueError, TypeError, KeyError, OverflowError, _OtherError) as error:
        raise CodecError(f"not a value: {error}") from None


@lru_cache(maxsize=256)
def _decoder(shape: bytes | None) -> Callable[[bytes], Any]:
    wanted = Any if shape is None else _type(_decode_shape(shape), 0)
    return msgspec.msgpack.Decoder(wanted, ext_hook=_stop).decode


def _stop(code: int, _nothing: memoryview) -> Any:
    raise _OtherError(f"an extension {code} in a part without any")


def _type(shape: Any, depth: int) -> Any:
    """Return what the decoder is told to expect."""
    if shape is None:
        return Any
    binary, sequences, mapping = shape
    if depth >= _DEEPEST_SHAPE:
        raise _OtherError("a shape that is too deep")
    found: list[Any] = [list, dict]
    if sequences is not None:
        what, *inner = sequences
        below: list[Any] = [_type(each, depth + 1) for each in inner]
        if what == _COLUMNED:
            found[0] = tuple[tuple(below)] if below else tuple[()]  # type: ignore[misc]
        else:
            (each,) = below
            found[0] = {_LIST: list[each], _TUPLES: tuple[each, ...]}[what]  # type: ignore[valid-type]
    if mapping is not None:
        what, *inner = mapping
        if what:
            if not all(type(key) is str and key.isascii() for key in inner[::2]):  # msgspec takes it for granted
                raise _OtherError("a shape with keys that are no ASCII texts")
            keys = {key: _type(each, depth + 1) for key, each in zip(inner[::2], inner[1::2], strict=True)}
            found[1] = TypedDict("Record", keys)  # type: ignore[operator]
        else:
            (each,) = inner
            found[1] = dict[Any, _type(each, depth + 1)]  # type: ignore[misc]
    return None | bool | int | float | (bytes if binary else str) | found[0] | found[1]
