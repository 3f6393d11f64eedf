"""Estimate the run time by trying the kernel on a few rows and steps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ...communicator import connect
from ...grids.grid import Grid
from ...problem import Problem
from ...problem_file import build as problems
from ...runs.destinations import Memory
from ...runs.options import RunOptions
from ...runs.pipeline import execute
from ...util.formatting import stdout_held

if TYPE_CHECKING:
    from ...problem_file.settings import Settings
    from ...runs.planning import ResourceEstimate

_LONG_ENOUGH = 0.05  # seconds
_MOST_NBYTES = 64 * 2**20  # of the results of a trial
_STEPS = 4
_DELIVERY_RATE = 500 * 10**6  # bytes of history a second, over a network of 10 Gbit/s or to a file system


def seconds(settings: Settings, found: ResourceEstimate) -> float:
    """Return about how many seconds the run of a plan takes.

    The kernel is called here on copies of the first row, more of them each time until it takes long enough
    to be measured; the time for the longest part and all steps follows by proportion. Delivering the history is
    added at a modest rate.

    Raises
    ------
    SimsplitError
        If the kernel fails.
    """
    plan = found.plan
    work = plan.longest * plan.steps
    if not work:
        return 0.0
    steps = min(_STEPS, plan.steps)
    most = max(1, min(plan.longest, _MOST_NBYTES // max(1, steps * plan.history_row_nbytes)))
    rows = min(64, most)
    while True:
        taken = _try(settings, found, rows, steps)
        if taken >= _LONG_ENOUGH or rows == most:
            return taken * work / (rows * steps) + plan.history_nbytes / _DELIVERY_RATE
        rows = min(8 * rows, most)


def _try(settings: Settings, found: ResourceEstimate, rows: int, steps: int) -> float:
    """Return how many seconds the kernel takes for some rows and steps."""
    first = found.problem
    parameters = {
        name: _repeated(first.kernel.parameters[name], rows) if isinstance(value, (list, str)) else value
        for name, value in settings.parameters.items()
    }
    kernel = problems.kernel(settings.replace(parameters=parameters), root=True)
    grid = first.grid
    if (layout := first.layout(found.plan.shape)) is not None and grid is not None:
        shape = (rows, *layout.shape[1:])
        grid = Grid(shape, spacing=layout.spacing, origin=layout.origin, boundary=grid.boundary)
    initial = problems.initial(settings) if first.initial is None else first.initial
    problem = Problem(
        _repeated(initial[:1], rows),
        kernel,
        delta_t=first.delta_t,
        steps=steps,
        start_time=first.start_time,
        grid=grid,
    )
    alone = Memory("gatherv")
    with stdout_held():  # what the kernel prints belongs in no script
        return execute(problem, connect(serial=True), RunOptions(check_rows=False), alone).timings.compute


def _repeated(value: Any, rows: int) -> Any:
    return np.repeat(np.asarray(value)[:1], rows, axis=0)
