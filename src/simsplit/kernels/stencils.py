"""Stencils: functions of a cell and of those around it, written with relative indices."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from functools import update_wrapper
from typing import TYPE_CHECKING, Any, Literal, overload

import numpy as np

from ..errors import InputError
from ..util.dtypes import packed
from .base import ON_GRID, result_shape
from .cells import Cells, probe_reach
from .expressions.names import by_row, trial_parameters, values_along
from .functions import OFFERED, FunctionKernel

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy.typing as npt

    from .base import Block
    from .cells import Probe, Reach

    Array = npt.NDArray[Any]


class StencilKernel(FunctionKernel):
    """A step kernel that calls a function of `Cells`. Made by `stencil`."""

    def __call__(self, **parameters: Any) -> StencilKernel:
        """Return the stencil with other values of some parameters."""
        return StencilKernel(
            self._function,
            kind=self.kind,
            name=self._name,
            dtype=self.dtype,
            reach=self.reach,
            boundary=self.boundary,
            **{**self.parameters, **parameters},
        )

    @property
    def is_on_grid(self) -> bool:
        """True: that is what it is for."""
        return True

    def reach_on(self, axes: int, row: tuple[int, ...], dtype: np.dtype[Any]) -> Reach:
        """Return how far the function reads, found by calling it once for cells of ones, unless it was said."""
        if self.reach is not None:
            return super().reach_on(axes, row, dtype)

        def evaluate(probe: Probe) -> None:
            x, block, parameters = trial_parameters(self.parameters, probe, axes, row, dtype)
            result = self._function(x, **self._arguments(x, block, parameters))
            for each in result.values() if isinstance(result, Mapping) else [result]:
                if isinstance(each, Cells):
                    _ = each.middle

        return probe_reach(axes, evaluate)

    def _apply(self, x: Array, block: Block, out: Array | None) -> Any:
        grid = block.grid
        assert grid is not None  # noqa: S101, for the type checker: such a kernel runs on a grid alone
        cells = Cells(x, block.reach or ((0, 0),) * len(grid.shape), grid.spacing)
        parameters = {name: block[name] for name in block.parameters}
        for name, array in block.around.items():
            parameters[name] = by_row(cells, array)
        result = self._function(cells, **self._arguments(cells, block, parameters, out))
        return _joined(result, x, block, self.dtype) if isinstance(result, Mapping) else result

    def _arguments(
        self, x: Cells, block: Block, parameters: dict[str, Any], out: Array | None = None
    ) -> dict[str, Any]:
        """Return what the function is called with besides the cells."""
        given: dict[str, Any] = {}
        for name in self._wanted:
            if name in parameters:
                given[name] = parameters[name]
            elif name in ON_GRID or name == "row":
                given[name] = values_along(name, block, x.array.ndim)
            elif name == "out":
                given[name] = out
            else:
                given[name] = getattr(block, name)
        return given


class StencilTemplate:
    """A stencil that lacks parameters. Called with them, it returns the kernel.

    Attributes
    ----------
    missing : tuple of str
        What it lacks.
    """

    def __init__(self, function: Callable[..., Any], missing: Sequence[str], options: Mapping[str, Any]) -> None:
        self.function = function
        self.missing = tuple(missing)
        self._options = options
        update_wrapper(self, function)

    def __call__(self, **parameters: Any) -> StencilKernel:
        """Return the kernel with the parameters."""
        return StencilKernel(self.function, **{**self._options, **parameters})


def _joined(result: Mapping[str, Any], x: Array, block: Block, dtype: np.dtype[Any] | None) -> Array:
    """Return an array with fields, of an array for each of them."""
    wanted = packed(x.dtype) if dtype is None else dtype
    if wanted.names is None or set(result) != set(wanted.names):
        fields = "none" if wanted.names is None else ", ".join(wanted.names)
        raise TypeError(f"the fields {', '.join(map(str, result))} are returned; the values have {fields}")
    joined = np.empty(result_shape(x, block), wanted)
    for name, values in result.items():
        joined[name] = values
    return joined


@overload
def stencil(function: Callable[..., Any], /, **options: Any) -> StencilKernel: ...


@overload
def stencil(function: None = None, /, **options: Any) -> Callable[[Callable[..., Any]], StencilKernel]: ...


def stencil(
    function: Callable[..., Any] | None = None,
    /,
    *,
    boundary: Any = None,
    kind: Literal["map", "step"] = "step",
    reach: int | Sequence[int | tuple[int, int]] | None = None,
    name: str | None = None,
    dtype: npt.DTypeLike | None = None,
    **parameters: Any,
) -> Any:
    """Return a kernel that calls a function of a cell and of those around it. Also as a decorator.

    Parameters
    ----------
    function : callable
        Its first argument is `x`, the cells: ``x[0, 0]`` are their values, ``x[-1, 0]`` those one row above, arrays of
        the shape that is returned; ``x["u"][0, 1]`` are those of a field. In arithmetic `x` stands for ``x[0, 0]``,
        and `kernels.operators` has differences such as ``laplace(x)``. Parameters by row are such cells, too. Any
        further argument is asked for by its name, as in `kernels.function`, with `column`, `layer`, `X`, `Y` and `Z`
        besides. It returns an array, or, of values with fields, a dict with an array for each.
    boundary : str, sequence or mapping, optional
        What lies beyond the edges of the grid, where the problem does not say so (see `Grid`).
    kind : {"step", "map"}, default "step"
        Whether `x` is the state, or the initial array.
    reach : int, or sequence of int or (int, int), optional
        How far it reads (see `kernels.function`); by default it is called once for cells of ones, to learn it.
    name : str, optional
        What messages call it.
    dtype : dtype, optional
        Of what it returns; by default it is called for the first rows, to learn it.
    **parameters : number, array_like of shape (n, ...), or `constant` of an array
        They may be given later, too: ``heat(r=0.2)`` of a stencil `heat` is the kernel with this parameter.

    Raises
    ------
    InputError
        If the function does not want what is given.

    Examples
    --------
    >>> @stencil(boundary="periodic")
    ... def life(x):
    ...     n = sum(x[i, j] for i in (-1, 0, 1) for j in (-1, 0, 1) if i or j)
    ...     return np.where((n == 3) | ((n == 2) & (x[0, 0] == 1)), 1, 0)
    >>> life.reach_on(2, (9,), np.dtype(np.int64))
    ((1, 1), (1, 1))
    """
    options = {"boundary": boundary, "kind": kind, "reach": reach, "name": name, "dtype": dtype, **parameters}
    if function is None:
        return lambda decorated: stencil(decorated, **options)
    plain = getattr(function, "py_func", function)  # Numba's: NumPy's loops do what it would
    if hasattr(plain, "nin"):
        raise InputError(f"{getattr(plain, '__name__', plain)} is a ufunc, which reads no neighbours: no stencil.")
    missing = [
        each.name
        for each in list(inspect.signature(plain).parameters.values())[1:]
        if each.default is each.empty
        and each.kind in (each.POSITIONAL_OR_KEYWORD, each.KEYWORD_ONLY)
        and each.name not in (*parameters, *OFFERED, *ON_GRID)
    ]
    return StencilTemplate(plain, missing, options) if missing else StencilKernel(plain, **options)
