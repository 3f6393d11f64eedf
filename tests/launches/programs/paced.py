"""Kernels that take their time, so that a run can be caught in the middle of it."""

from __future__ import annotations

import time
from typing import Any


def step(x: Any, t: float, nap: float) -> Any:
    """Return the next state, after a nap."""
    time.sleep(nap)
    return x * 1.0001 + t


def at(x: Any, t: float, nap: float) -> Any:
    """Return the state at a time, after a nap."""
    time.sleep(nap)
    return x * t


def hangs(x: Any, t: float, row: Any) -> Any:
    """Never come back from step 5, on one rank only."""
    while t > 2.0 and row[-1] == 9:
        time.sleep(0.1)
    return x + t
