"""The affine kernel, offset and multiplier: the first example of simsplit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from .base import Kernel, require_unstructured

if TYPE_CHECKING:
    import numpy.typing as npt

    from .base import Block
    from .tracing import TracedArray

    Array = npt.NDArray[Any]


class Affine(Kernel):
    """``(offset + x * multiplier) * t``. Made by `affine`.

    Parameters
    ----------
    **parameters : number, or array_like of shape (n, ...)
        `offset` and `multiplier`.
    """

    name = "affine"
    formula = "(offset + x * multiplier) * t"
    takes_constants = False

    def result_dtype(self, x: Array, block: Block) -> np.dtype[Any]:
        """Return the dtype of the result, as NumPy promotes."""
        require_unstructured(self.name, x)
        return super().result_dtype(x, block)

    def prepare(self, x: Array, block: Block, scratch: Array) -> Array:
        """Compute ``offset + x * multiplier``, with no temporary array."""
        np.multiply(x, block["multiplier"], out=scratch, dtype=scratch.dtype)  # integers would overflow
        np.add(block["offset"], scratch, out=scratch)
        return scratch

    def evaluate(self, x: Array, block: Block, out: Array) -> None:
        """Multiply what is prepared by the time."""
        if out.dtype.kind == "c" and np.may_share_memory(x, out):
            # NumPy multiplies a single complex number in place by another loop, which may give another sign of zero.
            x = x.copy()
        np.multiply(x, block.t, out=out)

    def trace(self, x: TracedArray, block: Block, dtype: np.dtype[Any]) -> TracedArray:
        """Do the same on values that record it."""
        result: TracedArray = (block["offset"] + x.astype(dtype) * block["multiplier"]) * block.t
        return result

    def reference(self, x: Array, block: Block, dtype: np.dtype[Any]) -> Array:
        """Compute rows as one would write it down."""
        result: Array = (block["offset"] + x.astype(dtype, copy=False) * block["multiplier"]) * block.t
        return result


def affine(*, offset: Any = 3.0, multiplier: Any = 5.0) -> Affine:
    """Return the kernel ``(offset + x * multiplier) * t``.

    Integers are promoted to float64 as NumPy does with Python floats; float32 and complex64 stay.

    Parameters
    ----------
    offset, multiplier : number, or array_like of shape (n, ...)
        In the unit of the array's values and without unit.

    Raises
    ------
    InputError
        If a parameter is neither a finite number nor an array of numbers.

    Examples
    --------
    >>> affine(offset=3).parameters
    {'offset': 3, 'multiplier': 5.0}
    """
    return Affine(offset=offset, multiplier=multiplier)
