"""The initial array by an expression of rows, columns and coordinates, so that no rank need hold all of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ...errors import InputError
from ..base import ON_GRID, Block
from .language import Expression
from .names import Names

if TYPE_CHECKING:
    import numpy.typing as npt

NAMES = ("row", "rows", "random", *ON_GRID)
_STEP = 2**64 - 1  # whose random numbers no step draws


@dataclass(frozen=True)
class ExpressionRows:
    """An array of which each rank computes its rows; a source of rows as `Problem` takes it.

    Attributes
    ----------
    text : str
        An expression of `row`, the number of the row, and `rows`, how many there are; of a grid also of `column` and
        `layer`, and the coordinates `X`, `Y` and `Z`; and of `random`. A number fills the array.
    shape : tuple of int
        ``(n,)``, or that of the grid.
    dtype : numpy.dtype
    seed : int
        Of random numbers.
    spacing, origin : tuple of float
        Of the grid.
    """

    text: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    seed: int = 0
    spacing: tuple[float, ...] = (1.0,)
    origin: tuple[float, ...] = (0.0,)

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, index: slice) -> npt.NDArray[Any]:
        lower, upper, _ = index.indices(len(self))
        return self.rows(lower, upper)

    def rows(self, lower: int, upper: int) -> npt.NDArray[Any]:
        """Return rows ``[lower, upper)``.

        Raises
        ------
        InputError
            If the text is no such expression, or gives what the dtype does not hold.
        """
        shape = (upper - lower, *self.shape[1:])
        block = Block(_STEP, 0.0, 0.0, (lower, upper), {}, self.seed, grid=self)
        names = Names(np.broadcast_to(0.0, shape), block, {"rows": len(self)})
        with np.errstate(all="ignore"):
            value = np.asarray(Expression(self.text, NAMES).evaluate(names))
        try:
            if not np.can_cast(value.dtype, self.dtype, casting="same_kind"):
                whole = value.astype(self.dtype)
                if not np.array_equal(whole, value):
                    raise InputError(
                        f"initial {self.text!r} gives {value.dtype}, which {self.dtype} does not hold. Give a dtype."
                    )
                value = whole
            found: npt.NDArray[Any] = np.broadcast_to(value, shape).astype(self.dtype)
        except (OverflowError, TypeError) as error:
            raise InputError(f"initial {self.text!r}: {error}") from None
        return found
