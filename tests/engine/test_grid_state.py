"""The padded state: what it says of its rows, and what becomes of a failure."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from simsplit import Grid, KernelError, Problem, kernels
from simsplit.engine.grid_state import widened
from simsplit.grids.boundary import Side
from tests.support.grids import on_threads


def test_ghosts_that_are_taken_from_rows_take_as_many_on_both_sides() -> None:
    reach = ((2, 0), (1, 3))
    assert widened(reach, (Side("periodic", "periodic"),) * 2) == reach
    assert widened(reach, (Side("fixed", "fixed 0"),) * 2) == reach
    assert widened(reach, (Side("fixed", "fixed 0"), Side("no-flux", "no-flux"))) == ((2, 2), (1, 3))


class Fails(kernels.Kernel):
    """Fails in one row of one step."""

    kind = "step"
    reach = 1

    def evaluate(self, x: Any, block: Any, out: Any) -> None:
        """Raise, or give the sum of two."""
        if block.k == 5 and block.lower <= block["row"] < block.upper:
            raise ZeroDivisionError("here")
        out[...] = x[:-2] + x[2:]


@pytest.mark.parametrize("row", [0, 7, 19])
@pytest.mark.parametrize(("ranks", "depth"), [(1, 1), (3, 1), (3, 4), (5, 20)])
def test_what_fails_amid_a_deep_stretch_fails_on_all_ranks_with_one_message(row: int, ranks: int, depth: int) -> None:
    problem = Problem(np.ones(20), Fails(row=row), delta_t=0.5, steps=12, grid=Grid(boundary="periodic"))
    with pytest.raises(KernelError) as caught:
        on_threads(problem, ranks, depth=depth)
    message = str(caught.value)
    assert "the kernel Fails failed on rank" in message
    assert "at step 6, t = 3.0 (from step 5, t = 2.5)" in message
    assert "ZeroDivisionError: here" in message


@pytest.mark.parametrize(
    ("shape", "cell"), [((20,), "cell 13"), ((20, 6), "cell at 13, 4"), ((20, 6, 2), "cell at 13, 4")]
)
def test_a_value_that_is_not_a_number_is_named_by_its_cell(shape: tuple[int, ...], cell: str) -> None:
    initial = np.ones(shape)
    initial[13, *([4] if len(shape) > 1 else [])] = -1
    problem = Problem(
        initial,
        kernels.function(lambda x: np.sqrt(x[1:]), kind="step", reach=((0, 1),)),
        delta_t=1,
        steps=4,
        nan="error",
        grid=Grid(shape[:2], boundary="periodic"),
    )
    with pytest.raises(KernelError, match=f"the first is the {cell.replace('13', '12')}"):
        on_threads(problem, 3)


def test_every_nan_has_the_same_bits() -> None:
    initial = np.zeros(12)
    initial[[3, 8]] = np.inf
    initial[5] = np.uint64(0xFFF8000000000123).view(np.float64)
    problem = Problem(
        initial,
        kernels.expression("x[-1] - x[1] + 0 * x", kind="step"),
        delta_t=1,
        steps=6,
        grid=Grid(boundary="periodic"),
    )
    histories = [
        on_threads(problem, ranks, depth=depth, verify=True).history for ranks, depth in ((1, 1), (3, 2), (7, 5))
    ]
    bits = [history.view(np.uint64) for history in histories if history is not None]
    assert (bits[0] == bits[1]).all()
    assert (bits[0] == bits[2]).all()
    assert set(bits[0][1:][np.isnan(histories[0][1:])]) == {np.float64(np.nan).view(np.uint64)}  # type: ignore[index]


def test_random_numbers_and_signs_of_zero_survive_wide_halos() -> None:
    problem = Problem(
        np.full((9, 4), -0.0),
        kernels.expression("where(random < 0.4, -x[1], x[-1, 1]) + 0 * random.normal()", kind="step"),
        delta_t=1,
        steps=9,
        seed=11,
        grid=Grid(boundary="periodic"),
    )
    histories = [
        on_threads(problem, ranks, depth=depth, verify=True).history for ranks, depth in ((1, 1), (2, 3), (5, 4))
    ]
    assert len({history.tobytes() for history in histories if history is not None}) == 1


@pytest.mark.parametrize("text", ["sin(t) + X", "a * inner + t", "Y - row"])
def test_boundaries_that_depend_on_time_and_place_do_not_depend_on_the_split(text: str) -> None:
    a = {"a": 0.5} if "a *" in text else {}
    boundary = {"rows": [text, "flux a" if a else "flux t"], "columns": ["wall 1", text]}
    problem = Problem(
        np.random.default_rng(4).random((11, 5)),
        kernels.expression("x + 0.1 * laplace(x)", kind="step", **a),
        delta_t=0.1,
        steps=8,
        grid=Grid(spacing=(0.5, 0.7), boundary=boundary),
    )
    histories = [
        on_threads(problem, ranks, depth=depth, verify=True).history for ranks, depth in ((1, 1), (3, 3), (7, 2))
    ]
    assert len({history.tobytes() for history in histories if history is not None}) == 1


def test_parameters_by_row_come_with_their_halo() -> None:
    d, c = np.random.default_rng(4).random((11, 5)), np.arange(11.0)
    for boundary in ("periodic", "no-flux"):
        problem = Problem(
            np.random.default_rng(5).random((11, 5)),
            kernels.expression("x + 0.1 * div(d, x) + 0.01 * c[-1] * d[1, -1]", kind="step", d=d, c=c),
            delta_t=0.1,
            steps=8,
            grid=Grid(boundary=boundary),
        )
        histories = [
            on_threads(problem, ranks, depth=depth, verify=True).history for ranks, depth in ((1, 1), (3, 3), (7, 2))
        ]
        assert len({history.tobytes() for history in histories if history is not None}) == 1
