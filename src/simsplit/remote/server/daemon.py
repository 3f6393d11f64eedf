"""The serving side of a rank: its objects, its request queue, and the execution of requests."""

from __future__ import annotations

import logging
import sys
import threading
from typing import TYPE_CHECKING, Any

import numpy as np

from ...errors import AccessDeniedError, CodecError, PeerGoneError, RemoteError, UnknownNameError
from ...util.buffer_pool import owns_memory
from ..client.streams import OBJECT as STREAMS
from ..client.streams import Streams
from ..exposure import is_exposed, members
from ..uri import PING
from ..wire.codec import Encoded, Gathering, Hooks, as_arguments, copied, encode, encode_plain
from ..wire.exceptions import encode_failure, failure
from ..wire.frame import SMALL, Flag, Frame, FrameKind
from .context import context_of, current
from .nameserver import OBJECT as NAMES
from .objects import ObjectRegistry
from .request_queue import RequestQueue

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..exposure import Member
    from ..link.endpoint import Endpoint
    from ..link.identity import AccessControl, ClientState, Identity
    from ..settings import Settings
    from ..wire.frame import IncomingFrame
    from .context import CallContext, Running
    from .objects import ServedObject

log = logging.getLogger("simsplit.remote")

_TRIPLE = 3
_RESULT = FrameKind.RESULT
_OWN = frozenset({PING, STREAMS, NAMES})  # what the layer serves for itself: no validator is asked about it


class Daemon:
    """Requests of other ranks, and what they are for.

    Parameters
    ----------
    endpoint : Endpoint
    settings : Settings
    introduction : Identity
    reception : AccessControl
        Knows who may call.

    Attributes
    ----------
    objects : ObjectRegistry
        What can be called.
    streams : Streams
        The generators that others fetch from.
    validators : list of callable
        Each is given the `CallContext` of a call; one that returns False, or raises, refuses it.
    queue : RequestQueue
        Requests that nobody has begun.
    running : list
        As long as there are requests that are carried out now.
    """

    def __init__(
        self, endpoint: Endpoint, settings: Settings, introduction: Identity, reception: AccessControl
    ) -> None:
        self.validators: list[Callable[[CallContext], bool | None]] = []
        self.queue = RequestQueue(settings.max_depth + 1)
        self.running: list[None] = []
        self.closed: str | None = None
        self._endpoint = endpoint
        self._settings = settings
        self._introduction = introduction
        self._guests = reception.guests
        self.streams = Streams(settings)
        own = {PING: (self, {}), STREAMS: (self.streams, members(Streams))}
        self.objects = ObjectRegistry(endpoint.rank, own, settings.leave_wait)
        self._turn = None if settings.workers else threading.RLock()  # of the thread that carries out requests
        self._served = self.objects.served
        self._lock = threading.Lock()

    def refusal(self, request: IncomingFrame, guest: ClientState | None) -> RemoteError | None:
        """Return why a request will not be carried out, as far as its head and its source tell. Sorts only."""
        if guest is None:
            return AccessDeniedError(f"rank {request.source} was not welcomed by this rank")
        limit, deepest = self._settings.max_in_flight, self._settings.max_depth
        if len(guest.active) >= limit and not request.flags & Flag.ONEWAY:
            return AccessDeniedError(f"more than {limit} requests at once (max_in_flight)")
        if request.depth > deepest:
            return AccessDeniedError(f"{request.depth} calls wait for each other; at most {deepest} may")
        return None

    def accept(self, request: IncomingFrame) -> None:
        """Take a request in. Sorts only: it is called while nobody else can move messages."""
        guest, settings = self._guests.get(request.source), self._settings
        if (
            guest is None
            or request.flags & Flag.ONEWAY
            or request.depth > settings.max_depth
            or len(guest.active) >= settings.max_in_flight
        ):
            request.error = request.error or self.refusal(request, guest)
            if guest is not None and request.flags & Flag.ONEWAY and not self._keeps_pace(guest):
                return
        elif request.error is None:
            guest.active.add(request.correlation)
        self.queue.push(request)

    def _keeps_pace(self, guest: ClientState) -> bool:
        """Count a oneway request that will be queued, if there are not too many."""
        if guest.oneway >= 2 * self._settings.max_in_flight:  # a caller asks at half of that whether all are begun
            log.error("dropped a oneway call of rank %d: it sends them faster than it may", guest.connection.rank)
            return False
        with self._lock:
            guest.oneway += 1
        return True

    def cancel(self, source: int, correlation: int) -> bool:
        """Forget a request that nobody has begun; return whether there was one."""
        request = self.queue.take(source, correlation)
        if request is not None:
            self._over(request)
        return request is not None

    def close(self, reason: str) -> None:
        """Serve no more, and answer all that nobody has begun with an error."""
        self.closed = reason
        while (request := self.queue.pop()) is not None:
            self._answer_failure(request, PeerGoneError(reason))

    def serve_one(self, floor: int = 0) -> bool:
        """Carry out the next request that is deeper than `floor`; return whether there was one."""
        turn = self._turn
        if turn is not None and not turn.acquire(False):  # another thread is at one: without workers one at a time
            return False
        running = self.running
        running.append(None)  # first, so that nobody finds the queue empty and nothing running in between
        try:
            request = self.queue.pop(floor)
            if request is None:
                return False
            try:
                self._serve(request)
            except BaseException as error:
                self._answer_failure(request, error)  # whatever it is, the caller waits for it
                if isinstance(error, KeyboardInterrupt) and threading.current_thread() is threading.main_thread():
                    raise  # elsewhere it would end a thread that is still needed
        finally:
            running.pop()
            if turn is not None:
                turn.release()
        return True

    def close_streams(self) -> None:
        """Close the generators that nobody reads any more, unless another thread is at a request."""
        turn = self._turn
        if turn is not None and not turn.acquire(False):
            return
        self.running.append(None)
        try:
            self.streams.expire()
        finally:
            self.running.pop()
            if turn is not None:
                turn.release()

    def _serve(self, request: IncomingFrame) -> None:
        """Carry out a request and send its answer."""
        guest = self._guests.get(request.source)
        served = self._served.get(request.object)
        if request.flags & Flag.ONEWAY and guest is not None:
            with self._lock:
                guest.oneway -= 1
        if guest is None or served is None or self.closed is not None:
            raise self._refused(request, guest)
        if request.flags or self.validators or request.method not in served.plain:
            answer, flags = self._carry_out(request, guest, served)
            if not request.flags & Flag.ONEWAY:
                self._answer(request, answer, flags)
            return
        # What follows is what `_carry_out` and `_answer` come to for a plain call, in fewer steps.
        positional, named, request.annotations = request.arguments(guest.hooks)
        within = current.get()
        request.connection = guest.connection
        request.nested = 1 if within is None else within.nested + 1
        token = current.set(request)
        try:
            result = getattr(served.thing, request.method)(*positional, **named)
        finally:
            current.reset(token)
        del positional, named  # so that an array that is sent back is nobody else's
        body = encode_plain(result)
        if body is None or len(body) > SMALL:
            answer, flags = self._encoded(request, guest, result)
            del result  # the same
            self._answer(request, answer, flags)
            return
        guest.active.discard(request.correlation)
        self._endpoint.send_small(request.source, _RESULT, request.correlation, "", "", 0, 0, body)

    def _refused(self, request: IncomingFrame, guest: ClientState | None) -> RemoteError:
        if self.closed is not None:
            return PeerGoneError(self.closed)
        if guest is None:
            return AccessDeniedError(f"rank {request.source} was not welcomed by this rank")
        return UnknownNameError(f"rank {self._endpoint.rank} serves no object {request.object!r}")

    def _encoded(self, request: IncomingFrame, guest: ClientState, result: Any) -> tuple[Encoded, int]:
        if type(result) is Encoded:
            return result, 0
        if _is_iterator(result):
            where = self._where(request.object, request.method)
            stream = self.streams.add(result, request, where, guest.hooks)
            return encode(stream, guest.hooks), Flag.STREAM
        return encode(result, guest.hooks), 0

    def _answer(self, request: IncomingFrame, answer: Encoded, flags: int) -> None:
        body, buffers = answer
        if not buffers and len(body) <= SMALL:
            self._over(request)
            self._endpoint.send_small(request.source, FrameKind.RESULT, request.correlation, "", "", flags, 0, body)
            return
        buffers = [buffer if _is_nobody_elses(buffer) else copied(buffer) for buffer in buffers]
        frame = Frame(FrameKind.RESULT, request.correlation, flags=flags, body=body, buffers=buffers)
        del answer, buffers
        self._over(request)
        self._endpoint.send(frame, request.source)

    def _answer_failure(self, request: IncomingFrame, error: BaseException) -> None:
        where = self._where(request.object, request.method)
        if request.flags & Flag.ONEWAY:
            log.error("a oneway call of rank %d failed on %s", request.source, where, exc_info=error)
            return
        self._over(request)
        try:
            self._send_failure(request, error, where)
        except Exception as worse:  # noqa: BLE001, it is too large, or its own code fails: the caller waits all the same
            instead = RemoteError(f"{type(error).__name__} was raised, and cannot be sent: {type(worse).__name__}")
            self._send_failure(request, instead, where)

    def _send_failure(self, request: IncomingFrame, error: BaseException, where: str) -> None:
        body, buffers = encode_failure(error, where, self._introduction.hooks)
        buffers = [copied(buffer) for buffer in buffers]  # the user's code may have kept what it raised
        frame = Frame(FrameKind.ERROR, request.correlation, body=body, buffers=buffers)
        self._endpoint.send(frame, request.source)

    def _over(self, request: IncomingFrame) -> None:
        guest = self._guests.get(request.source)
        if guest is not None:
            guest.active.discard(request.correlation)

    def _carry_out(self, request: IncomingFrame, guest: ClientState, served: ServedObject) -> tuple[Encoded, int]:
        """Run a request and return the answer; no reference to its arguments stays behind."""
        flags, method = request.flags, request.method
        positional, named, request.annotations = request.arguments(guest.hooks)
        within = current.get()
        request.connection = guest.connection
        request.nested = 1 if within is None else within.nested + 1
        token = current.set(request)
        try:
            if flags & Flag.BATCH:
                return self._batch(served, guest, request, positional), 0
            self._validate(request)
            member = served.members.get(method)
            if member is not None and member.oneway and not flags & Flag.ONEWAY:
                self._answer(request, encode(None, guest.hooks), 0)
                request.flags |= Flag.ONEWAY  # from here on nobody waits
            result = self._invoke(served, guest, request.object, method, flags, positional, named)
        finally:
            current.reset(token)
        del positional, named
        return self._encoded(request, guest, result)

    def _batch(self, served: ServedObject, guest: ClientState, request: IncomingFrame, calls: list[Any]) -> Encoded:
        """Run several calls one after the other, whatever becomes of each."""
        name = request.object
        outcomes = Gathering(guest.hooks, 1)
        for call in calls:
            method, positional, named = call if type(call) is list and len(call) == _TRIPLE else ("", None, None)
            where = self._where(name, method if type(method) is str else "")
            try:
                positional, named, _ = as_arguments([positional, named])
                if type(method) is not str or not method:
                    raise CodecError("a call of a batch without a method")  # noqa: TRY301, one outcome of several
                request.method = method  # which a validator, and the method itself, may ask for
                self._validate(request)
                result = self._invoke(served, guest, name, method, 0, positional, named)
                outcomes.add([True, result], ("", "value"))  # before the next call can change it
            except Exception as error:  # noqa: BLE001, it is raised at the caller
                outcomes.add([False, *failure(error, where, guest.hooks)])
        request.method = ""
        return outcomes.encoded(outcomes.trees)

    def _where(self, name: str, method: str) -> str:
        what = "a stream" if name == STREAMS else ".".join(part for part in (name, method) if part)
        return f"rank {self._endpoint.rank} (host {self._endpoint.host}), {what or 'a request'}"

    def _validate(self, running: Running) -> None:
        if not self.validators or running.object in _OWN:
            return
        context = context_of(running)
        for validator in self.validators:
            if validator(context) is False:
                raise AccessDeniedError(f"a call validator refused {context.object}.{context.method}")

    def _invoke(
        self,
        served: ServedObject,
        guest: ClientState,
        name: str,
        method: str,
        flags: int,
        positional: list[Any],
        named: dict[str, Any],
    ) -> Any:
        if not method and flags & Flag.GET:
            return {each.name: each.is_property for each in served.members.values()}
        member = served.members.get(method)
        by_attribute = flags & (Flag.GET | Flag.SET)
        if member is None or member.is_property != bool(by_attribute) or (flags & Flag.SET and not member.settable):
            raise AttributeError(_no_member(served, method, member, flags))
        thing = served.thing
        if thing is None:
            thing = self.objects.instance(served, name, guest.instances)
        if not by_attribute:
            return getattr(thing, method)(*positional, **named)
        if flags & Flag.GET:
            return getattr(thing, method)
        (value,) = positional
        setattr(thing, method, value)
        return None


def _is_iterator(result: Any) -> bool:
    cls = type(result)
    return hasattr(cls, "__next__") and not is_exposed(cls)


def _no_member(served: ServedObject, name: str, member: Member | None, flags: int) -> str:
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
    if type(owner) is not np.ndarray or not owns_memory(owner) or not _COUNTS:
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
