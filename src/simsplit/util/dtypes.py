"""Which dtypes an array may have, and how they are laid out, written, and looked at field by field.

A *structured* dtype has named fields, which hold numbers, arrays of numbers, or fields again. Between
fields there may be padding, whose bytes hold anything; results have none, so that all their bytes count.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy.typing as npt

    Array = npt.NDArray[Any]

_NUMBERS = "biufc"  # dtype kinds: bool, integers, floats, complex


def is_numeric(dtype: np.dtype[Any]) -> bool:
    """Return whether values of `dtype` are numbers, or have fields and nothing in them but numbers."""
    if dtype.names is not None:
        return len(dtype.names) > 0 and all(is_numeric(dtype[name]) for name in dtype.names)
    if dtype.subdtype is not None:
        base, _ = dtype.subdtype
        return dtype.itemsize > 0 and is_numeric(base)
    return dtype.kind in _NUMBERS


def plain(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """Return the dtype without what users may hang on it (metadata, titles, a class), which need not travel."""
    if dtype.names is not None:
        fields = [dtype.fields[name] for name in dtype.names]  # type: ignore[index]
        return np.dtype(
            {
                "names": list(dtype.names),
                "formats": [plain(field[0]) for field in fields],
                "offsets": [field[1] for field in fields],
                "itemsize": dtype.itemsize,
            }
        )
    if dtype.subdtype is not None:
        base, shape = dtype.subdtype
        return np.dtype((plain(base), shape))
    return np.dtype(dtype.str)


def packed(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """Return the dtype, plain, its fields one behind the other in their order."""
    if dtype.names is not None:
        return np.dtype([(name, packed(dtype[name])) for name in dtype.names])
    if dtype.subdtype is not None:
        base, shape = dtype.subdtype
        return np.dtype((packed(base), shape))
    return plain(dtype)


def spelled(dtype: np.dtype[Any]) -> str:
    """Write a dtype for people, byte order aside.

    >>> spelled(np.dtype(">f8"))
    'float64'
    >>> spelled(np.dtype([("mass", "f4"), ("place", "f8", (3,))]))
    '{mass: float32, place: 3 × float64}'
    """
    if dtype.names is not None:
        return f"{{{', '.join(f'{name}: {spelled(dtype[name])}' for name in dtype.names)}}}"
    if dtype.subdtype is not None:
        base, shape = dtype.subdtype
        return " × ".join([*map(str, shape), spelled(base)])
    return dtype.name


def axes_within(dtype: np.dtype[Any]) -> int:
    """Return how many axes the fields of a dtype have at most.

    >>> axes_within(np.dtype("f8")), axes_within(np.dtype([("mass", "f4"), ("place", "f8", (3,))]))
    (0, 1)
    """
    if dtype.names is not None:
        return max(axes_within(dtype[name]) for name in dtype.names)
    return 0 if dtype.subdtype is None else len(dtype.subdtype[1]) + axes_within(dtype.subdtype[0])


def leaves(array: Array) -> Iterator[Array]:
    """Return views of an array that hold numbers: of a structured dtype one for each field, else the array itself.

    Those of fields that are arrays have more axes than `array`, at the end.
    """
    if array.dtype.names is None:
        yield array
        return
    for name in array.dtype.names:
        yield from leaves(array[name])


def not_a_number(array: Array) -> npt.NDArray[np.bool_]:
    """Return which rows have a NaN in them, shape (m,)."""
    found = np.zeros(len(array), np.bool_)
    for leaf in leaves(array):
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
