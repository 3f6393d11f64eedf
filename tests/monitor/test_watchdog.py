"""The hang watchdog: real threads and real processes that hang."""

from __future__ import annotations

import os
import re
import select
import signal
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from simsplit.monitor import stop_requests as stopping
from simsplit.monitor import watchdog
from simsplit.monitor.watchdog import Watchdog
from tests.support.launching import LIMIT

if TYPE_CHECKING:
    from pathlib import Path


HANG_AFTER = 1000.0  # seconds, of a clock that the tests turn


class Clock:
    """A clock that a test turns; it counts how often the watchdog has looked at it."""

    def __init__(self) -> None:
        self.now = 0.0
        self.looks = 0

    def monotonic(self) -> float:
        self.looks += threading.current_thread().name == "simsplit watchdog"
        return self.now

    def turn(self, seconds: float) -> None:
        """Turn it, and wait until the watchdog has seen that and gone round once more."""
        self.now += seconds
        seen, end = self.looks + 3, time.monotonic() + LIMIT
        while self.looks < seen and time.monotonic() < end:
            time.sleep(0.001)


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(watchdog, "time", clock)
    monkeypatch.setattr(watchdog, "_TURN", 0.01)
    monkeypatch.setattr(watchdog, "GRACE", 0.1)
    return clock


def make(folder: Path, hang_after: float = HANG_AFTER, **options: Any) -> tuple[Watchdog, threading.Event]:
    given_up = threading.Event()
    return Watchdog(3, hang_after, folder / "stacks", on_hang=given_up.set, abort=given_up.set, **options), given_up


def test_a_run_that_moves_is_left_alone_and_leaves_nothing(tmp_path: Path, clock: Clock) -> None:
    watched, given_up = make(tmp_path)
    watched.start()
    for _ in range(8):
        clock.turn(0.9 * HANG_AFTER)
        watched.reset()
    watched.stop()
    assert not given_up.is_set()
    assert list(tmp_path.iterdir()) == []


def test_one_that_hangs_writes_its_stack_and_gives_up(tmp_path: Path, clock: Clock) -> None:
    watched, given_up = make(tmp_path)
    watched.start()
    clock.now += 1.1 * HANG_AFTER
    assert given_up.wait(LIMIT)
    watched.stop()
    text = (tmp_path / "stacks" / "rank-000003.txt").read_text()
    assert "test_one_that_hangs_writes_its_stack_and_gives_up" in text
    assert "Thread" in text


def test_without_a_limit_nothing_is_watched(tmp_path: Path, clock: Clock) -> None:
    watched, given_up = make(tmp_path, 0.0)
    watched.start()
    clock.turn(10**9)
    watched.stop()
    assert not given_up.is_set()
    assert list(tmp_path.iterdir()) == []


def test_it_ends_amid_a_long_turn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    waiting, waits, real = threading.Event(), [], select.select

    def waited(*given: Any) -> Any:
        waits.append(given[-1])
        waiting.set()
        return real(*given)

    monkeypatch.setattr(watchdog, "_TURN", 10.0 * LIMIT)
    monkeypatch.setattr(select, "select", waited)
    stops = stopping.StopRequests()
    stops.install()
    try:
        watched, given_up = make(tmp_path, 100.0 * LIMIT, stopping=stops)
        watched.start()
        assert waiting.wait(LIMIT)
        watched.stop()
    finally:
        stops.uninstall()
    assert waits == [10.0 * LIMIT]  # one wait, which `stop` ended
    assert not given_up.is_set()


def test_it_gives_signs_of_life(tmp_path: Path, clock: Clock) -> None:
    beats: list[float] = []
    watched, _ = make(tmp_path, heartbeat=lambda: beats.append(clock.now), beat_every=20.0)
    watched.start()
    for _ in range(6):
        clock.turn(11.0)
    watched.stop()
    assert beats == [22.0, 44.0, 66.0]


def test_a_folder_that_cannot_be_written_does_not_keep_it_from_giving_up(tmp_path: Path, clock: Clock) -> None:
    watched, given_up = make(tmp_path)
    watched.start()
    (tmp_path / "stacks" / "rank-000003.txt").mkdir()
    clock.now += 1.1 * HANG_AFTER
    assert given_up.wait(LIMIT)
    watched.stop()


HOLDS = """
import sys, os
from pathlib import Path
from simsplit.monitor import watchdog
watchdog.GRACE = 0.2
watched = watchdog.Watchdog(0, 2, Path(sys.argv[1]), on_hang=lambda: os._exit(9), abort=lambda number: None)
sys.setswitchinterval(1000)  # no other thread gets a turn, but for the first of the watchdog
watched.start()
while True:
    pass
"""

INTERRUPTED = """
import sys, os, hashlib
from pathlib import Path
from simsplit.monitor import watchdog
from simsplit.monitor.stop_requests import StopRequests
stopping = StopRequests()
stopping.install()
watched = watchdog.Watchdog(
    0, 0, Path(sys.argv[1]), on_hang=lambda: None, abort=lambda number: os._exit(128 + number), stopping=stopping
)
watched.start()
second = stopping.second

def told():  # by the thread of the watchdog
    number = second()
    print("the first" if number is None else "the second", flush=True)
    return number

stopping.second = told
print("ready", flush=True)
hashlib.pbkdf2_hmac("sha256", b"", b"", 10**8)  # in C, as if inside MPI: no handler of Python runs
"""


def test_a_kernel_that_gives_no_thread_a_turn_is_ended_all_the_same(tmp_path: Path) -> None:
    ended = subprocess.run([sys.executable, "-c", HOLDS, str(tmp_path / "s")], timeout=LIMIT, check=False)
    assert ended.returncode == 1
    assert "Timeout" in (tmp_path / "s" / "held.txt").read_text()
    assert re.search(r'File "<string>", line \d+ in <module>', (tmp_path / "s" / "held.txt").read_text())


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGUSR1])
def test_a_second_signal_ends_a_process_that_is_busy_in_c(tmp_path: Path, number: signal.Signals) -> None:
    process = subprocess.Popen([sys.executable, "-c", INTERRUPTED, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    os.kill(process.pid, number)
    assert process.stdout.readline() == "the first\n"
    assert process.poll() is None
    time.sleep(stopping._SAME + 0.1)  # it is another signal only then
    os.kill(process.pid, number)
    process.communicate(timeout=LIMIT)
    assert process.returncode == 128 + number
