"""The operations of an expression on cells: like NumPy's, but into memory that is free where they can."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..cells import Cells, common
from .language import Operator, Shift

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt

_IN_PLACE = (np.add, np.subtract, np.multiply, np.true_divide)  # what Python's operators do with arrays


class CellOperations:
    """What does each operation; to be given to `Expression.evaluate`.

    Parameters
    ----------
    out : ndarray, optional
        Where the last result may be put; then it is returned itself.
    calls : int
        How many operations there will be.
    """

    def __init__(self, out: npt.NDArray[Any] | None = None, calls: int = 0) -> None:
        self._out = out
        self._left = calls

    def __call__(self, function: Callable[..., Any], *operands: Any) -> Any:
        """Return the value of an operation."""
        self._left -= 1
        if isinstance(function, Shift | Operator):
            return function(*operands)
        if not any(isinstance(each, Cells) for each in operands):
            return function(*operands)
        arrays, margins = common(operands)
        like = next(each for each in operands if isinstance(each, Cells))
        ufunc = getattr(function, "floating", None)
        if ufunc not in _IN_PLACE or not _plain(arrays):
            return like.like(np.asarray(function(*arrays)), margins)
        shape = np.broadcast_shapes(*map(np.shape, arrays))
        dtype = next(each.dtype for each in arrays if isinstance(each, np.ndarray))
        if self._left == 0 and self._out is not None and (self._out.shape, self._out.dtype) == (shape, dtype):
            middle = tuple(None if sides is None else (0, 0) for sides in margins)
            if middle == margins:
                ufunc(*arrays, out=self._out)
                return self._out
        into = None
        for each, array in zip(operands, arrays, strict=True):
            if isinstance(each, Cells) and each.owned and array.shape == shape:
                into = array
        return like.like(ufunc(*arrays, out=into), margins, owned=True)


def _plain(arrays: list[Any]) -> bool:
    """Return whether operands are floats, or complex numbers, of one dtype, and Python's numbers, which change none."""
    kinds = {each.dtype for each in arrays if isinstance(each, np.ndarray)}
    if len(kinds) != 1 or (kind := next(iter(kinds)).kind) not in "fc":
        return False
    numbers = (int, float) if kind == "f" else (int, float, complex)
    return all(isinstance(each, np.ndarray) or type(each) in numbers for each in arrays)
