"""Comparing bit for bit."""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simsplit import Verification
from simsplit.verification import bit_mismatch, max_ulp_distance
from tests.support.profiles import examples

from .support.arrays import COMPLEX, FLOATS, NUMERIC, arrays, random_array

if TYPE_CHECKING:
    import numpy.typing as npt

    Array = npt.NDArray[Any]


@examples(150)
@given(array=arrays(NUMERIC))
def test_a_copy_differs_nowhere_whatever_it_holds(array: Array) -> None:
    found = bit_mismatch(array, array.copy())
    assert found.shape == array.shape
    assert not found.any()


@examples(200)
@given(dtype=st.sampled_from([name for name in NUMERIC if "long" not in name and name != "bool"]), data=st.data())
def test_a_single_bit_that_differs_is_found_at_its_place(dtype: str, data: st.DataObject) -> None:
    array = random_array(dtype, data.draw(st.integers(1, 40)), data.draw(st.integers(0, 999)))
    changed = array.copy()
    bit = data.draw(st.integers(0, 8 * array.nbytes - 1))
    changed.view(np.uint8)[bit // 8] ^= np.uint8(1 << bit % 8)
    place = bit // (8 * array.itemsize)
    assert np.flatnonzero(bit_mismatch(array, changed)).tolist() == [place]
    assert np.flatnonzero(bit_mismatch(changed, array)).tolist() == [place]


@pytest.mark.parametrize("dtype", FLOATS)
def test_signed_zeros_and_signed_nans_differ_though_they_look_alike(dtype: str) -> None:
    one = np.array([0.0, np.nan, 1.0], dtype)
    other = np.array([-0.0, np.copysign(np.nan, -1.0), 1.0], dtype)
    assert np.signbit(one).tolist() != np.signbit(other).tolist()
    assert bit_mismatch(one, other).tolist() == [True, True, False]
    assert bit_mismatch(one, one).tolist() == [False, False, False]


@pytest.mark.parametrize(("dtype", "word"), [("float16", "u2"), ("float32", "u4"), ("float64", "u8")])
def test_the_payloads_of_nans_count(dtype: str, word: str) -> None:
    quiet = np.array([np.nan, np.nan], dtype)
    other = quiet.copy()
    other.view(word)[1] |= 1
    assert np.isnan(other).all()
    assert bit_mismatch(quiet, other).tolist() == [False, True]


@pytest.mark.parametrize("dtype", COMPLEX)
def test_the_imaginary_part_counts_like_the_real_one(dtype: str) -> None:
    one = np.array([0, 0, 1], dtype)
    other = one.copy()
    other.imag[0] = -0.0
    other.real[2] = np.nextafter(one.real.dtype.type(1), 2, dtype=one.real.dtype)
    assert bit_mismatch(one, other).tolist() == [True, False, True]


@pytest.mark.parametrize("dtype", ["longdouble", "clongdouble"])
def test_the_padding_of_long_doubles_does_not_count_and_the_last_bit_does(dtype: str) -> None:
    one = np.array([1, 2, 3], dtype)
    padded = one.copy()
    if np.finfo(np.longdouble).nmant == 63:
        padded.view(np.uint8).reshape(-1, 16)[:, 10:] ^= 0xFF
    assert not bit_mismatch(one, padded).any()
    padded.real[1] = np.nextafter(np.longdouble(2), np.longdouble(3))
    assert bit_mismatch(one, padded).tolist() == [False, True, False]


@pytest.mark.parametrize("dtype", NUMERIC)
def test_arrays_of_many_axes_are_compared_value_by_value_in_any_layout(dtype: str) -> None:
    one = np.zeros((3, 2, 4), dtype)
    other = np.zeros((3, 2, 4), dtype, order="F")
    other[1, 0, 3] = 1
    assert np.argwhere(bit_mismatch(one, other)).tolist() == [[1, 0, 3]]
    assert np.argwhere(bit_mismatch(one[:, ::-1], other[:, ::-1])).tolist() == [[1, 1, 3]]


def test_values_with_fields_are_compared_field_by_field_and_padding_does_not_count() -> None:
    dtype = np.dtype([("a", "i1"), ("b", "f8", (2,)), ("c", [("d", "f4"), ("e", "i8")])], align=True)
    one, other = np.zeros((3, 2), dtype), np.empty((3, 2), dtype)
    other.view(np.uint8)[...] = 0xFF
    for name in ("a", "b"):
        other[name] = one[name]
    other["c"]["d"], other["c"]["e"] = one["c"]["d"], one["c"]["e"]
    assert one.tobytes() != other.tobytes()
    assert not bit_mismatch(one, other).any()
    assert max_ulp_distance(one, other) == 0
    other["b"][1, 0, 1] = -0.0
    other["c"]["d"][2, 1] = np.nextafter(np.float32(0), np.float32(1))
    assert np.argwhere(bit_mismatch(one, other)).tolist() == [[1, 0], [2, 1]]
    assert max_ulp_distance(one, other) == 1
    other["a"][0, 0] = 1
    assert max_ulp_distance(one, other) == inf
    assert bit_mismatch(one, one.astype(one.dtype.newbyteorder(">"))).all()


@pytest.mark.parametrize(
    "found",
    [np.zeros(4), np.zeros((3, 1)), np.zeros(3, np.float32), np.zeros(3, ">f8"), np.zeros(3, np.int64)],
    ids=["longer", "more axes", "float32", "big-endian", "integers"],
)
def test_another_shape_or_dtype_differs_everywhere(found: Array) -> None:
    result = bit_mismatch(np.zeros(3), found)
    assert result.shape == found.shape
    assert result.all()


def test_rows_of_no_long_doubles_differ_nowhere() -> None:
    empty = np.zeros((4, 0), np.longdouble)
    assert not bit_mismatch(empty, empty).any()


def test_the_verdict_is_written_with_thousands_separated() -> None:
    assert str(Verification(10, 80_000_000, 0, 0, None, 0.0)) == (
        "identical: 10 of 10 steps, 80,000,000 of 80,000,000 values, bit for bit"
    )
    assert str(Verification(2000, 3_000_000, 1000, 1_234_567, (999, 5), inf)) == (
        "DIFFERENT: 1,234,567 of 3,000,000 values in 1,000 of 2,000 steps, first at step 999, row 5"
    )
    assert str(Verification(2000, 3_000_000, 1000, 1_234_567, (999, 5), 12_345.0)) == (
        "DIFFERENT: 1,234,567 of 3,000,000 values in 1,000 of 2,000 steps, first at step 999, row 5, "
        "at most 12,345 ulp apart"
    )
    assert str(Verification(1, 3, 1, 1, (0, 0), 0.0)) == (
        "DIFFERENT: 1 of 3 values in 1 of 1 steps, first at step 0, row 0, in nothing but the sign of zero or the bits "
        "of NaN"
    )
    assert str(Verification(1, 3, 1, 1, (0, 0), 1.24e15)) == (
        "DIFFERENT: 1 of 3 values in 1 of 1 steps, first at step 0, row 0, at most 1.2e+15 ulp apart"
    )


def test_identical_is_what_has_no_different_value() -> None:
    assert Verification(10, 80, 0, 0, None, 0.0).identical
    assert not Verification(10, 80, 1, 1, (0, 0), 0.0).identical


WORDS = {"float16": "i2", "float32": "i4", "float64": "i8"}


def stepped(start: Array, steps: int) -> Array:
    """Return the numbers that many steps further up, one by one."""
    for _ in range(steps):
        start = np.nextafter(start, start.dtype.type(np.inf))
    return start


@pytest.mark.parametrize("dtype", WORDS)
@pytest.mark.parametrize("start", [1.0, -1.0, 0.0, -0.0, 0.99, 2.0, 1e-4, -6e-5])
@pytest.mark.parametrize("steps", [0, 1, 2, 37])
def test_the_distance_is_the_number_of_steps_from_number_to_number(dtype: str, start: float, steps: int) -> None:
    one = np.array([start, 5.0], dtype)
    other = np.array([stepped(one[:1], steps)[0], 5.0], dtype)
    assert max_ulp_distance(one, other) == steps
    assert max_ulp_distance(other, one) == steps


@pytest.mark.parametrize("dtype", WORDS)
def test_the_distance_goes_through_zero_and_to_the_ends_of_the_range(dtype: str) -> None:
    info = np.finfo(dtype)
    tiny = info.smallest_subnormal
    assert max_ulp_distance(np.array([-tiny]), np.array([tiny])) == 2
    assert max_ulp_distance(np.array([0.0], dtype), np.array([-0.0], dtype)) == 0
    assert max_ulp_distance(np.array([info.max]), np.array([np.inf], dtype)) == 1
    ends = np.array([-info.max]), np.array([info.max])
    assert max_ulp_distance(*ends) == float(2 * int(info.max.view(WORDS[dtype])))


@pytest.mark.parametrize("dtype", ["complex64", "complex128"])
def test_the_distance_of_complex_numbers_is_that_of_their_parts(dtype: str) -> None:
    one = np.array([1 + 1j, 2 - 3j], dtype)
    other = one.copy()
    other.real[0] = stepped(one.real[:1], 2)[0]
    other.imag[1] = stepped(one.imag[1:], 5)[0]
    assert max_ulp_distance(one, other) == 5


def test_not_a_number_on_one_side_cannot_be_told_and_on_both_is_no_distance() -> None:
    one = np.array([np.nan, 1.0])
    assert max_ulp_distance(one, np.array([1.0, 1.0])) == inf
    assert max_ulp_distance(one, one) == 0
    assert max_ulp_distance(one, np.array([np.nan, np.nextafter(1.0, 2.0)])) == 1


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (np.zeros(3), np.zeros(4)),
        (np.zeros(3), np.zeros(3, np.float32)),
        (np.zeros(3, np.longdouble), np.zeros(3, np.longdouble)),
        (np.zeros(3, np.clongdouble), np.zeros(3, np.clongdouble)),
        (np.zeros(3, np.int64), np.zeros(3, np.int64)),
        (np.zeros(3, np.bool_), np.zeros(3, np.bool_)),
    ],
)
def test_where_no_distance_can_be_told_it_is_infinite(one: Array, other: Array) -> None:
    assert max_ulp_distance(one, other) == inf


def test_arrays_without_values_have_no_distance() -> None:
    assert max_ulp_distance(np.zeros((3, 0)), np.zeros((3, 0))) == 0


@examples(100)
@given(dtype=st.sampled_from(list(WORDS)), seed=st.integers(0, 999))
def test_the_distance_is_that_of_plain_integers(dtype: str, seed: int) -> None:
    one, other = (random_array(dtype, 20, seed + shift) for shift in (0, 1000))
    either = np.isnan(one) | np.isnan(other)
    one, other = one[~either], other[~either]

    def place(bits: int) -> int:
        return bits if bits >= 0 else -(bits & (2 ** (8 * one.itemsize - 1) - 1))

    pairs = zip(one.view(WORDS[dtype]).tolist(), other.view(WORDS[dtype]).tolist(), strict=True)
    assert max_ulp_distance(one, other) == float(max((abs(place(a) - place(b)) for a, b in pairs), default=0))
