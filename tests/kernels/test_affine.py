"""Offset and multiplier."""

from __future__ import annotations

from itertools import pairwise
from math import inf, nan
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simsplit import InputError, Problem, run
from simsplit.kernels import Affine, Kernel, affine
from simsplit.verification import bit_mismatch
from tests.support.arrays import FINITE, NUMERIC, arrays
from tests.support.blocks import block_of
from tests.support.profiles import examples

if TYPE_CHECKING:
    import numpy.typing as npt

    Array = npt.NDArray[Any]


def by_row(kernel: Kernel, lower: int, upper: int) -> dict[str, Any]:
    """Return the parameters for some rows."""
    return {name: p[lower:upper] if isinstance(p, np.ndarray) else p for name, p in kernel.parameters.items()}


def dtype_of(kernel: Kernel, x: Array) -> np.dtype[Any]:
    """Return the dtype of the result."""
    return kernel.result_dtype(x[:1], block_of(1, by_row(kernel, 0, 1)))


def reference(kernel: Kernel, x: Array, t: float) -> Array:
    """Compute all rows at once."""
    return kernel.reference(x, block_of(len(x), kernel.parameters, t=t), dtype_of(kernel, x))


def in_blocks(kernel: Kernel, x: Array, times: list[float], cuts: list[int]) -> Array:
    """Compute steps of some rows as the engine does: block by block, the last step's place as scratch."""
    out = np.full((len(times), *x.shape), 7, dtype_of(kernel, x))
    ends = [0, *sorted(min(cut, len(x)) for cut in cuts), len(x)]
    x.flags.writeable = False
    for lower, upper in pairwise(ends):
        block = block_of(upper - lower, by_row(kernel, lower, upper), t=times[0], first=lower)
        prepared = kernel.prepare(x[lower:upper], block, out[-1, lower:upper])
        for t, target in zip(times, out[:, lower:upper], strict=True):
            block.t = t
            kernel.evaluate(prepared, block, target)
    return out


@examples(300)
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
            assert not bit_mismatch(reference(kernel, x, t), step).any()


@pytest.mark.parametrize("dtype", NUMERIC)
@pytest.mark.parametrize("width", [1, 3, 7, 17])
def test_affine_in_blocks_of_an_odd_size_gives_the_bits_of_the_plain_formula(dtype: str, width: int) -> None:
    x = (np.arange(101) % 2 if dtype == "bool" else np.arange(101)).astype(dtype)
    plain = (0.1 + x * 1.7) * 0.3
    found = in_blocks(affine(offset=0.1, multiplier=1.7), x, [0.7, 0.3], list(range(0, 101, width)))
    assert not bit_mismatch(plain, found[1]).any()


@pytest.mark.parametrize("dtype", ["float32", "float64", "complex128", "longdouble"])
def test_affine_works_on_rows_of_any_shape(dtype: str) -> None:
    x = np.arange(60).reshape(5, 3, 4).astype(dtype)
    found = in_blocks(affine(), x, [0.5], [1, 3])
    assert not bit_mismatch((3.0 + x * 5.0) * 0.5, found[0]).any()


@pytest.mark.parametrize("dtype", NUMERIC)
def test_offset_and_multiplier_may_differ_by_row(dtype: str) -> None:
    x = np.arange(22).reshape(11, 2).astype(dtype)
    offset, multiplier = np.linspace(0, 1, 11, dtype=np.float32)[:, None], np.linspace(-3, 2, 22).reshape(11, 2)
    kernel = affine(offset=offset, multiplier=multiplier)
    with np.errstate(all="ignore"):
        expected = (offset + x * multiplier) * 0.3
        found = in_blocks(kernel, x, [0.7, 0.3], [2, 3, 8])[1]
        assert not bit_mismatch(expected, found).any()
        assert not bit_mismatch(reference(kernel, x, 0.3), found).any()


@pytest.mark.parametrize(
    ("dtype", "result"),
    [
        *((name, "float64") for name in NUMERIC if np.dtype(name).kind in "biu"),
        *((name, name) for name in NUMERIC if np.dtype(name).kind in "fc"),
    ],
)
@pytest.mark.parametrize("kernel", [affine(), affine(offset=3, multiplier=5)], ids=["floats", "integers"])
def test_the_result_has_the_dtype_of_numpys_promotion_with_a_python_float(
    kernel: Kernel, dtype: str, result: str
) -> None:
    x = np.zeros(3, dtype)
    assert dtype_of(kernel, x) == np.dtype(result)
    assert reference(kernel, x, 1.0).dtype == np.dtype(result)


@pytest.mark.parametrize(("offset", "multiplier"), [(3, 500), (3, np.full(2, 5, np.int8)), (300, 5)], ids=str)
def test_integers_do_not_overflow(offset: Any, multiplier: Any) -> None:
    x = np.array([100, -100], np.int8)
    kernel = affine(offset=offset, multiplier=multiplier)
    expected = (float(offset) + x.astype(float) * multiplier) * 2.0
    assert in_blocks(kernel, x, [2.0], [1])[0].tolist() == expected.tolist()
    assert reference(kernel, x, 2.0).tolist() == expected.tolist()


def test_affine_gives_the_tutorials_numbers() -> None:
    x = np.arange(7.0)
    np.testing.assert_array_equal(reference(affine(offset=3, multiplier=5), x, 0.0), np.zeros(7))
    np.testing.assert_array_equal(reference(affine(), x, 0.5), [1.5, 4.0, 6.5, 9.0, 11.5, 14.0, 16.5])


def test_affine_tells_its_name_formula_and_parameters() -> None:
    kernel = affine(offset=2, multiplier=-1.0)
    assert isinstance(kernel, Affine)
    assert kernel.name == "affine"
    assert kernel.kind == "map"
    assert kernel.source is None
    assert kernel.formula == "(offset + x * multiplier) * t"
    assert kernel.parameters == {"offset": 2.0, "multiplier": -1.0}
    assert [type(value) for value in kernel.parameters.values()] == [int, float]  # as they were given
    assert affine().parameters == {"offset": 3.0, "multiplier": 5.0}


@pytest.mark.parametrize("name", ["offset", "multiplier"])
@pytest.mark.parametrize(
    "value", [nan, inf, "3", complex(0, inf), object()], ids=["nan", "inf", "text", "infj", "object"]
)
def test_affine_refuses_a_parameter_that_is_not_a_finite_number(name: str, value: Any) -> None:
    with pytest.raises(InputError, match=f"^parameter {name} must be a finite number, not ") as caught:
        affine(**{name: value})
    assert str(caught.value).endswith(repr(value))


def test_affine_takes_its_parameters_by_name_only() -> None:
    with pytest.raises(TypeError, match="positional"):
        affine(3.0, 5.0)  # type: ignore[misc]


@pytest.mark.parametrize("dtype", ["?", "i1", "u1", "i2", "i8"])
def test_parameters_that_are_whole_numbers_do_not_overflow(dtype: str) -> None:
    values = np.array([1, 1, 1] if dtype == "?" else [100, 120, 127]).astype(dtype)
    initial = np.array([100, 120, 127], np.int8)
    problem = Problem(initial, affine(offset=values, multiplier=values), delta_t=100.0, steps=3)
    found = run(problem, serial=True, verify=True).history
    assert found is not None
    exact = values.astype(float)
    assert found[2].tolist() == ((exact + initial.astype(float) * exact) * 200.0).tolist()
