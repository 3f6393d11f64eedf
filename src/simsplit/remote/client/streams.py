"""Remote generators. Items are fetched a few at a time, as the caller asks for them."""

from __future__ import annotations

import itertools
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Self

from ...errors import AccessDeniedError, UnknownNameError
from ..exposure import expose
from ..server.context import current
from ..uri import ObjectURI
from ..wire.codec import Encoded, Gathering
from ..wire.exceptions import decode_failure, failure

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..settings import Settings
    from ..wire.codec import Hooks
    from ..wire.frame import IncomingFrame
    from .caller import Client, Request

OBJECT = "simsplit.streams"  # what the streams of a rank are served as
_PATIENCE = 0.05  # seconds that a fetch goes on, once it has an item


class Stream:
    """One generator at its server."""

    __slots__ = ("annotations", "hooks", "items", "left", "lock", "method", "object", "owner", "touched", "where")

    def __init__(self, items: Iterator[Any], request: IncomingFrame, where: str, hooks: Hooks) -> None:
        self.items = items
        self.owner = request.source
        self.object, self.method, self.annotations = request.object, request.method, request.annotations
        self.where = where
        self.hooks = hooks
        self.left = False  # by its reader, to be closed
        self.touched = time.monotonic()
        self.lock = threading.Lock()


class Streams:
    """The generators of one rank that others fetch from.

    Parameters
    ----------
    settings : Settings

    Attributes
    ----------
    open : dict of int to Stream
        Those that are open, by number.
    are_left : bool
        Whether there are some to be closed, for their readers have left them.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.open: dict[int, Stream] = {}
        self.are_left = False
        self._numbers = itertools.count(1)
        self._next_look = 0.0

    def add(self, items: Iterator[Any], request: IncomingFrame, where: str, hooks: Hooks) -> int:
        """Keep the generator that a request gave, and return its number.

        Raises
        ------
        AccessDeniedError
            If that rank has too many open.
        """
        self.expire()
        owner = request.source
        open_now = [stream for stream in list(self.open.values()) if stream.owner == owner and not stream.left]
        if len(open_now) >= self._settings.max_streams:
            _close(items)
            raise AccessDeniedError(
                f"rank {owner} has {self._settings.max_streams} streams open here already (max_streams). "
                "Close one, or read it to its end."
            )
        number = next(self._numbers)
        self.open[number] = Stream(items, request, where, hooks)
        return number

    def leave(self, owner: int, number: int) -> None:
        """Count a stream no more, for its reader has left it. Sorts only."""
        stream = self.open.get(number)
        if stream is not None and stream.owner == owner:
            stream.left = self.are_left = True

    def expire(self) -> None:
        """Close what was left, and what nobody has asked for more for too long; looks for that once a second."""
        if self.are_left:
            self.are_left = False
            for number, stream in list(self.open.items()):
                if stream.left:
                    self._drop(number)
        now = time.monotonic()
        if now < self._next_look:
            return
        self._next_look = now + min(1.0, self._settings.stream_lifetime)
        for number, stream in list(self.open.items()):
            if now - stream.touched > self._settings.stream_lifetime and not stream.lock.locked():
                self._drop(number)

    def forget(self, owner: int) -> None:
        """Close all streams of a rank that is gone."""
        for number, stream in list(self.open.items()):
            if stream.owner == owner:
                self._drop(number)

    def _drop(self, number: int) -> None:
        stream = self.open.pop(number, None)
        if stream is not None:
            _close(stream.items)

    @expose
    def fetch(self, number: int, count: int) -> Encoded:
        """Return the next items, whether there may be more, and how the generator failed, if it did.

        Each item is encoded before the generator goes on, which may change what it yielded.
        """
        stream = self._own(number)
        running = current.get()
        assert running is not None  # noqa: S101, for the type checker
        # What the generator does, it does within the call that gave it; so it finds that when it asks.
        running.object, running.method, running.annotations = stream.object, stream.method, stream.annotations
        if not stream.lock.acquire(blocking=False):  # it may be waiting for the very call that asks
            raise AccessDeniedError(f"the stream of {stream.where} is read already: one call at a time can read it")
        try:
            return self._next(number, stream, max(1, min(count, self._settings.stream_window)))
        finally:
            stream.lock.release()

    def _next(self, number: int, stream: Stream, count: int) -> Encoded:
        items = Gathering(stream.hooks, 2)
        begun = time.monotonic()
        try:
            for item in itertools.islice(stream.items, count):
                items.add(item)
                if time.monotonic() - begun > _PATIENCE:
                    break
            else:
                if not items.trees:
                    self._drop(number)
                    return items.encoded([[], False, None])
        except Exception as error:  # noqa: BLE001, raised at the caller, after the items before it
            self.open.pop(number, None)
            items.add(failure(error, stream.where, stream.hooks))
            failed = items.trees.pop()
            return items.encoded([items.trees, False, failed])
        finally:
            stream.touched = time.monotonic()
            if number not in self.open:  # dropped meanwhile, when it could not be closed, for it was running
                _close(stream.items)
        return items.encoded([items.trees, True, None])

    def _own(self, number: int) -> Stream:
        stream = self.open.get(number)
        context = current.get()
        if stream is None or stream.left or context is None or context.connection.rank != stream.owner:
            raise UnknownNameError(
                "the stream is closed: nobody asked for more within stream_lifetime "
                f"({self._settings.stream_lifetime} s; SIMSPLIT_REMOTE_STREAM_LIFETIME), or it was read to its end"
            )
        return stream


class RemoteIterator:
    """The items of a generator on another rank, fetched a few at a time; the server waits for no reader.

    If it is not read to its end, it is closed by `close`, by a ``with`` statement, or when Python forgets it.
    """

    _more = False  # until it is made

    def __init__(self, caller: Client, request: Request, number: int) -> None:
        self._caller = caller
        rank = request.target.rank
        self._request = request._replace(target=ObjectURI(OBJECT, rank), method="fetch", flags=0, shown=str(request))
        self._number = number
        self._items: list[Any] = []
        self._more = True
        self._failure: Any = None

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Any:
        while not self._items:
            if self._failure is not None:
                error, self._failure = decode_failure(self._failure), None
                raise error
            if not self._more:
                raise StopIteration
            window = self._caller.settings.stream_window
            try:
                items, self._more, self._failure = self._caller.call(self._request, (self._number, window))
            except BaseException:  # items may be lost, such as those of a late answer: no later ones in their place
                self.close()
                raise
            self._items = items[::-1]
        return self._items.pop()

    def close(self) -> None:
        """Let the server close the generator."""
        if self._more:
            self._more = False
            self._items.clear()
            self._caller.left.append((self._request.target.rank, self._number))
            self._caller.close_left()

    def __del__(self) -> None:
        if self._more:  # it may be anywhere that Python finds out; so the other rank is told later
            self._caller.left.append((self._request.target.rank, self._number))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _close(items: Iterator[Any]) -> None:
    close = getattr(items, "close", None)
    if close is not None:
        with suppress(Exception):  # a generator's last words; nobody is left to hear them
            close()
