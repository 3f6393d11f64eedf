"""The dtype of a history: what a kernel makes of that of the initial array."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import KernelError, SimsplitError
from ..util.dtypes import is_numeric, packed, spelled
from .base import Block, beside, read_only

if TYPE_CHECKING:
    import numpy.typing as npt

    from .base import Kernel

    Array = npt.NDArray[Any]


def history_dtype(kernel: Kernel, initial: Array, time: float, delta_t: float, seed: int) -> np.dtype[Any]:
    """Return the dtype of the history, without padding: what the kernel gives for the first row.

    Parameters
    ----------
    kernel : Kernel
    initial : ndarray, shape (n, ...)
        The first row is enough; one of zeros stands in where there is none.
    time, delta_t : float
        Of step 0, and from one step to the next.
    seed : int

    Raises
    ------
    KernelError
        If the kernel fails, or gives what cannot be a history.
    """
    try:
        with np.errstate(all="ignore"):
            row = _first(initial)
            row = read_only(np.ascontiguousarray(row, row.dtype.newbyteorder("=")))
            parameters = {
                name: beside(row, _first(value)) if isinstance(value, np.ndarray) else value
                for name, value in kernel.parameters.items()
            }
            given: Any = kernel.result_dtype(row, Block(0, time, delta_t, (0, 1), parameters, seed))
        if given is None:
            raise TypeError("result_dtype() returned nothing")  # noqa: TRY301, reported like what it raises itself
        result: np.dtype[Any] = np.dtype(given)
    except (SimsplitError, KeyboardInterrupt):
        raise
    except BaseException as error:
        raise KernelError(f"the kernel {kernel.name} failed for the first row, of {spelled(initial.dtype)}") from error
    if not is_numeric(result) or not result.isnative:
        what = "it" if result.names is None else "each field"
        raise KernelError(
            f"the kernel {kernel.name} gives {result} for an array of {spelled(initial.dtype)}: "
            f"{what} must be a numeric or complex dtype in the machine's byte order"
        )
    return packed(result)


def _first(array: Array) -> Array:
    """Return the first row, or one of zeros if there is none."""
    return array[:1] if len(array) else np.zeros((1, *array.shape[1:]), array.dtype)
