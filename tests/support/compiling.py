"""The history of a problem as compiled code gives it, with nothing of the engine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

pytest.importorskip("llvmlite")

from simsplit.backends.llvm import CompiledKernel, assembly, traced
from simsplit.backends.llvm import object_code as machine_code

from .blocks import dtype_of, plain, whole_block

if TYPE_CHECKING:
    import numpy.typing as npt

    from simsplit import Problem
    from simsplit.backends.llvm.loop_spec import LoopSpec

    Array = npt.NDArray[Any]


def loop_of(problem: Problem) -> LoopSpec:
    """Return what is to be compiled for a problem."""
    assert problem.initial is not None
    dtype = dtype_of(problem)
    row = plain(problem.initial[:1]).astype(dtype if problem.kernel.kind == "step" else problem.initial.dtype)
    return traced(problem.kernel, plain(row), whole_block(problem, 0, slice(0, 1)), dtype)


def compiled(problem: Problem) -> CompiledKernel:
    """Return the kernel of a problem as machine code."""
    loop = loop_of(problem)
    return CompiledKernel(problem.kernel, loop, machine_code.compiled(assembly(loop)))


def compiled_history(problem: Problem, *, stream: bool, offset: int = 0) -> Array:
    """Return the history, computed by compiled code in one call, `offset` values after a cache line begins."""
    assert problem.initial is not None
    dtype = dtype_of(problem)
    code, x, shape = compiled(problem), plain(problem.initial), (problem.steps, *problem.initial.shape)
    out = aligned(shape, dtype, offset)
    times = [problem.time(k) for k in range(problem.steps)]
    block = whole_block(problem, 0)
    with np.errstate(all="ignore"):
        if problem.kernel.kind == "map":
            code.advance(x, block, range(problem.steps), times, out, stream=stream)
        else:
            out[0] = x
            code.advance(out[0], block, range(problem.steps - 1), times[:-1], out[1:], stream=stream)
    return out


def aligned(shape: tuple[int, ...], dtype: np.dtype[Any], offset: int) -> Array:
    """Return memory full of rubbish, so many values after a cache line begins."""
    nbytes = int(np.prod(shape)) * dtype.itemsize
    memory = np.full(nbytes + 64 + offset * dtype.itemsize, 0xA5, np.uint8)
    start = -memory.ctypes.data % 64 + offset * dtype.itemsize
    return memory[start : start + nbytes].view(dtype).reshape(shape)
