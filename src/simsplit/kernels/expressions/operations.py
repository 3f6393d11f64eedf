"""The operations of an expression on cells: like NumPy's, but into memory that is free where they can."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..cells import Cells, common, result_memory
from .vocabulary import Operator, Shift

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt

    Array = npt.NDArray[Any]

_ARITHMETIC = {np.add, np.subtract, np.multiply, np.true_divide}  # what Python's operators do with arrays
# What gives floats of the dtype of its operands.
_INTO = _ARITHMETIC | {np.exp, np.log, np.sqrt, np.sin, np.cos, np.tan, np.tanh, np.square, np.minimum, np.maximum}


class CellOperations:
    """What does each operation; to be given to `Expression.evaluate`.

    Parameters
    ----------
    out : ndarray, optional
        Where the last result may be put; then it is returned itself.
    calls : int
        How many operations there will be.
    """

    def __init__(self, out: Array | None = None, calls: int = 0) -> None:
        self._out = out
        self._left = calls

    def __call__(self, function: Callable[..., Any], *operands: Any) -> Any:
        """Return the value of an operation."""
        self._left -= 1
        if isinstance(function, Shift):
            return function(*operands)
        cells = [each for each in operands if isinstance(each, Cells)]
        if isinstance(function, Operator):
            result = function(*operands)
            self._free(cells, result.array)
            return result
        if not cells:
            return function(*operands)
        arrays, margins = common(operands)
        if self._left == 0 and self._out is not None:  # of the result the cells themselves are wanted
            margins = tuple(None if sides is None else (0, 0) for sides in margins)
            arrays = [each.within(margins) if isinstance(each, Cells) else each for each in operands]
        ufunc = getattr(function, "floating", function)
        if ufunc not in _INTO or not _plain(arrays, ufunc):
            value = np.asarray(function(*arrays))
            cells[0].note(function, arrays, None)
            self._free(cells, value)
            return cells[0].like(value, margins)
        shape = np.broadcast_shapes(*map(np.shape, arrays))
        dtype = next(each.dtype for each in arrays if isinstance(each, np.ndarray))
        out, memory = self._place(shape, dtype), None
        if out is None:
            out, memory = result_memory(operands, arrays, shape, dtype)
        ufunc(*arrays, out=out)
        cells[0].note(ufunc, arrays, out)
        self._free(cells, out)
        return out if out is self._out else cells[0].like(out, margins, memory=memory)

    def _place(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array | None:
        """Return where the last result is wanted, if this is the last and fits."""
        last = self._left == 0 and self._out is not None and (self._out.shape, self._out.dtype) == (shape, dtype)
        return self._out if last else None

    def _free(self, cells: list[Cells], result: Array) -> None:
        """Free the memory of operands, unless the result lies in it."""
        for each in cells:
            if each.memory is not None and not np.may_share_memory(each.memory, result):
                each.free()


def _plain(arrays: list[Any], ufunc: Any) -> bool:
    """Return whether operands are floats, or complex numbers, of one dtype, and Python's numbers, which change none."""
    kinds = {each.dtype for each in arrays if isinstance(each, np.ndarray)}
    if len(kinds) != 1 or (kind := next(iter(kinds)).kind) not in ("fc" if ufunc in _ARITHMETIC else "f"):
        return False
    numbers = (int, float) if kind == "f" else (int, float, complex)
    return all(isinstance(each, np.ndarray) or type(each) in numbers for each in arrays)
