"""Kernels made from a function of a single row."""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
import pytest

import simsplit
from simsplit import InputError, KernelError, Problem, kernels
from simsplit.kernels import constant
from tests.support.grids import on_threads


def history(problem: Problem, **options: Any) -> Any:
    return simsplit.run(problem, serial=True, **options).history


def numbered(x: Any, t: float, k: int, row: int, rate: float) -> Any:
    """Give a number of each row its own."""
    assert isinstance(row, int)
    return x * rate + row + 10 * k + t


@pytest.mark.parametrize("kind", ["map", "step"])
@pytest.mark.parametrize("shape", [(7,), (7, 3), (1, 2), (0, 2)])
def test_a_function_of_a_row_gives_what_one_of_all_rows_does(kind: Any, shape: tuple[int, ...]) -> None:
    x, rate = np.random.default_rng(1).random(shape), np.arange(shape[0]) + 0.5

    def whole(x: Any, t: float, k: int, row: Any, rate: Any) -> Any:
        row = row.reshape(-1, *[1] * (x.ndim - 1))
        return x * rate + row + 10 * k + t

    expected = history(Problem(x, kernels.function(whole, kind=kind, rate=rate), delta_t=0.5, steps=4))
    problem = Problem(x, kernels.each(numbered, kind=kind, rate=rate), delta_t=0.5, steps=4)
    assert history(problem, verify=True).tolist() == expected.tolist()
    for ranks in (2, 5, 9):
        found = on_threads(problem, ranks, verify=True).history
        assert found is not None
        assert found.tolist() == expected.tolist()


def test_the_trial_is_the_first_row_and_is_used() -> None:
    seen = []

    @kernels.each
    def slow(x: Any, row: int) -> Any:
        seen.append(row)
        return x + 1.5

    assert history(Problem(np.arange(3), slow, delta_t=1.0, steps=1)).tolist() == [[1.5, 2.5, 3.5]]
    assert seen == [0, 1, 2]
    seen.clear()
    said = kernels.each(slow.function, dtype=float)
    history(Problem(np.arange(3), said, delta_t=1.0, steps=2))
    assert seen == [0, 1, 2] * 2  # no row is computed again to look for a mix of rows


def test_a_row_may_be_written_to_and_constants_come_whole() -> None:
    def settle(x: Any, w: Any) -> Any:
        x[0] = w.sum()
        return x

    problem = Problem(np.ones((4, 2)), kernels.each(settle, kind="step", w=constant([1.0, 2.0])), delta_t=1, steps=3)
    assert history(problem, verify=True)[-1].tolist() == [[3.0, 1.0]] * 4
    assert np.asarray(problem.initial).tolist() == [[1.0, 1.0]] * 4


def test_fields_of_a_row_and_functions_of_numba() -> None:
    dtype = np.dtype([("x", "f8"), ("n", "i4")])
    initial = np.array([(0.5, 1), (1.5, 2)], dtype)

    def grow(x: Any) -> Any:
        x["n"] += 1
        return x

    assert history(Problem(initial, kernels.each(grow, kind="step"), delta_t=1, steps=3))["n"].tolist() == [
        [1, 2], [2, 3], [3, 4]
    ]  # fmt: skip

    @numba.njit
    def add(x: Any, rate: float) -> Any:
        return x + rate

    assert history(Problem(np.ones((2, 2)), kernels.each(add, rate=0.5), delta_t=1, steps=1)).tolist() == [
        [[1.5] * 2] * 2
    ]


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda x, random: x + random.normal(), "is called row by row, and cannot ask for random"),
        (lambda x, out: x + out, "is called row by row, and cannot ask for out"),
        (lambda x, column: x + column, "is called row by row, and cannot ask for column"),
        (np.sin, "sin computes whole arrays: make the kernel by function"),
        (np.vectorize(abs), "computes whole arrays"),
        (lambda x, rate: x + rate, "wants rate, which is not given"),
        (3, "a kernel must be a function"),
    ],
)
def test_what_cannot_be_called_row_by_row_is_refused(function: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        kernels.each(function)
    with pytest.raises(InputError, match="gets one row, and no neighbours: use function"):
        kernels.each(abs, reach=1)


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda x: x.sort(), r"returned nothing; it must return the new values of a row, shape \(2,\)"),
        (lambda x: x[:1], r"returned a value of shape \(1,\) for a row of shape \(2,\)"),
        (lambda x: np.ma.masked_array(x, [0, 1]), "returned a masked array"),
    ],
)
def test_what_is_no_row_is_refused(function: Any, message: str) -> None:
    with pytest.raises(KernelError, match=message):
        history(Problem(np.ones((3, 2)), kernels.each(function), delta_t=1, steps=2))


def test_the_row_that_fails_is_named() -> None:
    def fail(x: float, row: int) -> float:
        return x / (row - 2)

    with pytest.raises(KernelError) as caught:
        history(Problem(np.ones(5), kernels.each(lambda x, row: fail(float(x), row), dtype=float), delta_t=1, steps=2))
    assert "It was called for row 2." in str(caught.value)


def test_a_run_in_a_folder_goes_on_with_the_same_problem(tmp_path: Any) -> None:
    problem = Problem(np.ones(5), kernels.each(lambda x, row: x + row, kind="step"), delta_t=1, steps=4)
    simsplit.run(problem, serial=True, output=tmp_path / "a")
    expected = history(problem)
    assert np.load(tmp_path / "a" / "history.npy").tolist() == expected.tolist()
    with pytest.raises(InputError, match="it is an object of the class EachKernel"):
        problem.save(tmp_path / "problem.toml")
