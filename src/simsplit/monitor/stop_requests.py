"""What makes a run stop in order: signals, a time budget, the end that Slurm sets, a file.

A trigger only sets a bit. The bits of all ranks are put together in the agreement that there is at a step
boundary anyway, so that they stop at the same step and know why, and the steps are not slowed down.

Install the handlers before MPI starts: MPICH hands on to a handler that it finds, and otherwise what comes
early is lost. The second Ctrl-C ends the job at once. A handler does not run while its rank waits inside MPI,
so a thread looks out for it, too (`Stopping.wakeup`).
"""

from __future__ import annotations

import os
import signal
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from ..communicator import interrupts
from ..communicator.interrupts import in_main_thread
from ..util.formatting import lasting

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

TERM, USR1, CTRL_C, TIME_LIMIT, SLURM_END, STOP_FILE = (1 << number for number in range(6))
ANY = 63
_WORDS = {
    TERM: "SIGTERM",
    USR1: "SIGUSR1",
    CTRL_C: "Ctrl-C",
    TIME_LIMIT: "the time limit",
    SLURM_END: "the end of the Slurm job",
    STOP_FILE: "the file stop",
}
_SIGNALS = {signal.SIGTERM: TERM, signal.SIGUSR1: USR1}
_SAME_KEY = 0.5  # seconds; one Ctrl-C may come twice, from the terminal and from the launcher
_FILE_EVERY = 0.5  # seconds between looks at the file
SLURM_MARGIN = 60.0  # seconds that are left for the checkpoint and the end of the job


def reason(bits: int) -> str:
    """Return what pulled the triggers, for people."""
    return ", ".join(words for bit, words in _WORDS.items() if bits & bit)


class Stopping:
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
        self._first_key: float | None = None
        self._wakeup: tuple[int, int] | None = None

    def install(self) -> None:
        """Take over SIGTERM, SIGUSR1 and Ctrl-C, before MPI starts; do nothing if this is not the main thread."""
        if not in_main_thread():
            return
        self._before[signal.SIGINT] = signal.getsignal(signal.SIGINT)
        interrupts.install()
        interrupts.instead = self._key
        for number in _SIGNALS:
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

    def give_back(self) -> None:
        """Let the signals do what they did before, and those that came meanwhile do it now."""
        installed = bool(self._before)
        self.uninstall()
        came = [number for number, bit in _SIGNALS.items() if self.bits & bit]
        if installed and self.bits & CTRL_C:
            came.append(signal.SIGINT)
        for number in came:
            os.kill(os.getpid(), number)

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

    def second_key(self) -> bool:
        """Return whether Ctrl-C was pressed again. To be asked by a thread, when `wakeup` is ready to be read."""
        if self._wakeup is None:
            return False
        with suppress(OSError):
            if signal.SIGINT in os.read(self._wakeup[0], 512):
                return self._pressed_again()
        return False

    @property
    def wakeup(self) -> int | None:
        """What becomes ready to be read when a signal comes, even while this rank waits inside MPI."""
        return None if self._wakeup is None else self._wakeup[0]

    def _handle(self, number: int, _frame: object) -> None:
        self.bits |= _SIGNALS[signal.Signals(number)]

    def _key(self) -> None:
        self.bits |= CTRL_C
        if self._pressed_again():
            raise KeyboardInterrupt

    def _pressed_again(self) -> bool:
        now = time.monotonic()
        if self._first_key is None:
            self._first_key = now
        return now - self._first_key > _SAME_KEY


@contextmanager
def stoppable() -> Iterator[Stopping]:
    """Return a context with the triggers of this rank, installed: to be entered before MPI starts."""
    stopping = Stopping()
    stopping.install()
    try:
        with interrupts.held():
            yield stopping
    finally:
        stopping.uninstall()


def described(time_limit: float | None, environment: Mapping[str, str] = os.environ) -> str | None:
    """Return when the run will stop by itself, for the log."""
    words = [] if time_limit is None else [f"stops after {lasting(time_limit)}"]
    with suppress(ValueError):
        left = float(environment.get("SLURM_JOB_END_TIME", "")) - time.time()
        words.append(f"the Slurm job ends in {lasting(max(0.0, left))}")
    return ", ".join(words) or None
