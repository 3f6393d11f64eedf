"""The registry of served objects, and of instances of served classes."""

from __future__ import annotations

import inspect
import itertools
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ...errors import AccessDeniedError, InputError, UnknownNameError
from ..exposure import INSTANCES, instances_of, is_exposed, members
from ..uri import ObjectURI, word
from .context import current
from .nameserver import OBJECT as NAMES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..exposure import Member


@dataclass(frozen=True, slots=True)
class ServedObject:
    """An object that can be called, or a class of which there is one for all, for each caller, or for each call.

    Attributes
    ----------
    thing : object or None
        None: the instances are made of `cls`, as `mode` says.
    cls : type
    mode : str
    members : mapping of str to Member
        What can be reached.
    plain : frozenset of str
        The methods among them that are called on `thing`, and for which the caller waits.
    making : RLock
        Held while a user's ``__init__`` runs, which may call and so serve.
    makers : dict of int to int
        Depths of the requests for which instances are being made, by the address of where they are kept.
    """

    thing: Any
    cls: type
    mode: str
    members: Mapping[str, Member]
    plain: frozenset[str] = field(init=False)
    making: Any = field(default_factory=threading.RLock)
    makers: dict[int, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        methods = [name for name, member in self.members.items() if not (member.is_property or member.oneway)]
        object.__setattr__(self, "plain", frozenset(methods if self.thing is not None else ()))


class ObjectRegistry:
    """What one rank serves, by name.

    Parameters
    ----------
    rank : int
    own : mapping of str to (object, members)
        What every rank serves for the layer itself.
    patience : float
        Seconds that a call which an ``__init__`` may be waiting for waits for that ``__init__``.

    Attributes
    ----------
    served : dict of str to ServedObject
        By name.
    """

    def __init__(self, rank: int, own: Mapping[str, tuple[Any, Mapping[str, Member]]], patience: float) -> None:
        self._rank = rank
        self._patience = patience
        self.served = {
            name: ServedObject(thing, type(thing), INSTANCES[0], reachable) for name, (thing, reachable) in own.items()
        }
        self._names: dict[int, str] = {}  # of objects, by their address; the objects are held
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()
        self._singles: dict[str, tuple[ServedObject, Any]] = {}

    @property
    def has_own(self) -> bool:
        """Whether there is any but those of the layer itself."""
        return len(self._names) > (NAMES in self.served)

    def add(self, thing: Any, name: str | None = None) -> ObjectURI:
        """Let other ranks call an object, or a class's instances.

        Raises
        ------
        InputError
            If nothing of it is exposed, or the name is taken.
        """
        if inspect.isroutine(thing):
            raise InputError(
                f"{thing!r} cannot be served: it is a function. Make it a method of an exposed class (@expose)."
            )
        is_class = isinstance(thing, type)
        cls: type = thing if is_class else type(thing)
        reachable = members(cls)
        if not reachable:
            raise InputError(f"nothing of {cls.__qualname__} is exposed. Mark the class, or its methods, with @expose.")
        with self._lock:
            known = self._names.get(id(thing))
            if known is not None and name in (None, known):
                return ObjectURI(known, self._rank)
            name = word("object", f"{cls.__name__}-{next(self._numbers)}" if name is None else name, without="@")
            if known is not None or name in self.served:
                taken = f"it is served as {known}" if known else f"the name {name} is taken"
                raise InputError(
                    f"{cls.__qualname__} cannot be served as {name}: {taken} on this rank. Withdraw it first."
                )
            mode = instances_of(cls) if is_class else INSTANCES[0]
            self.served[name] = ServedObject(thing if not is_class else None, cls, mode, reachable)
            self._names[id(thing)] = name
        return ObjectURI(name, self._rank)

    def remove(self, name: str) -> None:
        """Let nobody call the object any more.

        Raises
        ------
        UnknownNameError
            If there is none of that name.
        """
        with self._lock:
            served = self.served.pop(name, None)
            if served is None:
                raise UnknownNameError(f"this rank serves no object {name}")
            self._singles.pop(name, None)
            self._names = {address: other for address, other in self._names.items() if other != name}

    def refer(self, value: Any) -> str | None:
        """Return the URI of a value that travels as a remote object, or None."""
        known = self._names.get(id(value))
        if known is None and (isinstance(value, type) or not is_exposed(type(value))):
            return None
        return str(self.add(value))

    def instance(self, served: ServedObject, name: str, own: dict[str, tuple[ServedObject, Any]]) -> Any:
        """Return the instance of a class that a call is for; `own` are those of the caller's session."""
        if served.mode == "percall":
            return served.cls()
        where = own if served.mode == "session" else self._singles
        made = where.get(name)
        if made is not None and made[0] is served:  # otherwise it is one of a class that was served before
            return made[1]
        running = current.get()
        depth = 1 if running is None else running.depth
        # Only a call that is deeper than the one for which the instance is made can be one that its __init__ waits for.
        limit = self._patience if depth > max(list(served.makers.values()), default=depth) else -1
        if not served.making.acquire(timeout=limit):
            raise AccessDeniedError(_in_a_circle(served.cls, f"for {limit} s"))
        try:
            made = where.get(name)
            if made is not None and made[0] is served:
                return made[1]
            if id(where) in served.makers:  # and by this thread, which has the lock
                raise AccessDeniedError(_in_a_circle(served.cls, "now"))
            served.makers[id(where)] = depth
            try:
                thing = served.cls()
            finally:
                del served.makers[id(where)]
            where[name] = (served, thing)
            return thing
        finally:
            served.making.release()


def _in_a_circle(cls: type, since: str) -> str:
    return (
        f"the instance of {cls.__qualname__} is being made {since}, and its __init__ waits for a call that may lead "
        "back to it. Let __init__ call nothing that needs the instance."
    )
