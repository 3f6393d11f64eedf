"""Which members of an object other ranks can reach: those that are marked."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from functools import cached_property, lru_cache, partialmethod, singledispatchmethod
from types import FunctionType
from typing import TYPE_CHECKING, Any, TypeVar, cast, overload

from ..errors import InputError
from .uri import LONGEST

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
    classes what is marked there. A name that begins with an underscore is never exposed. A function is only
    reached as the method of an object that is served.

    Parameters
    ----------
    thing : class, method or property
        The methods are plain ones: nobody would await a coroutine.
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
    if not isinstance(thing, partialmethod):  # it has no name yet, and is called otherwise than its function
        if function.__name__.startswith("_"):
            raise InputError(f"{function.__name__} cannot be exposed: a name that begins with an underscore is private")
        _refuse_coroutine(function.__qualname__, function)
    setattr(_marked(thing), _EXPOSED, True)
    return thing


def oneway(method: T) -> T:
    """Mark a method whose callers do not wait for it, and never learn what becomes of it; a decorator."""
    function = _function(method)
    if function is None or isinstance(method, property | cached_property):
        raise InputError(f"{method!r} cannot be oneway: mark a method")
    setattr(_marked(method), _ONEWAY, True)
    return method


def _expose_class(cls: Any, instances: str) -> Any:
    if not isinstance(cls, type):
        raise InputError(f"{cls!r} is no class; only a class has instances")
    for name, thing in vars(cls).items():
        if not name.startswith("_"):
            _refuse_coroutine(f"{cls.__qualname__}.{name}", _function(thing))
    setattr(cls, _EXPOSED, True)
    setattr(cls, _MODE, instances)
    return cls


def _function(thing: Any) -> FunctionType | None:
    """Return the function behind a method or a property."""
    while not isinstance(thing, FunctionType):
        if isinstance(thing, property):
            thing = thing.fget
        elif isinstance(thing, cached_property | partialmethod | singledispatchmethod):
            thing = thing.func
        elif isinstance(thing, staticmethod | classmethod):
            thing = thing.__func__
        elif not isinstance(thing, type) and callable(thing) and hasattr(type(thing), "__get__"):
            thing = getattr(thing, "__wrapped__", None)  # as of lru_cache
        else:
            return None
    return thing


def _marked(thing: Any) -> Any:
    """Return what keeps the marks of a method or a property: its function, which may be marked before it is wrapped."""
    return thing if isinstance(thing, partialmethod) else _function(thing)


def _refuse_coroutine(name: str, function: FunctionType | None) -> None:
    if inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function):
        raise InputError(
            f"{name} cannot be exposed: it is an async function, and nobody would await it. Make it a plain method, "
            "which may call asyncio.run, or mark the other methods with @expose, each by itself, and not the class."
        )


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
            if name.startswith("_") or _function(thing) is None or not (whole or hasattr(_marked(thing), _EXPOSED)):
                continue
            if len(name.encode()) > LONGEST:
                raise InputError(
                    f"{cls.__qualname__}.{name[:40]}… cannot be called: a name has at most {LONGEST} bytes"
                )
            reached = inspect.getattr_static(cls, name)
            _refuse_coroutine(f"{cls.__qualname__}.{name}", _function(reached))
            found.setdefault(name, _member(name, reached))
    return found


def _member(name: str, thing: Any) -> Member:
    if isinstance(thing, property):
        return Member(name, is_property=True, settable=thing.fset is not None)
    if isinstance(thing, cached_property):
        return Member(name, is_property=True)
    return Member(name, oneway=is_oneway(thing))


def is_oneway(thing: Any) -> bool:
    """Return whether a method is marked with `oneway`."""
    return hasattr(_marked(thing), _ONEWAY)
