"""Waiting without a blocking receive: poll at full speed, then with pauses that double up to a cap."""

from __future__ import annotations

import os
import sys
import time
from typing import TYPE_CHECKING, Any

from ...communicator import interrupts

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..settings import Settings

_FIRST_PAUSE = 2e-5  # seconds
_HURRY = 0.1  # seconds that pauses stay short while an array is on its way
# Seconds of waiting before others get the core: most answers are there by then. Longer costs ranks that share a core,
# as two of four on two cores do, in each call; shorter gives the core away to other programs before the answer is here.
_ALONE = 1e-5
LAST_LOOKS = 10_000  # for messages, when the time is over: more than lie there
_ROOM = 64  # calls within calls that a remote call needs for itself: more than it ever takes


def _nested(depth: int) -> Any:
    return (_nested(depth - 1),) if depth else int


_NESTED = _nested(_ROOM)
_FRAMES_ALONE = sys.version_info >= (3, 12)  # count for Python's limit; what C code calls has one of its own


def _look_down() -> None:
    if sys.version_info >= (3, 12) and sys._getframemodulename(sys.getrecursionlimit() - _ROOM):  # noqa: SLF001, no other
        raise RecursionError


def need_room() -> None:
    """Raise a RecursionError if a remote call would come to Python's limit half-way, where it would lose messages."""
    try:
        if _FRAMES_ALONE:
            _look_down()
        isinstance(None, _NESTED)  # goes as deep, and takes next to no time
    except RecursionError:
        raise RecursionError(
            f"a remote call needs {_ROOM} calls within calls for itself, and Python's limit of "
            f"{sys.getrecursionlimit()} is nearer. Raise it (sys.setrecursionlimit) if this is no endless recursion."
        ) from None


class Backoff:
    """How long to wait before asking again; one for each thread that waits.

    Parameters
    ----------
    settings : Settings
        Its `spin` and `longest_pause`.
    """

    __slots__ = ("_longest", "_pause", "_since", "_spin")

    def __init__(self, settings: Settings) -> None:
        self._spin = settings.spin
        self._longest = settings.longest_pause
        self._since = -1.0
        self._pause = _FIRST_PAUSE

    def reset(self) -> None:
        """Begin anew: something has moved."""
        self._since = -1.0
        self._pause = _FIRST_PAUSE

    def wait(self, limit: float | None = None, *, hurry: bool = False) -> None:
        """Wait a little.

        Parameters
        ----------
        limit : float, optional
            The end of all waiting, on the clock of `time.perf_counter`.
        hurry : bool
            Whether an array is on its way: its next piece does not take long, unless the other rank is at
            something else.
        """
        now = time.perf_counter()
        if self._since < 0:
            self._since = now
            return
        waited = now - self._since
        if waited > self._spin:
            pause = self._pause if limit is None else min(self._pause, max(0.0, limit - now))
            time.sleep(pause)
            if not (hurry and waited < _HURRY):
                self._pause = min(2 * self._pause, self._longest)
        elif waited > _ALONE:
            os.sched_yield()  # the rank that is waited for may need this core


def wait_until(
    done: Callable[[], bool],
    step: Callable[[], bool],
    settings: Settings,
    timeout: float | None = None,
    hurry: Callable[[], bool] = lambda: False,
    look: Callable[[], bool] = lambda: False,
) -> bool:
    """Make progress until something is done.

    Parameters
    ----------
    done : callable
        Asked before each step.
    step : callable
        Moves messages and runs requests; tells whether there was anything.
    settings : Settings
    timeout : float, optional
        Seconds; a step that runs a request can take longer.
    hurry : callable, optional
        Tells whether an array is on its way.
    look : callable, optional
        Moves messages, and runs nothing; tells whether there was anything. Asked when the time is over: what came
        in time may still lie there, because the last step took long.

    Returns
    -------
    bool
        Whether it is done.

    Raises
    ------
    KeyboardInterrupt
        On Ctrl-C, in the main thread.
    """
    interrupts.heed()
    if done():
        return True
    limit = None if timeout is None else time.perf_counter() + timeout
    backoff: Backoff | None = None
    while True:
        moved = step()
        if done():
            return True
        interrupts.heed()
        if limit is not None and time.perf_counter() >= limit:
            for _ in range(LAST_LOOKS):
                if not look():
                    break
            return done()
        if moved:
            backoff = None
        else:
            if backoff is None:
                backoff = Backoff(settings)
            backoff.wait(limit, hurry=hurry())
