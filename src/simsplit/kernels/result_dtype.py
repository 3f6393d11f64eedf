"""Infer the dtype of a history from a kernel and the dtype of the initial array."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import KernelError, SimsplitError
from ..util.dtypes import dtype_label, is_numeric, packed
from .base import Block, broadcast_parameter, read_only

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt

    from .base import Kernel

    Array = npt.NDArray[Any]


def history_dtype(
    kernel: Kernel,
    initial: Array,
    time: float,
    delta_t: float,
    seed: int,
    *,
    trial: Callable[[], tuple[Array, Block]] | None = None,
) -> np.dtype[Any]:
    """Return the dtype of the history, without padding: what the kernel gives for the first row or two.

    Parameters
    ----------
    kernel : Kernel
    initial : ndarray, shape (n, ...)
        The first two rows are enough; one of zeros stands in where there is none.
    time, delta_t : float
        Of step 0, and from one step to the next.
    seed : int
    trial : callable, optional
        Returns the first rows as the kernel gets them, and the block of these, where they are not just those of
        `initial`.

    Raises
    ------
    KernelError
        If the kernel fails, or gives what cannot be a history.
    """
    by_row = any(isinstance(value, np.ndarray) for value in kernel.parameters.values())
    rows = 2 if by_row and len(initial) > 1 else 1  # one row cannot tell a wrong axis from a right one
    try:
        with np.errstate(all="ignore"):
            if trial is not None:
                row, block = trial()
            else:
                row = _first(initial, rows)
                row = read_only(np.ascontiguousarray(row, row.dtype.newbyteorder("=")))
                parameters = {
                    name: broadcast_parameter(row, _first(value, rows)) if isinstance(value, np.ndarray) else value
                    for name, value in kernel.parameters.items()
                }
                block = Block(0, time, delta_t, (0, rows), parameters, seed)
            given: Any = kernel.result_dtype(row, block)
        if given is None:
            raise TypeError("result_dtype() returned nothing")  # noqa: TRY301, reported like what it raises itself
        result: np.dtype[Any] = np.dtype(given)
        if not is_numeric(result) or not result.isnative:
            what = "it" if result.names is None else "each field"
            raise TypeError(  # noqa: TRY301, as above
                f"it gives {result}: {what} must be a numeric or complex dtype in the machine's byte order"
            )
    except (SimsplitError, KeyboardInterrupt):
        raise
    except BaseException as error:
        tried = "the first row" if rows == 1 else "the first two rows"
        what = f"the kernel {kernel.name} failed for {tried}, of {dtype_label(initial.dtype)}"
        remark = taken_by_row(kernel, initial.shape)
        raise KernelError(what if remark is None else f"{what} ({remark})") from error
    return packed(result)


def taken_by_row(kernel: Kernel, shape: tuple[int, ...]) -> str | None:
    """Say which parameters are taken as values by row that might be meant as constants, if there are any.

    They might if the array, of shape `shape`, has as many rows as a row has values along an axis.
    """
    names = [name for name, value in kernel.parameters.items() if isinstance(value, np.ndarray)]
    if not names or shape[0] not in shape[1:] or shape[0] == 1:
        return None
    these = ", ".join(f"{name} of shape {kernel.parameters[name].shape}" for name in names)
    remedy = "--constant (kernels.constant) makes it one of all" if kernel.takes_constants else "it takes no constant"
    return f"each of the {shape[0]} rows has its own part of {these}; {remedy}"


def _first(array: Array, rows: int) -> Array:
    """Return the first rows, or one of zeros if there is none."""
    return array[:rows] if len(array) else np.zeros((1, *array.shape[1:]), array.dtype)
