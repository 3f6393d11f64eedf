"""Do some work in a process of its own, which may end by a signal: many times, one after the other.

They are forked from a small process that has loaded what they need. To fork the process of the tests, which holds
all that a thousand tests have loaded, takes ten times as long.
"""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import warnings
from typing import TYPE_CHECKING, Any, Self

from simsplit import SimsplitError
from tests.support.launching import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable

UNFORESEEN = 99


class Children:
    """The small process, from entering the block to leaving it.

    Parameters
    ----------
    prepare : callable
        Called there once, to load what the work needs. A function of a module, like all that is called there.
    """

    def __init__(self, prepare: Callable[[], None]) -> None:
        self._prepare = prepare

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            [sys.executable, "-W", "error", "-m", __name__], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        self._send(self._prepare)
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate()

    def run(self, work: Callable[..., object], *arguments: object) -> tuple[int, str]:
        """Do some work; return its exit status, or minus its signal, and the message of what it raised."""
        self._send((work, arguments))
        assert self._process.stdout is not None
        ended: tuple[int, str] = pickle.load(self._process.stdout)  # noqa: S301, our own
        return ended

    def _send(self, what: object) -> None:
        assert self._process.stdin is not None
        pickle.dump(what, self._process.stdin)
        self._process.stdin.flush()


def serve() -> None:
    """Be the small process."""
    with os.fdopen(os.dup(1), "wb") as answers:
        os.dup2(2, 1)  # what the work prints is no answer
        prepare = pickle.load(sys.stdin.buffer)  # noqa: S301, our own
        prepare()
        while True:
            try:
                work, arguments = pickle.load(sys.stdin.buffer)  # noqa: S301, our own
            except EOFError:
                return
            pickle.dump(_forked(work, arguments), answers)
            answers.flush()


def _forked(work: Callable[..., object], arguments: tuple[Any, ...]) -> tuple[int, str]:
    reader, writer = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of threads that zarr has: the child uses none of them
        pid = os.fork()
    if not pid:
        status = UNFORESEEN
        try:
            work(*arguments)
            status = 0
        except SimsplitError as error:
            os.write(writer, str(error).encode())
            status = error.exit_status
        except BaseException as error:  # noqa: BLE001, told to the parent
            os.write(writer, repr(error).encode())
        finally:
            os._exit(status)
    os.close(writer)
    with os.fdopen(reader) as messages:
        message = messages.read()
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), message


if __name__ == "__main__":
    serve()
