"""Report progress on stderr: a bar on a terminal, lines in a log. Root only."""

from __future__ import annotations

import sys
import time
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TextIO

from ..communicator.terminal import width_by_launcher
from ..util.formatting import format_duration

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..engine import ResumePoint, Timings

EVERY = 10.0  # seconds between lines
_FIRST = 2.0  # seconds until the first line, which shows that the run goes on, and how fast
_BAR_AFTER = 1.0  # seconds; a shorter run needs no bar
_BAR_EVERY = 0.1
_WINDOW = 30.0  # seconds that the rate is taken from


class Progress:
    """Tells how far the run is, on stderr.

    Parameters
    ----------
    steps : int
        Of the whole run.
    position : int
        The first step that is computed now.
    step_nbytes : int
        Bytes of the results of a step; 0 if they are not to be told.
    every : float
        Seconds between two lines in a log; 0 is a line at every call. A step that takes half of it, or longer, is told
        when it is done.
    stream : file, optional
        By default stderr.
    log : callable, optional
        Gets each line, too, without the name of the program.
    how : {"auto", "bar", "lines", "no"}
        What is written to the stream: a bar, lines or nothing; "auto" is a bar where it is a terminal, or ends in one
        by way of the launcher.
    clock : callable
        Returns seconds.
    """

    def __init__(
        self,
        steps: int,
        position: int,
        step_nbytes: int,
        *,
        every: float = EVERY,
        stream: TextIO | None = None,
        log: Callable[[str], None] | None = None,
        how: str = "auto",
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._steps = steps
        self._step_nbytes = step_nbytes
        self._every = every
        self._stream = sys.stderr if stream is None else stream
        self._log = log
        self._clock = clock
        self._quiet = how == "no" or self._stream is None
        self._width: int | None = None  # of a terminal that the stream itself does not know
        self._terminal = not self._quiet and how != "lines" and self._shows_bars(forced=how == "bar")
        now = clock()
        self._last = now, position
        self._marks = deque([(now, position, 0.0)])  # when, how far, seconds of communication until then
        self._begun = self._drawn = now
        self._told = now - max(0.0, every - _FIRST)
        self._bar: Any = None

    def update(self, position: int, communication: float = 0.0) -> None:
        """Note how far the run is, and tell it if it is time.

        Parameters
        ----------
        position : int
            How many steps are done.
        communication : float
            Seconds that this rank has spent on bringing results together.
        """
        now = self._clock()
        if self._terminal and now - self._begun >= _BAR_AFTER and now - self._drawn >= _BAR_EVERY:
            self._drawn = now
            self._mark(now, position, communication)
            self._draw(position)
        (before, reached), self._last = self._last, (now, position)
        is_slow = reached < position and now - before >= self._every / 2 * (position - reached)
        if is_slow or now - self._told >= self._every:
            self._told = now
            self._mark(now, position, communication)
            text = f"step {position:,} of {self._steps:,} ({self._percent(position)} %) · {self._rates(position)}"
            if self._log is not None:
                self._log(text)
            if not self._quiet and not self._terminal:
                self._write(f"simsplit: {text}\n")

    def close(self) -> None:
        """Take the bar away."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None

    def _shows_bars(self, *, forced: bool) -> bool:
        """Return whether the stream takes a bar, and note how wide it is."""
        if self._stream.isatty():
            return True
        with suppress(OSError, ValueError):  # it may have no file
            self._width = width_by_launcher(self._stream.fileno())
        return forced or self._width is not None

    def _percent(self, position: int) -> int:
        return position * 100 // max(1, self._steps)

    def _mark(self, now: float, position: int, communication: float) -> None:
        self._marks.append((now, position, communication))
        while len(self._marks) > 2 and now - self._marks[1][0] > _WINDOW:  # noqa: PLR2004, there must be two
            self._marks.popleft()

    def _rates(self, position: int) -> str:
        (then, before, waited), (now, _, waits) = self._marks[0], self._marks[-1]
        seconds = now - then
        rate = (position - before) / seconds if seconds > 0 else 0.0
        if not rate:
            return "no step since the last look"
        parts = [_per_second(rate)]
        if self._step_nbytes:
            parts.append(f"{_digits(rate * self._step_nbytes / 1e9)} GB/s")
            parts.append(f"communication {round(100 * min(1.0, max(0.0, waits - waited) / seconds))} %")
        parts.append(f"{format_duration((self._steps - position) / rate)} left")
        return " · ".join(parts)

    def _draw(self, position: int) -> None:
        if self._bar is None:
            from rich.console import Console
            from rich.progress import BarColumn, Progress, TextColumn

            self._bar = Progress(
                TextColumn("simsplit"),
                BarColumn(),
                TextColumn("{task.percentage:.0f} % · {task.fields[rates]}"),
                console=Console(file=self._stream, force_terminal=True, width=self._width),
                auto_refresh=False,
                transient=True,
            )
            self._task = self._bar.add_task("", total=self._steps, completed=position, rates=self._rates(position))
            self._bar.start()
        self._bar.update(self._task, completed=position, rates=self._rates(position), refresh=True)

    def _write(self, text: str) -> None:
        try:
            self._stream.write(text)
            self._stream.flush()
        except (OSError, ValueError):  # nobody reads it any more: no reason to end the run
            self._quiet = True


class ProgressObserver:
    """An observer that tells how far a run is.

    Parameters
    ----------
    progress : Progress or None
        On the rank that tells; None elsewhere.
    timings : Timings
        Of this rank.
    """

    wants_values = False
    can_stop = False

    def __init__(self, progress: Progress | None, timings: Timings) -> None:
        self._progress = progress
        self._timings = timings

    def poll_flags(self) -> int:
        """Return no flag."""
        return 0

    def max_steps(self, next_step: int) -> int:
        """Return more steps than there are."""
        return sys.maxsize

    def on_batch_end(self, position: ResumePoint, flags: int) -> int:
        """Tell how far the run is."""
        if self._progress is not None:
            self._progress.update(position.next_step, self._timings.gather)
        return 0

    def close(self) -> None:
        """Take the bar away."""
        if self._progress is not None:
            self._progress.close()


def _per_second(rate: float) -> str:
    return f"{_digits(rate)} steps/s" if rate >= 1 else f"{format_duration(1 / rate)} a step"


def _digits(number: float) -> str:
    return f"{number:,.0f}" if number >= 100 else f"{number:.3g}"  # noqa: PLR2004, three digits
