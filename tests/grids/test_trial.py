"""The first rows stand for all when the dtype of the results is found out."""

from __future__ import annotations

import numpy as np
import pytest

from simsplit import Grid, InputError, Problem, kernels
from simsplit.runs.setup import results_of


@pytest.mark.parametrize(
    ("text", "dtype", "boundary", "expected"),
    [
        ("x[1] + x", "i4", "periodic", "int32"),
        ("(x[1] + x) / 2", "i4", "periodic", "float64"),
        ("(x[1] + x) / 2", "i4", "fixed 0.5", "float64"),
        ("laplace(x)", "f4", "no-flux", "float32"),
        ("x[1] != x", "?", "fixed 1", "bool"),
        ("x + D * x[1]", "f4", "mirror", "float64"),
    ],
)
def test_the_dtype_is_that_of_the_kernel(text: str, dtype: str, boundary: str, expected: str) -> None:
    parameters = {"D": np.ones(9)} if "D" in text else {}
    kernel = kernels.expression(text, kind="step", **parameters)
    problem = Problem(np.ones(9, dtype), kernel, delta_t=1, steps=2, grid=Grid(boundary=boundary))
    found, reach = results_of(problem, problem.initial[:1], (9,))  # type: ignore[index]  # one row will do
    assert found == expected
    assert reach == (((1, 1) if "laplace" in text else (0, 1)),)


def test_a_state_of_whole_numbers_cannot_begin_beside_a_half() -> None:
    kernel = kernels.expression("x[1]", kind="step")
    problem = Problem(np.ones(9, int), kernel, delta_t=1, steps=2, grid=Grid(boundary="fixed 0.5"))
    with pytest.raises(InputError, match="gives float64, which the grid's int64 does not hold"):
        results_of(problem, problem.initial, (9,))


def test_an_array_of_no_rows_has_a_dtype() -> None:
    kernel = kernels.expression("laplace(x)", kind="step")
    problem = Problem(np.ones((0, 4), "f4"), kernel, delta_t=1, steps=2, grid=Grid(boundary="fixed 0"))
    assert results_of(problem, problem.initial, (0, 4))[0] == np.float32
