"""How much memory is left, so that a run that cannot fit is refused before it starts.

Linux promises memory that it does not have and kills a process when the promise falls due, so an
allocation that succeeds proves nothing.
"""

from __future__ import annotations

import os
import resource
from contextlib import suppress

from ..errors import InputError
from .formatting import format_bytes


def available(*, mapped: bool = False) -> int | None:
    """Return the bytes that this process can still take, or None where the system does not tell.

    The least of what the machine has left, what the control group (a Slurm job's, a container's)
    leaves, and what ``ulimit -v`` leaves, which does not count for memory that has its addresses, `mapped`.
    """
    limits = [_machine(), _control_group(), None if mapped else _address_space()]
    return min((limit for limit in limits if limit is not None), default=None)


def shm_available() -> int | None:
    """Return the bytes that are left in /dev/shm, or None where there is none."""
    try:
        disk = os.statvfs("/dev/shm")
    except OSError:
        return None
    return disk.f_bavail * disk.f_frsize


def require_memory(nbytes: int, what: str, instead: str, *, mapped: bool = False) -> None:
    """Refuse what does not fit in memory.

    Parameters
    ----------
    nbytes : int
        Bytes about to be taken.
    what : str
        What needs them.
    instead : str
        What the user can do.
    mapped : bool
        Whether the process has the addresses, and needs memory behind them.

    Raises
    ------
    InputError
        If fewer bytes are left.
    """
    left = available(mapped=mapped)
    if left is not None and nbytes > left:
        raise InputError(f"{what} takes {format_bytes(nbytes)}, but {format_bytes(left)} of memory are left. {instead}")


def _read(path: str) -> str:
    """Return what the kernel says in one of its small files."""
    file = os.open(path, os.O_RDONLY)
    try:
        return os.read(file, 2**16).decode(errors="replace")
    finally:
        os.close(file)


def _machine() -> int | None:
    try:
        fields = dict(line.split(":", 1) for line in _read("/proc/meminfo").splitlines())
        return int(fields["MemAvailable"].split()[0]) * 1024
    except (OSError, ValueError, KeyError):
        return None


def _control_group() -> int | None:
    """Return what the version 2 control groups above this process leave."""
    try:
        entries = _read("/proc/self/cgroup").splitlines()
        own = next(entry[len("0::/") :] for entry in entries if entry.startswith("0::/"))
    except (OSError, StopIteration):
        return None
    left: list[int] = []
    while True:
        folder = f"/sys/fs/cgroup/{own}".rstrip("/")
        with suppress(OSError, ValueError):  # a level without the memory controller, or without a limit
            limit = int(_read(f"{folder}/memory.max"))
            used = int(_read(f"{folder}/memory.current")) - _reclaimable(f"{folder}/memory.stat")
            left.append(max(0, limit - used))
        if not own:  # in a container the top is its own group
            break
        own = own.rpartition("/")[0]
    return min(left, default=None)


def _reclaimable(path: str) -> int:
    """Return how much of what a group uses is files that nobody reads at the moment."""
    try:
        fields = dict(line.split(" ", 1) for line in _read(path).splitlines())
        return int(fields["inactive_file"])
    except (OSError, ValueError, KeyError):
        return 0


def _address_space() -> int | None:
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    if limit == resource.RLIM_INFINITY:
        return None
    try:
        used = int(_read("/proc/self/statm").split()[0]) * resource.getpagesize()
    except (OSError, ValueError):
        return limit
    return max(0, limit - used)
