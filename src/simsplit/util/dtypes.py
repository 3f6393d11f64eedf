"""Which dtypes an array may have, how they are laid out, written, and looked at, and how lists become arrays.

A *structured* dtype has named fields, which hold numbers, arrays of numbers, or fields again. Between
fields there may be padding, whose bytes hold anything; results have none, so that all their bytes count.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy.typing as npt

    Array = npt.NDArray[Any]

_EXACT = 2.0**53  # smaller whole numbers are float64 exactly
_BEYOND = 2**64  # the least that uint64 does not hold
_NUMBERS = "biufc"  # dtype kinds: bool, integers, floats, complex


def is_numeric(dtype: np.dtype[Any]) -> bool:
    """Return whether values of `dtype` are numbers, or have fields and nothing in them but numbers."""
    if dtype.names is not None:
        return len(dtype.names) > 0 and all(is_numeric(dtype[name]) for name in dtype.names)
    if dtype.subdtype is not None:
        base, _ = dtype.subdtype
        return dtype.itemsize > 0 and is_numeric(base)
    return dtype.kind in _NUMBERS


def strip_metadata(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """Return the dtype without what users may hang on it (metadata, titles, a class), which need not travel."""
    if dtype.names is not None:
        fields = [dtype.fields[name] for name in dtype.names]  # type: ignore[index]
        return np.dtype(
            {
                "names": list(dtype.names),
                "formats": [strip_metadata(field[0]) for field in fields],
                "offsets": [field[1] for field in fields],
                "itemsize": dtype.itemsize,
            }
        )
    if dtype.subdtype is not None:
        base, shape = dtype.subdtype
        return np.dtype((strip_metadata(base), shape))
    return np.dtype(dtype.str)


def packed(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """Return the dtype, plain, its fields one behind the other in their order."""
    if dtype.names is not None:
        return np.dtype([(name, packed(dtype[name])) for name in dtype.names])
    if dtype.subdtype is not None:
        base, shape = dtype.subdtype
        return np.dtype((packed(base), shape))
    return strip_metadata(dtype)


def dtype_label(dtype: np.dtype[Any]) -> str:
    """Write a dtype for people, byte order aside.

    >>> spelled(np.dtype(">f8"))
    'float64'
    >>> spelled(np.dtype([("mass", "f4"), ("place", "f8", (3,))]))
    '{mass: float32, place: 3 × float64}'
    """
    if dtype.names is not None:
        return f"{{{', '.join(f'{name}: {dtype_label(dtype[name])}' for name in dtype.names)}}}"
    if dtype.subdtype is not None:
        base, shape = dtype.subdtype
        return " × ".join([*map(str, shape), dtype_label(base)])
    return dtype.name


def axes_within(dtype: np.dtype[Any]) -> int:
    """Return how many axes the fields of a dtype have at most.

    >>> axes_within(np.dtype("f8")), axes_within(np.dtype([("mass", "f4"), ("place", "f8", (3,))]))
    (0, 1)
    """
    if dtype.names is not None:
        return max(axes_within(dtype[name]) for name in dtype.names)
    return 0 if dtype.subdtype is None else len(dtype.subdtype[1]) + axes_within(dtype.subdtype[0])


def iter_fields(array: Array) -> Iterator[Array]:
    """Return views of an array that hold numbers: of a structured dtype one for each field, else the array itself.

    Those of fields that are arrays have more axes than `array`, at the end.
    """
    if array.dtype.names is None:
        yield array
        return
    for name in array.dtype.names:
        yield from iter_fields(array[name])


def canonicalize_nan(array: Array) -> None:
    """Let every NaN have the same bits: which of two comes out of a sum depends on the loop that adds them."""
    for leaf in iter_fields(array):
        if leaf.dtype.kind not in "fc" or not leaf.size:
            continue
        for plain in (leaf.real, leaf.imag) if leaf.dtype.kind == "c" else (leaf,):
            if np.isnan(np.maximum.reduce(plain, axis=None)):  # a quick look: most have none
                plain[np.isnan(plain)] = np.nan


def rows_with_nan(array: Array) -> npt.NDArray[np.bool_]:
    """Return which rows have a NaN in them, shape (m,)."""
    found = np.zeros(len(array), np.bool_)
    for leaf in iter_fields(array):
        found |= np.isnan(leaf).any(axis=tuple(range(1, leaf.ndim)))
    return found


def as_json(dtype: np.dtype[Any]) -> Any:
    """Write a dtype as JSON knows it: a text, or of a structured one a list of its fields."""
    return np.lib.format.dtype_to_descr(dtype)


def from_json(written: Any) -> np.dtype[Any]:
    """Return the dtype that `as_json` wrote."""
    return np.lib.format.descr_to_dtype(_tuples(written))


def _tuples(written: Any) -> Any:
    """Make tuples of the lists in a description of fields, as it was before it was JSON."""
    if isinstance(written, str):
        return written
    return [
        (each[0], _tuples(each[1]) if isinstance(each[1], list) else each[1], *(tuple(shape) for shape in each[2:]))
        for each in written
    ]


def is_masked(value: Any) -> bool:
    """Return whether a value is, or holds in a list, a masked array, of which NumPy would drop the mask."""
    if "numpy.ma" not in sys.modules:  # it is loaded on demand
        return False
    if isinstance(value, (list, tuple)):
        return any(map(is_masked, value))
    return isinstance(value, np.ma.MaskedArray)


def as_array(values: Any) -> Array:
    """Return an array of what is given; of the whole numbers in lists none is rounded.

    Raises
    ------
    ValueError, TypeError, OverflowError
        If it cannot be made an array.
    """
    array = np.asarray(values)
    if not isinstance(values, (list, tuple)) or array.dtype.kind not in "fcO" or not array.size:
        return array
    if array.dtype.kind != "O" and not (np.abs(array) >= _EXACT).any():
        return array
    exact = np.asarray(values, dtype=object)
    whole = [int(each) for each in exact.flat if isinstance(each, (int, np.integer))]
    if len(whole) == exact.size and min(whole) >= 0 and max(whole) < _BEYOND:
        return exact.astype(np.uint64)  # NumPy makes float64 of these if some are small
    if (rounded := first_rounded(whole)) is not None:
        raise ValueError(f"float64 would round {rounded}: write {float(rounded)!r} if that is meant")
    if array.dtype.kind == "O" and all(isinstance(each, (int, float, np.number)) for each in exact.flat):
        return exact.astype(np.float64)
    return array


def first_rounded(whole: Array | list[int]) -> int | None:
    """Return the first whole number that is no float64, if there is one."""
    large = whole if isinstance(whole, np.ndarray) else np.array(whole, dtype=object)
    return next((each for each in large[abs(large) >= _EXACT].tolist() if each != int(float(each))), None)
