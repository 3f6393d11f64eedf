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


X = np.arange(4.0)


@numba.njit
def with_default(x: float, rate: float = 0.5, shift: float = 1.0) -> float:
    return x * rate if x > 1 else shift


@numba.njit(["float64(float64, float64)", "float32(float32, float64)"])
def explicit(x: float, t: float) -> float:
    return x * t if x > 1 else 0.0


@numba.njit("float64(float64, float64)")
def explicit_with_default(x: float, rate: float = 0.5) -> float:
    return x * rate if x > 1 else 0.0


@numba.njit("float64[:](float64[:], float64[:], int64)")
def explicit_of_arrays(x: Any, rate: Any, power: int = 2) -> Any:
    result = np.empty_like(x)
    for i in range(len(x)):
        result[i] = x[i] * rate[i] ** power
    return result


@numba.njit("void(float64[:], float64, float64[:])")
def explicit_into_out(x: Any, t: float, out: Any) -> None:
    out[:] = x * t


@numba.njit
def of_arrays_with_default(x: Any, rate: float = 0.5) -> Any:
    result = np.empty_like(x)
    for i in range(len(x)):
        result[i] = x[i] * rate
    return result


@pytest.mark.parametrize(
    ("asked", "parameters", "expected"),
    [
        (with_default, {}, [1, 1, 1, 1.5]),
        (with_default, {"shift": 3.0}, [3, 3, 1, 1.5]),
        (with_default, {"shift": np.arange(4.0), "rate": 2}, [0, 1, 4, 6]),
        (explicit, {}, [0, 0, 1, 1.5]),
        (explicit_with_default, {}, [0, 0, 1, 1.5]),
        (explicit_with_default, {"rate": np.arange(4.0)}, [0, 0, 4, 9]),
        (explicit_of_arrays, {"rate": np.arange(4.0)}, [0, 1, 8, 27]),
        (explicit_of_arrays, {"rate": np.arange(4.0), "power": 1}, [0, 1, 4, 9]),
        (explicit_into_out, {}, [0, 0.5, 1, 1.5]),
        (of_arrays_with_default, {}, [0, 0.5, 1, 1.5]),
    ],
)
@pytest.mark.parametrize("kind", ["map", "step"])
def test_explicit_signatures_and_defaults(
    asked: Any, parameters: dict[str, Any], expected: list[float], kind: Any
) -> None:
    problem = Problem(X, function(asked, kind=kind, **parameters), delta_t=0.5, steps=2)
    result = simsplit.run(problem, serial=True, verify=True, block_size=24)
    assert result.history is not None
    if kind == "map" or "t" not in asked.py_func.__code__.co_varnames:
        assert result.history[1].tolist() == expected


def test_an_explicit_signature_may_widen_what_it_is_given() -> None:
    assert history_of(Problem(X.astype("f4"), function(explicit), delta_t=0.5, steps=2)).dtype == np.float32
    assert history_of(Problem(np.arange(4), function(explicit), delta_t=0.5, steps=2))[1].tolist() == [0, 0, 1, 1.5]


def test_a_default_on_a_reserved_name_is_refused() -> None:
    spring = numba.njit(lambda x, k=10.0: -k * x)
    with pytest.raises(simsplit.InputError, match=r"has the default k=10.0, but k is what simsplit fills in"):
        function(spring)


def test_other_functions_are_not_numbas() -> None:
    assert not function(lambda x: x, name="mine").is_numba
    assert not FunctionKernel(np.negative).is_numba


@numba.njit
def around(x: Any) -> Any:
    result = np.empty((x.shape[0] - 2, x.shape[1] - 2))
    for i in range(result.shape[0]):
        for j in range(result.shape[1]):
            result[i, j] = (x[i, j + 1] + x[i + 2, j + 1] + x[i + 1, j] + x[i + 1, j + 2]) / 4
    return result


@numba.njit
def shifted(x: Any, r: float) -> Any:
    return x[0, 0] + r * (x[1, 0] - x[0, -1])


def test_functions_of_numba_read_neighbours() -> None:
    initial = np.random.default_rng(1).random((9, 7))
    grid = simsplit.Grid(boundary="no-flux")
    padded = function(around, kind="step", reach=1)
    relative = simsplit.stencil(shifted)(r=0.5)
    for kernel, text in (
        (padded, "((x[-1] + x[1]) + x[0, -1] + x[0, 1]) / 4"),
        (relative, "x + 0.5 * (x[1] - x[0, -1])"),
    ):
        found, expected = (
            simsplit.run(Problem(initial, each, delta_t=1, steps=5, grid=grid), serial=True, verify=True).history
            for each in (kernel, simsplit.kernels.expression(text, kind="step"))
        )
        assert found is not None
        assert (found == expected).all()
