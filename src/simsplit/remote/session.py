"""The session of one rank: it serves local objects and calls those of other ranks."""

from __future__ import annotations

import atexit
import sys
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, TypeVar, cast, overload

from ..communicator import interrupts
from ..errors import CodecError, InputError, PeerGoneError
from .client.caller import Client, Request
from .client.proxy import AttributeProxy, Proxy, StaticProxy, checked_timeout, uri_of
from .dispatcher import Dispatcher
from .link.backoff import need_room, wait_until
from .link.endpoint import Endpoint
from .link.identity import AccessControl, Identity
from .link.termination import TerminationDetector, Waiting
from .link.workers import WorkerPool
from .server.context import current
from .server.daemon import Daemon
from .server.nameserver import OBJECT as NAMES
from .server.nameserver import NameServer
from .uri import PING, ObjectURI, parse, word
from .wire.codec import Hooks, encode
from .wire.frame import Flag, Frame, FrameKind
from .wire.values import Registry

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from types import TracebackType

    from ..transport.interface import Transport
    from .link.identity import Connection
    from .server.context import CallContext
    from .settings import Settings
    from .uri import URI

T = TypeVar("T")
registry = Registry()
_PLAIN = Hooks()
_OVER = "the ranks have left (the `with` block of simsplit.remote.join, or request_loop(), is over)"


class Session:
    """A rank that serves objects and calls those of others. Made by `join` or `local`.

    It is a context manager: leaving the block means that this rank needs nothing more from the others. It
    goes on to serve until that is true of all ranks; then all leave.

    Parameters
    ----------
    port : Transport
        Used by nobody else.
    settings : Settings
    name_server : int
        The rank of the name server.

    Attributes
    ----------
    rank, size : int
        This rank, and how many there are.
    host : str
        Name of its host.
    settings : Settings
    """

    def __init__(self, port: Transport, settings: Settings, name_server: int = 0) -> None:
        if not 0 <= name_server < port.size:
            raise InputError(f"name_server must be a rank from 0 to {port.size - 1}, not {name_server!r}")
        self.rank, self.size, self.host = port.rank, port.size, port.host
        self.settings = settings
        self._name_server = ObjectURI(NAMES, name_server)
        self._traffic = traffic = Dispatcher()
        self._endpoint = Endpoint(
            port, settings.max_message_nbytes, traffic.accept, traffic.refusal, settings.leave_wait
        )
        hooks = [
            Hooks(registry, self._proxy_for, self._resolve, settings.inline_nbytes, pickle) for pickle in (False, True)
        ]
        program = Path(sys.argv[0] if sys.argv else "").name
        introduction = Identity(self.rank, self.host, program, settings, *hooks)
        self._reception = AccessControl(introduction)
        self._daemon = Daemon(self._endpoint, settings, introduction, self._reception)
        self.caller = Client(
            self._endpoint,
            settings,
            introduction,
            step=traffic.poll,
            wait=self._wait_for_answer,
            need_thread=lambda: self._threads.start_service(serve=False),
            serves=lambda: any(here._daemon.objects.has_own for here in self._group),  # noqa: SLF001, of this class
        )
        self._leaving = TerminationDetector(
            self.rank,
            self.size,
            self._endpoint.send,
            traffic.counts_if_idle,
            self._endpoint.malformed,
            settings.leave_wait,
            self._agreed,
        )
        self._threads = WorkerPool(settings, port.threads, self._step_in_background, self._daemon.serve_one)
        self._group: Sequence[Session] = (self,)
        self._closed = False
        traffic.endpoint, traffic.reception, traffic.daemon = self._endpoint, self._reception, self._daemon
        traffic.caller, traffic.leaving, traffic.threads = self.caller, self._leaving, self._threads
        if self.rank == name_server:
            traffic.names = NameServer()
            self._daemon.objects.add(traffic.names, NAMES)
        if settings.workers:
            self._threads.start_service(serve=False)
        interrupts.install()
        atexit.register(self._at_exit)

    # Serving

    def serve(
        self,
        thing: Any,
        *,
        name: str | None = None,
        tags: Iterable[str] = (),
        object: str | None = None,  # noqa: A002
        safe: bool = False,
    ) -> ObjectURI:
        """Serve an object: other ranks can call it. Returns at once.

        Requests are carried out whenever this rank waits: for an answer, in `request_loop`, at the end of its
        ``with`` block; or by `start_service`, or by `Settings.workers`.

        Parameters
        ----------
        thing : object or class
            Something of its class is marked with `expose`. Of a class the instances are made here, as its
            `expose` says.
        name : str, optional
            What the name server is to know it by.
        tags : iterable of str
            By which the name server finds it too; they need a name.
        object : str, optional
            What this rank knows it by; by default a name that is unique here.
        safe : bool
            Whether to refuse a name that another object has.

        Returns
        -------
        ObjectURI

        Raises
        ------
        InputError
            If nothing is exposed, or a name is wrong or taken.
        """
        tags = tuple(tags)
        if tags and name is None:
            raise InputError("tags are registered with a name: give one")
        for what, text, without in [("name", name, ""), *(("tag", tag, ",") for tag in tags)]:
            if text is not None:
                word(what, text, without=without)
        uri = self._daemon.objects.add(thing, object)
        if name is not None:
            self.names.register(name, str(uri), tags, safe=safe)
        return uri

    def withdraw(self, uri: ObjectURI | str) -> None:
        """Stop serving an object, and remove its names.

        Raises
        ------
        UnknownNameError
            If this rank serves no such object.
        """
        target = parse(uri)
        if not isinstance(target, ObjectURI) or target.rank != self.rank:
            raise InputError(f"{uri} is no object of this rank, {self.rank}")
        self._daemon.objects.remove(target.object)
        self.names.forget(str(target))

    def add_connection_validator(self, validator: Callable[[Connection], bool | None]) -> None:
        """Let `validator` decide which ranks may call this one; False or an exception refuses a rank."""
        for rank, answer in self._reception.add(validator):
            self._endpoint.send(answer, rank)

    def add_call_validator(self, validator: Callable[[CallContext], bool | None]) -> None:
        """Let `validator` decide on each call; False refuses it, an exception is raised at the caller."""
        self._daemon.validators.append(validator)

    def request_loop(self, condition: Callable[[], bool] | None = None) -> None:
        """Serve until no rank needs this one, or while `condition` returns true.

        Without a condition this rank says that it makes no more calls of its own.

        Raises
        ------
        PeerGoneError
            If the condition still holds, and no rank is left that could change it, because one has failed.
        """
        if condition is None:
            if current.get() is not None:
                raise InputError(
                    "a method that runs for another rank cannot serve until no rank needs anything more: its caller "
                    "needs it. Give request_loop a condition, or call it outside of methods."
                )
            self._leaving.passive = True
            self._wait(lambda: self._leaving.ended)
            self.caller.close(_OVER)  # nobody would answer
        else:
            self.wait_until(lambda: not condition())

    def start_service(self) -> None:
        """Start a thread that serves while this thread computes."""
        self._threads.start_service(serve=True)

    def stop_service(self) -> None:
        """Stop the thread of `start_service` once it has finished its current request."""
        self._threads.stop_service()

    def poll(self) -> bool:
        """Make progress, execute at most one request; return whether there was anything to do. For your own loops."""
        need_room()
        interrupts.heed()
        return self._traffic.poll()

    def wait_until(self, done: Callable[[], bool], timeout: float | None = None) -> bool:
        """Serve until `done` returns true, for at most `timeout` seconds; return whether it did.

        Raises
        ------
        PeerGoneError
            If there is no time limit, and no rank is left that could do what is waited for, because one has failed.
        """
        need_room()
        if timeout is not None:
            return self._wait(done, timeout)
        leaving = self._leaving
        waiting = Waiting(leaving, self._threads, within=current.get() is not None)

        def is_over() -> bool:
            waiting.looks += 1
            return done() or leaving.ended

        with waiting:
            self._wait(is_over)
        if not done():
            raise PeerGoneError(f"this rank waits for what will not come: {leaving.failed or _OVER}")
        return True

    def _wait(self, done: Callable[[], bool], timeout: float | None = None) -> bool:
        self.caller.close_left()
        running = current.get()
        deep = running is not None and running.nested >= self.settings.max_depth  # methods that wait inside each other
        return (
            self._wait_for_answer(done, timeout)
            if deep
            else wait_until(done, self._step, self.settings, timeout, self._endpoint.is_busy, self._look)
        )

    # Calling

    @property
    def names(self) -> NameServer:
        """A proxy of the name server."""
        return cast("NameServer", StaticProxy(self, self._name_server, self.settings.timeout, NameServer))

    @overload
    def proxy(
        self, uri: str | URI, interface: None = None, *, attributes: bool = False, timeout: float | None = None
    ) -> Any: ...
    @overload
    def proxy(
        self, uri: str | URI, interface: Callable[..., T], *, attributes: bool = False, timeout: float | None = None
    ) -> T: ...  # a class is one; of type[T] mypy takes no protocol
    def proxy(
        self,
        uri: str | URI,
        interface: Callable[..., T] | None = None,
        *,
        attributes: bool = False,
        timeout: float | None = None,
    ) -> Any:
        """Return a proxy of a remote object.

        A name, or tags, are looked up now; a name that is not registered yet is waited for.

        Parameters
        ----------
        uri : str or URI
        interface : class or protocol, optional
            What the object is: wrong names and arguments are then refused here, and a type checker knows the
            rest.
        attributes : bool
            Whether exposed properties are read and set as attributes. An interface says that by itself.
        timeout : float, optional
            Seconds that each call through it waits; by default `Settings.timeout`.

        Returns
        -------
        Proxy

        Raises
        ------
        InputError
            If an argument is wrong.
        UnknownNameError
            If there is no such rank, or the name is not registered within `Settings.lookup_wait` seconds.
        """
        limit = self.settings.timeout if timeout is None else checked_timeout(timeout)
        target = self.resolve(uri)
        if interface is not None:
            return StaticProxy(self, target, limit, interface)
        return (AttributeProxy if attributes else Proxy)(self, target, limit)

    def resolve(self, uri: str | URI) -> ObjectURI:
        """Resolve a name or tags to the URI of an object; wait at most `Settings.lookup_wait` seconds for it.

        Raises
        ------
        UnknownNameError
            If it is not registered.
        """
        target = parse(uri)
        limit, pause = time.perf_counter() + self.settings.lookup_wait, 0.001
        while not isinstance(target, ObjectURI):
            found = self.names.find(str(target))
            if found is None and time.perf_counter() > limit:
                found = self.names.lookup(str(target))  # which says what is registered
            if found is not None:
                target = parse(found)
            else:
                self.wait_until(lambda: False, pause)
                pause = min(2 * pause, 0.05)
        return target

    def ping(self, rank: int) -> float:
        """Return the seconds that an empty call to a rank takes."""
        begun = time.perf_counter()
        target = ObjectURI(PING, rank)
        self.caller.call(Request(target, "", Flag.GET, self.settings.timeout, f"a ping of rank {rank}"))
        return time.perf_counter() - begun

    # Leaving

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close(error)

    def close(self, error: BaseException | None = None) -> None:
        """Serve until all ranks are done, and leave with them. Collective.

        Parameters
        ----------
        error : BaseException, optional
            Why this rank fails: it serves no more, its callers get an error, and it waits for the others at
            most `Settings.leave_wait` seconds.
        """
        if self._closed:
            return
        if current.get() is not None:
            raise InputError("a method that runs for another rank cannot leave: its caller waits for it")
        reason = f"rank {self.rank} (host {self.host})"
        if error is not None:
            reason += f" ended with {type(error).__name__}"
            self._leaving.note_failure(reason)
            self._announce_departure(reason, final=False)
        self._leaving.passive = True
        agreed = False
        try:
            limit = None if error is None else self.settings.leave_wait
            agreed = self._wait(lambda: self._leaving.ended and not self._endpoint.sending, limit)
        finally:
            self._end(reason, agreed=agreed)

    def _end(self, reason: str, *, agreed: bool) -> None:
        if not agreed:
            left = " and left without waiting" if " ended with " in reason else " left without waiting"
            self._announce_departure(reason + left + " for the others", final=True)
            wait_until(lambda: not self._endpoint.sending, self._endpoint.progress, self.settings, 1.0)
            self._endpoint.abandon()
        self._closed = True
        self.caller.close(_OVER)
        self._threads.stop(None if agreed else 1.0)
        atexit.unregister(self._at_exit)
        if agreed and not self._leaving.incomplete:
            self._endpoint.close()
        elif agreed:
            self._endpoint.abandon()

    def _announce_departure(self, reason: str, *, final: bool) -> None:
        body = encode([reason, final], _PLAIN).body
        self._daemon.close(reason)
        for rank in range(self.size):
            if rank != self.rank:
                self._endpoint.send(Frame(FrameKind.GONE, int(final), body=body), rank)

    def _at_exit(self) -> None:
        """Leave in order if the program did not call `close`."""
        self.close(getattr(sys, "last_value", None))

    # Progress

    def _wait_for_answer(self, done: Callable[[], bool], timeout: float | None = None) -> bool:
        """Wait for a call of this rank; meanwhile execute only requests deeper than the one it belongs to.

        So the requests that a thread runs inside each other are ever deeper, and no more than `max_depth`. The
        deepest of all that wait, on any rank, waits for a call that is deeper still, which nothing holds
        up: so the ranks never wait for each other in a circle.
        """
        running = current.get()
        step = self.caller.step if running is None else partial(self.caller.step, running.depth)
        if timeout is not None:
            return wait_until(done, step, self.settings, timeout, self._endpoint.is_busy, self._look)
        with Waiting(self._leaving, self._threads, within=running is not None, done=done):
            return wait_until(done, step, self.settings, None, self._endpoint.is_busy)

    def _join_group(self, group: Sequence[Session]) -> None:
        """Also make progress for other ranks of this process whenever this one waits."""
        self._group = group
        self.caller.step = self._step

    def _step(self, floor: int = 0) -> bool:
        """Make progress for all ranks of this process."""
        moved = False
        for here in self._group:
            moved |= here._traffic.poll(floor)  # noqa: SLF001, another of this class
        return moved

    def _look(self) -> bool:
        """Make progress for the same ranks without executing requests."""
        moved = False
        for here in self._group:
            moved |= here._traffic.poll(serve=False)  # noqa: SLF001, another of this class
        return moved

    def _agreed(self) -> None:
        """Send nothing more, since all ranks may leave; fail the calls that still wait after a rank failed."""
        self._endpoint.fall_silent()
        failed = self._leaving.failed
        self.caller.end(_OVER if failed is None else f"{failed}, and the ranks have left")

    def _step_in_background(self, *, serve: bool) -> bool:
        """Make progress in the service thread, also for the other ranks of this process."""
        moved = self._traffic.poll(serve=serve)
        for here in self._group:
            if here is not self:
                moved |= here._traffic.poll()  # noqa: SLF001, another of this class
        return moved

    def _proxy_for(self, value: Any) -> str | None:
        return str(uri_of(value)) if isinstance(value, Proxy) else self._daemon.objects.refer(value)

    def _resolve(self, text: str) -> Proxy:
        target = parse(text)
        if not isinstance(target, ObjectURI):
            raise CodecError(f"not a value: {text!r:.80} is no object")
        return Proxy(self, target, self.settings.timeout)

    def __repr__(self) -> str:
        return f"<rank {self.rank} of {self.size} on {self.host}>"
