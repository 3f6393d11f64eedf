"""Run programs, so many at a time, until all have ended or they are asked to stop."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from ...communicator.interrupts import in_main_thread

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

_PAUSE = 0.1  # seconds between two looks at what runs
_PATIENCE = 10.0  # seconds until a program that was told to end is killed
# What ends them at once, and so many seconds after the second signal: simsplit ends at the second SIGUSR1.
_AT_ONCE = ((0.0, signal.SIGUSR1), (_PATIENCE / 2, signal.SIGTERM), (_PATIENCE, signal.SIGKILL))
_SAME = 0.5  # seconds in which a signal that comes again is the same one
_MOST = 64 * 2**10  # bytes of what a program wrote: the last ones


class Program:
    """A program that is to run, runs, or has run.

    Parameters
    ----------
    command : sequence of str
    environment : mapping of str to str

    Attributes
    ----------
    status : int or None
        The exit status, or minus the signal that ended it; None until it has ended.
    output : str
        The end of what it has written to stdout and stderr, once it has ended.
    """

    def __init__(self, command: Sequence[str], environment: Mapping[str, str]) -> None:
        self._command = list(command)
        self._environment = dict(environment)
        self._process: subprocess.Popen[bytes] | None = None
        self._output: Any = None
        self.status: int | None = None
        self.output = ""

    @property
    def runs(self) -> bool:
        """Whether it has begun, and not ended."""
        return self._process is not None and self.status is None

    def start(self) -> None:
        """Start it, where the signals of the terminal do not reach it. Raises `OSError`."""
        self._output = tempfile.TemporaryFile()  # noqa: SIM115, it is closed when the program has ended
        self._process = subprocess.Popen(  # noqa: S603, our own command
            self._command,
            stdin=subprocess.DEVNULL,
            stdout=self._output,
            stderr=subprocess.STDOUT,
            env=self._environment,
            start_new_session=True,
        )

    def poll(self) -> bool:
        """Return whether it has ended since the last look."""
        if self._process is None or self.status is not None:
            return False
        self.status = self._process.poll()
        if self.status is not None:
            with self._output as file:
                file.seek(max(0, file.seek(0, os.SEEK_END) - _MOST))
                self.output = file.read().decode(errors="replace")
        return self.status is not None

    def send(self, number: signal.Signals, *, group: bool = False) -> None:
        """Send it a signal, or all of its processes."""
        if self._process is not None and self.status is None:
            with suppress(ProcessLookupError):
                if group:
                    os.killpg(self._process.pid, number)
                else:
                    self._process.send_signal(number)


def run_all(programs: Sequence[Program], at_once: int, look: Callable[[list[Program]], bool]) -> str:
    """Run programs in their order; return the name of the signal that stopped them, or an empty text.

    SIGTERM, SIGUSR1 and Ctrl-C are handed on as SIGUSR1, which simsplit, and every launcher, takes for a stop in order.
    Then no program is started any more. A signal that comes again ends them at once.

    Parameters
    ----------
    programs : sequence of Program
    at_once : int
        So many run at a time.
    look : callable
        Called now and then with the programs that have ended since; returns whether more are to be started.
    """
    waiting = list(programs)
    going: list[Program] = []
    asked, more, left = "", True, list(_AT_ONCE)
    with _signals() as came:
        try:
            while going or (waiting and more and not asked):
                while waiting and len(going) < at_once and more and not asked and not came:
                    waiting[0].start()
                    going.append(waiting.pop(0))
                ended = [each for each in going if each.poll()]
                going = [each for each in going if each.status is None]
                more = look(ended) and more
                if came and not asked:
                    asked = came[0][0].name
                    _tell(len(going))
                    _send(going, signal.SIGUSR1)
                elif (again := _second(came)) is not None and left and time.monotonic() - again >= left[0][0]:
                    _send(going, left.pop(0)[1])
                if going:
                    time.sleep(_PAUSE)
        finally:  # something has failed here: nothing of them is to be left
            _send(going, signal.SIGTERM)
            end = time.monotonic() + _PATIENCE
            while time.monotonic() < end and not all(each.poll() or each.status is not None for each in going):
                time.sleep(_PAUSE)
            _send([each for each in going if each.status is None], signal.SIGKILL)
    return "Ctrl-C" if asked == "SIGINT" else asked


def _second(came: Sequence[tuple[signal.Signals, float]]) -> float | None:
    """Return when a signal came again."""
    return next((then for _, then in came[1:] if then - came[0][1] > _SAME), None)


def _send(programs: Sequence[Program], number: signal.Signals) -> None:
    for each in programs:
        each.send(number, group=number == signal.SIGKILL)


def _tell(count: int) -> None:
    """Say what the signal does."""
    if count:
        text = f"simsplit: stopping {count} in order, each at the end of a step; the same again ends them at once"
        with suppress(OSError, ValueError, AttributeError):
            print(text, file=sys.stderr, flush=True)


@contextmanager
def _signals() -> Iterator[list[tuple[signal.Signals, float]]]:
    """Collect the signals that come in the block, each with the time of its coming."""
    came: list[tuple[signal.Signals, float]] = []
    if not in_main_thread():
        yield came
        return

    def note(number: int, _frame: object) -> None:
        came.append((signal.Signals(number), time.monotonic()))

    before = {each: signal.signal(each, note) for each in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)}
    try:
        yield came
    finally:
        for each, handler in before.items():
            signal.signal(each, signal.SIG_DFL if handler is None else handler)
