"""Values as bytes and back: the same type, the same value, and nothing that was not meant."""

from __future__ import annotations

import dataclasses
import datetime as dt
import enum
import json
import math
import subprocess
import tracemalloc
import uuid
from collections import OrderedDict, namedtuple
from contextlib import suppress
from decimal import Decimal
from fractions import Fraction
from typing import Any, ClassVar, Self
from zoneinfo import ZoneInfo

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from simsplit.errors import CodecError, InputError, RemoteError
from simsplit.remote.wire import codec
from simsplit.remote.wire.codec import Decoding, Gathering, Hooks, decode, encode
from simsplit.remote.wire.encoder import DEEPEST
from simsplit.remote.wire.values import Registry, ValueType
from tests.support.profiles import examples

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


@registry.add
@dataclasses.dataclass(frozen=True)
class Pair:
    a: Any
    b: Any


@registry.add
@dataclasses.dataclass(eq=False)
class Node:
    held: Any


@registry.add
@dataclasses.dataclass
class Radians:
    """Changes what it is given, and keeps more than its fields."""

    angle: float

    def __post_init__(self) -> None:
        self.angle = math.radians(self.angle)
        self.cosine = math.cos(self.angle)


@registry.add
@dataclasses.dataclass(slots=True)
class Counted:
    given: dataclasses.InitVar[int]
    value: int = dataclasses.field(init=False)
    made: ClassVar[int] = 0

    def __post_init__(self, given: int) -> None:
        self.value = given + 1
        type(self).made += 1


@registry.add
@dataclasses.dataclass(frozen=True, slots=True)
class Sealed:
    name: str
    hidden: int = dataclasses.field(default=0, repr=False)


class CustomError(Exception):
    def __init__(self, code: int, detail: str) -> None:
        super().__init__(f"{code}: {detail}")
        self.code = code


HOOKS = Hooks(registry=registry, inline=64)


def there_and_back(value: Any, hooks: Hooks = HOOKS) -> Any:
    """Encode, receive the buffers as an endpoint does, decode."""
    encoded = encode(value, hooks)
    if not encoded.buffers:
        return decode(encoded.body, hooks)
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
)


@examples(400)
@given(VALUES)
def test_a_value_comes_back_with_its_type(value: Any) -> None:
    assert same(value, there_and_back(value))


def test_many_dicts_come_back_whatever_their_keys_are_written_in() -> None:
    value = [{"température": [number], "α": (number,), "b": "x"} for number in range(50)]
    assert there_and_back(value) == value


@given(ARRAYS, st.sampled_from("CFKA"))
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


class SlotsError(ValueError, IndexError):
    """Keeps its state in slots, its arguments apart."""

    __slots__ = ("__private", "axis")

    def __init__(self, axis: int) -> None:
        self.axis = axis
        self.__private = f"axis {axis}"

    def __str__(self) -> str:
        return self.__private


class TwiceError(Exception):
    """Keeps an argument as an attribute, too."""

    def __init__(self, words: list[str]) -> None:
        super().__init__(words)
        self.words = words


class NewError(Exception):
    """Its `__new__` takes what its arguments are not."""

    def __new__(cls, *, word: str) -> Self:
        return super().__new__(cls, word, 5)

    def __init__(self, *, word: str) -> None:
        pass


@pytest.mark.parametrize(
    ("error", "attributes"),
    [
        (np.exceptions.AxisError(3, 2), ["axis", "ndim"]),
        (np.exceptions.AxisError("text"), ["axis", "ndim"]),
        (SlotsError(5), ["axis", "_SlotsError__private"]),
        (ImportError("no", name="module", path="there"), ["name", "path"]),
        (AttributeError("no", name="attribute", obj=object()), ["name"]),
        (NameError("no", name="variable"), ["name"]),
        (subprocess.CalledProcessError(1, ["ls", "-l"], b"out", b"err"), ["cmd", "returncode", "output", "stderr"]),
        (subprocess.TimeoutExpired(["ls"], 5.0), ["cmd", "timeout"]),
        (json.JSONDecodeError("no", "text", 2), ["msg", "doc", "pos"]),
        (OSError(2, "no", "here", None, "there"), ["errno", "filename", "filename2"]),
        (TwiceError(["a"]), ["words"]),
        (NewError(word="w"), []),
    ],
)
def test_an_exception_with_state_of_its_own_comes_back(error: Exception, attributes: list[str]) -> None:
    result = there_and_back(error)
    assert type(result) is type(error)
    assert (str(result), result.args) == (str(error), error.args)
    assert [getattr(result, name) for name in attributes] == [getattr(error, name) for name in attributes]
    if isinstance(error, TwiceError):
        assert result.words is result.args[0]


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"__module__": "of_nobody"}, "of_nobody.Unknown"),
        ({"__qualname__": "function.<locals>.Unknown"}, "function.<locals>.Unknown"),
        ({"__qualname__": "Point"}, "Point: went wrong"),
    ],
)
def test_an_exception_whose_class_is_not_known_is_replaced_by_what_it_says(change: dict[str, str], text: str) -> None:
    cls = type("Unknown", (Exception,), {"__module__": __name__, **change, "__str__": lambda _self: "went wrong"})
    for error in (cls(1), cls("went wrong"), cls({"a": [1]}, np.arange(100.0))):
        error.code = 5
        assert text in str(there_and_back(error))
        shared: list[int] = []
        result, rest = there_and_back([ExceptionGroup("several", [error, ValueError(shared)]), (shared, shared)])
        assert type(result.exceptions[0]) is RemoteError
        assert "went wrong\n(it is replaced: its class is not known" in str(result.exceptions[0])
        assert result.exceptions[0].code == 5
        assert rest[0] is rest[1] is result.exceptions[1].args[0]


def test_an_exception_that_carries_what_is_not_known_here_is_replaced_by_what_it_says() -> None:
    body = encode(ValueError("no", Point(1.0, [])), HOOKS).body
    result = decode(body, Hooks())
    assert type(result) is RemoteError
    assert str(result).startswith("ValueError: ('no', Point(x=1.0")
    assert "Point' is not registered at this end" in str(result)
    shared: list[int] = []
    body = encode([ValueError(Point(1.0, [])), shared, shared], HOOKS).body
    with pytest.raises(CodecError, match="no object has the number"):  # which number that is, is not known any more
        decode(body, Hooks())


def test_a_dataclass_comes_back_as_it_is_without_its_init() -> None:
    angle = Radians(60)
    result = there_and_back([angle, angle])
    assert result == [angle, angle]
    assert result[0] is result[1]
    assert result[0].cosine == angle.cosine
    counted, made = Counted(4), Counted.made
    assert there_and_back(counted) == counted
    assert Counted.made == made
    assert there_and_back(Sealed("a", 5)) == Sealed("a", 5)
    assert there_and_back({Sealed("a", 5)}) == {Sealed("a", 5)}
    with pytest.raises(CodecError, match=r"its field value has no value"):
        encode(object.__new__(Counted), HOOKS)


@pytest.mark.parametrize(
    ("parts", "why"),
    [
        (["x", 1.0], "has the fields"),
        (["x", 1.0, "tags", [], "norm", 0.0, "other", 1], "has the fields"),
        (["x", 1.0, "tags", [], "norm", 0.0, {1: 2}], "no names"),
        (["x", 1.0, "tags", [], "norm", 0.0, 5], "no names"),
        ([1, 1.0, 2, [], 3, 0.0], "has the fields"),
    ],
)
def test_a_dataclass_with_other_fields_is_refused(parts: list[Any], why: str) -> None:
    refuse(special(ValueType.DATACLASS, f"{__name__}:Point", *parts), why)
    refuse(special(ValueType.DATACLASS, f"{__name__}:Colour"), "is no dataclass")


@pytest.mark.parametrize("text", ["", "a", "a\0", "\0", "ä\0b"])
def test_a_text_scalar_of_numpy_comes_back_with_all_its_characters(text: str) -> None:
    for value in (np.str_(text), np.bytes_(text.encode())):
        result = there_and_back([value])[0]
        assert type(result) is type(value)
        assert len(result) == len(value)
        assert result + type(value)() == value + type(value)()


def cycle() -> list[Any]:
    value: list[Any] = [1]
    value.append({"deep": value})
    return value


@pytest.mark.parametrize(
    ("value", "where", "why"),
    [
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


OBJECTS: list[Any] = [
    Grid("g", (1,)),
    Point(1.0, []),
    [1],
    {"a": []},
    {1: 2},
    np.arange(3),
    np.arange(100.0),
    bytearray(b"x"),
    {1, 2},
    frozenset([(1, 2)]),
    ValueError([]),
    [[0] * 2] * 2,
    list(range(1000)),
    [(1, "b", [2])] * 50,
    (1, [2]),
]


@pytest.mark.parametrize("one", OBJECTS)
@pytest.mark.parametrize(
    ("form", "places"),
    [
        (lambda one: [one, one, one], lambda value: value),
        (lambda one: (one, {"a": one}), lambda value: [value[0], value[1]["a"]]),
        (lambda one: {"a": one, "b": (1, one)}, lambda value: [value["a"], value["b"][1]]),
        (lambda one: [{1: one, "a": [one]}], lambda value: [value[0][1], value[0]["a"][0]]),
        (lambda one: [one] + [[]] * 20 + [(one,)], lambda value: [value[0], value[-1][0]]),
        (lambda one: Point(one, [one]), lambda value: [value.x, value.tags[0]]),
        (lambda one: ValueError(one, Pair(one, 1)), lambda value: [value.args[0], value.args[1].a]),
    ],
)
def test_an_object_that_is_there_twice_arrives_as_one(form: Any, places: Any, one: Any) -> None:
    first, *others = places(there_and_back(form(one)))
    assert repr(first) == repr(one)
    assert all(other is first for other in others)


def test_what_two_parts_of_a_value_share_stays_shared_and_what_they_do_not_does_not() -> None:
    robots = [{"name": f"r{number}", "at": (number, 0.5)} for number in range(100)]
    by_name, free = there_and_back([{robot["name"]: robot for robot in robots}, [*robots[::2], dict(robots[0])]])
    assert free[0] is by_name["r0"]
    assert free[3] is by_name["r6"]
    assert free[-1] == free[0]
    assert free[-1] is not free[0]
    assert free[1]["at"] == (2, 0.5)
    array = np.arange(100.0)
    result = there_and_back([robots, array, {"robots": robots, "array": array}])
    assert result[0] is result[2]["robots"]
    assert result[1] is result[2]["array"]


def circles() -> list[tuple[Any, Any]]:
    """Return values that hold themselves, and functions that lead from each to itself."""
    through_tuple: tuple[Any, ...] = ([1], [2])
    for part in through_tuple:
        part.append(through_tuple)
    through_dataclass, frozen = Point(1.0, []), Grid("g", ([],))  # type: ignore[arg-type]
    through_dataclass.tags.append(through_dataclass)  # type: ignore[arg-type]
    frozen.axes[0].append(frozen)  # type: ignore[attr-defined]
    group = ExceptionGroup("several", [ValueError(1)])
    group.exceptions[0].group = group  # type: ignore[attr-defined]
    listed: list[Any] = []
    listed.append(frozenset([(1, Node(listed))]))
    return [
        (cycle(), lambda value: value[1]["deep"]),
        (through_tuple, lambda value: value[0][1]),
        (through_tuple, lambda value: value[1][1]),
        (through_dataclass, lambda value: value.tags[0]),
        (frozen, lambda value: value.axes[0][0]),
        (group, lambda value: value.exceptions[0].group),
        (listed, lambda value: next(iter(value[0]))[1].held),
    ]


@pytest.mark.parametrize(("value", "around"), circles())
def test_a_value_that_holds_itself_arrives_so(value: Any, around: Any) -> None:
    result = there_and_back(value)
    assert type(result) is type(value)
    assert around(result) is result
    array = np.arange(100.0)
    one, same_array, other = there_and_back([value, array, {"x": (value, array)}])
    assert around(one) is one
    assert other["x"][0] is one
    assert other["x"][1] is same_array


def test_a_pair_of_twice_the_same_pair_takes_no_more_than_it_has() -> None:
    value: Any = (1, 2)
    for _ in range(60):
        value = (value, value)
    result = there_and_back(value)
    for _ in range(60):
        assert result[0] is result[1]
        result = result[0]
    assert result == (1, 2)


def special(kind: ValueType, *rest: Any) -> list[Any]:
    return [msgspec.msgpack.Ext(int(kind), b""), *rest]


def same_as(number: int) -> list[Any]:
    return special(ValueType.SAME, number)


def refuse(tree: Any, match: str) -> None:
    with pytest.raises(CodecError, match=match):
        decode(msgspec.msgpack.encode([[], tree]), HOOKS)


@pytest.mark.parametrize("around", [ValueType.SET, ValueType.FROZENSET, ValueType.DICT])
@pytest.mark.parametrize("pair", ["tuple", "dataclass"])
def test_what_would_take_for_ever_to_hash_is_refused(around: ValueType, pair: str) -> None:
    """A pair of twice the same pair, sixty times over: its hash looks at 2**60 values."""

    def two(one: Any, other: Any) -> list[Any]:
        name = f"{__name__}:Pair"
        return (
            special(ValueType.TUPLE, one, other)
            if pair == "tuple"
            else special(ValueType.DATACLASS, name, "a", one, "b", other)
        )

    ladder = [two(1, 2), *(two(same_as(number), same_as(number)) for number in range(1, 60))]
    assert len(decode(msgspec.msgpack.encode([[], ladder]), HOOKS)) == 60
    refuse([*ladder, special(around, same_as(60), 1)], "holds the same too often")


def test_a_chain_of_tuples_that_is_too_long_is_refused() -> None:
    chain = [special(ValueType.TUPLE, 1), *(special(ValueType.TUPLE, same_as(number)) for number in range(1, 10_000))]
    refuse(chain, "nested more than")
    cells: list[Any] = [()]
    for number in range(300):
        cells.append((number, cells[-1]))
    with pytest.raises(CodecError, match="nested more than"):
        encode(cells, HOOKS)


@pytest.mark.parametrize("number", [-1, 1, 2**63, True, None, "0", [0], 0.0])
def test_a_number_that_no_object_has_is_refused(number: Any) -> None:
    refuse([special(ValueType.SAME, number)], "not a value")
    refuse([special(ValueType.WITHIN, number)], "not a value")


def test_a_message_that_came_is_never_shown_in_full() -> None:
    """What is shown of it would be longer than any memory."""
    ladder = [special(ValueType.TUPLE, 1), *(special(ValueType.TUPLE, same_as(n), same_as(n)) for n in range(1, 60))]
    for kind in ValueType:
        for rest in (
            [same_as(60)],
            [same_as(60), 1, None],
            [f"{__name__}:Pair", same_as(60), 1],
            ["x", "y", None, same_as(60), {}],
        ):
            with suppress(CodecError):
                decode(msgspec.msgpack.encode([[], [*ladder, special(kind, *rest)]]), HOOKS)
    refuse(special(ValueType.FRACTION, "1e999999999", 1), "cannot be interpreted as an integer")


def test_values_are_taken_one_by_one_as_they_are() -> None:
    state, listed = np.zeros(1000), [0]
    gathering = Gathering(HOOKS, 1)
    for number in range(3):
        state += 1
        listed[0] = number
        gathering.add([state, listed, state[1:3]])
        with pytest.raises(CodecError, match=r"^value\[2\] cannot travel"):
            gathering.add([state, [state], len])
        with pytest.raises(CodecError, match=r"^value cannot travel"):
            gathering.add([state, "\ud800", [1]])
        gathering.add((listed, listed))
    encoded = gathering.encoded(gathering.trees)
    message = Decoding(encoded.body, [len(buffer) for buffer in encoded.buffers])
    for array, buffer in zip(message.buffers, encoded.buffers, strict=True):
        array.reshape(-1, order="A").view(np.uint8)[:] = buffer
    result = message.value(HOOKS)
    assert [(item[0][0], item[1], item[2][1]) for item in result[::2]] == [(1, [0], 1), (2, [1], 2), (3, [2], 3)]
    assert [pair == ([n], [n]) and pair[0] is pair[1] for n, pair in enumerate(result[1::2])] == [True] * 3


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
    with pytest.raises(InputError, match="it is a list too, whose content would be lost"):
        registry.add(dataclasses.dataclass(type("Named", (list,), {"__annotations__": {"name": str}})))


def test_no_class_but_an_exception_is_found_by_name() -> None:
    body = msgspec.msgpack.encode([[], [msgspec.msgpack.Ext(20, b""), "os", "system", [["true"]], {}]])
    with pytest.raises(CodecError, match="expected 5"):
        Decoding(body).value(HOOKS)
    body = msgspec.msgpack.encode([[], [msgspec.msgpack.Ext(20, b""), "os", "system", "text", [["true"]], {}]])
    instead = Decoding(body).value(HOOKS)
    assert type(instead) is RemoteError
    assert str(instead).startswith("os.system: text\n")


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
    | st.builds(msgspec.msgpack.Ext, st.integers(-128, 127) | st.integers(1, 25), st.binary(max_size=3)),
    lambda inner: (
        st.lists(inner, max_size=5)
        | st.dictionaries(st.text(max_size=3) | st.integers(0, 9), inner, max_size=3)
        | st.builds(lambda code, rest: [msgspec.msgpack.Ext(code, b""), *rest], st.integers(1, 25), st.lists(inner))
    ),
    max_leaves=12,
)


@examples(500)
@given(GARBAGE, GARBAGE, st.lists(st.integers(0, 100), max_size=2))
def test_no_message_does_more_than_be_refused(table: Any, tree: Any, sizes: list[int]) -> None:
    for body in (msgspec.msgpack.encode([table, tree]), msgspec.msgpack.encode([[], tree])):
        with suppress(CodecError):
            Decoding(body, sizes if body[1] != 0x90 else []).value(HOOKS)


@examples(300)
@given(st.binary(max_size=200))
def test_no_bytes_do_more_than_be_refused(data: bytes) -> None:
    for body in (data, b"\x92\x90" + data):
        with suppress(CodecError):
            Decoding(body).value(HOOKS)


def test_a_uuid_and_nan_come_back() -> None:
    assert there_and_back(uuid.UUID(int=5)) == uuid.UUID(int=5)
    assert there_and_back(Fraction(1, 3)) == Fraction(1, 3)
    assert str(there_and_back(Decimal("sNaN"))) == "sNaN"


@pytest.mark.parametrize(
    ("positional", "named"),
    [
        (([1, 2.5, "a", None, True, b"x"],), {}),
        ((1, [2, 3], "b"), {"k": 4}),
        (([],), {}),
        (([2**70],), {}),
        (([1], [2]), {}),
        (([(1, 2)],), {}),
        ((5,), {"k": [1]}),
    ],
)
def test_arguments_arrive_as_they_were_by_the_short_way_or_the_long_one(
    positional: tuple[Any, ...], named: dict[str, Any]
) -> None:
    body, buffers = codec.encode_arguments(positional, named, None, Hooks())
    assert not buffers
    assert codec.decode_arguments(body, Hooks())[:2] == (list(positional), named)
    one = [1, 2]
    body, _ = codec.encode_arguments((one, one), {}, None, Hooks())
    first, second = codec.decode_arguments(body, Hooks())[0]
    assert first is second
