"""simsplit with a disk that fails: ``faulty.py CALL NUMBER WHAT RANK …``, then the arguments of the command.

The NUMBER-th call of `simsplit.util.durable.CALL` on rank RANK fails as WHAT says: with an error of the system by its
name (EIO, ENOSPC), or by a SIGKILL before or after it is done. What was called is counted in the file of
COUNT_CALLS, if that is set.
"""

from __future__ import annotations

import errno
import os
import signal
import sys
from pathlib import Path
from typing import Any

from simsplit.__main__ import main
from simsplit.communicator import launchers as launch
from simsplit.util import durable as disk

call, number, what, rank, *arguments = sys.argv[1:]
launcher = launch.detect()
here = 0 if launcher is None else launcher.rank
real = getattr(disk, call)
calls = 0


def failing(*given: Any) -> Any:
    """Do what is to be done, or fail."""
    global calls  # noqa: PLW0603, a counter
    calls += 1
    if "COUNT_CALLS" in os.environ:
        Path(os.environ["COUNT_CALLS"]).write_text(str(calls))
    if calls == int(number):
        if what == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        elif what == "after":
            real(*given)
            os.kill(os.getpid(), signal.SIGKILL)
        else:
            code = getattr(errno, what)
            raise OSError(code, os.strerror(code))
    return real(*given)


if here == int(rank):
    setattr(disk, call, failing)
sys.argv[1:] = arguments
main()
