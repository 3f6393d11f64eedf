"""Checks of single values."""

from __future__ import annotations

from fractions import Fraction
from math import copysign, inf, nan
from typing import Any

import numpy as np
import pytest

from simsplit import InputError
from simsplit.util.validation import finite, integer, number


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (3, 3.0),
        (-1.5, -1.5),
        (Fraction(1, 4), 0.25),
        (np.float32(0.1), 0.10000000149011612),
        (np.float16(0.5), 0.5),
        (np.longdouble(0.25), 0.25),
        (np.int64(-7), -7.0),
        (1.7976931348623157e308, 1.7976931348623157e308),
        (5e-324, 5e-324),
    ],
)
def test_finite_gives_a_plain_float_of_the_same_value(value: Any, expected: float) -> None:
    result = finite("offset", value)
    assert type(result) is float
    assert result == expected


def test_finite_keeps_the_sign_of_zero() -> None:
    assert copysign(1.0, finite("offset", -0.0)) == -1.0


@pytest.mark.parametrize(
    "value",
    [
        nan,
        inf,
        -inf,
        True,
        np.True_,
        "1",
        None,
        1j,
        [1.0],
        np.array(1.0),
        np.float64(inf),
        10**400,
        Fraction(10**400),
        np.longdouble("1e4000"),
    ],
    ids=repr,
)
def test_finite_names_the_value_that_it_refuses(value: Any) -> None:
    with pytest.raises(InputError) as caught:
        finite("delta_t", value)
    assert str(caught.value) == f"delta_t must be a finite real number, not {value!r}"


@pytest.mark.parametrize("value", [2, 3, 10**40, np.uint8(255), np.int64(2)])
def test_integer_gives_a_plain_int_of_the_same_value(value: Any) -> None:
    result = integer("steps", value, least=2)
    assert type(result) is int
    assert result == value


@pytest.mark.parametrize("value", [-1, 0, 1.5, 3.5, "3", None, True, np.True_, np.float64(2.5), nan, [3]], ids=repr)
def test_integer_names_the_value_that_it_refuses(value: Any) -> None:
    with pytest.raises(InputError) as caught:
        integer("steps", value, least=1)
    assert str(caught.value) == f"steps must be an integer of 1 or more, not {value!r}"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (3, 3),
        (True, True),
        (np.True_, True),
        (np.int8(-7), -7),
        (np.array(5), 5),
        (0.1, 0.1),
        (np.float32(0.5), 0.5),
        (np.longdouble("0.1"), np.longdouble("0.1")),
        (np.array(np.clongdouble(1j) / 3), np.clongdouble(1j) / 3),
        (2**64 - 1, 2**64 - 1),
        (np.uint64(2**63 + 1), 2**63 + 1),
        (-(2**63), -(2**63)),
        (2**70 + 1, 2**70 + 1),
        (Fraction(1, 4), 0.25),
        (1j, 1j),
        (np.complex64(1 + 2j), 1 + 2j),
        (-0.0, -0.0),
    ],
    ids=repr,
)
def test_number_gives_a_number_of_python(value: Any, expected: complex) -> None:
    result = number("rate", value)
    assert type(result) is type(expected)
    assert repr(result) == repr(expected)


@pytest.mark.parametrize(
    "value",
    [
        nan,
        inf,
        complex(0, inf),
        complex(nan, 1),
        "1",
        b"1",
        None,
        [1.0],
        {},
        10**400,
        np.longdouble("inf"),
        np.clongdouble(complex(nan, 1)),
        np.datetime64(1, "s"),
        np.str_("1"),
    ],
    ids=repr,
)
def test_number_names_the_value_that_it_refuses(value: Any) -> None:
    with pytest.raises(InputError) as caught:
        number("rate", value)
    assert str(caught.value) == f"rate must be a finite number, not {value!r}"


@pytest.mark.parametrize("value", [1e6, np.float64(1e6), 10**6, np.int64(10**6)], ids=repr)
def test_a_whole_number_may_be_written_as_a_power_of_ten(value: object) -> None:
    found = integer("steps", value, least=1)
    assert (found, type(found)) == (10**6, int)
