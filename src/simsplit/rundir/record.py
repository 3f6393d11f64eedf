"""The record of a run, ``run.json``: what ran, where, when, and how it ended. No environment variables."""

from __future__ import annotations

import os
import platform
import shlex
import sys
from datetime import UTC, datetime
from importlib import metadata
from typing import TYPE_CHECKING, Any

from .._version import __version__
from .directory import FORMAT

if TYPE_CHECKING:
    from collections.abc import Sequence

_PACKAGES = ("numpy", "mpi4py", "numba", "zarr", "h5py")  # those that a result may depend on


def now() -> str:
    """Return the time, in UTC, as ISO 8601 writes it."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def new_record(problem: dict[str, Any], history: dict[str, Any]) -> dict[str, Any]:
    """Return the record of a run that begins.

    Parameters
    ----------
    problem : dict
        What is simulated, as JSON knows it.
    history : dict
        Of the history: ``path`` in the run directory, ``format``, ``shape``, ``dtype``.
    """
    return {
        "format": FORMAT,
        "run": os.urandom(8).hex(),
        "status": "running",
        "position": 0,
        "complete": 0,
        "problem": problem,
        "history": history,
        "attempts": [],
    }


def new_attempt(hosts: Sequence[str], library: str | None, position: int) -> dict[str, Any]:
    """Return the record of a start or of a resumption.

    Parameters
    ----------
    hosts : sequence of str
        The host of each rank.
    library : str or None
        The MPI library.
    position : int
        The first step that it computes.
    """
    return {
        "command": _command(),
        "started": now(),
        "ended": None,
        "from_step": position,
        "to_step": None,
        "ranks": len(hosts),
        "hosts": _summary(hosts),
        "mpi": library,
        "versions": versions(),
        "platform": platform.platform(),
        "seconds": None,
        "exit": None,
    }


def versions() -> dict[str, str]:
    """Return the versions of Python, simsplit, and the packages that are installed beside it."""
    found = {"simsplit": __version__, "python": platform.python_version()}
    for name in _PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def _command() -> str:
    program = os.path.basename(sys.argv[0])  # noqa: PTH119, a name is enough
    return shlex.join(["simsplit" if program == "__main__.py" else program, *sys.argv[1:]])


def _summary(hosts: Sequence[str]) -> dict[str, int]:
    """Return how many ranks each host has."""
    counts: dict[str, int] = {}
    for host in hosts:
        counts[host] = counts.get(host, 0) + 1
    return counts
