"""The progress of all rows of a sweep on stderr: one table on a terminal, lines in a log."""

from __future__ import annotations

import re
import sys
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple, TextIO

from ...rundir.directory import LOG

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

_TABLE_EVERY = 0.5  # seconds
_MOST = 20  # rows of the table; of more, those that run are shown, and of the others how many there are
_END = 4096  # bytes of a log in which its last line is looked for
_STEP = re.compile(r" (step [\d,]+ of [\d,]+ \(\d+ %\)) · (.*)$")


class RowState(NamedTuple):
    """What is to be said of a row.

    Attributes
    ----------
    name : str
    word : str
        "waiting", "running", "finished", "stopped" or "failed".
    text : str
        More about it.
    """

    name: str
    word: str
    text: str = ""


class SweepProgress:
    """Tells how far the rows are.

    Parameters
    ----------
    every : float
        Seconds between two lines in a log.
    quiet : bool
    stream : file, optional
        By default stderr.
    clock : callable
        Returns seconds.
    """

    def __init__(
        self,
        every: float,
        *,
        quiet: bool = False,
        stream: TextIO | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._stream = sys.stderr if stream is None else stream
        self._quiet = quiet or self._stream is None
        self._terminal = not self._quiet and self._stream.isatty()
        self._every = _TABLE_EVERY if self._terminal else every
        self._clock = clock
        self._told = clock()
        self._live: Any = None

    @property
    def is_due(self) -> bool:
        """Whether it is time to tell how far the rows are."""
        return not self._quiet and self._clock() - self._told >= self._every

    def update(self, states: Sequence[RowState]) -> None:
        """Tell it, if it is time."""
        if not self.is_due:
            return
        self._told = self._clock()
        if self._terminal:
            self._draw(states)
            return
        running = "; ".join(f"{each.name}: {each.text or 'begins'}" for each in states if each.word == "running")
        self._write(f"{counts(states)}{f' · {running}' if running else ''}")

    def tell(self, text: str) -> None:
        """Tell what has happened to a row."""
        if self._live is not None:
            self._live.console.print(text, markup=False, highlight=False)
        else:
            self._write(text)

    def close(self) -> None:
        """Take the table away."""
        if self._live is not None:
            self._live.stop()
            self._live = None

    def _write(self, text: str) -> None:
        if not self._quiet:
            with suppress(OSError, ValueError):  # nobody reads it any more: no reason to end the runs
                self._stream.write(f"simsplit: {text}\n")
                self._stream.flush()

    def _draw(self, states: Sequence[RowState]) -> None:
        from rich.console import Group
        from rich.table import Table
        from rich.text import Text

        if self._live is None:
            from rich.console import Console
            from rich.live import Live

            self._live = Live(console=Console(file=self._stream), auto_refresh=False, transient=True)
            self._live.start()
        table = Table(box=None, pad_edge=False, show_header=False)
        shown = states if len(states) <= _MOST else [each for each in states if each.word == "running"][:_MOST]
        for each in shown:
            table.add_row(*each)
        self._live.update(Group(table, Text(counts(states))), refresh=True)


def counts(states: Sequence[RowState]) -> str:
    """Write how many rows there are of each kind.

    >>> counts([RowState("a", "finished"), RowState("b", "running")])
    '1 of 2 rows finished, 1 running'
    """
    words = [each.word for each in states]
    others = [f"{words.count(word)} {word}" for word in ("running", "waiting", "stopped", "failed") if word in words]
    return ", ".join([f"{words.count('finished')} of {len(words)} rows finished", *others])


def last_step(run: Path) -> str:
    """Return what the log of a run says last about how far it is; an empty text if it says nothing yet."""
    try:
        with (run / LOG).open("rb") as file:
            file.seek(max(0, file.seek(0, 2) - _END))
            lines = file.read().decode(errors="replace").splitlines()
    except OSError:
        return ""
    found = next((match for line in reversed(lines) if (match := _STEP.search(line))), None)
    return "" if found is None else f"{found[1]} · {found[2]}"
