"""Decompose values of other types than Python's containers, and compose them again."""

from __future__ import annotations

import dataclasses
import re
import sys
from datetime import UTC, date, datetime, time, timedelta, timezone, tzinfo
from decimal import Decimal
from enum import Enum, Flag, IntEnum
from fractions import Fraction
from functools import lru_cache
from math import prod
from operator import index
from types import MemberDescriptorType
from typing import TYPE_CHECKING, Any, TypeVar
from uuid import UUID

import numpy as np

from ...errors import CodecError, InputError, RemoteError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

C = TypeVar("C", bound=type)

NUMPY_KINDS = "biufcmMSU"  # of dtypes: numbers, dates and fixed-length texts; no objects, no fields
MOST_DIMENSIONS = 64
LONGEST_INTEGER = 2**16  # bytes
_DTYPE = re.compile(rf"[<>|=]?[{NUMPY_KINDS}][0-9]{{1,10}}(\[[0-9]{{0,10}}[A-Za-zμ]{{1,2}}\])?")  # as dtype.str is
_NAMED = (ImportError, NameError, AttributeError)  # which keep what is missing apart from their arguments
_NAMES = frozenset({"name", "path", "name_from"})
_LONGEST_TEXT = 1000  # characters of what an exception says
LARGEST_ARRAY = 2**62  # bytes: keeps products of shapes far from anything that could wrap around


class ValueType(IntEnum):
    """What follows an extension, by its code."""

    TUPLE = 1
    SET = 2
    FROZENSET = 3
    DICT = 4
    INT = 5
    COMPLEX = 6
    BYTEARRAY = 7
    DECIMAL = 8
    FRACTION = 9
    UUID = 10
    DATETIME = 11
    DATE = 12
    TIME = 13
    TIMEDELTA = 14
    ENUM = 15
    DATACLASS = 16
    SCALAR = 17
    ARRAY = 18
    BUFFER = 19
    EXCEPTION = 20
    REFERENCE = 21
    PICKLE = 22
    PART = 23
    SAME = 24
    WITHIN = 25


class Registry:
    """The classes of the user's own whose instances may travel: enumerations, dataclasses and exceptions.

    A class is known by its module and qualified name, and must be registered at both ends: nothing is
    imported because a message asks for it.
    """

    def __init__(self) -> None:
        self._classes: dict[str, type] = {}

    def add(self, cls: C) -> C:
        """Register a class; can be used as a decorator.

        Raises
        ------
        InputError
            If it is neither an Enum, a dataclass nor an exception, or if another has its name.
        """
        is_class = isinstance(cls, type)
        if not is_class or not (issubclass(cls, Enum | BaseException) or dataclasses.is_dataclass(cls)):
            raise InputError(f"{cls!r} cannot be registered: it must be an Enum, a dataclass or an exception class")
        builtin = _builtin_base(cls)
        if dataclasses.is_dataclass(cls) and not issubclass(cls, Enum | BaseException) and builtin is not object:
            raise InputError(
                f"{cls!r} cannot be registered: it is a {builtin.__name__} too, whose content would be lost. Give it a "
                f"field for the {builtin.__name__}."
            )
        name = full_name(cls)
        known = self._classes.setdefault(name, cls)
        if known is not cls and known.__module__ != "__main__":
            raise InputError(f"another class is registered as {name}. Give one of them another name.")
        self._classes[name] = cls
        return cls

    def find(self, name: Any) -> type:
        """Return the class of that name."""
        cls = self._classes.get(name) if type(name) is str else None
        if cls is None:
            raise CodecError(f"the class {short(name)} is not registered at this end (simsplit.remote.register)")
        return cls

    def __contains__(self, cls: type) -> bool:
        return self._classes.get(full_name(cls)) is cls


def full_name(cls: type) -> str:
    """Return module and qualified name."""
    return f"{cls.__module__}:{cls.__qualname__}"


def dtype_of(text: Any) -> np.dtype[Any]:
    """Return the dtype that a message names, if its values can be sent as bytes."""
    try:  # what NumPy itself reads is a language of its own, for part of which it calls Python's compiler
        dtype = np.dtype(text) if type(text) is str and _DTYPE.fullmatch(text) else None
    except (TypeError, ValueError, SyntaxError, OverflowError, MemoryError):
        dtype = None
    if dtype is None or dtype.kind not in NUMPY_KINDS or not dtype.itemsize:
        raise CodecError(f"not a value: {short(text)} is no dtype that can travel")
    return dtype


def shape_of(lengths: Any) -> tuple[int, ...]:
    """Return the shape that a message gives, if there can be such an array."""
    if (
        type(lengths) is not list
        or len(lengths) > MOST_DIMENSIONS
        or not all(type(length) is int and length >= 0 for length in lengths)
        or prod(length or 1 for length in lengths) > LARGEST_ARRAY
    ):
        raise CodecError(f"not a value: {lengths!r:.80} is no shape")
    return tuple(lengths)


def no_dtype(dtype: np.dtype[Any]) -> str:
    """Say why an array of `dtype` cannot travel."""
    if dtype.hasobject:
        return "an array of objects cannot travel as bytes. Send a list, or an array of numbers."
    return f"arrays of {dtype} do not travel. Send an array of numbers, dates or fixed-length texts for each field."


def advice(value: Any, cls: type) -> str:
    """Say what to do about a value of a type that cannot travel."""
    if isinstance(value, np.ndarray):
        return f"{cls.__name__} is more than an array, which would be lost. Send numpy.asarray(…)."
    if isinstance(value, Enum) or dataclasses.is_dataclass(cls):
        return (
            f"{cls.__qualname__} is not registered. Register it at both ends: simsplit.remote.register({cls.__name__})."
        )
    return (
        f"it is of type {cls.__module__}.{cls.__qualname__}. Send plain values, arrays, registered dataclasses, or an "
        "object whose class is marked with @simsplit.remote.expose."
    )


def _builtin_base(cls: type) -> Any:
    """Return the class of Python's own whose memory the instances have."""
    while cls.__module__ != "builtins":
        assert cls.__base__ is not None  # noqa: S101, for the type checker: only object has none
        cls = cls.__base__
    return cls


def short(value: Any) -> str:
    """Return what messages show of a value that came: with its repr it could keep this process busy for ever."""
    return f"{value!r:.200}" if type(value) in (str, int) else f"(a {type(value).__name__})"


def decompose(value: Any, cls: type, registry: Registry) -> tuple[ValueType, Sequence[str], Sequence[Any]] | None:
    """Return the kind of a value, and the names and values of its parts; None if the type is unknown."""
    simple = _SIMPLE.get(cls)
    if simple is not None:
        kind, split = simple
        parts = split(value)
        return kind, [""] * len(parts), parts
    if cls is np.str_ or cls is np.bytes_:  # whose dtype says how long they are, without zeros at the end, or nothing
        return ValueType.SCALAR, ["", ""], ["", str.__str__(value) if cls is np.str_ else bytes(value)]
    if isinstance(value, np.generic) and value.dtype.kind in NUMPY_KINDS:
        return ValueType.SCALAR, ["", ""], [value.dtype.str, value.tobytes()]
    if isinstance(value, BaseException):
        arguments: Sequence[Any] = value.args
        if isinstance(value, OSError):  # whose args lack the file's name
            arguments = OSError.__reduce__(value)[1]
        elif isinstance(value, BaseExceptionGroup):
            arguments = value.message, list(value.exceptions)
        text = text_of(value)
        only = arguments[0] if len(arguments) == 1 else None  # mostly the text itself, which is then not sent twice
        said = None if type(only) is str and only == text else text
        parts = [cls.__module__, cls.__qualname__, said, list(arguments), _state(value, cls)]
        return ValueType.EXCEPTION, ["", "", "", ".args", ".__dict__"], parts
    return _of_a_class(value, cls) if cls in registry else None


def _of_a_class(value: Any, cls: type) -> tuple[ValueType, Sequence[str], Sequence[Any]]:
    """Take apart an instance of a registered class."""
    names: list[str] = [""]
    parts: list[Any] = [full_name(cls)]
    if isinstance(value, Enum):
        return ValueType.ENUM, ["", ""], [*parts, value.value if isinstance(value, Flag) else value.name]
    state = _state(value, cls)
    for field in dataclasses.fields(cls):
        names += ["", f".{field.name}"]
        try:
            parts += [field.name, state.pop(field.name) if field.name in state else getattr(value, field.name)]
        except AttributeError:
            raise CodecError(f"its field {field.name} has no value") from None
    if state:  # what is no field, such as what its __post_init__ has made
        names.append(".__dict__")
        parts.append(state)
    return ValueType.DATACLASS, names, parts


def text_of(error: BaseException) -> str:
    """Return what an exception says."""
    try:
        return str(error).encode(errors="backslashreplace").decode()[:_LONGEST_TEXT]
    except Exception as other:  # noqa: BLE001, a __str__ of the user's may do anything
        return f"(its text cannot be had: {type(other).__name__})"


def _state(value: Any, cls: Any) -> dict[str, Any]:
    """Return the attributes of an instance by name, those in slots too."""
    state = dict(getattr(value, "__dict__", ()))
    for name, slot in _slots(cls).items():
        try:
            kept = slot.__get__(value)
        except AttributeError:  # it has no value
            continue
        if kept is not None or slot.__objclass__ not in _NAMED:
            state[name] = kept
    return state


@lru_cache(maxsize=1024)
def _slots(cls: Any) -> Mapping[str, Any]:
    """Return the attributes that are neither in the dict of the instances nor among an exception's arguments."""
    found: dict[str, Any] = {}
    for base in cls.__mro__:
        if base.__module__ != "builtins" or base in _NAMED:
            for name, slot in vars(base).items():
                if type(slot) is MemberDescriptorType and (base not in _NAMED or name in _NAMES):
                    found.setdefault(name, slot)
    return found


def set_state(made: Any, state: Mapping[str, Any]) -> None:
    """Give an instance its attributes, without running code of its class."""
    cls: Any = type(made)
    slots = _slots(cls)
    for name, value in state.items():
        if name in slots:
            slots[name].__set__(made, value)
        else:
            made.__dict__[name] = value


def blank(name: Any, registry: Registry) -> Any:
    """Return an instance of a registered dataclass that has no values yet, for its `__init__` is not run."""
    cls = registry.find(name)
    if issubclass(cls, Enum | BaseException):
        raise CodecError(f"not a value: {name} is no dataclass")
    return object.__new__(cls)


def check_fields(cls: type, given: Mapping[Any, Any]) -> None:
    """Refuse a dataclass that has other fields at the other end."""
    fields = {field.name for field in dataclasses.fields(cls)}
    if given.keys() != fields:
        came = sorted(map(short, given))
        raise CodecError(f"not a value: {full_name(cls)} has the fields {sorted(fields)} here, {', '.join(came)} came")


def compose(kind: ValueType, parts: list[Any], registry: Registry) -> Any:
    """Return the value of which `decompose` made the parts. Wrong parts raise any exception."""
    if kind is not ValueType.ENUM:
        return _BUILDERS[kind](parts)
    name, member = parts
    cls = registry.find(name)
    if not issubclass(cls, Enum) or type(member) not in (str, int):
        raise CodecError(f"not a value: {short(member)} of {name}")
    return cls(member) if issubclass(cls, Flag) else cls[member]


def exception(module: Any, name: Any, text: Any, arguments: Any, registry: Registry) -> BaseException:
    """Return an exception as it was, without its attributes and without running code of its class.

    Where its class is not known, or the arguments are not what it takes, another one takes its place.
    """
    if not (type(module) is type(name) is str and type(text) in (str, type(None)) and type(arguments) is list):
        raise CodecError("not a value: an exception without a class and arguments")
    if text is None and arguments and type(arguments[0]) is str:
        text = arguments[0]
    cls = _exception_class(module, name, registry)
    if cls is None:
        return stand_in(
            module, name, text, "its class is not known at this end. Import its module there, or register the class."
        )
    try:
        return _exception(cls, arguments)
    except Exception as error:  # noqa: BLE001, such as of arguments that a class of that name does not take here
        return stand_in(module, name, text, f"it cannot be made at this end: {type(error).__name__}")


def stand_in(module: str, name: str, text: str, reason: str) -> RemoteError:
    """Return what is raised in the place of an exception."""
    full = f"{module}.{name}".removeprefix("builtins.")
    return RemoteError(f"{full}: {text}\n(it is replaced: {reason})")


def _exception_class(module: str, name: str, registry: Registry) -> type[BaseException] | None:
    """Return an exception class that is registered, or that this process has loaded; nothing is imported."""
    found: Any = registry._classes.get(f"{module}:{name}")  # noqa: SLF001, of this module
    if found is None:
        found = sys.modules.get(module)
        for step in name.split("."):
            found = vars(found).get(step) if hasattr(found, "__dict__") else None
    return found if isinstance(found, type) and issubclass(found, BaseException) else None


def _exception(cls: type[BaseException], arguments: list[Any]) -> BaseException:
    builtin = _builtin_base(cls)
    made: BaseException = builtin.__new__(cls, *arguments)
    builtin.__init__(made, *arguments)  # fills what is kept elsewhere than in args, as errno
    if not issubclass(cls, OSError):
        made.args = tuple(arguments)
    return made


def _zone(zone: tzinfo | None, value: datetime | time) -> Any:
    if zone is None:
        return None
    key = getattr(zone, "key", None)
    if isinstance(key, str):
        return key
    offset = value.utcoffset() if isinstance(zone, timezone) else None
    if offset is None:
        raise CodecError(f"the time zone {zone!r} cannot travel. Use datetime.timezone or zoneinfo.ZoneInfo.")
    return offset // timedelta(microseconds=1)


def _zone_from(zone: Any) -> tzinfo | None:
    if zone is None:
        return None
    if type(zone) is int:
        return timezone(timedelta(microseconds=zone)) if zone else UTC
    from zoneinfo import ZoneInfo

    if type(zone) is not str:
        raise CodecError("not a value: a time zone without a name")
    return ZoneInfo(zone)


def integer(data: bytes) -> int:
    """Return an integer of any size, up to one with which arithmetic still takes no time to speak of."""
    if len(data) > LONGEST_INTEGER:
        raise CodecError(f"not a value: an integer of {len(data):,} bytes")
    return int.from_bytes(data, "little", signed=True)


def _scalar(parts: list[Any]) -> Any:
    if not parts[0] and type(parts[1]) in (str, bytes):
        return np.str_(parts[1]) if type(parts[1]) is str else np.bytes_(parts[1])
    dtype = dtype_of(parts[0])
    if dtype.itemsize != len(parts[1]):
        raise CodecError(f"not a value: {len(parts[1])} bytes for a scalar of {dtype}")
    return np.frombuffer(parts[1], dtype, 1)[0] if parts[1] else np.zeros(1, dtype)[0]


def _when(value: datetime | time) -> list[Any]:
    return [value.replace(tzinfo=None).isoformat(), value.fold, _zone(value.tzinfo, value)]


_SIMPLE: dict[type, tuple[ValueType, Callable[[Any], list[Any]]]] = {
    complex: (ValueType.COMPLEX, lambda value: [value.real, value.imag]),
    Decimal: (ValueType.DECIMAL, lambda value: [str(value)]),
    Fraction: (ValueType.FRACTION, lambda value: [value.numerator, value.denominator]),
    UUID: (ValueType.UUID, lambda value: [value.bytes]),
    datetime: (ValueType.DATETIME, _when),
    date: (ValueType.DATE, lambda value: [value.isoformat()]),
    time: (ValueType.TIME, _when),
    timedelta: (ValueType.TIMEDELTA, lambda value: [value.days, value.seconds, value.microseconds]),
}

_BUILDERS: dict[ValueType, Callable[[list[Any]], Any]] = {
    ValueType.INT: lambda parts: integer(parts[0]),
    ValueType.COMPLEX: lambda parts: complex(*parts),
    ValueType.BYTEARRAY: lambda parts: bytearray(memoryview(parts[0])),
    ValueType.DECIMAL: lambda parts: Decimal(parts[0]),
    ValueType.FRACTION: lambda parts: Fraction(*map(index, parts)),  # of a text it might reckon for ever
    ValueType.UUID: lambda parts: UUID(bytes=parts[0]),
    ValueType.DATETIME: lambda p: datetime.fromisoformat(p[0]).replace(fold=p[1], tzinfo=_zone_from(p[2])),
    ValueType.DATE: lambda parts: date.fromisoformat(parts[0]),
    ValueType.TIME: lambda p: time.fromisoformat(p[0]).replace(fold=p[1], tzinfo=_zone_from(p[2])),
    ValueType.TIMEDELTA: lambda parts: timedelta(*parts),
    ValueType.SCALAR: _scalar,
}
