"""Constant arrays: whole on every rank, whatever the split."""

from __future__ import annotations

import pickle
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import simsplit
from simsplit import InputError, KernelError, StoppedError, kernels
from simsplit.kernels import Kernel, constant
from simsplit.problem_file.files import load

if TYPE_CHECKING:
    from pathlib import Path

C = np.array([[0.5, 0.25, 0.25], [0.0, 1.0, 0.0], [0.125, 0.375, 0.5]])
X = np.arange(15.0).reshape(5, 3)


def spread(x: Any, contacts: Any) -> Any:
    assert contacts.shape == (3, 3)
    return np.einsum("ij,mj->mi", contacts, x)


def problem(kernel: Any, initial: Any = X, steps: int = 3) -> simsplit.Problem:
    return simsplit.Problem(initial, kernel, delta_t=1.0, steps=steps)


class Spread(Kernel):
    kind = "step"

    def evaluate(self, x: Any, block: Any, out: Any) -> None:
        np.einsum("ij,mj->mi", block["contacts"], x, out=out)


@pytest.mark.parametrize(
    "kernel", [Spread(contacts=constant(C)), kernels.function(spread, kind="step", contacts=constant(C))]
)
def test_a_function_and_a_class_get_the_whole_array(kernel: Kernel) -> None:
    result = simsplit.run(problem(kernel), verify=True)
    expected = [X]
    for _ in range(2):
        expected.append(np.einsum("ij,mj->mi", C, expected[-1]))
    np.testing.assert_array_equal(result.history, expected)
    assert result.verification is not None
    assert result.verification.identical


def test_an_expression_takes_a_constant_that_broadcasts_with_a_row() -> None:
    kernel = kernels.expression("x * w + beta", w=constant([1, 2, 3]), beta=np.arange(5.0))
    result = simsplit.run(problem(kernel), verify=True, backend="auto")
    np.testing.assert_array_equal(result.history[0], X * [1, 2, 3] + np.arange(5.0)[:, None])


@pytest.mark.parametrize(
    ("shape", "initial"), [((5,), X), ((5, 3), X), ((5,), np.arange(5.0)), ((1, 1), np.arange(5.0))]
)
def test_an_expression_refuses_a_constant_that_would_go_along_the_rows(shape: tuple[int, ...], initial: Any) -> None:
    with pytest.raises(InputError, match=r"the constant w has the shape .* it must broadcast to that"):
        simsplit.run(problem(kernels.expression("x * w", w=constant(np.ones(shape))), initial))


def test_a_constant_is_a_copy_that_cannot_be_written_to() -> None:
    array = np.asfortranarray(C.astype(">f8"))
    found = constant(array)
    array[:] = 0
    for each in (found, pickle.loads(pickle.dumps(found))):  # noqa: S301, its own bytes
        np.testing.assert_array_equal(each.array, C)
        assert each.array.dtype.isnative
        assert each.array.flags.c_contiguous
        with pytest.raises(ValueError, match="read-only"):
            each.array[0] = 1
    assert repr(found) == f"{found:g}" == "constant array of float64, shape (3, 3)"


@pytest.mark.parametrize("value", [3, "text", [["a"]], np.ma.masked_equal([1, 2], 2), [[1], [1, 2]], [1, None]])
def test_what_is_no_array_of_numbers_is_refused(value: Any) -> None:
    with pytest.raises(InputError, match=r"^a constant (must|cannot)"):
        constant(value)


def test_built_in_kernels_take_none() -> None:
    for name, parameter in {"affine": "offset", "lorenz": "rho", "gbm": "mu", "sir": "beta"}.items():
        given = {parameter: constant([1, 2, 3])}
        with pytest.raises(InputError, match=f"parameter {parameter} of the kernel {name} must be a number or a value"):
            kernels.load(name, **given)


def test_a_function_of_single_values_takes_none_and_shapes_are_named() -> None:
    vectorized = np.vectorize(lambda x, w: x * w)
    with pytest.raises(InputError, match="is called value by value, and cannot take the constant w whole"):
        kernels.function(vectorized, w=constant([1, 2]))
    wrong = kernels.function(lambda x, w: x * w, w=constant([1, 2]))
    with pytest.raises(KernelError) as caught:
        simsplit.run(problem(wrong))
    assert "the shapes are x (1, 3), w (2,)" in str(caught.value)


def test_a_numba_function_gets_it_whole() -> None:
    numba = pytest.importorskip("numba")

    @numba.njit
    def own(x: Any, w: Any) -> Any:
        return x * w.sum()

    result = simsplit.run(problem(kernels.function(own, w=constant([1.0, 2.0]))))
    np.testing.assert_array_equal(result.history[0], X * 3)


def test_the_dtype_of_a_constant_counts() -> None:
    class Own(Kernel):
        def evaluate(self, x: Any, block: Any, out: Any) -> None:
            out[...] = x * block["w"]

    result = simsplit.run(problem(Own(w=constant([1j, 2, 3])), X.astype(np.float32)))
    assert result.history.dtype == np.complex128


def test_a_problem_with_one_is_saved_loaded_and_run_in_a_folder(tmp_path: Path) -> None:
    given = problem(kernels.expression("x * w + b", w=constant(np.array([1, 2, 3])), b=np.arange(5.0)))
    expected = simsplit.run(given).history
    given.save(tmp_path / "p.toml")
    text = (tmp_path / "p.toml").read_text()
    assert '[constants]\n"w" = ' in text
    loaded = load(tmp_path / "p.toml")
    assert loaded.kernel.parameters["w"].array.dtype == np.int64
    np.testing.assert_array_equal(simsplit.run(loaded).history, expected)
    with pytest.raises(StoppedError):
        simsplit.run(given, output=tmp_path / "run", time_limit=0)
    simsplit.resume(tmp_path / "run")
    np.testing.assert_array_equal(simsplit.open(tmp_path / "run").history, expected)
    np.save(tmp_path / "run" / "arrays" / "w.npy", np.array([1, 2, 4]))
    with pytest.raises(InputError, match="changed since the run began"):
        simsplit.run(load(tmp_path / "run" / "problem.toml"), output=tmp_path / "again")
