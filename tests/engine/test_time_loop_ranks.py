"""Tiles and blocks of any size give the same history, on any number of ranks."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from simsplit import KernelError, Problem, kernels, run
from simsplit.communicator import connect
from simsplit.engine import LocalPart, Plan, Timings, run_steps, scatter
from simsplit.history.gathered import GatheredHistory
from simsplit.verification import bit_mismatch
from tests.support.blocks import history_of

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
    rows = LocalPart(problem, plan.bounds[world.rank][0], scatter(world, plan, initial), problem.kernel.parameters)
    run_steps(world, plan, rows, receiver, Timings(), block=block)
    assert (receiver.history is None) == (world.rank > 0)
    if receiver.history is not None:
        expected = np.stack([(0.1 + initial * -1.7) * (2.2 + k * 0.3) for k in range(steps)])
        assert not bit_mismatch(expected, receiver.history).any()


class Mixes(kernels.Kernel):
    """A step that depends on all that a block tells."""

    kind = "step"

    def evaluate(self, x: Any, block: kernels.Block, out: Any) -> None:
        """Make a step."""
        row = block.row.reshape(-1, *[1] * (x.ndim - 1))
        np.multiply(x, block["rate"], out=out)
        out += np.cos(row + block.k) * block.t
        out += block.random.normal(*x.shape[1:])


@pytest.mark.parametrize("keep", ["last", "every:2", "every:5"])
@pytest.mark.parametrize("kind", ["map", "step"])
@pytest.mark.parametrize("shape", [(0,), (1,), (23,), (7, 3), (4, 0)])
def test_the_history_holds_what_is_to_be_kept(shape: tuple[int, ...], kind: Any, keep: str) -> None:
    kernel = Mixes(rate=0.9)
    kernel.kind = kind
    problem = Problem(np.ones(shape), kernel, delta_t=0.3, steps=13, start_time=2.2, seed=4, keep=keep)
    result = run(problem, serial=connect().size == 1, verify=True)
    assert str(result.verification).startswith("identical")
    assert result.times.tolist() == [2.2 + k * 0.3 for k in problem.kept]
    if result.history is not None:
        expected = history_of(problem)[problem.kept.start :: problem.kept.step]
        assert not bit_mismatch(expected, result.history).any()


@pytest.mark.parametrize("steps", [1, 4, 9])
@pytest.mark.parametrize("block", [1, 40, 2**18])
@pytest.mark.parametrize("tile", [1, 200, 2**24])
@pytest.mark.parametrize(
    ("shape", "parameter"), [((1,), (1,)), ((23,), (23,)), ((7, 3), (7,)), ((7, 3), (7, 1)), ((7, 3), (7, 3))]
)
def test_the_history_of_a_step_kernel_does_not_depend_on_tiles_and_blocks(
    shape: tuple[int, ...], parameter: tuple[int, ...], tile: int, block: int, steps: int
) -> None:
    world = connect()
    rng = np.random.default_rng(5)
    initial, rate = rng.normal(size=shape), np.asfortranarray(rng.normal(size=parameter).astype(">f8"))
    problem = Problem(initial, Mixes(rate=rate), delta_t=0.3, steps=steps, start_time=2.2, seed=4)
    plan = Plan(shape, initial.dtype, initial.dtype, steps, world.size, tile_nbytes=tile)
    receiver = GatheredHistory(world, plan)
    part = scatter(world, plan, initial)
    own = scatter(world, plan.of(parameter, rate.dtype), rate)
    rows = LocalPart(problem, plan.bounds[world.rank][0], part, {"rate": own})
    run_steps(world, plan, rows, receiver, Timings(), block=block)
    assert (receiver.history is None) == (world.rank > 0)
    if receiver.history is not None:
        assert not bit_mismatch(history_of(problem), receiver.history).any()


@pytest.mark.parametrize("kind", ["map", "step"])
def test_not_a_number_on_the_last_rank_is_an_error_on_all(kind: Any) -> None:
    world = connect()
    kernel = kernels.function(lambda x, k: np.where((x == 22) & (k == 3), np.nan, x), kind=kind, name="spoils")
    problem = Problem(np.arange(23.0), kernel, delta_t=0.5, steps=9, nan="error")
    with pytest.raises(KernelError) as caught:
        run(problem, serial=world.size == 1)
    assert f"the kernel spoils failed on rank {world.size - 1} of {world.size}" in str(caught.value)
    at = "step 3, t = 1.5" if kind == "map" else "step 4, t = 2.0 (from step 3, t = 1.5)"
    assert f"at {at}, rows " in str(caught.value)
    assert "–22:" in str(caught.value)
    assert "1 of these rows are not a number, the first is row 22" in str(caught.value)
