"""The MPI program that one would write first, to compare with."""

from __future__ import annotations

from time import perf_counter
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .interface import Array, Plainly, Steps


def plainly(mpi: Any, comm: Any, initial: Array | None, spans: Sequence[tuple[int, int]], steps: Steps) -> Plainly:
    """Scatter an array of float64, and for each step compute and gather; see `Communicator.plainly`."""
    layout = [upper - lower for lower, upper in spans], [lower for lower, _ in spans]
    seconds = -perf_counter()
    part = np.empty(layout[0][comm.rank])
    comm.Scatterv(None if initial is None else [initial, layout, mpi.DOUBLE], part, root=0)
    seconds += perf_counter()
    history = None if initial is None else np.empty((len(steps), len(initial)))
    for k, step in enumerate(steps):
        result = step(part)
        seconds -= perf_counter()
        comm.Gatherv(result, None if history is None else [history[k], layout, mpi.DOUBLE], root=0)
        seconds += perf_counter()
    return history, seconds
