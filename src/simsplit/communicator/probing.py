"""MPI measurements for the doctor and the benchmark, outside the communicator interface."""

from __future__ import annotations

from array import array
from contextlib import contextmanager
from time import perf_counter, sleep
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from .interface import Array, Communicator

_PINGS = 20
_PAUSE = 1e-3  # seconds between looks at whether those that work are done


def ping(communicator: Communicator) -> float | None:
    """Return the seconds that a small message to the next rank and back takes; None on the last. Collective."""
    comm, rank = communicator.comm, communicator.rank
    message, seconds = array("i", [0]), None
    for turn in (0, 1):  # even ranks with the next ones, then odd ranks: each has one partner at a time
        first = rank % 2 == turn
        partner = rank + (1 if first else -1)
        if comm is None or not 0 <= partner < communicator.size:
            continue
        for number in range(_PINGS + 1):
            if number == 1:  # the first one may have to open a connection
                begun = perf_counter()
            if first:
                comm.Send(message, partner)
                comm.Recv(message, partner)
            else:
                comm.Recv(message, partner)
                comm.Send(message, partner)
        if first:
            seconds = (perf_counter() - begun) / _PINGS
    return seconds


@contextmanager
def subset(communicator: Communicator, count: int) -> Iterator[Communicator | None]:
    """Return a context with a communicator of the ranks below `count`, and None on the others.

    Leaving it is collective: the others wait there, and leave their cores to those that work.
    """
    comm = communicator.comm
    if comm is None:
        yield communicator
        return
    from mpi4py import MPI

    from .mpi import MPICommunicator

    part: Any = comm.Split(0 if communicator.rank < count else MPI.UNDEFINED, communicator.rank)
    try:
        yield None if part == MPI.COMM_NULL else MPICommunicator(part)
    finally:
        if part != MPI.COMM_NULL:
            part.Free()
        everyone = comm.Ibarrier()  # a Barrier would take a core from those that work
        while not everyone.Test():
            sleep(_PAUSE)


def plain_program(
    communicator: Communicator,
    initial: Array | None,
    spans: Sequence[tuple[int, int]],
    steps: Sequence[Callable[[Array], Array]],
) -> tuple[Array | None, float] | None:
    """Do what the MPI program does that one would write first: Scatterv, compute, Gatherv. Collective.

    Parameters
    ----------
    communicator : Communicator
    initial : ndarray, shape (n,), float64, on root; None elsewhere
    spans : sequence of (int, int)
        The rows of each rank.
    steps : sequence of callable
        Each takes a part and returns its results, float64.

    Returns
    -------
    (ndarray of shape (len(steps), n) or None, float), or None
        The history on root, and the seconds in calls of MPI; None where there is no MPI.
    """
    comm = communicator.comm
    if comm is None:
        return None
    from mpi4py import MPI

    layout = [upper - lower for lower, upper in spans], [lower for lower, _ in spans]
    seconds = -perf_counter()
    part = np.empty(layout[0][communicator.rank])
    comm.Scatterv(None if initial is None else [initial, layout, MPI.DOUBLE], part, root=0)
    seconds += perf_counter()
    history = None if initial is None else np.empty((len(steps), len(initial)))
    for k, step in enumerate(steps):
        result = step(part)
        seconds -= perf_counter()
        comm.Gatherv(result, None if history is None else [history[k], layout, MPI.DOUBLE], root=0)
        seconds += perf_counter()
    return history, seconds
