"""The first rows of an array with the cells around them, to find out what a kernel gives."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import InputError
from ..kernels.base import Block, Kernel, around_cells, read_only
from .ghosts import Ghosts, negate

if TYPE_CHECKING:
    import numpy.typing as npt

    from ..kernels.cells import Reach
    from .grid import Layout

    Array = npt.NDArray[Any]


def padded(values: Array, layout: Layout, reach: Reach, numbers: dict[str, Any], at: tuple[int, float, float]) -> Array:
    """Return the values of all cells of a grid with their ghosts.

    Parameters
    ----------
    values : ndarray, shape (n, ...)
        Of the shape of the grid.
    layout : Layout
    reach : tuple of (int, int)
        How many ghosts there are on both sides, along each axis.
    numbers : dict of str to number
        Parameters that boundaries may use.
    at : tuple of (int, float, float)
        The step, its time, and the time between steps.

    Returns
    -------
    ndarray, shape (lo + n + hi, ...)
    """
    k, t, delta_t = at
    (low, high), n = reach[0], len(values)
    ghosts = Ghosts(layout, reach, numbers, delta_t)
    whole = np.zeros((low + n + high, *ghosts.padded_row(values.shape[1:])), values.dtype)
    ghosts.inner(whole)[low : low + n] = values
    ghosts.fill_columns(whole[low : low + n], 0, k, t)
    if layout.is_cyclic(0):
        for place in (*range(low), *range(low + n, low + n + high)):
            rounds, row = divmod(place - low, n)
            whole[place] = whole[low + row]
            if rounds % 2 and layout.sides[0][0].kind == "anti-periodic":
                negate(whole[place : place + 1])
                ghosts.fill_columns(whole[place : place + 1], row, k, t)
        return whole
    if low:
        ghosts.fill_rows(0, whole[:low][::-1], whole[low : 2 * low + 1], k, t)
    if high:
        inner = whole[max(0, low + n - high - 1) : low + n][::-1]
        ghosts.fill_rows(1, whole[low + n :], inner, k, t)
    return whole


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
    at = (0, time, delta_t)
    if not reach:
        return read_only(rows), block
    try:
        return read_only(padded(rows, few, reach, numbers, at)), block
    except InputError:
        if kernel.kind == "map" or rows.dtype.kind not in "biu":
            raise
        x = padded(rows.astype(np.float64), few, reach, numbers, at)
        if np.result_type(rows.dtype, kernel.result_dtype(np.zeros(x.shape, rows.dtype), block)).kind not in "fc":
            raise
        return read_only(x), block  # the state is one of floats
