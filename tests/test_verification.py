"""Comparing bit for bit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simsplit import Problem, Verification, kernels, verification
from simsplit.verification import compare, different

from .arrays import COMPLEX, FLOATS, NUMERIC, arrays, random_array

if TYPE_CHECKING:
    import numpy.typing as npt

    Array = npt.NDArray[Any]


def history_of(problem: Problem) -> Array:
    """Return the history, as one would write it down."""
    with np.errstate(all="ignore"):
        steps = [problem.kernel.reference(problem.initial, problem.time(k)) for k in range(problem.steps)]  # type: ignore[arg-type]
    return np.array(steps)


@settings(deadline=None, max_examples=150)
@given(array=arrays(NUMERIC))
def test_a_copy_differs_nowhere_whatever_it_holds(array: Array) -> None:
    found = different(array, array.copy())
    assert found.shape == array.shape
    assert not found.any()


@settings(deadline=None, max_examples=200)
@given(dtype=st.sampled_from([name for name in NUMERIC if "long" not in name and name != "bool"]), data=st.data())
def test_a_single_bit_that_differs_is_found_at_its_place(dtype: str, data: st.DataObject) -> None:
    array = random_array(dtype, data.draw(st.integers(1, 40)), data.draw(st.integers(0, 999)))
    changed = array.copy()
    bit = data.draw(st.integers(0, 8 * array.nbytes - 1))
    changed.view(np.uint8)[bit // 8] ^= np.uint8(1 << bit % 8)
    place = bit // (8 * array.itemsize)
    assert np.flatnonzero(different(array, changed)).tolist() == [place]
    assert np.flatnonzero(different(changed, array)).tolist() == [place]


@pytest.mark.parametrize("dtype", FLOATS)
def test_signed_zeros_and_signed_nans_differ_though_they_look_alike(dtype: str) -> None:
    one = np.array([0.0, np.nan, 1.0], dtype)
    other = np.array([-0.0, np.copysign(np.nan, -1.0), 1.0], dtype)
    assert np.signbit(one).tolist() != np.signbit(other).tolist()
    assert different(one, other).tolist() == [True, True, False]
    assert different(one, one).tolist() == [False, False, False]


@pytest.mark.parametrize(("dtype", "word"), [("float16", "u2"), ("float32", "u4"), ("float64", "u8")])
def test_the_payloads_of_nans_count(dtype: str, word: str) -> None:
    quiet = np.array([np.nan, np.nan], dtype)
    other = quiet.copy()
    other.view(word)[1] |= 1
    assert np.isnan(other).all()
    assert different(quiet, other).tolist() == [False, True]


@pytest.mark.parametrize("dtype", COMPLEX)
def test_the_imaginary_part_counts_like_the_real_one(dtype: str) -> None:
    one = np.array([0, 0, 1], dtype)
    other = one.copy()
    other.imag[0] = -0.0
    other.real[2] = np.nextafter(one.real.dtype.type(1), 2, dtype=one.real.dtype)
    assert different(one, other).tolist() == [True, False, True]


@pytest.mark.parametrize("dtype", ["longdouble", "clongdouble"])
def test_the_padding_of_long_doubles_does_not_count_and_the_last_bit_does(dtype: str) -> None:
    one = np.array([1, 2, 3], dtype)
    padded = one.copy()
    if np.finfo(np.longdouble).nmant == 63:
        padded.view(np.uint8).reshape(-1, 16)[:, 10:] ^= 0xFF
    assert not different(one, padded).any()
    padded.real[1] = np.nextafter(np.longdouble(2), np.longdouble(3))
    assert different(one, padded).tolist() == [False, True, False]


@pytest.mark.parametrize("dtype", NUMERIC)
def test_arrays_of_many_axes_are_compared_value_by_value_in_any_layout(dtype: str) -> None:
    one = np.zeros((3, 2, 4), dtype)
    other = np.zeros((3, 2, 4), dtype, order="F")
    other[1, 0, 3] = 1
    assert np.argwhere(different(one, other)).tolist() == [[1, 0, 3]]
    assert np.argwhere(different(one[:, ::-1], other[:, ::-1])).tolist() == [[1, 1, 3]]


@pytest.mark.parametrize(
    "found",
    [np.zeros(4), np.zeros((3, 1)), np.zeros(3, np.float32), np.zeros(3, ">f8"), np.zeros(3, np.int64)],
    ids=["longer", "more axes", "float32", "big-endian", "integers"],
)
def test_another_shape_or_dtype_differs_everywhere(found: Array) -> None:
    result = different(np.zeros(3), found)
    assert result.shape == found.shape
    assert result.all()


@pytest.mark.parametrize("dtype", NUMERIC)
def test_a_history_of_one_process_is_identical(dtype: str) -> None:
    problem = Problem(random_array(dtype, 23, 5), kernels.affine(), delta_t=0.1, steps=4)
    assert compare(problem, history_of(problem)) == Verification(True, 4, 92, 0, 0, None)


@pytest.mark.parametrize("at_once", [1, 24, 100, 10**6])
def test_all_differences_are_counted_and_the_first_is_named(monkeypatch: pytest.MonkeyPatch, at_once: int) -> None:
    monkeypatch.setattr(verification, "_AT_ONCE", at_once)
    problem = Problem(np.arange(30.0).reshape(10, 3), kernels.affine(), delta_t=0.5, steps=6)
    history = history_of(problem)
    history[2, 7, 1] += 1
    history[2, 9, 0] = np.nan
    history[5, 0, 0] = -history[5, 0, 0]
    found = compare(problem, history)
    assert found == Verification(False, 6, 180, 2, 3, (2, 7))
    assert str(found) == "DIFFERENT: 3 of 180 values in 2 of 6 steps, first at step 2, row 7"


def test_the_initial_array_may_have_any_byte_order_and_layout() -> None:
    plain = np.arange(24.0).reshape(6, 4)
    expected = history_of(Problem(plain, kernels.affine(), delta_t=0.5, steps=3))
    for initial in (plain.astype(">f8"), np.asfortranarray(plain), np.repeat(plain, 2, axis=0)[::2]):
        problem = Problem(initial, kernels.affine(), delta_t=0.5, steps=3)
        assert compare(problem, expected).identical


@pytest.mark.parametrize(("shape", "steps"), [((0,), 3), ((0, 2), 3), ((4, 0), 3), ((4,), 0)])
def test_where_there_is_nothing_to_compare_nothing_differs(shape: tuple[int, ...], steps: int) -> None:
    problem = Problem(np.zeros(shape), kernels.affine(), delta_t=0.5, steps=steps)
    found = compare(problem, np.zeros((steps, *shape)))
    assert found == Verification(True, steps, 0, 0, 0, None)


def test_rows_of_no_long_doubles_differ_nowhere() -> None:
    empty = np.zeros((4, 0), np.longdouble)
    assert not different(empty, empty).any()


def test_the_verdict_is_written_with_thousands_separated() -> None:
    assert str(Verification(True, 10, 80_000_000, 0, 0, None)) == (
        "identical: 10 of 10 steps, 80,000,000 of 80,000,000 values, bit for bit"
    )
    assert str(Verification(False, 2000, 3_000_000, 1000, 1_234_567, (999, 5))) == (
        "DIFFERENT: 1,234,567 of 3,000,000 values in 1,000 of 2,000 steps, first at step 999, row 5"
    )


def test_warnings_of_the_kernel_are_off() -> None:
    problem = Problem(np.array([1e308, np.inf]), kernels.affine(multiplier=1e10), delta_t=1.0, steps=2)
    assert compare(problem, history_of(problem)).identical
