"""The serving side of a rank: its objects, the queue of requests, and how one is carried out."""

from __future__ import annotations

import itertools
import logging
import sys
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import CodecError, GoneError, InputError, RefusedError, RemoteError, UnknownNameError
from .codec import Hooks, encode
from .context import CallContext, current
from .exposing import INSTANCES, instances_of, is_exposed, members
from .failures import encode_failure, failure
from .frame import Flag, Frame, FrameKind
from .queue import Queue
from .streams import OBJECT as STREAMS
from .streams import Streams
from .uri import ObjectURI, word

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from .codec import Encoded
    from .endpoint import Arrived, Endpoint
    from .exposing import Member
    from .frame import Head
    from .handshake import Guest, Introduction, Reception
    from .settings import Settings

log = logging.getLogger("simsplit.remote")

nesting = threading.local()  # `depth`: how many requests this thread runs inside each other
PING = "simsplit.ping"  # an object of every rank, which gives nothing
_PAIR, _TRIPLE = 2, 3
_STR = frozenset({str})


@dataclass(frozen=True, slots=True)
class Served:
    """An object that can be called, or a class of which there is one for all, for each caller, or for each call."""

    thing: Any
    cls: type
    mode: str
    members: Mapping[str, Member]


class Daemon:
    """Requests of other ranks, and what they are for.

    Parameters
    ----------
    endpoint : Endpoint
    settings : Settings
    introduction : Introduction
    reception : Reception
        Knows who may call.

    Attributes
    ----------
    validators : list of callable
        Each is given the `CallContext` of a call; one that returns False, or raises, refuses it.
    queue : Queue
        Requests that nobody has begun.
    running : int
        How many are carried out now.
    """

    def __init__(
        self, endpoint: Endpoint, settings: Settings, introduction: Introduction, reception: Reception
    ) -> None:
        self.validators: list[Callable[[CallContext], bool | None]] = []
        self.queue = Queue(settings.max_depth + 1)
        self.running = 0
        self.closed: str | None = None
        self._endpoint = endpoint
        self._settings = settings
        self._introduction = introduction
        self._reception = reception
        self.streams = Streams(settings)
        self._objects = {PING: Served(self, Daemon, INSTANCES[0], {})}
        self._objects[STREAMS] = Served(self.streams, Streams, INSTANCES[0], members(Streams))
        self._names: dict[int, str] = {}  # of objects, by their address; the objects are held
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()
        self._making = threading.RLock()  # held while a user's __init__ runs, which may call and so serve
        self._singles: dict[str, Any] = {}

    def add(self, thing: Any, name: str | None = None) -> ObjectURI:
        """Let other ranks call an object, or a class's instances.

        Raises
        ------
        InputError
            If nothing of it is exposed, or the name is taken.
        """
        is_class = isinstance(thing, type)
        cls: type = thing if is_class else type(thing)
        reachable = members(cls)
        if not reachable:
            raise InputError(f"nothing of {cls.__qualname__} is exposed. Mark the class, or its methods, with @expose.")
        with self._lock:
            known = self._names.get(id(thing))
            if known is not None and name in (None, known):
                return ObjectURI(known, self._endpoint.rank)
            name = f"{cls.__name__}-{next(self._numbers)}" if name is None else word("object", name, without="@")
            if known is not None or name in self._objects:
                taken = f"it is served as {known}" if known else f"the name {name} is taken"
                raise InputError(
                    f"{cls.__qualname__} cannot be served as {name}: {taken} on this rank. Withdraw it first."
                )
            mode = instances_of(cls) if is_class else INSTANCES[0]
            self._objects[name] = Served(thing if not is_class else None, cls, mode, reachable)
            self._names[id(thing)] = name
        return ObjectURI(name, self._endpoint.rank)

    def remove(self, name: str) -> None:
        """Let nobody call the object any more.

        Raises
        ------
        UnknownNameError
            If there is none of that name.
        """
        with self._lock:
            served = self._objects.pop(name, None)
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

    def accept(self, arrived: Arrived) -> None:
        """Take a request in. Sorts only: it is called while nobody else can move messages."""
        guest = self._reception.guest(arrived.head.source)
        if guest is not None and not arrived.head.flags & Flag.ONEWAY:
            if len(guest.active) >= self._settings.max_in_flight:
                arrived.refuse(
                    RefusedError(f"more than {self._settings.max_in_flight} requests at once (max_in_flight)")
                )
            else:
                guest.active.add(arrived.head.correlation)
        self.queue.push(arrived)

    def cancel(self, source: int, correlation: int) -> bool:
        """Forget a request that nobody has begun; return whether there was one."""
        arrived = self.queue.take(source, correlation)
        if arrived is not None:
            self._over(arrived)
        return arrived is not None

    def close(self, reason: str) -> None:
        """Serve no more, and answer all that nobody has begun with an error."""
        self.closed = reason
        while (arrived := self.queue.pop()) is not None:
            self._answer_failure(arrived, GoneError(reason))

    def serve_one(self, floor: int = 0) -> bool:
        """Carry out the next request that is deeper than `floor`; return whether there was one."""
        with self._lock:  # so that nobody finds the queue empty and nothing running in between
            arrived = self.queue.pop(floor)
            if arrived is None:
                return False
            self.running += 1
        nesting.depth = getattr(nesting, "depth", 0) + 1
        try:
            self._serve(arrived)
        finally:
            nesting.depth -= 1
            with self._lock:
                self.running -= 1
        return True

    def _serve(self, arrived: Arrived) -> None:
        interrupt: BaseException | None = None
        try:
            answer, flags = self._carry_out(arrived)
            if not arrived.head.flags & Flag.ONEWAY:
                self._answer(arrived, answer, flags)
        except BaseException as error:  # noqa: BLE001, whatever it is, the caller waits for it
            self._answer_failure(arrived, error)
            interrupt = error if isinstance(error, KeyboardInterrupt) else None
        if interrupt is not None:
            raise interrupt

    def _answer(self, arrived: Arrived, answer: Encoded, flags: int) -> None:
        buffers = answer.buffers
        if buffers:
            buffers = [buffer if _is_nobody_elses(buffer) else memoryview(bytearray(buffer)) for buffer in buffers]
        frame = Frame(FrameKind.RESULT, arrived.head.correlation, flags=flags, body=answer.body, buffers=buffers)
        del answer, buffers
        self._over(arrived)
        self._endpoint.send(frame, arrived.head.source)

    def _answer_failure(self, arrived: Arrived, error: BaseException) -> None:
        head = arrived.head
        where = self._where(head.object, head.method)
        if head.flags & Flag.ONEWAY:
            log.error("a oneway call of rank %d failed on %s", head.source, where, exc_info=error)
            return
        self._over(arrived)
        try:
            self._send_failure(head, error, where)
        except Exception as worse:  # noqa: BLE001, it is too large, or its own code fails: the caller waits all the same
            instead = RemoteError(f"{type(error).__name__} was raised, and cannot be sent: {type(worse).__name__}")
            self._send_failure(head, instead, where)

    def _send_failure(self, head: Head, error: BaseException, where: str) -> None:
        encoded = encode_failure(error, where, self._introduction.hooks)
        frame = Frame(FrameKind.ERROR, head.correlation, body=encoded.body, buffers=encoded.buffers)
        self._endpoint.send(frame, head.source)

    def _over(self, arrived: Arrived) -> None:
        guest = self._reception.guest(arrived.head.source)
        if guest is not None:
            guest.active.discard(arrived.head.correlation)

    def _carry_out(self, arrived: Arrived) -> tuple[Encoded, int]:
        """Run a request and return the answer; no reference to its arguments stays behind."""
        head = arrived.head
        guest = self._reception.guest(head.source)
        if self.closed is not None:
            raise GoneError(self.closed)
        if guest is None:
            raise RefusedError(f"rank {head.source} was not welcomed by this rank")
        if head.depth > self._settings.max_depth:
            raise RefusedError(f"{head.depth} calls wait for each other; at most {self._settings.max_depth} may")
        served = self._objects.get(head.object)
        if served is None:
            raise UnknownNameError(f"rank {self._endpoint.rank} serves no object {head.object!r}")
        value = arrived.value(guest.hooks)
        arrived.decoding = None
        positional, named, annotations = _arguments(value)
        del value
        connection = guest.connection
        context = CallContext(
            connection.rank,
            connection.host,
            connection.program,
            head.object,
            head.method,
            head.correlation,
            head.depth,
            bool(head.flags & Flag.ONEWAY),
            annotations,
        )
        token = current.set(context)
        try:
            if not head.flags & Flag.BATCH:
                self._validate(context)
            if head.flags & Flag.BATCH:
                return self._batch(served, guest, context, positional), 0
            member = served.members.get(head.method)
            if member is not None and member.oneway and not context.oneway:
                self._answer(arrived, encode(None, guest.hooks), 0)
                head.flags |= Flag.ONEWAY  # from here on nobody waits
            result = self._invoke(served, guest, head.object, head.method, head.flags, positional, named)
        finally:
            current.reset(token)
        del positional, named
        if hasattr(type(result), "__next__") and not is_exposed(type(result)):  # an iterator
            where = self._where(head.object, head.method)
            return encode(self.streams.add(result, head.source, where), guest.hooks), Flag.STREAM
        return encode(result, guest.hooks), 0

    def _batch(self, served: Served, guest: Guest, context: CallContext, calls: list[Any]) -> Encoded:
        """Run several calls one after the other, whatever becomes of each."""
        outcomes: list[list[Any]] = []
        for call in calls:
            method, positional, named = call if type(call) is list and len(call) == _TRIPLE else ("", None, None)
            where = self._where(context.object, str(method))
            token = current.set(context._replace(method=method))
            try:
                positional, named, _ = _arguments([positional, named])
                if type(method) is not str or not method:
                    raise CodecError("a call of a batch without a method")  # noqa: TRY301, one outcome of several
                self._validate(context._replace(method=method))
                outcomes.append([True, self._invoke(served, guest, context.object, method, 0, positional, named)])
            except Exception as error:  # noqa: BLE001, it is raised at the caller
                outcomes.append([False, *failure(error, where, guest.hooks)])
            finally:
                current.reset(token)
        try:
            return encode(outcomes, guest.hooks)
        except CodecError:
            for number, outcome in enumerate(outcomes):
                try:
                    encode(outcome, guest.hooks)
                except CodecError as error:
                    where = self._where(context.object, str(calls[number][0]))
                    outcomes[number] = [False, *failure(error, where, guest.hooks)]
            return encode(outcomes, guest.hooks)

    def _where(self, name: str, method: str) -> str:
        what = ".".join(part for part in (name, method) if part)
        return f"rank {self._endpoint.rank} (host {self._endpoint.host}), {what or 'a request'}"

    def _validate(self, context: CallContext) -> None:
        for validator in self.validators:
            if validator(context) is False:
                raise RefusedError(f"a call validator refused {context.object}.{context.method}")

    def _invoke(
        self,
        served: Served,
        guest: Guest,
        name: str,
        method: str,
        flags: int,
        positional: list[Any],
        named: dict[str, Any],
    ) -> Any:
        if not method and flags & Flag.GET:
            return {each.name: each.is_property for each in served.members.values()}
        member = served.members.get(method)
        by_attribute = bool(flags & (Flag.GET | Flag.SET))
        if member is None or member.is_property != by_attribute or (flags & Flag.SET and not member.settable):
            raise AttributeError(_no_member(served, method, member, flags))
        thing = self._instance(served, guest, name)
        if not by_attribute:
            return getattr(thing, method)(*positional, **named)
        if flags & Flag.GET:
            return getattr(thing, method)
        (value,) = positional
        setattr(thing, method, value)
        return None

    def _instance(self, served: Served, guest: Guest, name: str) -> Any:
        if served.thing is not None:
            return served.thing
        if served.mode == "percall":
            return served.cls()
        where = guest.instances if served.mode == "session" else self._singles
        with self._making:
            if name not in where:
                where[name] = served.cls()
            return where[name]


def _arguments(value: Any) -> tuple[list[Any], dict[str, Any], dict[str, Any]]:
    if type(value) is list and _PAIR <= len(value) <= _TRIPLE:
        positional, named = value[0], value[1]
        annotations = value[2] if len(value) == _TRIPLE else {}
        if type(positional) is list and _has_names(named) and _has_names(annotations):
            return positional, named, annotations
    raise CodecError("a request without arguments")


def _has_names(value: Any) -> bool:
    return type(value) is dict and (not value or _STR.issuperset(map(type, value)))


def _no_member(served: Served, name: str, member: Member | None, flags: int) -> str:
    of = f"the remote {served.cls.__qualname__}"
    if member is None:
        exposed = ", ".join(served.members)
        return f"{of} exposes no {name!r}; it exposes: {exposed}"
    if member.is_property:
        return (
            f"{name!r} of {of} cannot be set" if flags & Flag.SET else f"{name!r} of {of} is a property, not a method"
        )
    return f"{name!r} of {of} is a method, not a property"


def _references(owner: np.ndarray[Any, Any]) -> int:
    return sys.getrefcount(owner)


def _is_nobody_elses(buffer: memoryview) -> bool:
    """Return whether the memory is kept by the answer alone, so that nobody can change it before it is sent."""
    flat = buffer.obj
    owner = flat.base if isinstance(flat, np.ndarray) else None
    if type(owner) is not np.ndarray or not owner.flags.owndata or not _COUNTS:
        return False
    return _references(owner) <= _ALONE


_COUNTS = getattr(sys, "_is_gil_enabled", lambda: True)()  # otherwise the counts mean something else


def _alone() -> int:
    """Return how many references there are to an array that only its buffer keeps, in this Python."""
    flat = encode(np.empty(1), Hooks(inline=0)).buffers[0].obj
    assert isinstance(flat, np.ndarray)  # noqa: S101, for the type checker
    owner = flat.base
    assert isinstance(owner, np.ndarray)  # noqa: S101, the same
    return _references(owner)


_ALONE = _alone()
