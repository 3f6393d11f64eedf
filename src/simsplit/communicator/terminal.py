"""Find the terminal that the launcher writes to: the ranks write into a pipe that ends there."""

from __future__ import annotations

import os
import stat

from .launchers import detect

_LAUNCHERS = {"mpiexec", "mpirun", "mpiexec.hydra", "mpirun.hydra", "orterun", "prterun"}
_MARKING = ("-l", "-prepend", "--prepend", "--tag-output", "--timestamp-output", "-outfile", "-errfile", "--output")
_ANCESTORS = 16  # between a rank and its launcher there are one or two, and perhaps a shell


def width_by_launcher(stream: int = 2) -> int | None:
    """Return how wide the terminal is that stderr ends in by way of the launcher, or None if it ends elsewhere.

    A launcher on another host, or one that puts something before each line, is as if there were no terminal.

    Parameters
    ----------
    stream : int
        The file descriptor of stderr.
    """
    if detect() is None:
        return None
    try:
        mode = os.fstat(stream).st_mode
        launcher = _launcher() if stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode) else None
        return None if launcher is None else _width(f"/proc/{launcher}/fd/2")
    except (OSError, ValueError):  # no such system, or a process of another user
        return None


def _launcher() -> int | None:
    """Return the process that started this one by way of its helpers, if it is on this host and marks no lines."""
    process, found = os.getppid(), None
    for _ in range(_ANCESTORS):
        if process <= 1:
            break
        with open(f"/proc/{process}/stat", "rb") as file:  # noqa: PTH123, pathlib is not worth loading for this
            name, _, fields = file.read().partition(b"(")[2].rpartition(b")")
        if name.decode(errors="replace") in _LAUNCHERS:
            found = process
        elif found is not None:
            break  # what started the launcher
        process = int(fields.split()[1])
    if found is None:
        return None
    with open(f"/proc/{found}/cmdline", "rb") as file:  # noqa: PTH123, as above
        words = file.read().decode(errors="replace").split("\0")
    own = words[1 : next((n for n, word in enumerate(words) if "simsplit" in word or "python" in word), len(words))]
    return None if any(word.startswith(_MARKING) for word in own) else found


def _width(path: str) -> int | None:
    """Return how wide a terminal is; None for what is none."""
    file = os.open(path, os.O_RDONLY | os.O_NOCTTY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        return os.get_terminal_size(file).columns or None if os.isatty(file) else None
    finally:
        os.close(file)
