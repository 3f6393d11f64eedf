"""Constant arrays as parameters: the same for all rows, such as a matrix of contacts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import InputError
from ..util.dtypes import as_array, is_masked

if TYPE_CHECKING:
    import numpy.typing as npt

    Array = npt.NDArray[Any]


class Constant:
    """An array that is the same for all rows, as a parameter of a kernel. Made by `constant`.

    Parameters
    ----------
    array : array_like, of any shape
        Copied.

    Attributes
    ----------
    array : ndarray, of any shape
        C-contiguous, in the machine's byte order, and read-only.

    Raises
    ------
    InputError
        If it is no array of numbers.
    """

    __slots__ = ("array",)

    def __init__(self, array: npt.ArrayLike) -> None:
        found = numeric_array("a constant", array)
        if not found.ndim:
            raise InputError(f"a constant must be an array of numbers, not {array!r}. Give a single number as it is.")
        self.array: Array = np.array(found, found.dtype.newbyteorder("="), order="C")
        self.array.flags.writeable = False

    def __reduce__(self) -> tuple[Any, ...]:
        return Constant, (self.array,)

    def __repr__(self) -> str:
        return f"constant array of {self.array.dtype}, shape {self.array.shape}"

    def __format__(self, spec: str) -> str:
        """Say what it is; the form of numbers means nothing to it."""
        return repr(self)


def constant(array: npt.ArrayLike, /) -> Constant:
    """Return an array as a parameter that every row gets whole, where an array would give each row its own part.

    Only root's is significant; every rank gets a copy. The other ranks may give None in its place.

    Parameters
    ----------
    array : array_like, of any shape
        Of numbers. Copied.

    Raises
    ------
    InputError
        If it is no array of numbers.

    Examples
    --------
    >>> import numpy as np
    >>> from simsplit import kernels
    >>> def spread(x, contacts):
    ...     return np.einsum("ij,mj->mi", contacts, x)
    >>> kernel = kernels.function(spread, kind="step", contacts=kernels.constant([[0.9, 0.1], [0.2, 0.8]]))
    >>> kernel.parameters["contacts"].array.shape
    (2, 2)
    """
    return Constant(array)


def numeric_array(what: str, value: Any) -> Array:
    """Return an array of numbers.

    Raises
    ------
    InputError
        If it is none; `what` is what the message calls it.
    """
    if is_masked(value):
        raise InputError(f"{what} must be a plain array: a mask would be lost. Use filled(...).")
    try:
        array = as_array(value)
    except (ValueError, TypeError, OverflowError) as error:
        raise InputError(f"{what} cannot be made an array: {error}") from error
    if array.ndim and array.dtype.kind not in "biufc":
        raise InputError(f"{what} must be a number or an array of numbers, not an array of {array.dtype}")
    return array


def unwrapped(parameter: Any) -> Any:
    """Return a parameter as a kernel gets it: of a constant its array."""
    return parameter.array if isinstance(parameter, Constant) else parameter
