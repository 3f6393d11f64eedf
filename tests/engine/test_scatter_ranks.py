"""Each rank gets just its rows, however root's array lies in memory."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from simsplit.communicator import connect
from simsplit.engine import Plan, scatter

pytestmark = pytest.mark.mpi

LAYOUTS = {
    "C order": lambda a: a,
    "Fortran order": np.asfortranarray,
    "every second row": lambda a: np.repeat(a, 2, axis=0)[::2],
    "backwards": lambda a: a[::-1].copy()[::-1],
    "big-endian": lambda a: a.astype(a.dtype.newbyteorder(">")),
    "read-only": lambda a: np.frombuffer(a.tobytes(), a.dtype).reshape(a.shape),
    "one value": lambda a: np.broadcast_to(a[:1], a.shape) if len(a) else a,
}


@pytest.mark.parametrize("staging", [1, 100, 2**20])
@pytest.mark.parametrize("shape", [(0,), (1,), (3,), (11,), (5, 3), (6, 2, 2), (4, 0), (0, 3)])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_each_rank_gets_its_rows(layout: str, shape: tuple[int, ...], staging: int) -> None:
    world = connect()
    whole: np.ndarray[Any, Any] = LAYOUTS[layout](np.arange(float(np.prod(shape))).reshape(shape))
    plan = Plan(whole.shape, whole.dtype, np.dtype(float), 1, world.size)
    part = scatter(world, plan, whole if world.rank == 0 else None, staging=staging)
    lower, upper = plan.bounds[world.rank]
    assert part.dtype == whole.dtype
    assert part.dtype.byteorder == whole.dtype.byteorder
    assert np.array_equal(part, whole[lower:upper])
    if world.rank == 0 and part.size:
        assert np.shares_memory(part, whole)


def test_several_arrays_are_scattered_at_once() -> None:
    world = connect()
    first, second = np.arange(22.0).reshape(11, 2), np.arange(11, dtype=">i2")
    plan = Plan(first.shape, first.dtype, np.dtype(float), 1, world.size)
    lower, upper = plan.bounds[world.rank]
    parts = [
        scatter(world, plan.of(array.shape, array.dtype), array if world.rank == 0 else None)
        for array in (first, second, np.asfortranarray(first))
    ]
    for part, array in zip(parts, (first, second, first), strict=True):
        assert part.dtype == array.dtype
        assert np.array_equal(part, array[lower:upper])
