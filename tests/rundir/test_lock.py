"""The lock on a run directory: who holds it, and when one that was left behind counts no more."""

from __future__ import annotations

import json
import os
import time
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from simsplit import InputError
from simsplit.rundir import lock as locking
from simsplit.rundir.lock import Lock, is_locked

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def claim(folder: Path, host: str, pid: int, seconds: float) -> None:
    """Leave a lock as a run on another host would have done so long ago."""
    (folder / "lock").write_text(json.dumps({"host": host, "pid": pid}))
    then = time.time() - seconds
    os.utime(folder / "lock", (then, then))


def test_the_lock_of_another_host_counts_as_long_as_it_gives_signs_of_life(tmp_path: Path) -> None:
    claim(tmp_path, "elsewhere", 1, 60)
    assert is_locked(tmp_path)
    for _ in range(2):  # asking is no sign of life
        with pytest.raises(InputError, match=r"process 1 on host elsewhere gave a sign of life \d+ s ago"):
            Lock(tmp_path)
    claim(tmp_path, "elsewhere", 1, locking.STALE + 5)
    assert not is_locked(tmp_path)
    Lock(tmp_path).release()
    assert (tmp_path / "lock").read_text() == ""


def test_the_next_start_of_a_slurm_job_waits_for_what_a_dead_node_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def claimed_by(job: str) -> None:
        (tmp_path / "lock").write_text(json.dumps({"host": "elsewhere", "pid": 1, "job": job}))
        then = time.time() - locking.STALE + 60
        os.utime(tmp_path / "lock", (then, then))

    now, pauses = [0.0], []

    def sleep(seconds: float) -> None:
        pauses.append(seconds)
        now[0] += seconds
        meanwhile()

    def grow_old() -> None:
        before = (tmp_path / "lock").stat().st_mtime
        os.utime(tmp_path / "lock", (before - 40, before - 40))

    monkeypatch.setattr(locking, "time", SimpleNamespace(time=time.time, monotonic=lambda: now[0], sleep=sleep))
    monkeypatch.setenv("SLURM_JOB_ID", "17")
    meanwhile: Callable[[], object] = grow_old
    claimed_by("17")
    Lock(tmp_path).release()
    assert 1 <= len(pauses) <= 2

    pauses.clear()
    claimed_by("16")
    with pytest.raises(InputError, match="is in use: process 1 on host elsewhere"):
        Lock(tmp_path)
    assert pauses == []

    claimed_by("17")  # one that lives all the same is not waited for much longer
    meanwhile = (tmp_path / "lock").touch
    with pytest.raises(InputError, match="is in use"):
        Lock(tmp_path)
    assert locking.STALE < sum(pauses) < locking.STALE + 2 * locking.HEARTBEAT_INTERVAL


def test_a_beat_is_a_sign_of_life(tmp_path: Path) -> None:
    lock = Lock(tmp_path)
    os.utime(tmp_path / "lock", (0, 0))
    lock.heartbeat()
    assert (tmp_path / "lock").stat().st_mtime > 0
    lock.release()


def test_without_locks_in_the_file_system_a_living_process_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any) -> None:
        raise OSError(37, "No locks available")

    monkeypatch.setattr("fcntl.flock", refuse)
    lock = Lock(tmp_path)
    with pytest.raises(InputError, match=f"process {os.getpid()}"):
        Lock(tmp_path)
    lock.release()
    claim(tmp_path, locking.platform.node(), 2**22 + 1, 0)  # a process that cannot be
    Lock(tmp_path).release()


@pytest.mark.parametrize("content", ["", "{", "[]", '{"host": 1}', "\0" * 100])
def test_whatever_stands_in_the_lock_it_can_be_taken(tmp_path: Path, content: str) -> None:
    (tmp_path / "lock").write_text(content)
    Lock(tmp_path).release()


def test_a_second_one_is_refused_until_the_first_is_given_back(tmp_path: Path) -> None:
    lock = Lock(tmp_path)
    assert is_locked(tmp_path)
    with pytest.raises(InputError, match=f"process {os.getpid()} on host .* is writing to it"):
        Lock(tmp_path)
    lock.release()
    assert not is_locked(tmp_path)
    Lock(tmp_path).release()


def test_a_folder_that_is_not_there_is_not_locked(tmp_path: Path) -> None:
    assert not is_locked(tmp_path / "nowhere")
    with pytest.raises(FileNotFoundError):
        Lock(tmp_path / "nowhere")
