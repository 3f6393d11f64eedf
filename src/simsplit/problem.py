"""What is simulated: the initial array, the kernel and the time grid."""

from __future__ import annotations

import sys
from math import inf
from numbers import Number
from typing import TYPE_CHECKING, Any

import numpy as np

from .checks import finite, integer
from .errors import InputError
from .kernels import Kernel

if TYPE_CHECKING:
    import numpy.typing as npt

NUMERIC = "biufc"  # dtype kinds: bool, integers, floats, complex


class Problem:
    """What is simulated. Checked when it is made; not changed afterwards.

    Parameters
    ----------
    initial : array_like, shape (n, ...), or None
        The array at the start, of any numeric or complex dtype, byte order and memory layout. Axis 0
        is split over the ranks. Not copied: leave it alone until the run is over. It is significant
        on root only; the other ranks may give None, to save their memory.
    kernel : Kernel
        What is computed for each step.
    delta_t : float
        The time from one step to the next; the unit is yours.
    steps : int
        How many steps to compute, 0 or more.
    start_time : float, default 0.0
        The time of step 0, in the unit of `delta_t`.

    Raises
    ------
    InputError
        If a value is wrong; the message names it and says what is accepted.

    Examples
    --------
    >>> from simsplit import Problem, kernels
    >>> problem = Problem(initial=range(7), kernel=kernels.affine(), delta_t=0.5, steps=5)
    >>> problem.time(3)
    1.5
    """

    __slots__ = ("delta_t", "initial", "kernel", "start_time", "steps")

    def __init__(
        self,
        initial: npt.ArrayLike | None,
        kernel: Kernel,
        *,
        delta_t: float,
        steps: int,
        start_time: float = 0.0,
    ) -> None:
        if not isinstance(kernel, Kernel):
            raise InputError(f"kernel must be a simsplit.kernels.Kernel, such as kernels.affine(), not {kernel!r}")
        self.initial = None if initial is None else _array(initial)
        self.kernel = kernel
        self.delta_t = finite("delta_t", delta_t)
        self.start_time = finite("start_time", start_time)
        self.steps = integer("steps", steps, least=0)
        if self.steps > sys.maxsize:
            raise InputError(f"steps must be {sys.maxsize:,} at most, not {self.steps:,}")
        try:
            last = self.time(max(0, self.steps - 1))
        except OverflowError:
            last = inf
        if abs(last) == inf:
            raise InputError(
                f"the time of the last step, {self.start_time} + {self.steps - 1} * {self.delta_t}, is not "
                "finite. Give a smaller delta_t or fewer steps."
            )

    def __repr__(self) -> str:
        array = "None" if self.initial is None else f"<{self.initial.dtype} {self.initial.shape}>"
        return (
            f"Problem(initial={array}, kernel={self.kernel.name}, delta_t={self.delta_t}, "
            f"steps={self.steps}, start_time={self.start_time})"
        )

    def time(self, k: int) -> float:
        """Return the time of step `k`: ``start_time + k * delta_t``, a product, not a running sum."""
        return self.start_time + k * self.delta_t

    def settings(self) -> dict[str, str]:
        """Return all but the array, by name, as texts: what every rank must have the same of.

        Raises
        ------
        InputError
            If a parameter of the kernel is not a number.
        """
        kernel = self.kernel
        if not isinstance(kernel.name, str):
            raise InputError(f"the name of a kernel must be a text, not {kernel.name!r}. Is it a property?")
        return {
            "kernel": f"{kernel.name}",
            **{f"parameter {name}": _text(kernel, name, value) for name, value in kernel.parameters.items()},
            "delta_t": repr(self.delta_t),
            "start_time": repr(self.start_time),
            "steps": repr(self.steps),
        }


def _text(kernel: Kernel, name: str, value: Any) -> str:
    """Write a number so that it can be told from any other."""
    if not isinstance(value, Number):
        raise InputError(f"the parameter {name} of the kernel {kernel.name} must be a number, not {value!r}")
    return repr(value.item() if isinstance(value, np.generic) else value)


def _array(initial: npt.ArrayLike) -> npt.NDArray[Any]:
    if hasattr(initial, "mask") and isinstance(initial, np.ma.MaskedArray):  # numpy.ma is loaded on demand
        raise InputError("initial must be a plain array: a mask would be lost. Use initial.filled(...).")
    try:
        array: npt.NDArray[Any] = np.asarray(initial)
    except (ValueError, TypeError, OverflowError) as error:
        raise InputError(f"initial cannot be made an array: {error}") from error
    if array.dtype.kind not in NUMERIC:
        raise InputError(f"initial must be of a numeric or complex dtype, not {array.dtype}")
    if array.ndim == 0:
        raise InputError(f"initial must have an axis 0, which is split, but it is the single value {array}")
    return array
