"""The triggers that stop a run, pulled by real signals, clocks and files."""

from __future__ import annotations

import os
import select
import signal
import time
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest

from simsplit.communicator import flags, interrupts
from simsplit.monitor import stop_requests as stopping
from simsplit.monitor.stop_requests import StopRequests
from tests.support.launching import LIMIT

if TYPE_CHECKING:
    from collections.abc import Iterator


AGES = 1000.0  # seconds


@pytest.fixture
def watched(monkeypatch: pytest.MonkeyPatch) -> Iterator[StopRequests]:
    monkeypatch.setattr(stopping, "_SAME", AGES)  # two signals of a test are one, however busy the machine is
    before = [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGUSR1, signal.SIGINT)]
    found = StopRequests()
    found.install()
    yield found
    found.uninstall()
    assert [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGUSR1, signal.SIGINT)] == before
    assert interrupts.instead is None


@pytest.mark.parametrize(
    ("number", "bit", "words"),
    [
        (signal.SIGTERM, flags.TERM, "SIGTERM"),
        (signal.SIGUSR1, flags.USR1, "SIGUSR1"),
        (signal.SIGINT, flags.CTRL_C, "Ctrl-C"),
    ],
)
def test_a_signal_sets_its_bit(watched: StopRequests, number: signal.Signals, bit: int, words: str) -> None:
    assert watched.poll() == 0
    os.kill(os.getpid(), number)
    assert watched.poll() == bit == stopping.BITS[number]
    assert flags.stop_reason(bit) == words


def test_a_signal_that_comes_twice_at_once_is_one_and_a_second_one_is_seen_by_a_thread(watched: StopRequests) -> None:
    assert watched.wakeup is not None
    assert not select.select([watched.wakeup], [], [], 0)[0]
    for number in (signal.SIGUSR1, signal.SIGINT, signal.SIGINT, signal.SIGTERM):
        os.kill(os.getpid(), number)
        assert select.select([watched.wakeup], [], [], LIMIT)[0]
        assert watched.second() is None
    assert watched.second() is None  # there is nothing more to be read
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1):
        watched._first[number] -= AGES + 1
        os.kill(os.getpid(), number)
        assert watched.second() == number
    assert watched.poll() == flags.CTRL_C | flags.TERM | flags.USR1


def test_a_handler_that_comes_late_takes_no_signal_for_a_second_one(watched: StopRequests) -> None:
    watched._first[signal.SIGINT] = time.monotonic() - AGES - 1  # the thread has seen it, while this one was in MPI
    watched._key()
    assert watched.poll() == flags.CTRL_C


def test_the_time_limit_counts_from_the_beginning_of_the_program() -> None:
    young, old = StopRequests(), StopRequests()
    old.begun -= AGES
    for watched, bits in ((young, 0), (old, flags.TIME_LIMIT)):
        watched.watch(time_limit=AGES, environment={})
        assert watched.poll() == bits
        assert watched.poll() == bits


@pytest.mark.parametrize(("left", "bits"), [(30, flags.SLURM_END), (600, 0)])
def test_the_end_of_a_slurm_job_is_met_with_a_margin(left: int, bits: int) -> None:
    watched = StopRequests()
    watched.watch(environment={"SLURM_JOB_END_TIME": str(int(time.time()) + left)})
    assert watched.poll() == bits


@pytest.mark.parametrize("text", ["", "soon", "nan?"])
def test_an_end_that_is_no_time_is_none(text: str) -> None:
    watched = StopRequests()
    watched.watch(environment={"SLURM_JOB_END_TIME": text})
    assert watched.poll() == 0
    assert stopping.describe_deadlines(None, {"SLURM_JOB_END_TIME": text}) is None


def test_the_file_is_looked_for_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    now, looks = [AGES], []

    def asked() -> bool:
        looks.append(now[0])
        return len(looks) == 2

    monkeypatch.setattr(stopping, "time", SimpleNamespace(monotonic=lambda: now[0]))
    watched = StopRequests()
    watched.watch(asked=asked, environment={})
    assert [watched.poll() for _ in range(100)] == [0] * 100
    assert len(looks) == 1
    now[0] += stopping._FILE_EVERY
    assert watched.poll() == flags.STOP_FILE
    assert flags.stop_reason(flags.STOP_FILE | flags.TERM) == "SIGTERM, the file stop"


def test_what_will_stop_the_run_is_said_in_advance() -> None:
    words = stopping.describe_deadlines(90, {"SLURM_JOB_END_TIME": str(time.time() + 7200)})
    assert words is not None
    assert words.startswith("stops after 1 min 30 s, the Slurm job ends in ")
