"""A grid's history is verified by induction, or from the start; what is wrong in it is found."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from simsplit import Grid, Problem, Verification, kernels
from simsplit.engine import LocalPart, Plan
from simsplit.engine.verify import verify_steps
from simsplit.history.gathered import GatheredHistory
from tests.support.grids import on_threads
from tests.support.threads import on_ranks

X0 = np.random.default_rng(1).random((23, 3))


def problem_of(keep: str = "all", boundary: Any = "periodic", reduce: str = "", **parameters: Any) -> Problem:
    """Return a small problem."""
    text = "x + 0.1 * laplace(x)" + "".join(f" + {name}" for name in parameters)
    kernel = kernels.expression(text, kind="step", **parameters)
    return Problem(X0, kernel, delta_t=0.1, steps=9, keep=keep, reduce=reduce, grid=Grid(boundary=boundary))


def verified(problem: Problem, history: Any, ranks: int) -> Verification:
    """Verify a history that root has."""

    def check(world: Any) -> Verification:
        plan = Plan(X0.shape, X0.dtype, X0.dtype, problem.steps, world.size, keep=problem.keep, reach=((1, 1), (1, 1)))
        lower, upper = plan.bounds[world.rank]
        arrays = {n: v[lower:upper] if isinstance(v, np.ndarray) else v for n, v in problem.kernel.parameters.items()}
        rows = LocalPart(problem, lower, X0[lower:upper], arrays, problem.layout(X0.shape))
        return verify_steps(world, plan, rows, GatheredHistory(world, plan, history if world.rank == 0 else None))

    first, *others = on_ranks(ranks, check)
    if isinstance(first, BaseException):
        raise first
    assert all(other == first for other in others)
    found: Verification = first
    return found


@pytest.mark.parametrize("ranks", [1, 2, 5, 30])
@pytest.mark.parametrize("keep", ["all", "last", "every:2", "every:4", "last:3"])
@pytest.mark.parametrize("boundary", ["periodic", "no-flux", "anti-periodic", ["0.5 * inner", "fixed 1"]])
def test_a_right_history_is_found_right_and_a_wrong_bit_is_found(boundary: Any, keep: str, ranks: int) -> None:
    problem = problem_of(keep, boundary)
    result = on_threads(problem, 3, depth=2)
    assert result.history is not None
    assert verified(problem, result.history, ranks).identical
    history = result.history.copy()
    history[-1, 17, 2] = np.nextafter(history[-1, 17, 2], 9)
    found = verified(problem, history, ranks)
    assert (found.different_values, found.first, found.ulp) == (1, (problem.kept[-1], 17), 1.0)


def test_a_wrong_step_in_the_middle_is_told_with_what_follows_from_it() -> None:
    problem = problem_of()
    history = on_threads(problem, 1).history
    assert history is not None
    history = history.copy()
    history[4, 10, 1] += 1
    found = verified(problem, history, 3)
    assert found.first == (4, 10)
    assert found.different_values == 1 + 5  # and what the next step should have been: a cell and four around it
    assert found.different_steps == 2


@pytest.mark.parametrize("ranks", [1, 3, 5])
def test_reductions_and_parameters_by_row_are_verified(ranks: int) -> None:
    d = np.random.default_rng(2).random(23)
    for keep in ("all", "last"):
        result = on_threads(problem_of(keep, reduce="mean,std,max", d=d), ranks, depth=2, verify=True)
        assert result.verification is not None
        assert result.verification.identical
        assert result.verification.reduced == 9 * 3 * 3


def test_a_map_kernel_is_verified() -> None:
    kernel = kernels.expression("laplace(x) * t")
    for keep in ("all", "every:3"):
        problem = Problem(X0, kernel, delta_t=0.1, steps=7, keep=keep, reduce="sum", grid=Grid(boundary="t"))
        result = on_threads(problem, 4, verify=True)
        assert result.verification is not None
        assert result.verification.identical
