"""Kernels that take their time, so that a run can be caught in the middle of it.

With the variable HURRY they take none. In the folder of SIGNS each rank leaves a file before a nap. At t = 0 they
take none, since a kernel is also called to find out its dtype.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

from simsplit import stencil
from simsplit.kernels.operators import laplace


def rest(nap: float, t: float) -> None:
    """Take a nap, and leave a sign before."""
    if t == 0 or "HURRY" in os.environ:
        return
    if "SIGNS" in os.environ:
        Path(os.environ["SIGNS"], str(os.getpid())).touch()
    time.sleep(nap)


def step(x: Any, t: float, nap: float) -> Any:
    """Return the next state, after a nap."""
    rest(nap, t)
    return x * 1.0001 + t


def at(x: Any, t: float, nap: float) -> Any:
    """Return the state at a time, after a nap."""
    rest(nap, t)
    return x * t


@stencil(boundary={"rows": "periodic", "columns": ["fixed 0", "0.5 * inner + t"]})
def flow(x: Any, t: float, nap: float) -> Any:
    """Return the next state of a grid, after a nap."""
    rest(nap, t)
    return x + 0.1 * laplace(x) + 0.01 * x[-2]


def hangs(x: Any, t: float, row: Any) -> Any:
    """Never come back from step 5, on one rank only."""
    while t > 2.0 and row[-1] == 9:
        time.sleep(0.1)
    return x + t
