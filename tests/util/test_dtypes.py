"""Dtypes: which are accepted, and how those with fields are laid out, written and looked at."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as from_numpy

from simsplit.util.dtypes import (
    as_array,
    dtype_label,
    is_masked,
    is_numeric,
    iter_fields,
    packed,
    rows_with_nan,
    strip_metadata,
)
from tests.support.arrays import NUMERIC

BODY = np.dtype([("mass", ">f4"), ("place", "f8", (3,)), ("state", [("alive", "?"), ("charge", "c8")])], align=True)
NUMBERS = st.sampled_from(NUMERIC).map(np.dtype)
FIELDS = from_numpy.array_dtypes(from_numpy.nested_dtypes(NUMBERS, max_leaves=6), max_size=4)


@pytest.mark.parametrize("dtype", [*NUMERIC, ">f8", "f4,i2", "f8,(2,3)u1", BODY], ids=str)
def test_numbers_and_fields_of_numbers_are_numeric(dtype: Any) -> None:
    assert is_numeric(np.dtype(dtype))


@pytest.mark.parametrize(
    "dtype",
    ["U3", "S3", "O", "M8[s]", "m8[s]", "V4", [], "f8,O", [("a", [("b", "U1")])], [("a", "f8", (0,))], [("a", [])]],
    ids=str,
)
def test_anything_else_is_not_wherever_it_stands(dtype: Any) -> None:
    assert not is_numeric(np.dtype(dtype))


@given(FIELDS)
def test_a_plain_dtype_is_the_same_and_a_packed_one_has_no_padding(dtype: np.dtype[Any]) -> None:
    asked = np.zeros(2, dtype)
    found = asked.view(strip_metadata(dtype))
    assert [leaf.__array_interface__ for leaf in iter_fields(found)] == [
        leaf.__array_interface__ for leaf in iter_fields(asked)
    ]
    assert pickle.loads(pickle.dumps(strip_metadata(dtype))) == strip_metadata(dtype)  # noqa: S301, our own
    array = np.zeros(2, packed(dtype))
    assert array.itemsize == sum(leaf[:1].nbytes for leaf in iter_fields(array))
    assert packed(packed(dtype)) == packed(dtype)
    assert packed(dtype).names == dtype.names


def test_padding_goes_with_packing_and_byte_order_stays() -> None:
    assert packed(BODY) == np.dtype(
        [("mass", ">f4"), ("place", "f8", (3,)), ("state", [("alive", "?"), ("charge", "c8")])]
    )
    assert (BODY.itemsize, packed(BODY).itemsize) == (48, 37)


def test_what_users_hang_on_a_dtype_goes() -> None:
    titled = np.dtype([(("the mass", "mass"), np.dtype("f4", metadata={"unit": "kg"}))])
    assert strip_metadata(titled).fields == {"mass": (np.dtype("f4"), 0)}
    assert strip_metadata(titled)["mass"].metadata is None
    assert strip_metadata(np.dtype((np.record, [("a", "f8")]))).type is np.void
    assert strip_metadata(np.dtype("f8", metadata={"unit": "kg"})).metadata is None


def test_it_is_written_for_people() -> None:
    assert dtype_label(BODY) == "{mass: float32, place: 3 × float64, state: {alive: bool, charge: complex64}}"
    assert dtype_label(np.dtype("f8,(2,3)u1")) == "{f0: float64, f1: 2 × 3 × uint8}"


def test_each_number_is_in_one_leaf() -> None:
    array = np.zeros((4, 2), BODY)
    found = list(iter_fields(array))
    assert [(leaf.dtype.str, leaf.shape) for leaf in found] == [
        (">f4", (4, 2)), ("<f8", (4, 2, 3)), ("|b1", (4, 2)), ("<c8", (4, 2)),
    ]  # fmt: skip
    found[1][3, 1, 2] = 5
    assert array["place"][3, 1].tolist() == [0, 0, 5]
    (itself,) = iter_fields(array["mass"])
    assert np.shares_memory(itself, array)


@pytest.mark.parametrize("shape", [(4,), (4, 2), (0,), (4, 0)])
def test_rows_with_nan_are_found_whatever_the_field(shape: tuple[int, ...]) -> None:
    array = np.zeros(shape, BODY)
    assert not rows_with_nan(array).any()
    if array.size:
        array["place"][1, ..., 2] = np.nan
        array["state"]["charge"][3] = complex(0, np.nan)
        assert rows_with_nan(array).tolist() == [False, True, False, True]
    assert rows_with_nan(np.arange(3)).tolist() == [False] * 3


@pytest.mark.parametrize(
    ("values", "dtype"),
    [
        ([1, 2], "int64"),
        ([2**53 + 1, -(2**63)], "int64"),
        ([2**64 - 1, 1], "uint64"),
        ([[2**63], [1]], "uint64"),
        ((np.uint64(2**63 + 1), np.int64(1)), "uint64"),
        ([2**53, 0.5], "float64"),
        ([10**20, 1], "float64"),
        ([2**63, -1], "float64"),
        ([2**64, 0.5], "float64"),
        ([2**53, 1j], "complex128"),
        ([], "float64"),
        ([True, 2.5], "float64"),
        ([1e300, float("nan")], "float64"),
    ],
    ids=repr,
)
def test_an_array_of_a_list_has_its_numbers(values: Any, dtype: str) -> None:
    array = as_array(values)
    assert array.dtype == dtype
    assert repr(array.tolist()) == repr(np.array(values, object).astype(dtype).tolist())
    if array.dtype.kind in "iu":
        assert array.tolist() == np.array(values, object).tolist()


@pytest.mark.parametrize(
    ("values", "rounded", "as_float"),
    [
        ([2**53 + 1, 0.5], 2**53 + 1, "9007199254740992.0"),
        ([[-(2**53) - 1, 1j]], -(2**53) - 1, "-9007199254740992.0"),
        ([2**63 + 1, -1], 2**63 + 1, "9.223372036854776e+18"),
        ([2**64 + 1, 1], 2**64 + 1, "1.8446744073709552e+19"),
    ],
)
def test_a_list_whose_whole_numbers_would_be_rounded_is_refused(values: Any, rounded: int, as_float: str) -> None:
    with pytest.raises(ValueError, match=rf"^float64 would round {rounded}: write .* if that is meant$") as caught:
        as_array(values)
    assert f"write {as_float} if" in str(caught.value)


@pytest.mark.parametrize("values", [["a"], [None, 2**64], [2**64, "a"]], ids=repr)
def test_what_is_no_list_of_numbers_does_not_become_an_array_of_them(values: Any) -> None:
    assert not is_numeric(as_array(values).dtype)


@pytest.mark.parametrize("values", [[[1], [1, 2]], [10**400], [10**400, 1.5]], ids=repr)
def test_what_cannot_be_an_array_of_numbers_is_an_error(values: Any) -> None:
    with pytest.raises((ValueError, OverflowError)):
        as_array(values)


def test_a_mask_is_found_in_lists() -> None:
    masked = np.ma.masked_array([1.0, 2.0], [True, False])
    assert is_masked(masked)
    assert is_masked([1.0, [2.0, (masked,)]])
    assert is_masked([np.ma.masked])
    assert not is_masked([1.0, [np.ones(2)]])
