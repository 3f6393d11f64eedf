"""Requests to stop a run in order: signals, a time limit, the end of a Slurm job, a file.

A trigger only sets a bit. The bits of all ranks are put together in the agreement that there is at a step
boundary anyway, so that they stop at the same step and know why, and the steps are not slowed down.

Until the run can be stopped in order, signals do what they always do. A second signal of a kind ends the job at
once. A handler does not run while its rank waits inside MPI, so a thread looks out for that (`StopRequests.wakeup`).
"""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from ..communicator import interrupts
from ..communicator.flags import CTRL_C, SLURM_END, STOP_FILE, TERM, TIME_LIMIT, USR1
from ..communicator.interrupts import in_main_thread
from ..util.formatting import format_duration

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

BITS = {signal.SIGTERM: TERM, signal.SIGUSR1: USR1, signal.SIGINT: CTRL_C}
_SAME = 0.5  # seconds; one Ctrl-C may come twice, from the terminal and from the launcher
_FILE_EVERY = 0.5  # seconds between looks at the file
SLURM_MARGIN = 60.0  # seconds that are left for the checkpoint and the end of the job


class StopRequests:
    """The triggers of this rank.

    Attributes
    ----------
    bits : int
        Those that were pulled here.
    """

    def __init__(self) -> None:
        self.bits = 0
        self.begun = time.monotonic()
        self._deadlines: list[tuple[int, float]] = []
        self._asked: Callable[[], bool] | None = None
        self._looked = 0.0
        self._before: dict[int, Any] = {}
        self._first: dict[int, float] = {}  # when each signal came first
        self._wakeup: tuple[int, int] | None = None

    def install(self) -> None:
        """Take over SIGTERM, SIGUSR1 and Ctrl-C; do nothing if this is not the main thread."""
        if not in_main_thread():
            return
        self._before[signal.SIGINT] = signal.getsignal(signal.SIGINT)
        interrupts.install()
        interrupts.instead = self._key
        for number in (signal.SIGTERM, signal.SIGUSR1):
            self._before[number] = signal.signal(number, self._handle)
        reader, writer = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._wakeup = reader, writer
        signal.set_wakeup_fd(writer, warn_on_full_buffer=False)

    def uninstall(self) -> None:
        """Let the signals do what they did before."""
        interrupts.instead = None
        for number, handler in self._before.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
        self._before.clear()
        if self._wakeup is not None:
            signal.set_wakeup_fd(-1)
            for end in self._wakeup:
                os.close(end)
            self._wakeup = None

    def watch(
        self,
        *,
        time_limit: float | None = None,
        asked: Callable[[], bool] | None = None,
        environment: Mapping[str, str] = os.environ,
    ) -> None:
        """Watch the clock and the file, too. On root alone, for clocks differ.

        Parameters
        ----------
        time_limit : float, optional
            Seconds since this object was made, which is when the program began.
        asked : callable, optional
            Whether the file is there.
        environment : mapping
            Where Slurm says when the job ends (``SLURM_JOB_END_TIME``, in seconds since 1970).
        """
        if time_limit is not None:
            self._deadlines.append((TIME_LIMIT, self.begun + time_limit))
        with suppress(ValueError):
            left = float(environment.get("SLURM_JOB_END_TIME", "")) - time.time()
            self._deadlines.append((SLURM_END, time.monotonic() + left - SLURM_MARGIN))
        self._asked = asked

    def poll(self) -> int:
        """Return the bits, after a look at the clock and now and then at the file."""
        now = time.monotonic()
        for bit, when in self._deadlines:
            if now >= when:
                self.bits |= bit
        if self._asked is not None and now >= self._looked + _FILE_EVERY:
            self._looked = now
            if self._asked():
                self.bits |= STOP_FILE
        return self.bits

    def second(self) -> signal.Signals | None:
        """Return a signal that came again, if there is one. To be asked by a thread, when `wakeup` can be read."""
        if self._wakeup is None:
            return None
        now = time.monotonic()
        with suppress(OSError):
            for number in BITS.keys() & set(os.read(self._wakeup[0], 512)):
                if now - self._first.setdefault(number, now) > _SAME:
                    return number
        return None

    @property
    def wakeup(self) -> int | None:
        """What becomes ready to be read when a signal comes, even while this rank waits inside MPI."""
        return None if self._wakeup is None else self._wakeup[0]

    def _handle(self, number: int, _frame: object) -> None:
        self.bits |= BITS[signal.Signals(number)]

    def _key(self) -> None:
        self.bits |= CTRL_C


def describe_deadlines(time_limit: float | None, environment: Mapping[str, str] = os.environ) -> str | None:
    """Return when the run will stop by itself, for the log."""
    words = [] if time_limit is None else [f"stops after {format_duration(time_limit)}"]
    with suppress(ValueError):
        left = float(environment.get("SLURM_JOB_END_TIME", "")) - time.time()
        words.append(f"the Slurm job ends in {format_duration(max(0.0, left))}")
    return ", ".join(words) or None
