"""Plain values that C encodes and reads: the same value with the same types, or none at all."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simsplit.errors import CodecError
from simsplit.remote.wire import shapes
from tests.support.profiles import examples

SCALARS = (
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False) | st.text(max_size=3)
)
KEYS = SCALARS | st.lists(SCALARS, max_size=2).map(tuple)
PLAIN = st.recursive(
    SCALARS | st.binary(max_size=2),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.lists(inner, max_size=4).map(tuple)
        | st.dictionaries(KEYS, inner, max_size=3)
        | st.tuples(inner, inner)
        | st.fixed_dictionaries({"a": inner, "b": inner})
        | st.fixed_dictionaries({"é": inner, "b": inner})
    ),
    max_leaves=12,
)


def there_and_back(value: Any) -> Any:
    part = shapes.part(value, 100)
    assert part is not None
    return shapes.read(part.shape, part.data)


@examples(500)
@given(st.lists(PLAIN, max_size=3), st.integers(0, 40))
def test_a_value_comes_back_with_its_types_if_it_goes(value: list[Any], zeros: int) -> None:
    value = [*value, [0] * zeros]
    part = shapes.part(value, 100)
    if part is not None:
        assert repr(shapes.read(part.shape, part.data)) == repr(value)
        with suppress(CodecError):  # whatever the other value makes of it
            shapes.read(part.shape, msgspec.msgpack.encode([zeros, "a", {"a": [1]}]))


MANY = range(50)


@pytest.mark.parametrize(
    "value",
    [
        [(number, str(number)) for number in MANY],
        [(number, [number], (number, (2,))) for number in MANY],
        [{"at": (1, 2.5), "tags": ["a"], "of": {"x": (number,)}} for number in MANY],
        {(number, "a"): (number, None) for number in MANY},
        {number: [(b"x", number)] for number in MANY},
        [[number, (1, 2), {"a": 2}, "x", None][number % 5] for number in MANY],
        [(number,) if number % 2 else {"a": (number, {"b": ()})} for number in MANY],
        [([(1, 2)] * number, [[3]]) for number in MANY],
        (((((1,),) * 3,),), *MANY),
        [*MANY, (), [()][0]],
    ],
)
def test_tuples_and_keys_of_many_shapes_come_back(value: Any) -> None:
    result = there_and_back(value)
    assert repr(result) == repr(value)
    assert type(result) is type(value)


def deep(depth: int, cls: type = list) -> Any:
    value = cls()
    for _ in range(depth):
        value = cls([value])
    return value


shared: list[int] = [1]
circle: list[Any] = [*MANY]
circle.append([circle])


class Word(str):
    __slots__ = ()


@pytest.mark.parametrize(
    "value",
    [
        [shared, shared],
        [(1, shared), {"a": shared}, *MANY],
        [([shared],), ([shared],), *MANY],
        [(1, (2,))] * 50,
        circle,
        [(1, 2), [3, 4], *MANY],
        [("a",), b"b", "c", *MANY],
        [1, {2}],
        [Word("a")],
        {Word("a"): 1},
        {"a": 1, np.str_("b"): 2},
        [{"a": 1}, {np.str_("a"): 2}],
        [1, np.float64(2)],
        [2**64],
        ["\ud800"],
        {frozenset(): 1},
        {((1, (2,)),): 1},
        [{"a": object()}],
        [{"é": [number], "α": (number,)} for number in MANY],
        [0, {"": [], "Ā": ()}],
        deep(100),
        deep(100, tuple),
    ],
)
def test_what_messagepack_would_change_does_not_go_this_way(value: Any) -> None:
    assert shapes.part(value, 100) is None


def test_a_list_that_only_its_holder_knows_is_found_without_its_address() -> None:
    part = shapes.part([[number] for number in MANY], 100)
    assert part is not None
    assert len(part.ids) <= 1
    held = [[number] for number in MANY]
    part = shapes.part([*held], 100)
    assert part is not None
    assert part.ids >= set(map(id, held))


@pytest.mark.parametrize(
    "shape",
    [
        5,
        "text",
        [],
        [False, None],
        [False, [], None],
        [False, [5, None], None],
        [False, [0, None, None], None],
        [False, None, [1, "a"]],
        [False, None, [1, 5, None]],
        [False, None, [1, b"a", None]],
        [False, None, [1, "é", None]],
        [False, None, [0, None, None]],
        [False, [1, [False, [2, 5], None]], None],
        {"a": 1},
    ],
)
def test_a_shape_that_is_none_is_refused(shape: Any) -> None:
    for value in ([1], {"a": 1}, {5: 1}):
        with pytest.raises(CodecError, match="not a value"):
            shapes.read(msgspec.msgpack.encode(shape), msgspec.msgpack.encode(value))


def test_a_shape_and_data_that_do_not_agree_or_are_too_much_are_refused() -> None:
    pairs = msgspec.msgpack.encode([False, [0, [False, [2, None, None], None]], None])
    assert shapes.read(pairs, msgspec.msgpack.encode([[1, 2]])) == [(1, 2)]
    nested: Any = None
    for _ in range(150):
        nested = [False, [0, nested], None]
    for shape, data in [
        (pairs, msgspec.msgpack.encode([[1]])),
        (pairs, b""),
        (pairs, b"\x91\xc7\x00\x01"),
        (None, b"\x91\xc7\x00\x01"),
        (None, [1]),
        ("text", b"\x90"),
        (bytes(5000), b"\x90"),
        (msgspec.msgpack.encode(nested), b"\x90"),
        (None, b"\x91" * 100_000),
    ]:
        with pytest.raises(CodecError, match="not a value"):
            shapes.read(shape, data)


SHAPES = st.recursive(
    st.none() | st.integers(0, 3) | st.text(max_size=1),
    lambda inner: st.lists(inner, max_size=4),
    max_leaves=20,
)


@examples(500)
@given(SHAPES, PLAIN)
def test_no_shape_does_more_than_be_refused(shape: Any, value: Any) -> None:
    with suppress(CodecError):
        shapes.read(msgspec.msgpack.encode(shape), msgspec.msgpack.encode(value))
