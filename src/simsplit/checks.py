"""Checks of single values that several modules make."""

from __future__ import annotations

from math import isfinite
from numbers import Number, Real
from operator import index
from typing import Any

from .errors import InputError


def finite(name: str, value: Any) -> float:
    """Return `value` as a float, or raise an `InputError` that names it."""
    try:
        if not isinstance(value, bool) and isinstance(value, Real) and isfinite(value):
            return float(value)
    except OverflowError:
        pass
    raise InputError(f"{name} must be a finite real number, not {value!r}")


def number(name: str, value: Any) -> complex:
    """Return `value` as a finite number of Python, or raise an `InputError` that names it."""
    plain = value.item() if hasattr(value, "item") and getattr(value, "ndim", None) == 0 else value
    try:
        if isinstance(plain, (bool, int)) and abs(plain) < 2**63:
            return plain
        if isinstance(plain, Number) and isfinite(abs(complex(plain))):  # type: ignore[call-overload]
            return complex(plain) if isinstance(plain, complex) else float(plain)  # type: ignore[arg-type]
    except (OverflowError, TypeError):
        pass
    raise InputError(f"{name} must be a finite number, not {value!r}")


def integer(name: str, value: Any, least: int) -> int:
    """Return `value` as an int of `least` or more, or raise an `InputError` that names it."""
    try:
        number = index(value)
    except TypeError:
        number = least - 1
    if number < least or isinstance(value, bool):
        raise InputError(f"{name} must be an integer of {least} or more, not {value!r}")
    return number
