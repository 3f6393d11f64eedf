"""Tiles and blocks of any size give the same history, on any number of ranks."""

from __future__ import annotations

import numpy as np
import pytest

from simsplit import Problem, kernels
from simsplit.communicator import connect
from simsplit.engine import Plan, Timings, run_steps, scatter
from simsplit.store.memory import GatheredHistory
from simsplit.verification import different

pytestmark = pytest.mark.mpi


@pytest.mark.parametrize("steps", [1, 4, 9])
@pytest.mark.parametrize("block", [1, 40, 2**18])
@pytest.mark.parametrize("tile", [1, 72, 200, 2**24])
@pytest.mark.parametrize("shape", [(1,), (3,), (23,), (7, 3)])
def test_the_history_does_not_depend_on_tiles_and_blocks(
    shape: tuple[int, ...], tile: int, block: int, steps: int
) -> None:
    world = connect()
    initial = np.random.default_rng(5).normal(size=shape)
    problem = Problem(initial, kernels.affine(offset=0.1, multiplier=-1.7), delta_t=0.3, steps=steps, start_time=2.2)
    plan = Plan(shape, initial.dtype, initial.dtype, steps, world.size, tile_nbytes=tile)
    receiver = GatheredHistory(world, plan)
    part = scatter(world, plan, initial, contiguous=True)
    run_steps(world, plan, problem, part, receiver, Timings(), block=block)
    assert (receiver.history is None) == (world.rank > 0)
    if receiver.history is not None:
        expected = np.stack([(0.1 + initial * -1.7) * (2.2 + k * 0.3) for k in range(steps)])
        assert not different(expected, receiver.history).any()
