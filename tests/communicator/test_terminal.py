"""The launcher's terminal: the ranks write into a pipe that ends there."""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import struct
import subprocess
import sys
import termios
from typing import TYPE_CHECKING

import pytest

from simsplit.communicator.terminal import width_by_launcher
from tests.support.environment import forget_launchers
from tests.support.launching import LIMIT, SIMSPLIT, environment, mpiexec
from tests.support.terminal import terminal

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.launch

ASK = "from simsplit.communicator.terminal import width_by_launcher as ask; import sys; print(ask(), file=sys.stderr)"


def on_a_terminal(*command: str, folder: Path, **variables: str) -> str:
    """Start a program whose stderr is a terminal 123 characters wide; return what it writes there."""
    with terminal() as (end, read):
        fcntl.ioctl(end, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 123, 0, 0))
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=end, cwd=folder,
            env=environment(TERM="xterm", **variables), start_new_session=True,
        )  # fmt: skip
        os.close(end)
        try:
            assert process.wait(LIMIT) == 0
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
    return b"".join(read).decode()


def launcher(folder: Path, name: str) -> str:
    """Return a launcher that starts one process, whose stderr it reads and writes to its own."""
    path = folder / name
    path.write_text('#!/bin/sh\nwhile [ "$1" = -l ]; do shift; done\n{ "$@" 2>&1 >/dev/null; } | cat >&2\n')
    path.chmod(0o755)
    return str(path)


@pytest.mark.once
def test_the_width_is_that_of_the_launchers_terminal(tmp_path: Path) -> None:
    ask, rank = (sys.executable, "-c", ASK), {"PMI_SIZE": "2", "PMI_RANK": "0"}
    mpiexec = launcher(tmp_path, "mpiexec")
    assert on_a_terminal(mpiexec, *ask, folder=tmp_path, **rank) == "123\r\n"
    shell = (mpiexec, "sh", "-c", '"$0" "$@"; true')  # which stays between them
    assert on_a_terminal(*shell, *ask, folder=tmp_path, **rank) == "123\r\n"
    for wrong in (
        (mpiexec, "-l", *ask),  # puts something before each line
        (launcher(tmp_path, "other"), *ask),
        ("sh", "-c", '"$0" "$@" 2>&1 | cat >&2', mpiexec, *ask),  # whose own stderr is a pipe
    ):
        assert on_a_terminal(*wrong, folder=tmp_path, **rank) == "None\r\n"
    assert on_a_terminal(mpiexec, *ask, folder=tmp_path) == "None\r\n"  # not one of its ranks


def test_without_a_launcher_and_without_a_pipe_there_is_none(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    forget_launchers(monkeypatch)
    assert width_by_launcher() is None
    monkeypatch.setenv("PMI_SIZE", "2")
    with (tmp_path / "log").open("w") as log:
        assert width_by_launcher(log.fileno()) is None
    assert width_by_launcher(12345) is None  # which is closed


def test_a_run_under_mpiexec_shows_a_bar(tmp_path: Path) -> None:
    (tmp_path / "slow.py").write_text("import time\n\ndef slow(x, t):\n    time.sleep(0.15)\n    return x * t\n")
    run = (*SIMSPLIT, "run", "--kernel", "slow.py:slow", "--size", "4", "--steps", "16", "--check-rows", "no")
    text = on_a_terminal(*mpiexec(2, *run), folder=tmp_path)
    assert "\x1b[2Ksimsplit" in text  # drawn in place of the last one
    assert " % · " in text
    assert "step 1" not in text
    text = on_a_terminal(*mpiexec(2, *run, "--progress", "lines", "--progress-every", "0.1s"), folder=tmp_path)
    assert "simsplit: step 16 of 16 (100 %) · " in text
    assert "\x1b" not in text
    assert on_a_terminal(*mpiexec(2, *run, "--progress", "no"), folder=tmp_path) == ""
