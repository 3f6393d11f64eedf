"""Values as bytes and back: the same type, the same value, and nothing that was not meant."""

from __future__ import annotations

import copy
import dataclasses
import datetime as dt
import enum
import tracemalloc
import uuid
from collections import OrderedDict, namedtuple
from contextlib import suppress
from decimal import Decimal
from fractions import Fraction
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from simsplit.errors import CodecError, InputError
from simsplit.remote.wire.codec import Decoding, Hooks, encode
from simsplit.remote.wire.encoder import DEEPEST
from simsplit.remote.wire.values import Registry

registry = Registry()


@registry.add
class Colour(enum.Enum):
    RED = "r"
    BLUE = "b"


@registry.add
class Access(enum.Flag):
    READ = enum.auto()
    WRITE = enum.auto()


@registry.add
@dataclasses.dataclass
class Point:
    x: float
    tags: list[str]
    norm: float = dataclasses.field(init=False, default=0.0)


@registry.add
@dataclasses.dataclass(frozen=True)
class Grid:
    name: str
    axes: tuple[int, ...]


class CustomError(Exception):
    def __init__(self, code: int, detail: str) -> None:
        super().__init__(f"{code}: {detail}")
        self.code = code


HOOKS = Hooks(registry=registry, inline=64)


def there_and_back(value: Any, hooks: Hooks = HOOKS) -> Any:
    """Encode, receive the buffers as an endpoint does, decode."""
    encoded = encode(value, hooks)
    message = Decoding(bytes(encoded.body), [len(buffer) for buffer in encoded.buffers])
    for array, buffer in zip(message.buffers, encoded.buffers, strict=True):
        array.reshape(-1, order="A").view(np.uint8)[:] = buffer
    return message.value(hooks)


def same(one: Any, other: Any) -> bool:
    """Compare type and value all the way down, NaN and the sign of zero included."""
    if type(one) is not type(other):
        return False
    if isinstance(one, np.ndarray | np.generic):
        return one.dtype == other.dtype and one.shape == other.shape and one.tobytes() == other.tobytes()
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, dict):
        return same(list(one.items()), list(other.items()))
    if isinstance(one, dt.datetime | dt.time) and one.fold != other.fold:
        return False
    return repr(one) == repr(other) if isinstance(one, float | complex | Decimal) else bool(one == other)


def unshared(value: Any) -> Any:
    """Copy what can be changed: hypothesis likes to use one object twice."""
    if isinstance(value, list | tuple):
        return type(value)(map(unshared, value))
    if isinstance(value, dict):
        return {key: unshared(item) for key, item in value.items()}
    return copy.copy(value)


ZONES = st.none() | st.just(dt.UTC) | st.sampled_from([ZoneInfo("UTC"), dt.timezone(dt.timedelta(hours=5, seconds=7))])
HASHABLE = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.complex_numbers(allow_nan=False)
    | st.text()
    | st.binary()
    | st.decimals(allow_nan=False)
    | st.fractions()
    | st.uuids()
    | st.datetimes(timezones=ZONES)
    | st.dates()
    | st.times(timezones=ZONES)
    | st.timedeltas()
    | st.sampled_from(Colour)
    | st.sampled_from([Access.READ, Access.READ | Access.WRITE, Access(0)])
    | st.builds(Grid, st.text(), st.lists(st.integers()).map(tuple)),
    lambda inner: st.lists(inner, max_size=3).map(tuple) | st.frozensets(inner, max_size=3),
    max_leaves=5,
)
DTYPES = (
    hnp.boolean_dtypes()
    | hnp.integer_dtypes(endianness="?")
    | hnp.unsigned_integer_dtypes(endianness="?")
    | hnp.floating_dtypes(endianness="?")
    | hnp.complex_number_dtypes(endianness="?")
    | hnp.datetime64_dtypes(endianness="?")
    | hnp.timedelta64_dtypes(endianness="?")
    | hnp.byte_string_dtypes(min_len=1)
    | hnp.unicode_string_dtypes(endianness="?", min_len=1)
)
ARRAYS = hnp.arrays(DTYPES, hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=5))
VALUES = st.recursive(
    HASHABLE | ARRAYS | st.floats() | st.complex_numbers() | st.decimals() | st.binary().map(bytearray),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.lists(inner, max_size=4).map(tuple)
        | st.dictionaries(st.text(), inner, max_size=4)
        | st.dictionaries(HASHABLE, inner, max_size=4)
        | st.sets(HASHABLE, max_size=4)
        | st.builds(Point, st.floats(allow_nan=False), st.lists(st.text()))
    ),
    max_leaves=10,
).map(unshared)


@settings(max_examples=400, deadline=None)
@given(VALUES)
def test_a_value_comes_back_with_its_type(value: Any) -> None:
    assert same(value, there_and_back(value))


@given(ARRAYS, st.sampled_from("CFKA"))
@settings(deadline=None)
def test_an_array_comes_back_bit_for_bit_in_its_order_and_can_be_written(array: np.ndarray, order: Any) -> None:
    given_array = np.asarray(array, order=order)
    result = there_and_back(given_array)
    assert same(given_array, result)
    assert result.flags.writeable
    assert result.flags.f_contiguous or not given_array.flags.f_contiguous or given_array.flags.c_contiguous


@pytest.mark.parametrize("cut", [np.s_[::2], np.s_[::-1], np.s_[:, 1], np.s_[3:3], np.s_[..., None]])
def test_a_part_of_an_array_travels_without_the_rest(cut: Any) -> None:
    array = np.arange(1200.0).reshape(40, 30)[cut]
    assert sum(map(len, encode(array, HOOKS).buffers)) in (array.nbytes, 0)
    assert same(np.ascontiguousarray(array).reshape(array.shape), np.ascontiguousarray(there_and_back(array)))


def test_a_large_array_is_not_copied_on_its_way_out() -> None:
    array = np.arange(1000.0)
    (buffer,) = encode({"a": [array]}, HOOKS).buffers
    assert np.shares_memory(np.frombuffer(buffer, np.uint8), array)


def test_a_read_only_array_and_a_memory_map_travel(tmp_path: Any) -> None:
    array = np.arange(100.0)
    array.flags.writeable = False
    assert same(array, there_and_back(array))
    mapped = np.memmap(tmp_path / "m", np.float32, "w+", shape=(50,))
    mapped[:] = 7
    assert same(np.asarray(mapped), there_and_back(mapped))


@pytest.mark.parametrize(
    "error",
    [
        ValueError("no"),
        ZeroDivisionError("division by zero"),
        KeyError("key"),
        FileNotFoundError(2, "No such file", "there.npy"),
        UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte"),
        StopIteration(5),
        CustomError(7, "seven"),
        InputError("delta_t"),
        ExceptionGroup("several", [ValueError(1), CustomError(2, "b")]),
    ],
)
def test_an_exception_comes_back_with_arguments_attributes_and_notes(error: Exception) -> None:
    error.add_note("a note")
    error.extra = [1, 2]  # type: ignore[attr-defined]
    result = there_and_back(error)
    assert type(result) is type(error)
    assert repr(result) == repr(error)
    assert str(result) == str(error)
    assert {**vars(result)} == {**vars(error)}
    assert getattr(result, "filename", None) == getattr(error, "filename", None)
    assert getattr(result, "value", None) == getattr(error, "value", None)


def cycle() -> list[Any]:
    value: list[Any] = [1]
    value.append({"deep": value})
    return value


shared: list[int] = [1]
shared_array = np.arange(3)


@pytest.mark.parametrize(
    ("value", "where", "why"),
    [
        (cycle(), "value[1]['deep']", "it is the same list"),
        ((shared, {"a": shared}), "value[1]['a']", "Copy it where two are meant"),
        ([shared_array, shared_array], "value[1]", "it is the same ndarray"),
        ({1: [object()]}, "value[1][0]", "of type builtins.object"),
        ({(object(),): 1}, "value key (<object", "of type builtins.object"),
        ([lambda: 1], "value[0]", "of type builtins.function"),
        (Point(1.0, [{}, 2, 1j, lambda: 0]), "value.tags[3]", "function"),  # type: ignore[list-item]
        (CustomError, "value", "of type builtins.type"),
        (namedtuple("Pair", "a b")(1, 2), "value", "Pair"),  # noqa: PYI024
        (OrderedDict(a=1), "value", "collections.OrderedDict"),
        (np.array([object()]), "value", "array of objects"),
        (np.zeros(2, "f8,i4"), "value", "for each field"),
        (np.ma.masked_array([1, 2], [0, 1]), "value", "numpy.asarray"),
        (enum.Enum("Unknown", "A").A, "value", "simsplit.remote.register(Unknown)"),  # type: ignore[attr-defined]
        pytest.param(1 << (8 * 2**16), "value", "at most 65,536 travel", id="huge"),
        (dt.datetime(2020, 1, 1, tzinfo=type("Z", (dt.tzinfo,), {})()), "value", "ZoneInfo"),
        ("\ud800", "value", "surrogates"),
        (CodecError, "value", "type"),
    ],
)
def test_what_cannot_travel_is_refused_with_its_place_and_the_reason(value: Any, where: str, why: str) -> None:
    with pytest.raises(CodecError) as caught:
        encode(value, HOOKS)
    assert str(caught.value).startswith(where)
    assert why in str(caught.value)


def test_what_cannot_change_may_appear_twice() -> None:
    pair, grid = (1, "a"), Grid("g", (1,))
    assert there_and_back([pair, pair, grid, grid, 1j]) == [pair, pair, grid, grid, 1j]


def nested(depth: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(depth):
        value = [value]
    return value


def test_nesting_is_limited_at_both_ends() -> None:
    assert there_and_back((nested(DEEPEST - 2),)) == (nested(DEEPEST - 2),)
    with pytest.raises(CodecError, match="nested more than"):
        encode(nested(DEEPEST), HOOKS)
    body = msgspec.msgpack.encode([[], [msgspec.msgpack.Ext(1, b""), nested(DEEPEST + 50)]])
    with pytest.raises(CodecError, match="nested more than"):
        Decoding(body).value(HOOKS)


def test_a_class_must_be_registered_at_the_receiving_end() -> None:
    encoded = encode(Point(1.0, []), HOOKS)
    with pytest.raises(CodecError, match=r"test_codec:Point' is not registered at this end"):
        Decoding(encoded.body).value(Hooks())


def test_a_class_of_another_kind_or_a_second_one_of_a_name_is_not_registered() -> None:
    with pytest.raises(InputError, match="must be an Enum, a dataclass or an exception"):
        Registry().add(int)
    twin = dataclasses.make_dataclass("Point", ["x"], namespace={"__module__": __name__})
    with pytest.raises(InputError, match="another class is registered as"):
        registry.add(twin)


def test_no_class_but_an_exception_is_found_by_name() -> None:
    body = msgspec.msgpack.encode([[], [msgspec.msgpack.Ext(20, b""), "os", "system", [["true"]], {}]])
    with pytest.raises(CodecError, match=r"os\.system is not known"):
        Decoding(body).value(HOOKS)


def test_references_go_through_the_hooks() -> None:
    thing = object()
    hooks = Hooks(refer=lambda value: "MPI:thing@0" if value is thing else None, resolve=str.upper)
    assert there_and_back([thing], hooks) == ["MPI:THING@0"]
    with pytest.raises(CodecError, match="cannot be used here"):
        Decoding(encode(thing, hooks).body).value(HOOKS)


def test_pickle_needs_both_ends_and_sends_its_arrays_apart() -> None:
    on = Hooks(pickle=True, inline=64)
    value = {"a": slice(1, 2), "b": slice(np.arange(100.0))}
    result = there_and_back(value, on)
    assert result["a"] == slice(1, 2)
    assert same(result["b"].stop, value["b"].stop)
    assert len(encode(value["b"], on).buffers[0]) == 800
    with pytest.raises(CodecError, match="not switched on at this end"):
        Decoding(encode(slice(1), on).body).value(HOOKS)
    with pytest.raises(CodecError, match=r"builtins\.slice"):
        encode(slice(1), HOOKS)


@pytest.mark.parametrize(
    ("entry", "size"),
    [
        (["|O", [2], "C"], 16),
        (["f8,O", [1], "C"], 16),
        (["<f8", [2**40, 2**40], "C"], 8),
        (["<f8", [-1, -2], "C"], 16),
        (["<f8", [2], "C"], 17),
        (["<f8", [True, 2], "C"], 16),
        (["<f8", [2], "K"], 16),
        (["<U0", [10**18], "C"], 0),
        (["<f8", [0] + [2**40] * 60, "C"], 0),
        (["x" * 10**6, [1], "C"], 8),
        ("<f8", 8),
    ],
)
def test_a_false_table_is_refused_before_memory_is_taken(entry: Any, size: int) -> None:
    body = msgspec.msgpack.encode([[entry], [msgspec.msgpack.Ext(19, b""), 0]])
    tracemalloc.start()
    try:
        with pytest.raises(CodecError, match="not a"):
            Decoding(body, [size])
        assert tracemalloc.get_traced_memory()[1] < 2**22
    finally:
        tracemalloc.stop()


def test_an_integer_that_would_take_long_to_reckon_with_is_refused() -> None:
    body = msgspec.msgpack.encode([[], [msgspec.msgpack.Ext(5, b""), b"\1" * (2**16 + 1)]])
    with pytest.raises(CodecError, match="an integer of 65,537 bytes"):
        Decoding(body).value(HOOKS)


def test_a_buffer_is_used_once_and_must_exist() -> None:
    marker = msgspec.msgpack.Ext(19, b"")
    for tree in ([[marker, 0], [marker, 0]], [marker, 1], [marker, -1], [marker, "0"]):
        message = Decoding(msgspec.msgpack.encode([[["|u1", [4], "C"]], tree]), [4])
        with pytest.raises(CodecError, match="buffer"):
            message.value(HOOKS)


GARBAGE = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats()
    | st.text(max_size=5)
    | st.sampled_from(["<f8", "C", "F", "builtins", "ValueError", "UTC", "__class__", f"{__name__}:Point"])
    | st.binary(max_size=20)
    | st.builds(msgspec.msgpack.Ext, st.integers(-128, 127) | st.integers(1, 22), st.binary(max_size=3)),
    lambda inner: (
        st.lists(inner, max_size=5)
        | st.dictionaries(st.text(max_size=3) | st.integers(0, 9), inner, max_size=3)
        | st.builds(lambda code, rest: [msgspec.msgpack.Ext(code, b""), *rest], st.integers(1, 22), st.lists(inner))
    ),
    max_leaves=12,
)


@settings(max_examples=500, deadline=None)
@given(GARBAGE, GARBAGE, st.lists(st.integers(0, 100), max_size=2))
def test_no_message_does_more_than_be_refused(table: Any, tree: Any, sizes: list[int]) -> None:
    for body in (msgspec.msgpack.encode([table, tree]), msgspec.msgpack.encode([[], tree])):
        with suppress(CodecError):
            Decoding(body, sizes if body[1] != 0x90 else []).value(HOOKS)


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=200))
def test_no_bytes_do_more_than_be_refused(data: bytes) -> None:
    for body in (data, b"\x92\x90" + data):
        with suppress(CodecError):
            Decoding(body).value(HOOKS)


def test_a_uuid_and_nan_come_back() -> None:
    assert there_and_back(uuid.UUID(int=5)) == uuid.UUID(int=5)
    assert there_and_back(Fraction(1, 3)) == Fraction(1, 3)
    assert str(there_and_back(Decimal("sNaN"))) == "sNaN"
