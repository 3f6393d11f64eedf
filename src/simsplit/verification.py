"""Bit-for-bit comparison, and its result."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf, isfinite
from typing import TYPE_CHECKING, Any

import numpy as np

from .util.dtypes import iter_fields

if TYPE_CHECKING:
    import numpy.typing as npt

    Array = npt.NDArray[Any]

_X87_BYTES = 10  # of an 80-bit long double; the rest of its 16 bytes is padding, and holds anything
_X87_MANTISSA = 63


@dataclass(frozen=True, slots=True)
class Verification:
    """What comparing with one process found.

    Attributes
    ----------
    steps, values : int
        How many were compared. What is at one place of the array is one value, whatever fields it has.
    different_steps, different_values : int
        How many of them differ in a bit.
    first : tuple of (int, int) or None
        Step and row of the first value that differs.
    ulp : float
        The greatest distance, in units in the last place: how many other numbers of its dtype one must
        pass; 0 if nothing differs but signs of zero and bits of NaN. Infinite if it cannot be told (not
        a number on one side, an integer, a long double, another dtype).
    reduced, different_reduced : int
        How many values of reductions were compared, and how many of them differ in a bit.
    """

    steps: int
    values: int
    different_steps: int
    different_values: int
    first: tuple[int, int] | None
    ulp: float
    reduced: int = 0
    different_reduced: int = 0

    @property
    def identical(self) -> bool:
        """Whether every value of every step has the same bits."""
        return self.different_values == self.different_reduced == 0

    def __str__(self) -> str:
        if self.identical:
            reduced = f"{self.reduced:,} of {self.reduced:,} reduced values, " if self.reduced else ""
            return (
                f"identical: {self.steps:,} of {self.steps:,} steps, {self.values:,} of {self.values:,} values, "
                f"{reduced}bit for bit"
            )
        if self.first is None:
            return f"DIFFERENT: {self.different_reduced:,} of {self.reduced:,} reduced values"
        return (
            f"DIFFERENT: {self.different_values:,} of {self.values:,} values in {self.different_steps:,} of "
            f"{self.steps:,} steps, first at step {self.first[0]}, row {self.first[1]}{self._apart()}"
        )

    def _apart(self) -> str:
        """Say how far the values are apart, where that can be told."""
        if not isfinite(self.ulp):
            return ""
        if self.ulp == 0:
            return ", in nothing but the sign of zero or the bits of NaN"
        ulp = f"{self.ulp:,.0f}" if self.ulp < 1e6 else f"{self.ulp:.2g}"  # noqa: PLR2004, where digits say little
        return f", at most {ulp} ulp apart"


def bit_mismatch(expected: Array, found: Array) -> npt.NDArray[np.bool_]:
    """Return where two arrays differ in a bit: signed zeros and the payloads of NaN count, padding does not.

    A shape or dtype that is not the expected one differs everywhere.
    """
    if expected.shape != found.shape or expected.dtype != found.dtype:
        return np.ones(found.shape, np.bool_)
    differs = np.zeros(found.shape, np.bool_)
    for one, other in zip(iter_fields(expected), iter_fields(found), strict=True):
        bits = _bits(one) != _bits(other)
        differs |= bits.any(axis=tuple(range(found.ndim, bits.ndim)))
    return differs


def max_ulp_distance(expected: Array, found: Array) -> float:
    """Return the greatest distance between two arrays in units in the last place (see `Verification.ulp`)."""
    if expected.shape != found.shape or expected.dtype != found.dtype:
        return inf
    if expected.dtype.names is None:
        return _ulps(expected, found)
    fields = [pair for pair in zip(iter_fields(expected), iter_fields(found), strict=True) if bit_mismatch(*pair).any()]
    return max((_ulps(*pair) for pair in fields), default=0.0)  # a field of integers has no say where it is right


def _ulps(expected: Array, found: Array) -> float:
    """Return the greatest distance between two arrays of the same numeric dtype."""
    real = expected.real.dtype
    if real.kind != "f" or real.itemsize > 8:  # noqa: PLR2004, bytes of the widest float with an integer like it
        return inf
    one, other = (np.ascontiguousarray(array)[..., None].view(real) for array in (expected, found))
    if (np.isnan(one) != np.isnan(other)).any():
        return inf
    integer = np.dtype(f"i{real.itemsize}")
    least = np.iinfo(integer).min
    # The bits of floats, read as integers, are in order if those with a sign are counted downwards from zero.
    ordered = [np.where(bits < 0, least - bits, bits) for bits in (one.view(integer), other.view(integer))]
    low, high = np.minimum(*ordered), np.maximum(*ordered)
    unsigned = np.dtype(f"u{real.itemsize}")
    distance = high.view(unsigned) - low.view(unsigned)  # wraps to the distance, which may need all bits
    return float(np.where(np.isnan(one), 0, distance).max(initial=0))


def _bits(array: Array) -> Array:
    """View values as unsigned words that hold all their significant bits, along one more axis."""
    real = array.real.dtype
    if array.size == 0:  # -1 below stands for anything then
        return np.zeros((*array.shape, 1), np.uint8)
    if real.kind == "f" and real.itemsize > 8 and np.finfo(real).nmant == _X87_MANTISSA:  # noqa: PLR2004
        words = np.ascontiguousarray(array)[..., None].view(np.uint8)
        return words.reshape(*array.shape, -1, real.itemsize)[..., :_X87_BYTES].reshape(*array.shape, -1)
    word = np.dtype(f"u{min(8, real.itemsize)}")
    return np.ascontiguousarray(array)[..., None].view(word)
