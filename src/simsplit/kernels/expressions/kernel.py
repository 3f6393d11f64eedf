"""An expression as a kernel."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from ...errors import InputError
from ..base import Kernel, require_unstructured
from ..constants import Constant
from .language import Expression

if TYPE_CHECKING:
    import numpy.typing as npt

    from ..base import Block
    from ..tracing import TracedArray

    Array = npt.NDArray[Any]

VARIABLES = ("x", "t", "k", "row", "delta_t")


class ExpressionKernel(Kernel):
    """A kernel that evaluates an expression. Made by `expression`."""

    name = "expression"

    def __init__(self, text: str, /, *, kind: Literal["map", "step"] = "map", **parameters: Any) -> None:
        super().__init__(**parameters)
        self.kind = kind
        for reserved in VARIABLES:
            if reserved in parameters:
                raise InputError(f"a parameter cannot be called {reserved}: that is a variable of every expression")
        self._expression = Expression(text, (*VARIABLES, *parameters))
        unused = [name for name in parameters if name not in self._expression.names]
        if unused:
            raise InputError(f"the expression {text!r} does not use the parameter {unused[0]}")
        self.formula = self.source = text

    @property
    def asks_for(self) -> frozenset[str]:
        """The names in it."""
        return self._expression.names

    def evaluate(self, x: Array, block: Block, out: Array) -> None:
        """Evaluate the expression for some rows."""
        out[...] = self._value(x, block)

    def result_dtype(self, x: Array, block: Block) -> np.dtype[Any]:
        """Return what the expression gives for one row; of a step the state's dtype, which it must keep."""
        require_unstructured(self.name, x)
        self._require_fitting(x, block)
        dtype = np.asarray(self._value(x, block)).dtype
        if self.kind == "map":
            return dtype
        state = np.result_type(x.dtype, dtype)
        again = np.result_type(state, np.asarray(self._value(x.astype(state), block)).dtype)
        if again != state:
            raise TypeError(f"the expression gives {again} for a state of {state}: a step must keep the dtype")
        return state

    def trace(self, x: TracedArray, block: Block, dtype: np.dtype[Any]) -> TracedArray:
        """Evaluate the expression on values that record what is done; what has no row in it stays NumPy's."""
        from ..tracing import trace_kernel

        result: TracedArray = self._expression.evaluate(self._values(x, block, block.row), trace_kernel)
        return result

    def _value(self, x: Array, block: Block) -> Any:
        row = block.row.reshape(-1, *[1] * (x.ndim - 1)) if "row" in self._expression.names else None
        return self._expression.evaluate(self._values(x, block, row))

    def _values(self, x: Any, block: Block, row: Any) -> dict[str, Any]:
        parameters = {name: block[name] for name in block.parameters}
        return {"x": x, "t": block.t, "k": block.k, "delta_t": block.delta_t, "row": row, **parameters}

    def _require_fitting(self, x: Array, block: Block) -> None:
        """Refuse a constant that would not go with each single row."""
        row = x.shape[1:]
        for name, value in block.parameters.items():
            if not isinstance(value, Constant):
                continue
            shape = value.array.shape
            if len(shape) > len(row) or any(n not in (1, m) for n, m in zip(shape[::-1], row[::-1], strict=False)):
                raise InputError(
                    f"the constant {name} has the shape {shape}, but an expression is evaluated for each row, of shape "
                    f"{row}: it must broadcast to that. Give a value for each row by --set {name}=FILE.npy, or write a "
                    "function (see docs/kernels.md)."
                )


def expression(text: str, /, *, kind: Literal["map", "step"] = "map", **parameters: Any) -> ExpressionKernel:
    """Return a kernel that evaluates an expression.

    Parameters
    ----------
    text : str
        Arithmetic, comparisons, ``where(condition, a, b)`` and NumPy's usual functions of the variables
        `x` (the rows), `t`, `k`, `delta_t`, `row` (their numbers) and of the parameters. Nothing else is
        evaluated.
    kind : {"map", "step"}, default "map"
    **parameters : number, array_like of shape (n, ...), or `constant` of an array that broadcasts with a row

    Raises
    ------
    InputError
        If the text is no such expression; the message marks the column.

    Examples
    --------
    >>> expression("(offset + x * multiplier) * t", offset=3, multiplier=5).name
    'expression'
    """
    return ExpressionKernel(text, kind=kind, **parameters)
