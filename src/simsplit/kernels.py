"""What a rank computes: the contract between the engine and a kernel, and the kernels that come along.

A kernel is row-local: a row of the result depends on the same row of the initial array and on the time,
on nothing else, so that any run of rows may be computed on its own, on any rank. It never sees MPI.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

import numpy as np

from .checks import finite

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy.typing as npt

    Array = npt.NDArray[Any]


class Kernel(ABC):
    """The contract: derive from it to bring a kernel of your own.

    A *map* kernel gives step k from the initial array and the time t_k. Only `evaluate` must be written.
    It is called with NumPy's floating-point warnings off: inf and NaN are results, not news on every rank.

    Attributes
    ----------
    name : str
        What messages call it; the name of the class by default.
    formula : str
        What it computes, for people.
    parameters : mapping of str to float
        Its parameters; every rank must have the same.

    Examples
    --------
    >>> class Square(Kernel):
    ...     def evaluate(self, x, t, out):
    ...         np.multiply(x, x, out=out)
    >>> Square().reference(np.arange(4.0), t=0.0)
    array([0., 1., 4., 9.])
    """

    formula: str = ""

    @property
    def name(self) -> str:
        """What messages call it."""
        return type(self).__name__

    @property
    def parameters(self) -> Mapping[str, float]:
        """Its parameters, by name."""
        return {}

    def prepare(self, x: Array, scratch: Array) -> Array:
        """Compute what does not depend on the time, once for a few steps of a run of rows.

        By default there is nothing to prepare.

        Parameters
        ----------
        x : ndarray, shape (m, ...)
            Rows of the initial array: C-contiguous, in the machine's byte order. Not to be written to.
        scratch : ndarray, shape (m, ...)
            The `out` of the last of these steps, free until then.

        Returns
        -------
        ndarray
            What `evaluate` is given as `x` for each of the steps: `x`, or `scratch`.
        """
        return x

    @abstractmethod
    def evaluate(self, x: Array, t: float, out: Array) -> None:
        """Compute a run of rows for one step.

        Parameters
        ----------
        x : ndarray, shape (m, ...)
            What `prepare` returned: rows of the initial array, unless it is overridden. Not to be
            written to.
        t : float
            The time, in the unit of `Problem.delta_t`.
        out : ndarray, shape (m, ...), C-contiguous
            Where the result goes: the shape of the rows, the dtype that `result_dtype` gave. It holds
            anything before the call and must be written whole. It is `x` itself in the last step, if
            `prepare` returned its `scratch`.
        """

    def result_dtype(self, dtype: np.dtype[Any]) -> np.dtype[Any]:
        """Return the dtype of the result for an initial array of `dtype`.

        By default that of NumPy's promotion with a Python float: floats and complex numbers stay what
        they are, integers become float64.
        """
        return np.result_type(dtype, 0.0)

    def reference(self, x: Array, t: float) -> Array:
        """Compute rows for one step the plain way; what `verify` compares with."""
        out = np.empty(x.shape, self.result_dtype(x.dtype))
        out.reshape(-1).view(np.uint8)[...] = 0xA5  # what the kernel forgets to write must not agree by chance
        self.evaluate(self.prepare(x, out), t, out)
        return out


class Affine(Kernel):
    """Offset and multiplier: ``(offset + x * multiplier) * t``. Made by `affine`."""

    formula = "(offset + x * multiplier) * t"

    def __init__(self, offset: float, multiplier: float) -> None:
        self.offset = finite("offset", offset)
        self.multiplier = finite("multiplier", multiplier)

    @property
    def name(self) -> str:
        """What messages call it."""
        return "affine"

    @property
    def parameters(self) -> Mapping[str, float]:
        """Its parameters, by name."""
        return {"offset": self.offset, "multiplier": self.multiplier}

    def prepare(self, x: Array, scratch: Array) -> Array:
        """Compute ``offset + x * multiplier``, with no temporary array."""
        np.multiply(x, self.multiplier, out=scratch)
        return np.add(self.offset, scratch, out=scratch)

    def evaluate(self, x: Array, t: float, out: Array) -> None:
        """Multiply what is prepared by the time."""
        np.multiply(x, t, out=out)

    def reference(self, x: Array, t: float) -> Array:
        """Compute rows as one would write it down."""
        result: Array = (self.offset + x * self.multiplier) * t
        return result


def affine(*, offset: float = 3.0, multiplier: float = 5.0) -> Affine:
    """Return the kernel ``(offset + x * multiplier) * t``.

    Integers are promoted to float64 as NumPy does with Python floats; float32 and complex64 stay.

    Parameters
    ----------
    offset, multiplier : float
        Finite; in the unit of the array's values and without unit.

    Raises
    ------
    InputError
        If a parameter is not a finite real number.

    Examples
    --------
    >>> affine(offset=3, multiplier=5).reference(np.arange(3.0), t=0.5)
    array([1.5, 4. , 6.5])
    """
    return Affine(offset, multiplier)
