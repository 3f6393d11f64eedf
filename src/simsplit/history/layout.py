"""The layout of a history in a file: shape, dtype, times, names and labels."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Any

from ..problem import axis_names, times_of

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from ..engine import Plan
    from ..problem import Problem

STEP_TIME = "step_time"  # of reductions, where the history does not keep every step


@dataclass(frozen=True, slots=True)
class HistoryLayout:
    """What a history looks like.

    Attributes
    ----------
    shape : tuple of int
        ``(steps, n, ...)``.
    dtype : numpy.dtype
    times : ndarray, shape (steps,)
        The time of each step.
    labels : dict of str to str
        What is said about it: the kernel, units.
    grid : (float, float, int) or None
        Start time, time step and number of all steps, where not all are kept.
    axes : int
        Of the grid that the values lie on; 1 for rows alone.
    reduced_axes : int
        How many of them reductions go over.
    """

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    times: npt.NDArray[np.float64]
    labels: dict[str, str]
    grid: tuple[float, float, int] | None = None
    axes: int = 1
    reduced_axes: int = 1

    @property
    def row_nbytes(self) -> int:
        """Bytes of a row of a step."""
        return prod(self.shape[2:]) * self.dtype.itemsize

    @property
    def step_nbytes(self) -> int:
        """Bytes of a step."""
        return self.shape[1] * self.row_nbytes

    @property
    def nbytes(self) -> int:
        """Bytes of the history."""
        return self.shape[0] * self.step_nbytes

    @property
    def reduced_dimensions(self) -> tuple[str, ...]:
        """The name of each axis of a reduction, which has a value for every step."""
        time = "time" if self.grid is None else STEP_TIME
        return (time, *self.dimensions[1 + self.reduced_axes :])

    @property
    def step_times(self) -> npt.NDArray[np.float64]:
        """The time of each step, kept or not."""
        return self.times if self.grid is None else times_of(*self.grid[:2], range(self.grid[2]))

    @property
    def dimensions(self) -> tuple[str, ...]:
        """The name of each axis."""
        rest = len(self.shape) - 1 - self.axes
        names = ("component",) if rest == 1 else tuple(f"component_{number}" for number in range(rest))
        cells = axis_names(self.axes)
        return ("time", *cells, *names)


def layout_of(problem: Problem, plan: Plan, units: dict[str, str] | None = None) -> HistoryLayout:
    """Return what the history looks like."""
    start_time, delta_t, kept = problem.start_time, problem.delta_t, plan.kept
    kernel = problem.kernel
    labels = {"kernel": kernel.name, "formula": kernel.formula, **(units or {})}
    grid = None if kept == range(plan.steps) else (start_time, delta_t, plan.steps)
    layout = problem.layout(plan.shape)
    return HistoryLayout(
        plan.history_shape,
        plan.history_dtype,
        times_of(start_time, delta_t, kept),
        labels,
        grid,
        1 if layout is None else len(layout.shape),
        plan.reduced_axes,
    )
