"""Functions that Numba compiles: by rows, by single values, as ufuncs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import simsplit
from simsplit import KernelError, Problem
from simsplit.kernels import function
from simsplit.kernels.functions import FunctionKernel
from tests.support.blocks import history_of

if TYPE_CHECKING:
    import numpy.typing as npt

    Array = npt.NDArray[Any]

numba = pytest.importorskip("numba")


@numba.njit
def by_value(x: float, t: float, limit: float) -> float:
    """Not one for arrays: it asks for the truth of a comparison."""
    if x * t > limit:
        return limit
    return x * t


@numba.njit
def by_array(x: Any, t: float) -> Any:
    return x * t + 1.0


@numba.njit
def by_row(x: Any, t: float) -> Any:
    result = np.empty_like(x)
    for i in range(x.shape[0]):
        total = 0.0
        for j in range(x.shape[1]):
            total += x[i, j]
        for j in range(x.shape[1]):
            result[i, j] = x[i, j] / total * t
    return result


@numba.njit
def into_out(x: Any, t: float, out: Any) -> None:
    out[:] = x * t


@numba.vectorize
def ufunc(x: float, t: float) -> float:
    return x + t


@numba.njit
def division(x: float, t: float) -> float:
    return x / (t - 0.5)  # Numba raises, as Python does, unless it is told error_model="numpy"


def test_a_function_of_single_values_is_applied_to_each() -> None:
    initial = np.arange(12.0).reshape(6, 2)
    for limit in (4, np.arange(6.0), initial / 3):
        problem = Problem(initial, function(by_value, limit=limit), delta_t=0.5, steps=4)
        result = simsplit.run(problem, serial=True, verify=True)
        assert result.history is not None
        limits = np.broadcast_to(np.reshape(limit, (-1, 1)) if np.ndim(limit) == 1 else limit, initial.shape)
        for k in range(4):
            np.testing.assert_array_equal(result.history[k], np.minimum(initial * (0.5 * k), limits))


def test_one_that_does_for_both_gives_the_same() -> None:
    initial = np.linspace(0, 1, 9)
    kernel = function(by_array)
    history = history_of(Problem(initial, kernel, delta_t=0.5, steps=3))
    assert kernel.is_numba
    assert isinstance(kernel._by_value, numba.np.ufunc.dufunc.DUFunc)
    assert history.tobytes() == np.array([initial * (0.5 * k) + 1.0 for k in range(3)]).tobytes()


def test_a_function_of_rows_gets_them() -> None:
    initial = np.random.default_rng(2).uniform(1, 2, (50, 4))
    result = simsplit.run(Problem(initial, function(by_row), delta_t=0.5, steps=3), serial=True, verify=True)
    assert result.history is not None
    np.testing.assert_allclose(result.history[2].sum(axis=1), 1.0)


def test_a_function_may_write_to_out() -> None:
    result = simsplit.run(Problem(np.arange(5.0), function(into_out), delta_t=0.5, steps=3), serial=True, verify=True)
    assert result.history is not None
    np.testing.assert_array_equal(result.history[2], np.arange(5.0))


def test_a_ufunc() -> None:
    kernel = function(ufunc)
    assert kernel.is_numba
    np.testing.assert_array_equal(
        history_of(Problem(np.arange(3.0), kernel, delta_t=0.5, steps=3))[2], np.arange(3) + 1
    )


def test_row_numbers_go_with_rows() -> None:
    @numba.njit
    def numbered(x: float, row: int) -> float:
        return x + row if row > 1 else x - row

    history = history_of(Problem(np.zeros((4, 2)), function(numbered), delta_t=0.5, steps=1))
    np.testing.assert_array_equal(history[0], [[0, 0], [-1, -1], [2, 2], [3, 3]])


@pytest.mark.parametrize("dtype", ["float32", "int32", "complex64"])
def test_the_dtype_is_what_numba_gives(dtype: str) -> None:
    initial = np.arange(4).astype(dtype)
    history = history_of(Problem(initial, function(by_array), delta_t=0.5, steps=2))
    assert history.dtype == by_array(initial, 0.5).dtype


def test_an_error_names_step_rows_and_time() -> None:
    with pytest.raises(KernelError, match=r"division failed .* at step 1, t = 0.5, rows 0–3") as caught:
        simsplit.run(Problem(np.arange(4.0), function(division), delta_t=0.5, steps=4), serial=True)
    assert "ZeroDivisionError: division by zero" in str(caught.value)


def test_other_functions_are_not_numbas() -> None:
    assert not function(lambda x: x, name="mine").is_numba
    assert not FunctionKernel(np.negative).is_numba
