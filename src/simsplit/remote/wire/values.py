"""The values that are no containers of Python's own: taken apart for the codec, and put together again."""

from __future__ import annotations

import dataclasses
import re
import sys
from datetime import UTC, date, datetime, time, timedelta, timezone, tzinfo
from decimal import Decimal
from enum import Enum, Flag, IntEnum
from fractions import Fraction
from math import prod
from typing import TYPE_CHECKING, Any, TypeVar
from uuid import UUID

import numpy as np

from ...errors import CodecError, InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

C = TypeVar("C", bound=type)

NUMPY_KINDS = "biufcmMSU"  # of dtypes: numbers, dates and fixed-length texts; no objects, no fields
MOST_DIMENSIONS = 64
LONGEST_INTEGER = 2**16  # bytes
_DTYPE = re.compile(rf"[<>|=]?[{NUMPY_KINDS}][0-9]{{1,10}}(\[[0-9]{{0,10}}[A-Za-zμ]{{1,2}}\])?")  # as dtype.str is
LARGEST_ARRAY = 2**62  # bytes: keeps products of shapes far from anything that could wrap around


class Kind(IntEnum):
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
            raise CodecError(f"the class {name!r:.200} is not registered at this end (simsplit.remote.register)")
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
        raise CodecError(f"not a value: {text!r:.80} is no dtype that can travel")
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


def is_frozen(cls: type) -> bool:
    """Return whether instances of a dataclass cannot be changed."""
    return bool(cls.__dataclass_params__.frozen)  # type: ignore[attr-defined]


def take_apart(value: Any, cls: type, registry: Registry) -> tuple[Kind, Sequence[str], Sequence[Any]] | None:
    """Return the kind of a value, and the names and values of its parts; None if the type is unknown."""
    simple = _SIMPLE.get(cls)
    if simple is not None:
        kind, split = simple
        parts = split(value)
        return kind, [""] * len(parts), parts
    if isinstance(value, np.generic) and value.dtype.kind in NUMPY_KINDS:
        return Kind.SCALAR, ["", ""], [value.dtype.str, value.tobytes()]
    if isinstance(value, BaseException):
        arguments = value.__reduce__()[1] if isinstance(value, OSError) else value.args  # args lack the file's name
        parts = [cls.__module__, cls.__qualname__, list(arguments), dict(vars(value))]
        return Kind.EXCEPTION, ["", "", ".args", ".__dict__"], parts
    if isinstance(value, Enum) and cls in registry:
        member = value.value if isinstance(value, Flag) else value.name
        return Kind.ENUM, ["", ""], [full_name(cls), member]
    if dataclasses.is_dataclass(cls) and cls in registry:
        names, parts = [""], [full_name(cls)]
        for field in dataclasses.fields(cls):
            names += ["", f".{field.name}"]
            parts += [field.name, getattr(value, field.name)]
        return Kind.DATACLASS, names, parts
    return None


def put_together(kind: Kind, parts: list[Any], registry: Registry) -> Any:
    """Return the value of which `take_apart` made the parts. Wrong parts raise any exception."""
    return _BUILDERS[kind](parts) if kind in _BUILDERS else _of_a_class(kind, parts, registry)


def _of_a_class(kind: Kind, parts: list[Any], registry: Registry) -> Any:
    if kind is Kind.ENUM:
        name, member = parts
        cls = registry.find(name)
        if not issubclass(cls, Enum):
            raise CodecError(f"not a value: {name} is no Enum")
        return cls(member) if issubclass(cls, Flag) else cls[member]
    if kind is Kind.DATACLASS:
        cls, given = registry.find(parts[0]), dict(zip(parts[1::2], parts[2::2], strict=True))
        fields = {field.name: field.init for field in dataclasses.fields(cls)}
        if given.keys() != fields.keys():
            raise CodecError(f"not a value: {parts[0]} has the fields {sorted(fields)} here, {sorted(given)} came")
        made = cls(**{name: value for name, value in given.items() if fields[name]})
        for name, value in given.items():
            if not fields[name]:
                object.__setattr__(made, name, value)
        return made
    module, name, arguments, attributes = parts
    return exception(exception_class(module, name, registry), arguments, attributes)


def exception_class(module: Any, name: Any, registry: Registry) -> type[BaseException]:
    """Return an exception class that is registered, or that this process has loaded; nothing is imported."""
    found: Any = registry._classes.get(f"{module}:{name}")  # noqa: SLF001, of this module
    if found is None and type(module) is str and type(name) is str:
        found = sys.modules.get(module)
        for step in name.split("."):
            found = vars(found).get(step) if hasattr(found, "__dict__") else None
    if not isinstance(found, type) or not issubclass(found, BaseException):
        raise CodecError(f"the exception {module}.{name} is not known at this end")
    return found


def exception(cls: type[BaseException], arguments: Any, attributes: Any) -> BaseException:
    """Return an exception as it was, without running an ``__init__`` of the user's."""
    made = cls.__new__(cls, *arguments)
    builtin = next(base for base in cls.__mro__ if base.__module__ == "builtins")
    builtin.__init__(made, *arguments)  # type: ignore[misc]  # fills what is kept elsewhere than in args, as errno
    if not issubclass(cls, OSError):
        made.args = tuple(arguments)
    made.__dict__.update(attributes)
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

    return ZoneInfo(zone)


def integer(data: bytes) -> int:
    """Return an integer of any size, up to one with which arithmetic still takes no time to speak of."""
    if len(data) > LONGEST_INTEGER:
        raise CodecError(f"not a value: an integer of {len(data):,} bytes")
    return int.from_bytes(data, "little", signed=True)


def _scalar(parts: list[Any]) -> Any:
    dtype = dtype_of(parts[0])
    if dtype.itemsize != len(parts[1]):
        raise CodecError(f"not a value: {len(parts[1])} bytes for a scalar of {dtype}")
    return np.frombuffer(parts[1], dtype, 1)[0] if parts[1] else np.zeros(1, dtype)[0]


def _when(value: datetime | time) -> list[Any]:
    return [value.replace(tzinfo=None).isoformat(), value.fold, _zone(value.tzinfo, value)]


_SIMPLE: dict[type, tuple[Kind, Callable[[Any], list[Any]]]] = {
    complex: (Kind.COMPLEX, lambda value: [value.real, value.imag]),
    Decimal: (Kind.DECIMAL, lambda value: [str(value)]),
    Fraction: (Kind.FRACTION, lambda value: [value.numerator, value.denominator]),
    UUID: (Kind.UUID, lambda value: [value.bytes]),
    datetime: (Kind.DATETIME, _when),
    date: (Kind.DATE, lambda value: [value.isoformat()]),
    time: (Kind.TIME, _when),
    timedelta: (Kind.TIMEDELTA, lambda value: [value.days, value.seconds, value.microseconds]),
}

_BUILDERS: dict[Kind, Callable[[list[Any]], Any]] = {
    Kind.SET: set,
    Kind.FROZENSET: frozenset,
    Kind.DICT: lambda parts: dict(zip(parts[::2], parts[1::2], strict=True)),
    Kind.INT: lambda parts: integer(parts[0]),
    Kind.COMPLEX: lambda parts: complex(*parts),
    Kind.BYTEARRAY: lambda parts: bytearray(memoryview(parts[0])),
    Kind.DECIMAL: lambda parts: Decimal(parts[0]),
    Kind.FRACTION: lambda parts: Fraction(*parts),
    Kind.UUID: lambda parts: UUID(bytes=parts[0]),
    Kind.DATETIME: lambda p: datetime.fromisoformat(p[0]).replace(fold=p[1], tzinfo=_zone_from(p[2])),
    Kind.DATE: lambda parts: date.fromisoformat(parts[0]),
    Kind.TIME: lambda p: time.fromisoformat(p[0]).replace(fold=p[1], tzinfo=_zone_from(p[2])),
    Kind.TIMEDELTA: lambda parts: timedelta(*parts),
    Kind.SCALAR: _scalar,
}
