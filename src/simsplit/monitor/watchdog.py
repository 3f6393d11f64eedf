"""A watchdog thread on each rank that ends the job when nothing makes progress.

Ranks that wait for each other for ever would burn the allocation to its end. Since all of them pass the step
boundaries together, they notice at about the same time; each writes its Python stack to the run directory,
and after a moment for the others one of them says so and ends the job.

A kernel that never gives the interpreter back leaves this thread no turn. For that faulthandler's own timer,
which needs none, is set anew at every turn: it writes the stack and ends the process.
"""

from __future__ import annotations

import faulthandler
import os
import select
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from signal import Signals

    from .stop_requests import StopRequests

GRACE = 3.0  # seconds for the other ranks to write their stacks
_TURN = 1.0  # seconds, or less where the limit is short
_BACKSTOP = "held.txt"


class Watchdog:
    """Watches this rank from `start` to `stop`.

    Parameters
    ----------
    rank : int
    hang_after : float
        Seconds without progress; 0 is never.
    stacks : Path
        The folder for the stacks; made when it is needed.
    on_hang : callable
        Says that the run hangs, and ends the job; called on root, or on another rank if root does not. Called
        by the thread.
    abort : callable
        Ends the job at once: a signal came again, which it gets.
    stopping : StopRequests, optional
        Which tells of the second signal.
    beat : callable, optional
        Called every `beat_every` seconds: the sign of life of a lock.
    beat_every : float
    """

    def __init__(
        self,
        rank: int,
        hang_after: float,
        stacks: Path,
        *,
        on_hang: Callable[[], None],
        abort: Callable[[Signals], None],
        stopping: StopRequests | None = None,
        heartbeat: Callable[[], None] | None = None,
        beat_every: float = 20.0,
    ) -> None:
        self._rank = rank
        self._hang_after = hang_after
        self._stacks = stacks
        self._give_up = on_hang
        self._abort = abort
        self._stopping = stopping
        self._beat = heartbeat
        self._beat_every = beat_every
        self._moved = time.monotonic()
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None
        self._pipe: tuple[int, int] | None = None  # what `stop` writes ends the wait of the thread
        self._backstop: int | None = None

    def start(self) -> None:
        """Begin to watch."""
        if self._hang_after:
            self._stacks.mkdir(exist_ok=True)
            name = self._stacks / _BACKSTOP
            self._backstop = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o666)
        self.reset()
        self._pipe = os.pipe()
        self._thread = threading.Thread(target=self._run, name="simsplit watchdog", daemon=True)
        self._thread.start()

    def reset(self) -> None:
        """Note that there was progress. Cheap: called at every boundary."""
        self._moved = time.monotonic()

    def stop(self) -> None:
        """Watch no more, and leave no empty files."""
        self._ended.set()
        if self._thread is not None and self._pipe is not None:
            os.write(self._pipe[1], b"\0")  # closing it would not do: a forked child may hold it, too
            self._thread.join()
            for end in self._pipe:
                os.close(end)
            self._thread = self._pipe = None
        if self._backstop is not None:
            faulthandler.cancel_dump_traceback_later()
            os.close(self._backstop)
            self._backstop = None
            with suppress(OSError):
                if not (self._stacks / _BACKSTOP).stat().st_size:
                    (self._stacks / _BACKSTOP).unlink()
                self._stacks.rmdir()  # unless there is something in it

    def _run(self) -> None:
        turn = min(_TURN, self._hang_after / 4 or _TURN)
        beaten = time.monotonic()
        while not self._ended.is_set():
            if self._backstop is not None:
                late = self._hang_after + 2 * GRACE
                faulthandler.dump_traceback_later(late, file=self._backstop, exit=True)
            self._wait(turn)
            now = time.monotonic()
            if self._beat is not None and now - beaten >= self._beat_every:
                beaten = now
                self._beat()
            if self._hang_after and now - self._moved > self._hang_after and not self._ended.is_set():
                self._is_stalled()

    def _wait(self, turn: float) -> None:
        """Wait for a turn, and end the job at once if a signal comes again."""
        wakeup = None if self._stopping is None else self._stopping.wakeup
        if wakeup is None or self._pipe is None:
            self._ended.wait(turn)
            return
        end = time.monotonic() + turn
        while not self._ended.is_set() and (left := end - time.monotonic()) > 0:
            ready, _, _ = select.select([wakeup, self._pipe[0]], [], [], left)
            if wakeup in ready and self._stopping is not None and (again := self._stopping.second()) is not None:
                self._abort(again)

    def _is_stalled(self) -> None:
        with suppress(OSError):  # the message is worth more than the stack
            name = self._stacks / f"rank-{self._rank:06d}.txt"
            with name.open("w") as file:
                faulthandler.dump_traceback(file, all_threads=True)
        # Root speaks after a moment for the others; if it cannot, the next one does.
        self._ended.wait(GRACE * (1 if self._rank == 0 else 1.5 + 0.1 * min(self._rank, 5)))
        if time.monotonic() - self._moved > self._hang_after and not self._ended.is_set():
            self._give_up()
