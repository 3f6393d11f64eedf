"""Dtypes: which are accepted, and how those with fields are laid out, written and looked at."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as from_numpy

from simsplit.util.dtypes import is_numeric, leaves, not_a_number, packed, plain, spelled
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
    found = asked.view(plain(dtype))
    assert [leaf.__array_interface__ for leaf in leaves(found)] == [leaf.__array_interface__ for leaf in leaves(asked)]
    assert pickle.loads(pickle.dumps(plain(dtype))) == plain(dtype)  # noqa: S301, our own
    array = np.zeros(2, packed(dtype))
    assert array.itemsize == sum(leaf[:1].nbytes for leaf in leaves(array))
    assert packed(packed(dtype)) == packed(dtype)
    assert packed(dtype).names == dtype.names


def test_padding_goes_with_packing_and_byte_order_stays() -> None:
    assert packed(BODY) == np.dtype(
        [("mass", ">f4"), ("place", "f8", (3,)), ("state", [("alive", "?"), ("charge", "c8")])]
    )
    assert (BODY.itemsize, packed(BODY).itemsize) == (48, 37)


def test_what_users_hang_on_a_dtype_goes() -> None:
    titled = np.dtype([(("the mass", "mass"), np.dtype("f4", metadata={"unit": "kg"}))])
    assert plain(titled).fields == {"mass": (np.dtype("f4"), 0)}
    assert plain(titled)["mass"].metadata is None
    assert plain(np.dtype((np.record, [("a", "f8")]))).type is np.void
    assert plain(np.dtype("f8", metadata={"unit": "kg"})).metadata is None


def test_it_is_written_for_people() -> None:
    assert spelled(BODY) == "{mass: float32, place: 3 × float64, state: {alive: bool, charge: complex64}}"
    assert spelled(np.dtype("f8,(2,3)u1")) == "{f0: float64, f1: 2 × 3 × uint8}"


def test_each_number_is_in_one_leaf() -> None:
    array = np.zeros((4, 2), BODY)
    found = list(leaves(array))
    assert [(leaf.dtype.str, leaf.shape) for leaf in found] == [
        (">f4", (4, 2)), ("<f8", (4, 2, 3)), ("|b1", (4, 2)), ("<c8", (4, 2)),
    ]  # fmt: skip
    found[1][3, 1, 2] = 5
    assert array["place"][3, 1].tolist() == [0, 0, 5]
    (itself,) = leaves(array["mass"])
    assert np.shares_memory(itself, array)


@pytest.mark.parametrize("shape", [(4,), (4, 2), (0,), (4, 0)])
def test_rows_with_nan_are_found_whatever_the_field(shape: tuple[int, ...]) -> None:
    array = np.zeros(shape, BODY)
    assert not not_a_number(array).any()
    if array.size:
        array["place"][1, ..., 2] = np.nan
        array["state"]["charge"][3] = complex(0, np.nan)
        assert not_a_number(array).tolist() == [False, True, False, True]
    assert not_a_number(np.arange(3)).tolist() == [False] * 3
