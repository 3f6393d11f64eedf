"""The hang watchdog: real threads and real processes that hang."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from simsplit.monitor import watchdog
from simsplit.monitor.watchdog import Watchdog

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watchdog, "GRACE", 0.1)


def make(folder: Path, hang_after: float, **options: Any) -> tuple[Watchdog, threading.Event]:
    given_up = threading.Event()

    def give_up() -> None:
        given_up.set()
        time.sleep(0.2)

    return Watchdog(3, hang_after, folder / "stacks", give_up=give_up, abort=given_up.set, **options), given_up


def test_a_run_that_moves_is_left_alone_and_leaves_nothing(tmp_path: Path) -> None:
    watched, given_up = make(tmp_path, 0.4)
    watched.start()
    for _ in range(8):
        time.sleep(0.1)
        watched.moved()
    watched.stop()
    assert not given_up.is_set()
    assert list(tmp_path.iterdir()) == []


def test_one_that_hangs_writes_its_stack_and_gives_up(tmp_path: Path) -> None:
    watched, given_up = make(tmp_path, 0.3)
    watched.start()
    assert given_up.wait(5)
    watched.stop()
    text = (tmp_path / "stacks" / "rank-000003.txt").read_text()
    assert "test_one_that_hangs_writes_its_stack_and_gives_up" in text
    assert "Thread" in text


def test_without_a_limit_nothing_is_watched(tmp_path: Path) -> None:
    watched, given_up = make(tmp_path, 0.0)
    watched.start()
    time.sleep(0.2)
    watched.stop()
    assert not given_up.is_set()
    assert list(tmp_path.iterdir()) == []


def test_it_gives_signs_of_life(tmp_path: Path) -> None:
    beats: list[float] = []
    watched, _ = make(tmp_path, 1.0, beat=lambda: beats.append(time.monotonic()), beat_every=0.2)
    watched.start()
    time.sleep(0.9)
    watched.stop()
    assert len(beats) >= 2


def test_a_folder_that_cannot_be_written_does_not_keep_it_from_giving_up(tmp_path: Path) -> None:
    watched, given_up = make(tmp_path, 0.3)
    watched.start()
    (tmp_path / "stacks" / "rank-000003.txt").mkdir()
    assert given_up.wait(5)
    watched.stop()


HOLDS = """
import sys, os
from pathlib import Path
from simsplit.monitor import watchdog
watchdog.GRACE = 0.2
watched = watchdog.Watchdog(0, 0.5, Path(sys.argv[1]), give_up=lambda: os._exit(9), abort=lambda number: None)
watched.start()
sys.setswitchinterval(1000)  # no other thread gets a turn
while True:
    pass
"""

INTERRUPTED = """
import sys, os, hashlib
from pathlib import Path
from simsplit.monitor import watchdog
from simsplit.monitor.stop_requests import Stopping
stopping = Stopping()
stopping.install()
watched = watchdog.Watchdog(
    0, 0, Path(sys.argv[1]), give_up=lambda: None, abort=lambda number: os._exit(128 + number), stopping=stopping
)
watched.start()
print("ready", flush=True)
hashlib.pbkdf2_hmac("sha256", b"", b"", 10**8)  # in C, as if inside MPI: no handler of Python runs
"""


def test_a_kernel_that_gives_no_thread_a_turn_is_ended_all_the_same(tmp_path: Path) -> None:
    ended = subprocess.run([sys.executable, "-c", HOLDS, str(tmp_path / "s")], timeout=30, check=False)
    assert ended.returncode == 1
    assert "Timeout" in (tmp_path / "s" / "held.txt").read_text()
    assert re.search(r'File "<string>", line (9|10) in <module>', (tmp_path / "s" / "held.txt").read_text())


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGUSR1])
def test_a_second_signal_ends_a_process_that_is_busy_in_c(tmp_path: Path, number: signal.Signals) -> None:
    process = subprocess.Popen([sys.executable, "-c", INTERRUPTED, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    os.kill(process.pid, number)
    time.sleep(0.8)
    assert process.poll() is None
    os.kill(process.pid, number)
    process.communicate(timeout=10)
    assert process.returncode == 128 + number
