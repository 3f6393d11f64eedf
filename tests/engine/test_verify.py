"""Every rank recomputes its rows, and all know what was found."""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from simsplit import KernelError, Problem, Verification, kernels
from simsplit.communicator.serial import SerialCommunicator
from simsplit.engine import LocalPart, Plan
from simsplit.engine import verify as verifying
from simsplit.engine.verify import ReferenceSolution, verify_steps
from simsplit.history.gathered import GatheredHistory
from simsplit.verification import bit_mismatch, max_ulp_distance
from tests.support.arrays import NUMERIC, random_array
from tests.support.blocks import dtype_of, history_of
from tests.support.threads import on_ranks

if TYPE_CHECKING:
    import numpy.typing as npt

    from simsplit.communicator import Communicator
    from simsplit.kernels import Block

    Array = npt.NDArray[Any]

RANKS = [1, 2, 3, 4]


def rows_of(problem: Problem, lower: int, upper: int) -> LocalPart:
    """Return rows of a problem."""
    assert problem.initial is not None
    parameters = {
        name: value[lower:upper] if isinstance(value, np.ndarray) else value
        for name, value in problem.kernel.parameters.items()
    }
    return LocalPart(problem, lower, problem.initial[lower:upper], parameters)


def verified_by(communicator: Communicator, problem: Problem, history: Array) -> Verification:
    """Verify a history that root has."""
    assert problem.initial is not None
    plan = Plan(
        problem.initial.shape, problem.initial.dtype, history.dtype, problem.steps, communicator.size, tile_nbytes=64
    )
    rows = rows_of(problem, *plan.bounds[communicator.rank])
    receiver = GatheredHistory(communicator, plan, history if communicator.rank == 0 else None)
    return verify_steps(communicator, plan, rows, receiver)


def verified(problem: Problem, history: Array, ranks: int = 1) -> Verification:
    """Verify a history; all ranks must find the same."""
    if ranks == 1:
        return verified_by(SerialCommunicator(), problem, history)
    first, *others = on_ranks(ranks, lambda rank: verified_by(rank, problem, history))
    assert all(other == first for other in others), others
    assert isinstance(first, Verification), first
    return first


@pytest.mark.parametrize("ranks", RANKS)
@pytest.mark.parametrize("dtype", NUMERIC)
def test_a_history_of_one_process_is_identical(dtype: str, ranks: int) -> None:
    problem = Problem(random_array(dtype, 23, 5), kernels.affine(), delta_t=0.1, steps=4)
    assert verified(problem, history_of(problem), ranks) == Verification(4, 92, 0, 0, None, 0.0)


@pytest.mark.parametrize("ranks", RANKS)
@pytest.mark.parametrize("block_rows", [1, 24, 100, 10**6])
def test_all_differences_are_counted_and_the_first_is_named(
    monkeypatch: pytest.MonkeyPatch, block_rows: int, ranks: int
) -> None:
    monkeypatch.setattr(verifying, "AT_ONCE", block_rows)
    problem = Problem(np.arange(30.0).reshape(10, 3), kernels.affine(), delta_t=0.5, steps=6)
    history = history_of(problem)
    history[2, 7, 1] += 1
    history[2, 9, 0] = np.nan
    history[5, 0, 0] = -history[5, 0, 0]
    found = verified(problem, history, ranks)
    assert found == Verification(6, 180, 2, 3, (2, 7), inf)
    assert str(found) == "DIFFERENT: 3 of 180 values in 2 of 6 steps, first at step 2, row 7"


@pytest.mark.parametrize("ranks", RANKS)
def test_the_greatest_distance_of_all_ranks_is_told(monkeypatch: pytest.MonkeyPatch, ranks: int) -> None:
    monkeypatch.setattr(verifying, "AT_ONCE", 16)
    problem = Problem(np.arange(1.0, 12.0), kernels.affine(), delta_t=0.5, steps=3)
    history = history_of(problem)
    expected = history.copy()
    history[1, 10] = np.nextafter(history[1, 10], inf)
    history[2, 1] *= 1 + 1e-13
    history[2, 5] = -history[2, 5]
    history[2, 5] *= -1  # and back
    found = verified(problem, history, ranks)
    assert found == Verification(3, 33, 2, 2, (1, 10), max_ulp_distance(expected, history))
    assert 100 < found.ulp < 1000
    assert str(found).endswith(f"first at step 1, row 10, at most {found.ulp:.0f} ulp apart")


@pytest.mark.parametrize("block_rows", [1, 24, 10**6])
@pytest.mark.parametrize("rows", [2, 3, 4])
def test_rows_of_which_each_rank_has_one_are_recomputed_together(
    monkeypatch: pytest.MonkeyPatch, rows: int, block_rows: int
) -> None:
    monkeypatch.setattr(verifying, "AT_ONCE", block_rows)
    lengths = []

    class Noting(kernels.Affine):
        def reference(self, x: Array, block: Block, dtype: np.dtype[Any]) -> Array:
            lengths.append(len(x))
            return super().reference(x, block, dtype)

    rate = np.arange(4.0, 4.0 + rows)
    problem = Problem(np.arange(1.0, 1.0 + rows), Noting(offset=rate, multiplier=2.0), delta_t=0.5, steps=2)
    history = history_of(problem)
    lengths.clear()
    assert verified(problem, history, 4) == Verification(2, 2 * rows, 0, 0, None, 0.0)
    assert max(lengths) > 1
    assert sum(lengths) == 2 * rows
    history[1, rows - 1] += 1
    assert verified(problem, history, 4).first == (1, rows - 1)


@pytest.mark.parametrize("ranks", [1, 3])
def test_the_initial_array_may_have_any_byte_order_and_layout(ranks: int) -> None:
    plain = np.arange(24.0).reshape(6, 4)
    expected = history_of(Problem(plain, kernels.affine(), delta_t=0.5, steps=3))
    for initial in (plain.astype(">f8"), np.asfortranarray(plain), np.repeat(plain, 2, axis=0)[::2]):
        problem = Problem(initial, kernels.affine(), delta_t=0.5, steps=3)
        assert verified(problem, expected, ranks).identical


@pytest.mark.parametrize("ranks", [1, 3])
@pytest.mark.parametrize("kernel", [kernels.affine(), kernels.logistic()], ids=lambda kernel: kernel.name)
@pytest.mark.parametrize(("shape", "steps"), [((0,), 3), ((0, 2), 3), ((4, 0), 3), ((4,), 0)])
def test_where_there_is_nothing_to_compare_nothing_differs(
    shape: tuple[int, ...], steps: int, kernel: kernels.Kernel, ranks: int
) -> None:
    problem = Problem(np.zeros(shape), kernel, delta_t=0.5, steps=steps)
    found = verified(problem, np.zeros((steps, *shape)), ranks)
    assert found == Verification(steps, 0, 0, 0, None, 0.0)


def test_warnings_of_the_kernel_are_off() -> None:
    problem = Problem(np.array([1e308, np.inf]), kernels.affine(multiplier=1e10), delta_t=1.0, steps=2)
    assert verified(problem, history_of(problem)).identical


def test_a_history_of_another_dtype_differs_everywhere() -> None:
    problem = Problem(np.arange(5.0), WrongReference(), delta_t=1.0, steps=2)
    found = verified(problem, np.zeros((2, 5)))
    assert found == Verification(2, 10, 2, 10, (0, 0), inf)


class WrongReference(kernels.Affine):
    """Has another dtype when it is computed the plain way."""

    def __init__(self) -> None:
        super().__init__(offset=0.0, multiplier=0.0)

    def reference(self, x: Array, block: Block, dtype: np.dtype[Any]) -> Array:
        return super().reference(x, block, dtype).astype(np.float32)


STEP_KERNELS = {
    "logistic": (kernels.logistic(rate=np.linspace(0.1, 2.0, 11), capacity=3), (11,)),
    "sir": (kernels.sir(beta=np.linspace(0.1, 2.0, 11)), (11, 3)),
    "gbm": (kernels.gbm(mu=0.1), (11, 2)),
}


@pytest.mark.parametrize("ranks", RANKS)
@pytest.mark.parametrize("block_rows", [1, 60, 10**6])
@pytest.mark.parametrize("name", STEP_KERNELS)
def test_step_kernels_are_computed_from_the_start_for_any_run_of_rows(
    monkeypatch: pytest.MonkeyPatch, name: str, block_rows: int, ranks: int
) -> None:
    monkeypatch.setattr(verifying, "AT_ONCE", block_rows)
    kernel, shape = STEP_KERNELS[name]
    initial = np.random.default_rng(3).uniform(1.0, 2.0, shape)
    problem = Problem(initial, kernel, delta_t=0.25, steps=7, start_time=1.5, seed=9)
    history = history_of(problem)
    assert verified(problem, history, ranks) == Verification(7, 7 * initial.size, 0, 0, None, 0.0)
    history[4, 8] = np.nextafter(history[4, 8], 0)
    found = verified(problem, history, ranks)
    assert found == Verification(7, 7 * initial.size, 1, initial[0].size, (4, 8), 1.0)


def test_a_trajectory_can_leave_out_steps() -> None:
    kernel, shape = STEP_KERNELS["gbm"]
    problem = Problem(np.ones(shape), kernel, delta_t=0.25, steps=9, seed=4)
    history = history_of(problem)
    trajectory = ReferenceSolution(rows_of(problem, 0, 11), 3, 8, dtype_of(problem))
    for k in (0, 1, 4, 4, 8):
        assert not bit_mismatch(history[k, 3:8], trajectory.at(k)).any()


@pytest.mark.parametrize("ranks", RANKS)
def test_a_kernel_that_fails_when_it_is_verified_is_named_on_all_ranks(ranks: int) -> None:
    class Failing(kernels.Kernel):
        def evaluate(self, x: Array, block: Block, out: Array) -> None:
            if block.k == 2 and 9.0 in x:
                raise LookupError("not again")
            out[...] = x

    problem = Problem(np.arange(10.0), Failing(), delta_t=1.0, steps=4)
    history = np.tile(np.arange(10.0), (4, 1))
    errors = on_ranks(ranks, lambda rank: verified_by(rank, problem, history))
    assert [type(error) for error in errors] == [KernelError] * ranks
    assert len({str(error) for error in errors}) == 1
    text, last = str(errors[0]), ranks - 1
    assert text.startswith(f"the kernel Failing failed on rank {last} of {ranks} (host ")
    assert " when verifying step 2, row" in text
    assert "LookupError: not again" in text
