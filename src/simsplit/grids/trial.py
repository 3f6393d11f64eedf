"""The first rows of an array with the cells around them, to find out what a kernel gives."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import InputError
from ..kernels.base import Block, Kernel, around_cells, read_only
from .ghosts import Ghosts

if TYPE_CHECKING:
    import numpy.typing as npt

    from ..kernels.cells import Reach
    from .grid import Layout

    Array = npt.NDArray[Any]


def padded_trial(
    kernel: Kernel, initial: Any, layout: Layout, reach: Reach, time: float, delta_t: float, seed: int
) -> tuple[Array, Block]:
    """Return some rows with the cells around them, as if they were all, and the block of these rows.

    Parameters
    ----------
    kernel : Kernel
    initial : ndarray or RowSource
        If it has fewer rows than are needed, they are repeated.
    layout : Layout
    reach : tuple of (int, int)
    time, delta_t : float
    seed : int
    """
    count = 2 * max(reach[0]) + 2 if reach else 2
    if layout.shape[0]:
        count = min(count, layout.shape[0])
    rows = np.asarray(initial[:count])
    if len(rows) < count:
        rows = (
            np.zeros((count, *rows.shape[1:]), rows.dtype)
            if not len(rows)
            else np.resize(rows, (count, *rows.shape[1:]))
        )
    rows = np.ascontiguousarray(rows, rows.dtype.newbyteorder("="))
    few = layout.replace(shape=(count, *layout.shape[1:]))
    parameters: dict[str, Any] = {}
    around: dict[str, Array] = {}
    low, high = reach[0] if reach else (0, 0)
    cells = np.clip(np.arange(-low, count + high), 0, count - 1)
    for name, value in kernel.parameters.items():
        parameters[name] = value
        if isinstance(value, np.ndarray):
            first = np.resize(value, (count, *value.shape[1:])) if len(value) < count else value[:count]
            parameters[name] = read_only(around_cells(first, rows.ndim, (), few.cyclic))
            around[name] = read_only(around_cells(first, rows.ndim, reach, few.cyclic)[cells])
    block = Block(0, time, delta_t, (0, count), parameters, seed, grid=few, reach=reach, around=around)
    numbers = {name: value for name, value in parameters.items() if not isinstance(value, np.ndarray)}
    ghosts = Ghosts(few, reach, numbers, delta_t)
    if not reach:
        return read_only(rows), block
    try:
        return read_only(ghosts.pad(rows, 0, low, high, 0, time)), block
    except InputError:
        if kernel.kind == "map" or rows.dtype.kind not in "biu":
            raise
        x = ghosts.pad(rows.astype(np.float64), 0, low, high, 0, time)
        if np.result_type(rows.dtype, kernel.result_dtype(np.zeros(x.shape, rows.dtype), block)).kind not in "fc":
            raise
        return read_only(x), block  # the state is one of floats
