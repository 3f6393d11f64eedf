"""The operations of an expression on one block of rows, noted down and done again for the next blocks.

To find out which arrays an operation takes costs more than to add up a small block. For blocks of the same size all is
the same but for where the rows lie: so the operations are noted with the places of their operands, and then only done.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    Array = npt.NDArray[Any]


class Tape:
    """Notes operations on arrays of one axis.

    Parameters
    ----------
    given : sequence of ndarray, shape (n,)
        The arrays that other blocks have others of: the rows, and where the result goes.

    Attributes
    ----------
    complete : bool
        Whether all could be noted.
    """

    def __init__(self, given: Sequence[Array]) -> None:
        self._given = [(_address(array), array.nbytes) for array in given]
        self._steps: list[tuple[Any, list[tuple[int, Any]], tuple[int, Any]]] = []
        self.complete = True

    def note(self, ufunc: Any, operands: Sequence[Any], out: Array | None) -> None:
        """Note that a ufunc was called; what has no place for its result cannot be done again."""
        if out is None or not all(isinstance(each, np.ndarray | int | float | complex) for each in operands):
            self.complete = False
            return
        self._steps.append((ufunc, [self._place(each) for each in operands], self._place(out)))

    def _place(self, operand: Any) -> tuple[int, Any]:
        """Return which of the given arrays an operand lies in, and where; or -1 and the operand itself."""
        if isinstance(operand, np.ndarray):
            for number, (first, nbytes) in enumerate(self._given):
                begin = _address(operand) - first
                if 0 <= begin < nbytes:
                    start = begin // operand.itemsize
                    return number, slice(start, start + operand.size)
        return -1, operand

    def play(self, given: Sequence[Array]) -> None:
        """Do all operations with other arrays, in the order of those that were given."""
        for ufunc, operands, (target, where) in self._steps:
            ufunc(
                *[place if number < 0 else given[number][place] for number, place in operands],
                out=where if target < 0 else given[target][where],
            )


def _address(array: Array) -> int:
    address: int = array.__array_interface__["data"][0]
    return address
