"""The initial array by an expression of the number of the row, so that no rank need hold all of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ...errors import InputError
from .language import Expression

if TYPE_CHECKING:
    import numpy.typing as npt

NAMES = ("row", "rows")


@dataclass(frozen=True)
class ExpressionRows:
    """An array of which each rank computes its rows; a source of rows as `Problem` takes it.

    Attributes
    ----------
    text : str
        An expression of `row`, the number of the row, and `rows`, how many there are; a number fills the array.
    shape : tuple of int
        ``(n,)``.
    dtype : numpy.dtype
    """

    text: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]

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
        row = np.arange(lower, upper)
        with np.errstate(all="ignore"):
            value = np.asarray(Expression(self.text, NAMES).evaluate({"row": row, "rows": len(self)}))
        try:
            if not np.can_cast(value.dtype, self.dtype, casting="same_kind"):
                whole = value.astype(self.dtype)
                if not np.array_equal(whole, value):
                    raise InputError(
                        f"initial {self.text!r} gives {value.dtype}, which {self.dtype} does not hold. Give a dtype."
                    )
                value = whole
            found: npt.NDArray[Any] = np.broadcast_to(value, row.shape).astype(self.dtype)
        except (OverflowError, TypeError) as error:
            raise InputError(f"initial {self.text!r}: {error}") from None
        return found
