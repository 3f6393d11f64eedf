"""What a kernel is told, and the history of a problem as one would write it down, with nothing of the engine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from simsplit.kernels import Block

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy.typing as npt

    from simsplit import Problem

    Array = npt.NDArray[Any]


def block_of(
    length: int,
    parameters: Mapping[str, Any] | None = None,
    *,
    k: int = 0,
    t: float = 0.0,
    delta_t: float = 1.0,
    first: int = 0,
    seed: int = 0,
) -> Block:
    """Return a block of some rows."""
    return Block(k, t, delta_t, (first, first + length), {} if parameters is None else parameters, seed)


def plain(array: Array) -> Array:
    """Return an array in C order and in the machine's byte order."""
    return array.astype(array.dtype.newbyteorder("="), order="C")


def whole_block(problem: Problem, k: int, rows: slice = slice(None)) -> Block:
    """Return the block of all rows, or of the first ones, at step `k`."""
    initial = problem.initial
    assert initial is not None
    parameters = {
        name: plain(value).reshape(len(value), *(1,) * (initial.ndim - value.ndim), *value.shape[1:])[rows]
        if isinstance(value, np.ndarray)
        else value
        for name, value in problem.kernel.parameters.items()
    }
    for value in parameters.values():
        if isinstance(value, np.ndarray):
            value.flags.writeable = False
    time = problem.start_time + k * problem.delta_t
    return Block(k, time, problem.delta_t, rows.indices(len(initial))[:2], parameters, problem.seed)


def dtype_of(problem: Problem) -> np.dtype[Any]:
    """Return the dtype of the history."""
    assert problem.initial is not None
    x = plain(problem.initial)
    x = x[:1] if len(x) else np.zeros((1, *x.shape[1:]), x.dtype)  # of an empty array no parameter may differ by row
    with np.errstate(all="ignore"):
        return problem.kernel.result_dtype(x, whole_block(problem, 0, slice(0, 1)))


def history_of(problem: Problem) -> Array:
    """Return the history, computed step by step on the whole array."""
    assert problem.initial is not None
    x = plain(problem.initial)
    if len(x) == 0:
        return np.zeros((problem.steps, *x.shape))
    dtype = dtype_of(problem)
    steps: list[Array] = []
    with np.errstate(all="ignore"):
        for k in range(problem.steps):
            if problem.kernel.kind == "map":
                steps.append(problem.kernel.reference(x, whole_block(problem, k), dtype))
            elif k == 0:
                steps.append(x.astype(dtype))
            else:
                steps.append(problem.kernel.reference(steps[-1], whole_block(problem, k - 1), dtype))
    return np.array(steps, dtype).reshape(problem.steps, *x.shape)
