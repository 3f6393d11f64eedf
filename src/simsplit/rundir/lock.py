"""The lock of a run directory, which keeps two runs from writing into it at once.

``flock`` decides where it works: the system gives it back when a process ends, however it ends. Some shared
file systems have no locks, or only for the processes of one host. So the holder also writes its host and
process into the file and touches it now and then (`Lock.heartbeat`), and a lock that another host has touched
within `STALE` seconds is respected. A Slurm job that is started again after a node died is the one that may
wait for that to pass: its earlier start has ended. Only the file system's own clock is asked, not that of a host.
"""

from __future__ import annotations

import fcntl
import json
import os
import platform
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from ..errors import InputError

if TYPE_CHECKING:
    from pathlib import Path

STALE = 120.0  # seconds without a sign of life
HEARTBEAT_INTERVAL = 20.0  # seconds between them
_PAUSE = 0.5  # seconds between attempts to take a lock that will be free


class Lock:
    """A lock that is held from now on until `release`, or until the process ends.

    Parameters
    ----------
    folder : Path
        The run directory.

    Raises
    ------
    InputError
        If another run holds it.
    OSError
        If the file cannot be made.
    """

    def __init__(self, folder: Path) -> None:
        self._file = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        job = os.environ.get("SLURM_JOB_ID")
        try:
            self._claim(folder, job)
            mine = {"host": platform.node(), "pid": os.getpid(), "job": job}
            os.ftruncate(self._file, 0)
            os.pwrite(self._file, json.dumps(mine).encode(), 0)
        except BaseException:
            os.close(self._file)
            raise

    def _claim(self, folder: Path, job: str | None) -> None:
        """Take the lock; wait for one that an earlier start of this job left, for its node may just have died."""
        end = time.monotonic() + STALE + HEARTBEAT_INTERVAL
        while True:
            try:
                locked = _lock(self._file, folder)
                holder = _holder(self._file)
                if holder is not None:
                    self._require_stale(holder, folder, locked=locked)
            except InputError:
                holder = _holder(self._file)
                if holder is None or job is None or holder["job"] != job or time.monotonic() > end:
                    raise
                time.sleep(_PAUSE)
            else:
                return

    def _require_stale(self, holder: dict[str, Any], folder: Path, *, locked: bool) -> None:
        """Refuse a holder that may be alive though the system does not say so."""
        here = holder["host"] == platform.node()
        if here and (locked or not _runs(holder["pid"])):
            return
        before = os.fstat(self._file).st_mtime
        os.utime(self._file)  # by the clock of the file system
        silent = os.fstat(self._file).st_mtime - before
        os.utime(self._file, (before, before))
        if silent < STALE:
            raise InputError(
                f"the run directory {folder} is in use: process {holder['pid']} on host {holder['host']} gave a sign "
                f"of life {max(0.0, silent):.0f} s ago. Name another folder; if that run is dead, wait {STALE:.0f} s."
            )

    def heartbeat(self) -> None:
        """Give a sign of life."""
        with suppress(OSError):  # a file system that is out of reach for a moment ends no run
            os.utime(self._file)

    def release(self) -> None:
        """Give it back."""
        with suppress(OSError):
            os.ftruncate(self._file, 0)
        os.close(self._file)


def is_locked(folder: Path) -> bool:
    """Return whether a run seems to be writing to a run directory, as far as this host can tell."""
    try:
        file = os.open(folder / "lock", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError:
            return True
        holder = _holder(file)
        if holder is None or holder["host"] == platform.node():
            return False
        return time.time() - os.fstat(file).st_mtime < STALE  # to be shown only: the clocks may differ a little
    finally:
        os.close(file)


def _lock(file: int, folder: Path) -> bool:
    """Return whether the file system has locks."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = _holder(file)
        who = "another run" if holder is None else f"process {holder['pid']} on host {holder['host']}"
        raise InputError(
            f"the run directory {folder} is in use: {who} is writing to it. Name another folder, or end that run first."
        ) from None
    except OSError:  # ENOLCK, EOPNOTSUPP, ENOSYS: whatever a file system without locks says
        return False
    return True


def _holder(file: int) -> dict[str, Any] | None:
    """Return who took the lock and did not give it back."""
    try:
        found = json.loads(os.pread(file, 4096, 0))
        return {"host": str(found["host"]), "pid": int(found["pid"]), "job": found.get("job")}
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True
