"""A terminal that a test reads."""

from __future__ import annotations

import os
import pty
import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from tests.support.launching import LIMIT

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def terminal() -> Iterator[tuple[int, list[bytes]]]:
    """Give the file descriptor of a terminal, which the block closes, and a list: whole, once the block is left."""
    ours, theirs = pty.openpty()
    read: list[bytes] = []

    def reader() -> None:
        with suppress(OSError):  # what a terminal says whose other end is closed
            while data := os.read(ours, 4096):
                read.append(data)

    thread = threading.Thread(target=reader)
    thread.start()
    try:
        yield theirs, read
    finally:
        thread.join(LIMIT)
        os.close(ours)
