"""How much memory is left here, so that a request that cannot be met is refused before the run.

Linux promises memory that it does not have and kills a process when the promise falls due, so an
allocation that succeeds proves nothing.
"""

from __future__ import annotations

import os
import resource

from .errors import InputError


def readable(nbytes: int) -> str:
    """Write a number of bytes for people, in decimal units.

    >>> readable(7), readable(640_000_000)
    ('7 B', '640 MB')
    """
    number, units = float(nbytes), ["B", "kB", "MB", "GB", "TB", "PB"]
    while number >= 999.5 and units[1:]:  # noqa: PLR2004, where %.3g would go over to 1e+03
        number /= 1000
        units.pop(0)
    return f"{number:.3g} {units[0]}" if number < 999.5 else f"{number:.2e} {units[0]}"  # noqa: PLR2004


def available() -> int | None:
    """Return the bytes that this process can still take, or None where the system does not tell.

    The least of what the machine has left, what the control group (a Slurm job's, a container's)
    leaves, and what ``ulimit -v`` leaves.
    """
    limits = [_machine(), _control_group(), _address_space()]
    return min((limit for limit in limits if limit is not None), default=None)


def require(nbytes: int, what: str, instead: str) -> None:
    """Refuse what does not fit in memory.

    Parameters
    ----------
    nbytes : int
        Bytes about to be taken.
    what : str
        What needs them.
    instead : str
        What the user can do.

    Raises
    ------
    InputError
        If fewer bytes are left.
    """
    left = available()
    if left is not None and nbytes > left:
        raise InputError(f"{what} takes {readable(nbytes)}, but {readable(left)} of memory are left. {instead}")


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
    while own:
        folder = f"/sys/fs/cgroup/{own}"
        try:
            limit = _read(f"{folder}/memory.max").strip()
            if limit != "max":
                left.append(max(0, int(limit) - int(_read(f"{folder}/memory.current"))))
        except (OSError, ValueError):
            pass  # a level without the memory controller
        own = own.rpartition("/")[0]
    return min(left, default=None)


def _address_space() -> int | None:
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    if limit == resource.RLIM_INFINITY:
        return None
    try:
        used = int(_read("/proc/self/statm").split()[0]) * resource.getpagesize()
    except (OSError, ValueError):
        return limit
    return max(0, limit - used)
