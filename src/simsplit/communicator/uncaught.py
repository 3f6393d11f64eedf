"""What Python prints of an error that all ranks raise and nobody catches: one message, from one rank."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from ..errors import SimsplitError

if TYPE_CHECKING:
    from types import TracebackType

_PACKAGE = __file__.removesuffix("communicator/uncaught.py")


def tell_once() -> None:
    """See to it, unless the program has its own way with errors, or somebody types it in.

    In a program without `simsplit.script` each rank would print its traceback, amid those of the others.
    """
    if sys.excepthook is sys.__excepthook__ and not hasattr(sys, "ps1"):
        sys.excepthook = _tell


def _tell(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Print an error; one of all ranks only on the rank that tells it, without simsplit's own part of the traceback."""
    if not isinstance(error, SimsplitError) or not error.is_collective or sys.flags.interactive:
        sys.__excepthook__(kind, error, trace)
        return
    if error.is_reporter and sys.stderr is not None:
        import traceback

        frames = traceback.extract_tb(trace)
        ours = next((n for n, frame in enumerate(frames) if frame.filename.startswith(_PACKAGE)), len(frames))
        head = ["Traceback (most recent call last):\n", *traceback.format_list(frames[:ours])] if ours else []
        print("".join([*head, *traceback.format_exception_only(error)]).rstrip(), file=sys.stderr, flush=True)
    raise SystemExit(error.exit_status)
