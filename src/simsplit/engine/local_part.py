"""The rows of this rank: its part of the initial array and of the parameters."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..kernels import Block
from ..kernels.base import broadcast_parameter, read_only

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import numpy.typing as npt

    from ..grids.grid import Layout
    from ..problem import Problem

    Array = npt.NDArray[Any]


class LocalPart:
    """The rows of this rank: its part of the initial array and of the parameters.

    Parameters
    ----------
    problem : Problem
        Kernel, time grid and seed; its array is not looked at.
    first : int
        The number of the first row in the whole array.
    part : ndarray, shape (m, ...)
        Rows of the initial array, of any byte order and layout.
    parameters : mapping of str to number or ndarray of shape (m, ...)

    Attributes
    ----------
    advance : callable
        What computes the steps: `Kernel.advance`, or what does the same.
    layout : Layout or None
        The grid, if there is one.
    """

    def __init__(
        self,
        problem: Problem,
        first: int,
        part: Array,
        parameters: Mapping[str, Any],
        layout: Layout | None = None,
    ) -> None:
        self.problem = problem
        self.layout = layout
        self.advance: Callable[..., None] = problem.kernel.advance
        self.first = first
        self.part = part.view()
        self.part.flags.writeable = False  # on root it is the user's own array
        self.numbers = {name: value for name, value in parameters.items() if not isinstance(value, np.ndarray)}
        self.arrays = {name: value for name, value in parameters.items() if isinstance(value, np.ndarray)}

    def initial(self, lower: int, upper: int) -> Array:
        """Return rows of the initial array, C-contiguous, in the machine's byte order, and read-only."""
        rows = self.part[lower - self.first : upper - self.first]
        return read_only(np.ascontiguousarray(rows, rows.dtype.newbyteorder("=")))

    def parameters(self, lower: int, upper: int) -> Mapping[str, Any]:
        """Return the parameters for some rows, of shapes that broadcast with them; arrays as `initial` gives them."""
        if not self.arrays:
            return self.numbers
        own = slice(lower - self.first, upper - self.first)
        return {
            **self.numbers,
            **{name: broadcast_parameter(self.part, value[own]) for name, value in self.arrays.items()},
        }

    def block(self, k: int, lower: int, upper: int, parameters: Mapping[str, Any]) -> Block:
        """Return what the kernel is told of some rows and a step."""
        problem = self.problem
        return Block(k, problem.time(k), problem.delta_t, (lower, upper), parameters, problem.seed, grid=self.layout)
