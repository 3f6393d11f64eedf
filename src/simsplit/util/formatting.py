"""Format numbers for people, and print text."""

from __future__ import annotations

import codecs
import os
import sys
from contextlib import contextmanager, suppress
from io import StringIO, TextIOWrapper
from threading import Lock, get_ident
from typing import TYPE_CHECKING, Any, TextIO

from ..errors import OutputError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


def pluralize(number: int, noun: str) -> str:
    """Write how many there are of something.

    >>> counted(1, "rank"), counted(4096, "rank")
    ('1 rank', '4,096 ranks')
    """
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def format_bytes(nbytes: int) -> str:
    """Write a number of bytes, in decimal units.

    >>> readable(7), readable(640_000_000)
    ('7 B', '640 MB')
    """
    number, units = float(min(nbytes, 10**300)), ["B", "kB", "MB", "GB", "TB", "PB"]
    while number >= 999.5 and units[1:]:  # noqa: PLR2004, where %.3g would go over to 1e+03
        number /= 1000
        units.pop(0)
    return f"{number:.3g} {units[0]}" if number < 999.5 else f"{number:.2e} {units[0]}"  # noqa: PLR2004


def format_duration(seconds: float) -> str:
    """Write a time span with as much precision as people need.

    >>> lasting(0.4), lasting(49), lasting(130), lasting(12000), lasting(200000)
    ('0.4 s', '49 s', '2 min 10 s', '3 h 20 min', '2 d 7 h')
    """
    if seconds < 9.95:  # noqa: PLR2004, where %.1f would have two digits before the point
        return f"{seconds:.2g} s"
    left = round(seconds)
    for unit, length, finer, part in (("d", 86400, "h", 3600), ("h", 3600, "min", 60), ("min", 60, "s", 1)):
        if left >= length:
            whole, rest = divmod(left, length)
            return f"{whole} {unit} {rest // part} {finer}" if rest >= part else f"{whole} {unit}"
    return f"{left} s"


def format_rows(lower: int, upper: int) -> str:
    """Write which rows ``[lower, upper)`` are.

    >>> format_rows(0, 3), format_rows(6, 7), format_rows(7, 7)
    ('rows 0–2', 'row 6', 'no rows')
    """
    if upper - lower > 1:
        return f"rows {lower}–{upper - 1}"
    return f"row {lower}" if upper > lower else "no rows"


def format_ranks(ranks: Sequence[int]) -> str:
    """Write sorted ranks as people do.

    >>> format_ranks([0, 1, 2, 5])
    'ranks 0–2, 5'
    >>> format_ranks([2])
    'rank 2'
    """
    runs: list[list[int]] = []
    for rank in ranks:
        if runs and rank == runs[-1][1] + 1:
            runs[-1][1] = rank
        else:
            runs.append([rank, rank])
    words = [str(first) if first == last else f"{first}–{last}" for first, last in runs]
    return f"rank{'s' if len(ranks) > 1 else ''} {', '.join(words)}"


def say(text: str, *, exact: bool = False) -> None:
    """Print a text and the end of its line. Everything that a command prints goes this way.

    Nothing is printed where stdout is closed, or where its reader has gone.

    Parameters
    ----------
    text : str
    exact : bool
        For a text that a program reads. A character that the encoding of stdout lacks becomes "?" for people,
        but here it stays as it is in the names of files.

    Raises
    ------
    OutputError
        If stdout cannot take the text: the disk behind it is full.
    """
    out = sys.stdout
    if out is None or out.closed:
        return
    with stdout_checked():
        if isinstance(out, TextIOWrapper):
            out.reconfigure(errors="simsplit.exact" if exact else "simsplit.shown")
        out.write(text if text.endswith("\n") else f"{text}\n")
        out.flush()


@contextmanager
def stdout_checked() -> Iterator[None]:
    """Turn what goes wrong with stdout in the block into an `OutputError`; a reader that has gone is no error."""
    try:
        yield
    except OSError as error:
        discard_stdout()
        if not isinstance(error, BrokenPipeError):  # `simsplit | head -1`
            raise OutputError(f"cannot write to stdout: {error.strerror or error}") from error


_HELD: dict[int, StringIO] = {}  # what threads print that is kept back, by the thread
_GUARD = Lock()


class _StdoutByThread:
    """Stands for stdout while any thread keeps back what it prints. The other threads print as ever."""

    def __init__(self, stdout: TextIO | None) -> None:
        self.stdout = stdout

    def write(self, text: str) -> int:
        """Keep a text back, or print it."""
        target = _HELD.get(get_ident(), self.stdout)
        return len(text) if target is None else target.write(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stdout, name)


@contextmanager
def stdout_held() -> Iterator[StringIO]:
    """Keep back what this thread prints in the block, where something is computed again; print it only if that fails.

    What is written to ``sys.stdout.buffer`` or to the file descriptor is not kept back.
    """
    thread, printed = get_ident(), StringIO()
    with _GUARD:
        if not isinstance(sys.stdout, _StdoutByThread):
            sys.stdout = _StdoutByThread(sys.stdout)
        before = _HELD.get(thread)
        _HELD[thread] = printed
    failed = True
    try:
        yield printed
        failed = False
    finally:
        with _GUARD:
            if before is None:
                del _HELD[thread]
            else:
                _HELD[thread] = before
            if not _HELD and isinstance(sys.stdout, _StdoutByThread):
                sys.stdout = sys.stdout.stdout
        if failed and sys.stdout is not None:
            with suppress(OSError, ValueError):  # a full or closed stdout must not hide what has failed
                sys.stdout.write(printed.getvalue())


def discard_stdout() -> None:
    """Drop what stdout has not taken: Python would complain about it again at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


def _shown(error: UnicodeError) -> tuple[str | bytes, int]:
    """Return "?" for a character that an encoding lacks; a byte of a file's name stays that byte."""
    assert isinstance(error, UnicodeEncodeError)  # noqa: S101, for the type checker: nothing is decoded
    code = ord(error.object[error.start])
    return bytes([code - 0xDC00]) if 0xDC80 <= code <= 0xDCFF else "?", error.start + 1  # noqa: PLR2004, PEP 383


def _exact(error: UnicodeError) -> tuple[str | bytes, int]:
    """Return the bytes that a character has in the name of a file."""
    assert isinstance(error, UnicodeEncodeError)  # noqa: S101, as above
    return error.object[error.start].encode("utf-8", "surrogateescape"), error.start + 1


codecs.register_error("simsplit.shown", _shown)
codecs.register_error("simsplit.exact", _exact)
