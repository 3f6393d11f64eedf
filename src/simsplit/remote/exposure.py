"""What of an object other ranks can reach: what is marked, and nothing else."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from functools import lru_cache
from types import FunctionType
from typing import TYPE_CHECKING, Any, TypeVar, cast, overload

from ..errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

T = TypeVar("T")

INSTANCES = ("single", "session", "percall")
_EXPOSED = "_simsplit_exposed"
_ONEWAY = "_simsplit_oneway"
_MODE = "_simsplit_instances"


@dataclass(frozen=True, slots=True)
class Member:
    """What can be reached under one name.

    Attributes
    ----------
    name : str
    is_property : bool
        Whether it is read as an attribute; otherwise it is called.
    settable : bool
        Whether it can also be set.
    oneway : bool
        Whether callers do not wait for it.
    """

    name: str
    is_property: bool = False
    settable: bool = False
    oneway: bool = False


@overload
def expose(thing: T) -> T: ...
@overload
def expose(*, instances: str = "single") -> Callable[[T], T]: ...
def expose(thing: Any = None, *, instances: str = "single") -> Any:
    """Let other ranks reach a class, a method or a property; used as a decorator.

    Of a class all public methods and properties that its own body defines are exposed; of its base
    classes what is marked there. A name that begins with an underscore is never exposed.

    Parameters
    ----------
    thing : class, function or property
    instances : {"single", "session", "percall"}
        Of a class that is served as a class: one instance for all, one for each calling rank, or a new one
        for each call.

    Raises
    ------
    InputError
        If the thing cannot be exposed.

    Examples
    --------
    >>> @expose
    ... class Calculator:
    ...     def add(self, a, b):
    ...         return a + b
    """
    if instances not in INSTANCES:
        raise InputError(f"instances must be one of {', '.join(INSTANCES)}, not {instances!r}")
    if thing is None:
        return lambda cls: _expose_class(cls, instances)
    if isinstance(thing, type):
        return _expose_class(thing, instances)
    function = _function(thing)
    if function is None:
        raise InputError(f"{thing!r} cannot be exposed: mark a class, a method or a property with @expose")
    if function.__name__.startswith("_"):
        raise InputError(f"{function.__name__} cannot be exposed: a name that begins with an underscore is private")
    setattr(function, _EXPOSED, True)
    return thing


def oneway(method: T) -> T:
    """Mark a method whose callers do not wait for it, and never learn what becomes of it; a decorator."""
    function = _function(method)
    if function is None or isinstance(method, property):
        raise InputError(f"{method!r} cannot be oneway: mark a method")
    setattr(function, _ONEWAY, True)
    return method


def _expose_class(cls: Any, instances: str) -> Any:
    if not isinstance(cls, type):
        raise InputError(f"{cls!r} is no class; only a class has instances")
    setattr(cls, _EXPOSED, True)
    setattr(cls, _MODE, instances)
    return cls


def _function(thing: Any) -> FunctionType | None:
    """Return the function behind a method or a property."""
    if isinstance(thing, property):
        thing = thing.fget
    if isinstance(thing, staticmethod | classmethod):
        thing = thing.__func__
    return thing if isinstance(thing, FunctionType) else None


def instances_of(cls: type) -> str:
    """Return the instance mode of a class."""
    return cast("str", getattr(cls, _MODE, "single"))


def is_exposed(cls: type) -> bool:
    """Return whether a class has anything that can be reached."""
    return bool(members(cls))


@lru_cache(maxsize=1024)
def members(cls: type) -> Mapping[str, Member]:
    """Return what of a class can be reached, by name."""
    found: dict[str, Member] = {}
    for base in cls.__mro__:
        whole = _EXPOSED in vars(base)
        for name, thing in vars(base).items():
            function = _function(thing)
            if name.startswith("_") or function is None or not (whole or hasattr(function, _EXPOSED)):
                continue
            found.setdefault(name, _member(name, inspect.getattr_static(cls, name)))
    return found


def _member(name: str, thing: Any) -> Member:
    if isinstance(thing, property):
        return Member(name, is_property=True, settable=thing.fset is not None)
    return Member(name, oneway=is_oneway(thing))


def is_oneway(thing: Any) -> bool:
    """Return whether a method is marked with `oneway`."""
    return hasattr(_function(thing), _ONEWAY)
