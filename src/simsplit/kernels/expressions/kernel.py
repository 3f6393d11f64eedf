"""An expression as a kernel."""

from __future__ import annotations

from _thread import get_ident
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.lib.stride_tricks import as_strided

from ...errors import InputError
from ..base import ON_GRID, Block, Kernel, require_unstructured, result_shape
from ..cells import Cells, FlatCells, Workspace, probe_reach
from ..constants import Constant
from .language import Expression
from .names import Names, by_row, of_each_row, trial_parameters
from .operations import CellOperations
from .tape import Tape

if TYPE_CHECKING:
    import numpy.typing as npt

    from ..cells import Probe, Reach
    from ..tracing import TracedArray

    Array = npt.NDArray[Any]

_NONE = np.empty(0)
VARIABLES = ("x", "t", "k", "row", "delta_t")


class ExpressionKernel(Kernel):
    """A kernel that evaluates an expression. Made by `expression`.

    Attributes
    ----------
    unused : tuple of str
        Parameters that the expression does not use; a boundary must.
    """

    name = "expression"

    def __init__(self, text: str, /, *, kind: Literal["map", "step"] = "map", **parameters: Any) -> None:
        super().__init__(**parameters)
        self.kind = kind
        for reserved in VARIABLES:
            if reserved in parameters:
                raise InputError(f"a parameter cannot be called {reserved}: that is a variable of every expression")
        others = [name for name in (*ON_GRID, "random") if name not in parameters]
        self._expression = Expression(text, (*VARIABLES, *others, *parameters))
        self.unused = tuple(name for name in parameters if name not in self._expression.names)
        self.formula = self.source = text
        self._memory: dict[int, tuple[Workspace, dict[Any, Tape]]] = {}  # of each thread

    @property
    def asks_for(self) -> frozenset[str]:
        """The names in it."""
        return frozenset(name.partition(".")[0] for name in self._expression.names)

    @property
    def is_on_grid(self) -> bool:
        """Whether it reads neighbours, or coordinates."""
        names = self._expression.names - set(self.parameters)
        return self._expression.reads_neighbours or any(name in ON_GRID for name in names)

    def reach_on(self, axes: int, row: tuple[int, ...], dtype: np.dtype[Any]) -> Reach:
        """Return how far it reads, found by evaluating it once for cells of ones."""
        if not self._expression.reads_neighbours:
            return ((0, 0),) * axes

        def evaluate(probe: Probe) -> None:
            x, block, parameters = trial_parameters(self.parameters, probe, axes, row, dtype)
            value = self._expression.evaluate(Names(x, block, parameters), CellOperations())
            if isinstance(value, Cells):
                _ = value.middle

        return probe_reach(axes, evaluate)

    def evaluate(self, x: Array, block: Block, out: Array) -> None:
        """Evaluate the expression for some rows."""
        if self._expression.reads_neighbours:
            if self._evaluate_flat(x, block, out):
                return
            value = self._of_cells(x, block, out)
            if value is not out:
                out[...] = value
        else:
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
        from ..tracing import NotCompilable, trace_kernel

        if self.is_on_grid or any(name.startswith("random.") for name in self._expression.names):
            raise NotCompilable("it reads neighbours, coordinates or random numbers, which are left to NumPy")
        result: TracedArray = self._expression.evaluate(
            Names(x, block, _parameters(block) | {"row": block.row}), trace_kernel
        )
        return result

    def _value(self, x: Array, block: Block) -> Any:
        if self._expression.reads_neighbours:
            return self._of_cells(x, block)
        return self._expression.evaluate(Names(x, block, _parameters(block)))

    def _of_cells(self, x: Array, block: Block, out: Array | None = None) -> Any:
        """Return the value for cells and those around them, in `out` where the last operation can write to it."""
        assert block.grid is not None  # noqa: S101, for the type checker
        spacing = block.grid.spacing
        cells = Cells(x, block.reach or ((0, 0),) * len(spacing), spacing, workspace=self._of_thread()[0])
        parameters = _parameters(block)
        for name, value in parameters.items():
            if name in block.around or isinstance(block.parameters[name], np.ndarray):
                parameters[name] = by_row(cells, block.around.get(name, value))
            elif isinstance(value, np.ndarray):
                parameters[name] = of_each_row(cells, value)
        names = Names(cells, block, parameters)
        value = self._expression.evaluate(names, CellOperations(out, self._expression.calls))
        if value is out or not isinstance(value, Cells):
            return value
        return value.middle

    def _evaluate_flat(self, x: Array, block: Block, out: Array) -> bool:
        """Evaluate the expression for all that lies between the first cell and the last one, if memory allows it.

        Then `x` and `out` lie among ghosts in the same way, and all that is read is as large, or a number.
        """
        alike = x.strides == out.strides and x.dtype == out.dtype and x.flags.c_contiguous and out.size
        arrays = [name for name, value in block.parameters.items() if not isinstance(value, int | float | complex)]
        if not alike or not self._expression.names <= {"x", "t", "k", "delta_t", *block.parameters}:
            return False
        if any(block.around.get(name, _NONE).shape != x.shape for name in arrays):
            return False
        assert block.grid is not None  # noqa: S101, for the type checker
        strides = tuple(stride // x.itemsize for stride in x.strides)
        before = sum(low * stride for (low, _), stride in zip(block.reach, strides, strict=False))
        length = sum((n - 1) * stride for n, stride in zip(out.shape, strides, strict=True)) + 1
        flat = as_strided(out, (length,), (x.itemsize,))
        whole = [x.reshape(-1), *(np.ascontiguousarray(block.around[name]).reshape(-1) for name in arrays), flat]
        workspace, tapes = self._of_thread()
        key = (x.shape, out.shape, x.dtype, block.reach, block.grid.spacing, block.delta_t)
        if (tape := tapes.get(key)) is not None:
            tape.play(whole)
            return True
        margins = ((before, x.size - before - length),)
        given: dict[str, Any] = dict(block.parameters)
        axes = strides[: len(block.grid.shape)]
        cells = [FlatCells(array, margins, block.grid.spacing, axes, workspace) for array in whole[:-1]]
        given |= dict(zip(arrays, cells[1:], strict=True))
        workspace.tape = tape = Tape(whole)
        try:
            value = self._expression.evaluate(
                Names(cells[0], block, given), CellOperations(flat, self._expression.calls)
            )
        finally:
            workspace.tape = None
        if value is not flat:
            flat[...] = value.middle if isinstance(value, Cells) else value
        elif tape.complete and not self._expression.names & {"t", "k"}:  # which other blocks have others of
            tapes[key] = tape
        return True

    def _of_thread(self) -> tuple[Workspace, dict[Any, Tape]]:
        """Return memory for values on the way, and what was noted of blocks, of this thread."""
        thread = get_ident()
        if thread not in self._memory:
            self._memory[thread] = (Workspace(), {})
        return self._memory[thread]

    def _require_fitting(self, x: Array, block: Block) -> None:
        """Refuse a constant that would not go with each single row."""
        row = result_shape(x, block)[1:]
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


def _parameters(block: Block) -> dict[str, Any]:
    return {name: block[name] for name in block.parameters}


def expression(text: str, /, *, kind: Literal["map", "step"] = "map", **parameters: Any) -> ExpressionKernel:
    """Return a kernel that evaluates an expression.

    Parameters
    ----------
    text : str
        Arithmetic, comparisons, ``where(condition, a, b)`` and NumPy's usual functions of the variables
        `x` (the rows), `t`, `k`, `delta_t`, `row` (their numbers) and of the parameters. On a grid also the cells
        around a cell, ``x[-1]``, ``x[0, 1]``, differences of them such as ``laplace(x)`` (see docs/grids.md), the
        indices `column` and `layer`, and the coordinates `X`, `Y`, `Z`. `random` and ``random.normal()`` draw a
        number for each value. Nothing else is evaluated.
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
