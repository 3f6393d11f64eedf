"""Measure the steps of a grid for ``simsplit bench --grid``: heat by a stencil, beside NumPy in one process."""

from __future__ import annotations

from functools import partial
from statistics import median
from time import perf_counter
from typing import TYPE_CHECKING, Any

import numpy as np

from ...communicator import Agreement
from ...grids.grid import Grid
from ...kernels.expressions.kernel import expression
from ...kernels.expressions.rows import ExpressionRows
from ...problem import Problem
from ...runs.destinations import Memory
from ...runs.options import RunOptions
from ...runs.pipeline import execute
from ...util.formatting import pluralize
from ...util.memory_limits import require_memory
from .measure import on_first, rank_counts

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from ...communicator import Communicator

    Array = npt.NDArray[Any]

_FACTOR = 0.1
_STATES = 6  # of which a run, and the plain line, need the memory at once
LEGEND = (
    "cells/s: updates of a cell in a second, 10⁹ of them, float64; the last step alone is kept.",
    "one process: the plain line of NumPy for the whole array, which takes new memory for each operation.",
    "efficiency: how many times the work of one rank, as a share of the ranks.",
)


def measure(communicator: Communicator, shape: Sequence[int], steps: int, rounds: int) -> dict[str, Any]:
    """Measure. Collective.

    Parameters
    ----------
    communicator : Communicator
    shape : sequence of int
        Of the grid, whose boundary is periodic.
    steps, rounds : int

    Returns
    -------
    dict, on every rank
        ``one_process`` and, for 1, 2, 4 … ranks, ``simsplit``: seconds, updates of cells a second, and how it was done.

    Raises
    ------
    InputError
        On every rank, if there is not enough memory.
    """
    cells = int(np.prod(shape, dtype=object))
    found: dict[str, Any] = {"grid": list(shape), "steps": steps, "rounds": rounds, "simsplit": []}
    with Agreement(communicator):
        if communicator.rank == 0:
            require_memory(_STATES * 8 * cells, "measuring on this rank", "Choose a smaller --grid.")
    for ranks in rank_counts(communicator):
        seconds, how = on_first(communicator, ranks, partial(_ours, shape=shape, steps=steps, rounds=rounds))
        found["simsplit"].append({"ranks": ranks, "seconds": seconds, "rate": cells * steps / seconds, "how": how})
    taken = on_first(communicator, 1, lambda _: _alone(shape, steps, rounds))
    return {**found, "one_process": {"seconds": taken, "rate": cells * steps / taken}}


def lines(found: dict[str, Any]) -> list[str]:
    """Write it for people."""
    one = found["simsplit"][0]["seconds"]
    plain = found["one_process"]
    rows = [("one process", plain["rate"], "", "", "")]
    for each in found["simsplit"]:
        ranks = each["ranks"]
        times, share = plain["seconds"] / each["seconds"], one / each["seconds"] / ranks
        rows.append(
            (f"simsplit, {pluralize(ranks, 'rank')}", each["rate"], f"{times:.2f}", f"{share:.2f}", each["how"])
        )
    head = f"{' × '.join(map(str, found['grid']))} float64, {found['steps']} steps, medians of {found['rounds']} rounds"
    table = [head, "", f"{'':22}{'10⁹ cells/s':>12}{'× plain':>9}{'efficiency':>12}"]
    table += [
        f"{name:22}{rate / 1e9:12.3f}{times:>9}{share:>12}  {how}".rstrip() for name, rate, times, share, how in rows
    ]
    return [*table, "", *LEGEND]


def _ours(communicator: Communicator, shape: Sequence[int], steps: int, rounds: int) -> tuple[float, str]:
    """Return the seconds of the steps of a run, and how they were computed. Collective."""
    initial: Any = ExpressionRows("random", tuple(shape), np.dtype(np.float64))
    seconds, how = [], ""
    for _ in range(rounds):
        kernel = expression("x + r * laplace(x)", kind="step", r=_FACTOR)
        grid = Grid(boundary="periodic")
        problem = Problem(initial, kernel, delta_t=1.0, steps=steps + 1, keep="last", grid=grid)
        result = execute(problem, communicator, RunOptions(), Memory("auto"))
        seconds.append(result.timings.steps)
        how = result.backend.rpartition("; ")[2]
    return median(seconds), how


def _alone(shape: Sequence[int], steps: int, rounds: int) -> float:
    """Return the seconds of the plain line of NumPy."""
    axes = len(shape)
    x = np.random.default_rng(0).random([n + 2 for n in shape])
    inner = (slice(1, -1),) * axes
    views = [
        x[tuple(slice(1 + by, x.shape[each] - 1 + by) if each == axis else slice(1, -1) for each in range(axes))]
        for axis in range(axes)
        for by in (-1, 1)
    ]
    seconds = []
    for _ in range(rounds):
        begun = perf_counter()
        for _ in range(steps):
            around = views[0] + views[1]
            for view in views[2:]:
                around = around + view
            x[inner] = x[inner] + _FACTOR * (around - 2 * axes * x[inner])
        seconds.append(perf_counter() - begun)
    return median(seconds)
