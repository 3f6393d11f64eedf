"""Detect a fork of a rank. Loaded with the package, so it imports neither NumPy nor MPI."""

from __future__ import annotations

import os
import sys

_forked = False


def forked_from_mpi() -> bool:
    """Return whether this process was forked from one in which MPI was running."""
    return _forked


def _note_fork() -> None:
    global _forked  # noqa: PLW0603, of the process
    mpi = sys.modules.get("mpi4py.MPI")
    _forked = mpi is not None and mpi.Is_initialized() and not mpi.Is_finalized()


os.register_at_fork(after_in_child=_note_fork)
