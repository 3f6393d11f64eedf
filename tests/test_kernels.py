"""The contract of kernels, and the affine one."""

from __future__ import annotations

from itertools import pairwise
from math import inf, nan
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simsplit import InputError
from simsplit.kernels import Affine, Kernel, affine
from simsplit.verification import different

from .arrays import FINITE, NUMERIC, arrays

if TYPE_CHECKING:
    import numpy.typing as npt

    Array = npt.NDArray[Any]


class Square(Kernel):
    """The least that a kernel needs."""

    def evaluate(self, x: Array, t: float, out: Array) -> None:
        np.multiply(x, x, out=out)
        np.add(out, t, out=out)


def in_blocks(kernel: Kernel, x: Array, times: list[float], cuts: list[int]) -> Array:
    """Compute steps of some rows as the engine does: block by block, the last step's place as scratch."""
    out = np.full((len(times), *x.shape), 7, kernel.result_dtype(x.dtype))
    ends = [0, *sorted(min(cut, len(x)) for cut in cuts), len(x)]
    x.flags.writeable = False
    for lower, upper in pairwise(ends):
        prepared = kernel.prepare(x[lower:upper], out[-1, lower:upper])
        for t, target in zip(times, out[:, lower:upper], strict=True):
            kernel.evaluate(prepared, t, target)
    return out


@settings(deadline=None, max_examples=300)
@given(
    x=arrays(NUMERIC),
    offset=FINITE | st.integers(-9, 9),
    multiplier=FINITE | st.integers(-9, 9),
    times=st.lists(FINITE, min_size=1, max_size=4),
    cuts=st.lists(st.integers(0, 200), max_size=6),
)
def test_affine_in_blocks_gives_the_bits_of_the_whole_array(
    x: Array, offset: float, multiplier: float, times: list[float], cuts: list[int]
) -> None:
    kernel = affine(offset=offset, multiplier=multiplier)
    with np.errstate(all="ignore"):
        found = in_blocks(kernel, x, times, cuts)
        for t, step in zip(times, found, strict=True):
            assert not different(kernel.reference(x, t), step).any()


@pytest.mark.parametrize("dtype", NUMERIC)
@pytest.mark.parametrize("width", [1, 3, 7, 17])
def test_affine_in_blocks_of_an_odd_size_gives_the_bits_of_the_plain_formula(dtype: str, width: int) -> None:
    x = (np.arange(101) % 2 if dtype == "bool" else np.arange(101)).astype(dtype)
    plain = (0.1 + x * 1.7) * 0.3
    found = in_blocks(affine(offset=0.1, multiplier=1.7), x, [0.7, 0.3], list(range(0, 101, width)))
    assert not different(plain, found[1]).any()


@pytest.mark.parametrize("dtype", ["float32", "float64", "complex128", "longdouble"])
def test_affine_works_on_rows_of_any_shape(dtype: str) -> None:
    x = np.arange(60).reshape(5, 3, 4).astype(dtype)
    found = in_blocks(affine(), x, [0.5], [1, 3])
    assert not different((3.0 + x * 5.0) * 0.5, found[0]).any()


@pytest.mark.parametrize(
    ("dtype", "result"),
    [
        *((name, "float64") for name in NUMERIC if np.dtype(name).kind in "biu"),
        *((name, name) for name in NUMERIC if np.dtype(name).kind in "fc"),
    ],
)
def test_the_result_has_the_dtype_of_numpys_promotion_with_a_python_float(dtype: str, result: str) -> None:
    assert affine().result_dtype(np.dtype(dtype)) == np.dtype(result)
    assert Square().result_dtype(np.dtype(dtype)) == np.dtype(result)
    assert affine().reference(np.zeros(3, dtype), 1.0).dtype == np.dtype(result)


def test_affine_gives_the_tutorials_numbers() -> None:
    x = np.arange(7.0)
    np.testing.assert_array_equal(affine(offset=3, multiplier=5).reference(x, 0.0), np.zeros(7))
    np.testing.assert_array_equal(affine().reference(x, 0.5), [1.5, 4.0, 6.5, 9.0, 11.5, 14.0, 16.5])


def test_affine_tells_its_name_formula_and_parameters() -> None:
    kernel = affine(offset=2, multiplier=-1)
    assert isinstance(kernel, Affine)
    assert kernel.name == "affine"
    assert kernel.formula == "(offset + x * multiplier) * t"
    assert kernel.parameters == {"offset": 2.0, "multiplier": -1.0}
    assert [type(value) for value in kernel.parameters.values()] == [float, float]
    assert affine().parameters == {"offset": 3.0, "multiplier": 5.0}


@pytest.mark.parametrize("name", ["offset", "multiplier"])
@pytest.mark.parametrize("value", [nan, inf, "3", None, True, 1j])
def test_affine_refuses_a_parameter_that_is_not_finite(name: str, value: Any) -> None:
    with pytest.raises(InputError, match=f"^{name} must be a finite real number, not ") as caught:
        affine(**{name: value})
    assert str(caught.value).endswith(repr(value))


def test_affine_takes_its_parameters_by_name_only() -> None:
    with pytest.raises(TypeError, match="positional"):
        affine(3.0, 5.0)  # type: ignore[misc]


def test_a_kernel_needs_evaluate_only() -> None:
    kernel = Square()
    x = np.arange(4.0)
    assert kernel.name == "Square"
    assert kernel.formula == ""
    assert kernel.parameters == {}
    assert kernel.prepare(x, np.empty(4)) is x
    np.testing.assert_array_equal(kernel.reference(x, 0.5), [0.5, 1.5, 4.5, 9.5])


def test_the_default_reference_promotes_integers_and_leaves_the_rows_alone() -> None:
    x = np.array([1, 2, 3], np.int16)
    x.flags.writeable = False
    result = Square().reference(x, 0.25)
    assert result.dtype == np.float64
    np.testing.assert_array_equal(result, [1.25, 4.25, 9.25])


def test_the_default_reference_prepares_before_it_evaluates() -> None:
    class Prepared(Square):
        def prepare(self, x: Array, scratch: Array) -> Array:
            return np.add(x, 1, out=scratch)

    np.testing.assert_array_equal(Prepared().reference(np.arange(3.0), 0.0), [1.0, 4.0, 9.0])


def test_a_kernel_without_evaluate_cannot_be_made() -> None:
    with pytest.raises(TypeError, match="evaluate"):
        type("Nothing", (Kernel,), {})()
