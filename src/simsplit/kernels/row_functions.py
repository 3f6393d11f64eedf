"""Kernels made from a function of a single row, such as a solver or a quadrature that takes one system at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from ..errors import InputError
from ..util.dtypes import is_masked
from .base import ON_GRID, Block
from .constants import Constant
from .functions import FunctionKernel

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt

    Array = npt.NDArray[Any]


class EachKernel(FunctionKernel):
    """A kernel that calls a function for one row after the other. Made by `each`."""

    is_by_row = True

    def __init__(self, function: Callable[..., Any], /, **options: Any) -> None:
        super().__init__(function, **options)
        if hasattr(function, "nin") or isinstance(function, np.vectorize):
            raise InputError(f"{self.name} computes whole arrays: make the kernel by function({self.name}).")
        if self.reach != 0 or self.boundary is not None:
            raise InputError(f"the function {self.name} gets one row, and no neighbours: use function(f, reach=…).")
        for wish in ("random", "out", *ON_GRID):
            if wish in self._wanted and wish not in self.parameters:
                raise InputError(
                    f"the function {self.name} is called row by row, and cannot ask for {wish}. Write it for whole "
                    "arrays, and make the kernel by function()."
                )

    def evaluate(self, x: Array, block: Block, out: Array) -> None:
        """Call the function for each row."""
        for i in range(len(x)):
            try:
                super().evaluate(x[i : i + 1], _of_row(block, i), out[i : i + 1])
            except Exception as error:
                error.add_note(f"It was called for row {block.lower + i}.")
                raise

    def result_dtype(self, x: Array, block: Block) -> np.dtype[Any]:
        """Return what the function gives for the first row, unless its dtype was said."""
        return super().result_dtype(x[:1], _of_row(block, 0) if len(x) else block)

    def _apply(self, x: Array, block: Block, out: Array | None) -> Any:
        values = {name: _argument(name, block) for name in self._wanted}
        result = self._function(x[0].copy(), **values)
        if result is None:
            raise TypeError(
                f"{self.name} returned nothing; it must return the new values of a row, shape {x.shape[1:]}"
            )
        if is_masked(result):
            return result  # as it is, to be refused
        found = np.asarray(result)
        if found.shape != x.shape[1:]:
            raise ValueError(
                f"{self.name} returned a value of shape {found.shape} for a row of shape {x.shape[1:]}: it gets one "
                "row, and must return one"
            )
        return found[None]


def _of_row(block: Block, i: int) -> Block:
    """Return what is known of one row."""
    row = block.lower + i
    parameters = {
        name: value[i : i + 1] if isinstance(value, np.ndarray) else value for name, value in block.parameters.items()
    }
    return Block(block.k, block.t, block.delta_t, (row, row + 1), parameters, block.seed, grid=block.grid)


def _argument(name: str, block: Block) -> Any:
    """Return an argument for the only row of a block."""
    if name in block.parameters:
        value = block.parameters[name]
        if isinstance(value, Constant):
            return block[name]
        return value[0] if isinstance(value, np.ndarray) else value
    return block.lower if name == "row" else getattr(block, name)


def each(
    function: Callable[..., Any],
    /,
    *,
    kind: Literal["map", "step"] = "map",
    name: str | None = None,
    dtype: npt.DTypeLike | None = None,
    **parameters: Any,
) -> EachKernel:
    """Return a kernel that calls a function for one row after the other.

    It is for what cannot compute many rows at once: a solver, a quadrature, a program of its own. A call takes some
    microseconds more than the function; where the rows can be computed as arrays, `function` is many times faster.

    Parameters
    ----------
    function : callable
        Its first argument is one row: a number, or an array of the shape of a row, which it may write to. Any further
        one is asked for by its name: `t`, `k`, `delta_t`, `row` (its number), or a parameter, of which it gets the
        row's own value. It returns the new values of the row.
    kind : {"map", "step"}, default "map"
    name : str, optional
        What messages call it.
    dtype : dtype, optional
        Of what it returns. Without it the function is called for the first row, before the run, to learn it; the run
        uses that result.
    **parameters : number, array_like of shape (n, ...), or `constant` of an array

    Raises
    ------
    InputError
        If the function wants what is not there, or does not want what is given.

    Examples
    --------
    >>> each(lambda x, rate: max(x - rate, 0.0), name="shrink", rate=0.5).name
    'shrink'
    """
    return EachKernel(function, kind=kind, name=name, dtype=dtype, **parameters)
