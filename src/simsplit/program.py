"""Run a program on all ranks: one error message, the right exit status, no rank left waiting."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from io import TextIOWrapper
from time import sleep
from typing import TYPE_CHECKING, NoReturn

from .communicator import abort_job, interrupts, launchers
from .errors import INTERRUPTED, SimsplitError
from .util.formatting import discard_stdout, stdout_checked

if TYPE_CHECKING:
    from collections.abc import Callable

_PATIENCE = 1.0  # seconds


def script(main: Callable[[], int | None]) -> int | None:
    """Run `main` as the whole program, on every rank, and exit.

    In a notebook, and wherever Python is typed in, it only calls `main`: there is no program to end.

    An error of simsplit ends all ranks with its exit status and one message on stderr. Ctrl-C ends
    them with status 130 and none. Anything else that goes wrong on one rank alone, where the others
    may wait for it for ever, aborts the job.

    Parameters
    ----------
    main : callable
        Returns the exit status, or None for 0. Called once on every rank.

    Returns
    -------
    int or None
        What `main` returned, if it was called only. Else `script` does not return.

    Examples
    --------
    ::

        if __name__ == "__main__":
            simsplit.script(main)
    """
    if not hasattr(sys, "ps1"):
        _run(main)
    return main()


def _run(main: Callable[[], int | None]) -> NoReturn:
    """Run a program, and exit."""
    _occupy_streams()
    launcher = launchers.detect()
    if launcher is not None and launcher.count > 1 and isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(line_buffering=True)  # what a kernel prints is seen in time, and lines stay whole
    interrupts.install()
    try:
        status = main() or 0
        if sys.stdout is not None and not sys.stdout.closed:
            with stdout_checked():
                sys.stdout.flush()
    except SimsplitError as error:
        _finish(error)
    except KeyboardInterrupt as error:
        _exit(INTERRUPTED, everywhere=getattr(error, "is_collective", False))
    except BrokenPipeError:  # the reader of stdout had enough: `simsplit | head -1`
        discard_stdout()
        _exit(1, everywhere=False)
    except SystemExit as error:
        status = error.code if isinstance(error.code, int) else int(error.code is not None)
        if isinstance(error.code, str):
            _tell(error.code)
        _exit(status, everywhere=status == 0)
    except BaseException:  # noqa: BLE001, whatever it is: the other ranks must not wait for this one
        import traceback

        _tell(traceback.format_exc().rstrip())
        _exit(1, everywhere=False)
    if interrupts.pending:  # it came in the last collective call
        _exit(INTERRUPTED, everywhere=False)
    sys.exit(status)


def _occupy_streams() -> None:
    """Open what stands for a closed stdin, stdout or stderr: no file of the run is to get its number."""
    with suppress(OSError):
        while (number := os.open(os.devnull, os.O_RDWR)) <= 2:  # noqa: PLR2004, stderr
            pass
        os.close(number)


def _finish(error: SimsplitError) -> NoReturn:
    if error.is_reporter:
        _flush()
        _tell(f"simsplit: {error}")
    elif not error.is_collective:
        sleep(_PATIENCE)  # the rank that reports must not be ended before it has
    _exit(error.exit_status, everywhere=error.is_collective)


def _exit(status: int, *, everywhere: bool) -> NoReturn:
    """End this rank; unless the others end by themselves, end them too."""
    _flush()
    if not everywhere:
        abort_job(status)
    sys.exit(status)


# A stream that takes nothing (a full disk, a closed terminal) must not keep the job from ending.


def _tell(text: str) -> None:
    """Write a message to stderr."""
    with suppress(OSError, ValueError, AttributeError):
        print(text, file=sys.stderr, flush=True)


def _flush() -> None:
    """Write out what is held back."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError, AttributeError):
            stream.flush()
