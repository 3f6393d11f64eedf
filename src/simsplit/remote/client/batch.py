"""Several calls of one object in one message."""

from __future__ import annotations

from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, Self

from ...errors import CodecError, InputError
from ..wire.codec import Gathering
from ..wire.exceptions import decode_failure
from ..wire.frame import Flag
from .caller import Request
from .proxy import Proxy

if TYPE_CHECKING:
    from collections.abc import Callable


_DEPTH = 2  # of the lists around a call


class Batch:
    """Collects calls of a remote object, and makes them in one message, in order.

    Each call gives a future, which is done when the batch is sent: at the end of the ``with`` block, or by
    `send`. The arguments are taken as they are at the call, and may be changed before the batch is sent. A call
    that fails does not stop those behind it. A block that raises sends nothing.

    Parameters
    ----------
    proxy : Proxy

    Examples
    --------
    ::

        with remote.Batch(calculator) as batch:
            total = batch.add(1, 2)
            product = batch.mul(3, 4)
        print(total.result(), product.result())
    """

    def __init__(self, proxy: Any) -> None:
        if not isinstance(proxy, Proxy):
            raise InputError(f"{proxy!r} is no proxy")
        self._proxy = proxy
        self._calls: Gathering | None = None
        self._futures: list[Future[Any]] = []

    def __getattr__(self, name: str) -> Callable[..., Future[Any]]:
        if name.startswith("_"):
            raise AttributeError(f"{name!r} is private; no private name of a remote object can be reached")

        def method(*args: Any, **kwargs: Any) -> Future[Any]:
            future: Future[Any] = Future()
            if self._calls is None:
                self._calls = Gathering(self._proxy._origin.caller.hooks(self._request()), _DEPTH)  # noqa: SLF001, part of it
            self._calls.add([name, list(args), kwargs], (name, "args", "kwargs"))
            self._futures.append(future)
            return future

        return method

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self._send()
        else:
            for future in self._futures:
                future.cancel()
            self._calls, self._futures = None, []

    def _request(self, flags: int = 0) -> Request:
        return Request(self._proxy._uri, "", Flag.BATCH | flags, self._proxy._timeout)  # noqa: SLF001, part of it

    def _send(self, *, oneway: bool = False) -> list[Future[Any]]:
        calls, self._calls = self._calls, None
        futures, self._futures = self._futures, []
        if calls is None:
            return []
        request = self._request(Flag.ONEWAY if oneway else 0)
        try:
            outcomes = self._proxy._origin.caller.call(request, calls.encoded([calls.trees, {}]))  # noqa: SLF001, the same
            if not oneway and len(outcomes) != len(futures):
                raise CodecError(f"{len(futures)} calls were made, {len(outcomes)} outcomes came")  # noqa: TRY301, for all
        except BaseException as error:
            for future in futures:
                future.set_exception(error)
            raise
        for future, outcome in zip(futures, outcomes or [[True, None]] * len(futures), strict=True):
            if outcome[0]:
                future.set_result(outcome[1])
            else:
                future.set_exception(decode_failure(outcome[1:]))
        return futures


def send(batch: Batch, *, oneway: bool = False) -> list[Any]:
    """Make the calls of a batch now, and return their futures.

    Parameters
    ----------
    batch : Batch
    oneway : bool
        Whether not to wait; the futures then say nothing.
    """
    return batch._send(oneway=oneway)  # noqa: SLF001, of this module; a method would hide a remote one of its name
