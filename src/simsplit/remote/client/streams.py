"""Generators that stay where they are: their items are fetched a few at a time, as the caller asks for them."""

from __future__ import annotations

import itertools
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Self

from ...errors import RefusedError, RemoteError, UnknownNameError
from ..exposure import expose
from ..server.context import current
from ..uri import ObjectURI
from ..wire.codec import Encoded, Gathering
from ..wire.exceptions import decode_failure, failure
from ..wire.frame import Flag

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..settings import Settings
    from ..wire.codec import Hooks
    from .caller import Caller, Request

OBJECT = "simsplit.streams"  # what the streams of a rank are served as
_PATIENCE = 0.05  # seconds that a fetch goes on, once it has an item


class Stream:
    """One generator at its server."""

    __slots__ = ("hooks", "items", "lock", "owner", "touched", "where")

    def __init__(self, items: Iterator[Any], owner: int, where: str, hooks: Hooks) -> None:
        self.items = items
        self.owner = owner
        self.where = where
        self.hooks = hooks
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
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.open: dict[int, Stream] = {}
        self._numbers = itertools.count(1)
        self._next_look = 0.0

    def add(self, items: Iterator[Any], owner: int, where: str, hooks: Hooks) -> int:
        """Keep a generator for a rank, and return its number.

        Raises
        ------
        RefusedError
            If that rank has too many open.
        """
        self.expire()
        if sum(stream.owner == owner for stream in list(self.open.values())) >= self._settings.max_streams:
            _close(items)
            raise RefusedError(
                f"rank {owner} has {self._settings.max_streams} streams open here already (max_streams). "
                "Close one, or read it to its end."
            )
        number = next(self._numbers)
        self.open[number] = Stream(items, owner, where, hooks)
        return number

    def expire(self) -> None:
        """Close what nobody has asked for more for too long; looks at most once a second."""
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
        if not stream.lock.acquire(blocking=False):  # it may be waiting for the very call that asks
            raise RefusedError(f"the stream of {stream.where} is read already: one call at a time can read it")
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

    @expose
    def close(self, number: int) -> None:
        """Close a stream."""
        with suppress(UnknownNameError):
            self._own(number)
            self._drop(number)

    def _own(self, number: int) -> Stream:
        stream = self.open.get(number)
        context = current.get()
        if stream is None or context is None or context.connection.rank != stream.owner:
            raise UnknownNameError(
                "the stream is closed: nobody asked for more within stream_lifetime "
                f"({self._settings.stream_lifetime} s; SIMSPLIT_REMOTE_STREAM_LIFETIME), or it was read to its end"
            )
        return stream


class RemoteIterator:
    """The items of a generator on another rank, fetched a few at a time; the server waits for no reader.

    Close it, by `close` or a ``with`` statement, if it is not read to its end.
    """

    def __init__(self, caller: Caller, request: Request, number: int) -> None:
        self._caller = caller
        self._request = request._replace(target=ObjectURI(OBJECT, request.target.rank), flags=0)
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
                items, self._more, self._failure = self._call("fetch", window)
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
            with suppress(RemoteError):  # gone is as good as closed
                self._call("close", flags=Flag.ONEWAY)

    def _call(self, method: str, *arguments: Any, flags: int = 0) -> Any:
        request = self._request._replace(method=method, flags=flags)
        return self._caller.call(request, (self._number, *arguments))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _close(items: Iterator[Any]) -> None:
    close = getattr(items, "close", None)
    if close is not None:
        with suppress(Exception):  # a generator's last words; nobody is left to hear them
            close()
