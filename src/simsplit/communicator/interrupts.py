"""Defer Ctrl-C where raising it would leave other ranks in a collective call."""

from __future__ import annotations

import os
import signal
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType

_LIBRARY = (os.path.dirname(os.__file__) + os.sep, "<frozen ")  # noqa: PTH120, pathlib is not worth loading for this


def in_main_thread() -> bool:
    """Return whether this is the main thread, which alone may take over signals."""
    threading = sys.modules.get("threading")  # not worth loading for this: without it there is no other thread
    return threading is None or threading.current_thread() is threading.main_thread()


class Interrupts:
    """What becomes of SIGINT: it raises KeyboardInterrupt at once, unless it is held back.

    It is held back while ranks work together; at the next agreed block they agree on it like on any
    other failure. Inside such a block it raises, too. A second one that finds the first still waiting
    raises in any case.

    Attributes
    ----------
    pending : bool
        Whether one is held back.
    instead : callable or None
        What one does while it is held back, instead of waiting for the next agreed block: a run that
        can be stopped in order. The callable sees to the second one, too.
    guarded : tuple of str
        How the paths of files begin whose code is never interrupted: it looks at `pending` by itself.
    """

    def __init__(self) -> None:
        self._held = False
        self.pending = False
        self.instead: Callable[[], None] | None = None
        self.guarded: tuple[str, ...] = ()

    def install(self) -> None:
        """Take over SIGINT, unless it is ignored or this is not the main thread."""
        if in_main_thread() and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            signal.signal(signal.SIGINT, self._handle)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Hold it back in the block."""
        before = self.hold(True)
        try:
            yield
        finally:
            self.hold(before)

    @contextmanager
    def default(self) -> Iterator[None]:
        """Let a signal end the process in the block, in which it may wait for ever: MPI's start.

        No handler in Python runs there. Nothing is done but in a program that is simsplit's as a whole.
        """
        if not in_main_thread() or signal.getsignal(signal.SIGINT) != self._handle:
            yield
            return
        before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGUSR1)}
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        try:
            if self.pending:
                self.pending = False
                raise KeyboardInterrupt
            yield
        finally:
            for number, handler in before.items():  # MPICH takes SIGUSR1 over
                signal.signal(number, signal.SIG_DFL if handler is None else handler)

    def hold(self, held: bool) -> bool:
        """Say whether it is held back from now on; return whether it was."""
        before, self._held = self._held, held
        return before

    def heed(self) -> None:
        """Raise one that is held back; only the main thread does."""
        if self.pending and in_main_thread():
            self.pending = False
            raise KeyboardInterrupt

    def _is_guarded(self, frame: FrameType | None) -> bool:
        """Return whether guarded code runs, or what it calls of Python's own library."""
        while frame is not None and frame.f_code.co_filename.startswith(_LIBRARY):
            frame = frame.f_back
        return frame is not None and frame.f_code.co_filename.startswith(self.guarded)

    def _handle(self, _number: int, frame: FrameType | None) -> None:
        if self.instead is not None:
            self.instead()
            return
        if (self._held or self._is_guarded(frame)) and not self.pending:
            self.pending = True
            return
        self.pending = False
        raise KeyboardInterrupt


interrupts = Interrupts()
