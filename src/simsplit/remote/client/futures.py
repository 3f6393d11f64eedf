"""Futures of remote calls."""

from __future__ import annotations

from concurrent.futures import Future
from typing import TYPE_CHECKING, Any

from ..link.backoff import need_room

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from .caller import Client, PendingCall


class RemoteFuture(Future[Any]):
    """The result of a call that was submitted; `concurrent.futures` and ``await`` know what to do with it.

    Waiting for it makes progress for all, and serves the requests of others meanwhile. Where somebody waits
    who does not know that (`concurrent.futures.wait`, a callback), a thread makes progress instead.
    """

    def __init__(self, caller: Client, pending: PendingCall) -> None:
        super().__init__()
        self._caller = caller
        self.pending = pending
        self._waiters = _Waiters(caller.need_thread)

    def result(self, timeout: float | None = None) -> Any:
        """Return the result, or raise what the call raised; wait at most `timeout` seconds (TimeoutError)."""
        need_room()
        self._caller.wait(self.done, timeout)
        return super().result(0)

    def exception(self, timeout: float | None = None) -> BaseException | None:
        """Return what the call raised, or None; wait at most `timeout` seconds (TimeoutError)."""
        need_room()
        self._caller.wait(self.done, timeout)
        return super().exception(0)

    def cancel(self) -> bool:
        """Cancel the call if the server has not begun it; return whether it will never be carried out.

        Waits for the server's word, at most `Settings.cancel_wait` seconds. If the word comes later, the future
        may still turn out to be cancelled.
        """
        need_room()
        return self._caller.cancel(self)

    def add_done_callback(self, fn: Callable[[Future[Any]], object]) -> None:
        """Call `fn` with the future when it is done, from whichever thread finds that out."""
        if not self.done():
            self._caller.need_thread()
        super().add_done_callback(fn)

    def settle(self, *, cancelled: bool = False) -> None:
        """Take over what has become of the call."""
        if cancelled:
            super().cancel()
            self.set_running_or_notify_cancel()
        elif self.set_running_or_notify_cancel():
            try:
                result = self._caller.result(self.pending)
            except BaseException as error:  # noqa: BLE001, it is raised where the result is asked for
                self.set_exception(error)
            else:
                self.set_result(result)

    def __await__(self) -> Generator[Any, None, Any]:
        import asyncio

        pause, longest = 0.0, self._caller.settings.longest_pause
        while not self.done():
            moved = self._caller.step()
            pause = 0.0 if moved else min(2 * pause + 1e-5, longest)
            if not self.done():
                yield from asyncio.sleep(pause).__await__()
        return super().result(0)


class _Waiters(list[Any]):
    """Where `concurrent.futures` announces that it waits."""

    def __init__(self, need_thread: Callable[[], None]) -> None:
        super().__init__()
        self._need_thread = need_thread

    def append(self, waiter: Any) -> None:
        super().append(waiter)
        self._need_thread()
