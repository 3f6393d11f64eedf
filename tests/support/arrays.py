"""Arrays of every numeric dtype with the values that tell bits apart, for property tests."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from hypothesis import strategies as st

if TYPE_CHECKING:
    import numpy.typing as npt

    Array = npt.NDArray[Any]

INTEGERS = ["int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"]
FLOATS = ["float16", "float32", "float64", "longdouble"]
COMPLEX = ["complex64", "complex128", "clongdouble"]
NUMERIC = ["bool", *INTEGERS, *FLOATS, *COMPLEX]


def special(dtype: str) -> list[Any]:
    """Return values of a float dtype that are easily confused, or lost: infinities, NaN, zeros, extremes."""
    info = np.finfo(dtype)
    return [0.0, -0.0, np.inf, -np.inf, np.nan, -np.nan, info.max, info.min, info.tiny, info.smallest_subnormal, 1.0]


def random_array(dtype: str, size: int, seed: int) -> Array:
    """Return values from all over the range of `dtype`, special ones among them."""
    rng = np.random.default_rng(seed)
    kind = np.dtype(dtype).kind
    if kind == "b":
        return rng.integers(0, 2, size).astype(bool)
    if kind in "iu":
        return np.frombuffer(rng.bytes(size * np.dtype(dtype).itemsize), dtype).copy()
    if kind == "c":
        result = np.empty(size, dtype)
        result.real = random_array(result.real.dtype.name, size, seed + 1)
        result.imag = random_array(result.real.dtype.name, size, seed + 2)
        return result
    array = (rng.standard_normal(size) * 10.0 ** rng.integers(-4, 4, size)).astype(dtype)
    chosen = rng.random(size)
    array[chosen < 0.2] = rng.choice(np.array(special(dtype), dtype), int((chosen < 0.2).sum()))
    if array.itemsize <= 8:  # any bits are a value, NaN with all kinds of payloads among them
        bits = np.frombuffer(rng.bytes(array.nbytes), dtype)
        array[chosen > 0.8] = bits[chosen > 0.8]
    return array


def arrays(dtypes: list[str], most: int = 200) -> st.SearchStrategy[Array]:
    """Generate one-dimensional arrays of the given dtypes, of one value or more."""
    return st.builds(random_array, st.sampled_from(dtypes), st.integers(1, most), st.integers(0, 2**32))


FINITE = st.floats(allow_nan=False, allow_infinity=False)
