"""An expression as a kernel: what it computes, and what it refuses. The language has tests of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simsplit import InputError, KernelError, Problem, run
from simsplit.kernels import affine, expression, logistic
from tests.support.arrays import random_array
from tests.support.blocks import history_of
from tests.support.profiles import examples
from tests.support.runs import execute
from tests.support.threads import on_ranks

if TYPE_CHECKING:
    import numpy.typing as npt

    Array = npt.NDArray[Any]

X = np.arange(7.0)
K, ROW = np.arange(3)[:, None], np.arange(7)
T = 1.0 + K * 0.5


def history(kernel: Any, initial: Any = X, steps: int = 3) -> Array:
    """Run in one process; the history is verified."""
    result = run(Problem(initial, kernel, delta_t=0.5, steps=steps, start_time=1.0), serial=True, verify=True)
    assert result.history is not None
    return result.history


BIG = 2**63 + 1


@pytest.mark.parametrize("given", [BIG, np.uint64(BIG)])
@pytest.mark.parametrize("text", ["x + p", "x + (p + 1) - 1", "where(x > 0, p + x, x + p)", "x + p // 1"])
@pytest.mark.parametrize("backend", ["numpy", "auto"])
def test_a_whole_number_beyond_int64_is_what_it_is(text: str, given: Any, backend: Any) -> None:
    problem = Problem(np.arange(3, dtype=np.uint64), expression(text, p=given), delta_t=0.5, steps=1)
    found = run(problem, serial=True, verify=True, backend=backend).history
    assert found is not None
    assert (found.dtype, found[0].tolist()) == (np.uint64, [BIG, BIG + 1, BIG + 2])


@pytest.mark.parametrize(
    ("dtype", "text", "parameter"),
    [
        ("f8", "x + p", BIG),
        ("f4", "x * p", 2**70 + 1),
        ("g", "x + p", BIG),
        ("u8", "x / p", BIG),
        ("f8", "x + p * p", BIG),
        ("f8", "x * p", np.longdouble("0.1")),
        ("f4", "x + p * t", np.longdouble("0.1")),
        ("c8", "x * p", np.clongdouble(1j) / 3),
    ],
)
def test_a_large_or_long_number_gives_what_numpy_gives(dtype: str, text: str, parameter: Any) -> None:
    x = np.arange(3, dtype=dtype)
    found = history(expression(text, p=parameter), x, steps=1)
    expected = eval(text, {"x": x, "p": parameter, "t": 1.0})  # noqa: S307, our own text
    assert found.dtype == expected.dtype
    np.testing.assert_array_equal(found[0], expected, strict=True)  # the padding of long double is anything


def test_a_number_that_the_dtype_does_not_hold_is_numpys_error() -> None:
    with pytest.raises(KernelError, match="OverflowError"):
        history(expression("x + p", p=BIG), np.arange(3))


@pytest.mark.parametrize(
    ("text", "parameters", "expected"),
    [
        ("x", {}, X + 0 * K),
        ("x * t", {}, X * T),
        ("x + k", {}, X + K),
        ("x + row * delta_t", {}, X + ROW * 0.5 + 0 * K),
        ("where(x > 3, x, -x)", {}, np.where(X > 3, X, -X) + 0 * K),
        ("exp(-rate * t) * x", {"rate": 0.5}, np.exp(-0.5 * T) * X),
        ("x * rate", {"rate": X[::-1]}, X * X[::-1] + 0 * K),
        ("2.5", {}, np.full((3, 7), 2.5)),
        ("t", {}, T + 0 * X),
        ("rate", {"rate": X[::-1]}, X[::-1] + 0 * K),
    ],
)
def test_an_expression_is_what_numpy_computes(text: str, parameters: dict[str, Any], expected: Array) -> None:
    found = history(expression(text, **parameters))
    np.testing.assert_allclose(found, expected, rtol=1e-15)
    assert found.dtype == np.float64


def test_the_tutorial_as_an_expression() -> None:
    kernel = expression("(offset + x * multiplier) * t", offset=3, multiplier=5)
    assert kernel.name == "expression"
    assert kernel.kind == "map"
    assert kernel.formula == kernel.source == "(offset + x * multiplier) * t"
    assert kernel.parameters == {"offset": 3, "multiplier": 5}
    assert history(kernel).tobytes() == history(affine(offset=3, multiplier=5)).tobytes()


def test_a_step_of_an_equation_as_an_expression() -> None:
    kernel = expression("x + delta_t * rate * x * (1 - x / capacity)", kind="step", rate=0.1, capacity=9.0)
    found = history(kernel, X, steps=40)
    assert found[0].tolist() == X.tolist()
    np.testing.assert_allclose(found, history(logistic(rate=0.1, capacity=9.0), X, steps=40), atol=0.2)


@pytest.mark.parametrize(
    ("text", "dtype", "expected"),
    [
        ("x * 2", "int16", "int16"),
        ("x / 2", "int16", "float64"),
        ("x * t", "int32", "float64"),
        ("x * t", "float32", "float32"),
        ("x > 2", "float64", "bool"),
        ("x * rate", "float32", "complex64"),
    ],
)
def test_the_dtype_is_that_of_numpys_promotion(text: str, dtype: str, expected: str) -> None:
    parameters = {"rate": 2j} if "rate" in text else {}
    assert history(expression(text, **parameters), np.arange(4).astype(dtype)).dtype == expected


@pytest.mark.parametrize(
    ("text", "dtype", "expected"),
    [("x / 2", "int32", "float64"), ("x * 2", "int32", "int32"), ("x > 2", "float64", "float64")],
)
def test_a_step_keeps_the_dtype_of_its_state(text: str, dtype: str, expected: str) -> None:
    found = history(expression(text, kind="step"), np.arange(4).astype(dtype))
    assert found.dtype == expected
    assert found[0].tolist() == [0, 1, 2, 3]


def test_rows_of_many_axes_broadcast_with_row_and_parameters() -> None:
    initial = np.arange(60.0).reshape(5, 3, 4)
    found = history(expression("x * row + rate", rate=np.arange(5) * 10), initial)
    row = np.arange(5)[:, None, None]
    assert found[1].tolist() == (initial * row + row * 10).tolist()


@pytest.mark.parametrize(
    ("text", "parameters", "message"),
    [
        *(("x", {name: 1}, f"a parameter cannot be called {name}: that is a variable of every expression")
          for name in ("x", "t", "k", "row", "delta_t")),
        ("x * rate", {"rate": "high"}, "parameter rate must be a finite number, not 'high'"),
    ],
)  # fmt: skip
def test_parameters_that_do_not_fit_are_refused(text: str, parameters: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError) as caught:
        expression(text, **parameters)
    assert str(caught.value) == message


@pytest.mark.parametrize("text", ["x * rate", "__import__('os')", "x.real", "", "x +", "9**9**9"])
def test_what_is_no_expression_is_refused(text: str) -> None:
    with pytest.raises(InputError):
        expression(text)


def test_what_numpy_cannot_compute_is_an_error_of_the_kernel() -> None:
    with pytest.raises(KernelError, match="the kernel expression failed for the first row, of complex128"):
        history(expression("floor(x)"), np.zeros(3, complex))


@examples(40)
@given(
    rows=st.integers(1, 40),
    ranks=st.integers(2, 4),
    text=st.sampled_from(["x * rate + row", "where(x > k, x / 3, x * t)", "sqrt(abs(x)) - rate % 0.3"]),
    kind=st.sampled_from(["map", "step"]),
)
def test_any_number_of_ranks_gives_the_bits_of_one_process(rows: int, ranks: int, text: str, kind: Any) -> None:
    parameters = {"rate": np.linspace(0.5, 2.5, rows)} if "rate" in text else {}
    kernel = expression(text, kind=kind, **parameters)
    problem = Problem(random_array("float64", rows, 4), kernel, delta_t=0.3, steps=6)
    results = on_ranks(ranks, lambda rank: execute(problem, rank, verify=True))
    assert results[0].verification.identical
    assert results[0].history.tobytes() == history_of(problem).tobytes()
