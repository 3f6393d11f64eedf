"""Differences of neighbouring cells, for expressions and for stencils in Python.

Each takes cells (see `cells.Cells`) and gives cells, by the operations in the order that its docstring names: that
order is what fixes the bits. ``x[i]`` stands for the cell `i` on along the axis, ``s`` for the spacing of the axis.
"""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import InputError
from .cells import Cells, common, result_memory

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = [
    "biharmonic",
    "div",
    "dx",
    "dx_down",
    "dx_up",
    "dxx",
    "dy",
    "dy_down",
    "dy_up",
    "dyy",
    "dz",
    "dz_down",
    "dz_up",
    "dzz",
    "grad2",
    "laplace",
    "neighbours",
]


def laplace(x: Cells) -> Cells:
    """Return the sum of second differences along all axes of the grid.

    With one spacing for all axes ``(((x[-1, 0] + x[1, 0]) + x[0, -1]) + x[0, 1] - 4 * x) * (1 / s**2)``, in as many
    dimensions as there are; else the sum of ``(x[-1] + x[1] - 2 * x) * (1 / s**2)`` over the axes, in their order.
    """
    x, axes = _taken("laplace", x)
    if len({x.spacing[axis] for axis in axes}) > 1:
        return _total([_second(x, axis) for axis in axes])
    around = _total([_on(x, axis, offset) for axis in axes for offset in (-1, 1)])
    return _scaled(_less(around, x, 2 * len(axes)), 1 / x.spacing[axes[0]] ** 2)


def biharmonic(x: Cells) -> Cells:
    """Return ``laplace(laplace(x))``."""
    inner = laplace(x)
    result = laplace(inner)
    inner.free()
    return result


def grad2(x: Cells) -> Cells:
    """Return the square of the gradient: the sum of ``d * d`` over the axes, in their order, `d` as of `dx`."""
    x, axes = _taken("grad2", x)
    return _total([_applied(np.square, _central(x, axis)) for axis in axes])


def div(d: Cells | float, x: Cells) -> Cells:
    """Return the divergence of the flux ``d * grad(x)``, `d` between two cells being the mean of theirs.

    The sum over the axes, in their order, of ``((d + d[1]) * (x[1] - x) - (d + d[-1]) * (x - x[-1])) * (0.5 / s**2)``.
    """
    if not isinstance(x, Cells):
        raise InputError("div(d, x) takes cells as x: the name of an array, or an expression of it.")
    if not isinstance(d, Cells):
        return _scaled(laplace(x), d)
    d, (x, axes) = d.borrowed(), _taken("div", x)
    terms = []
    for axis in axes:
        after = _times(_plus(d, _on(d, axis, 1)), _minus(_on(x, axis, 1), x))
        before = _times(_plus(d, _on(d, axis, -1)), _minus(x, _on(x, axis, -1)))
        terms.append(_scaled(_minus(after, before), 0.5 / x.spacing[axis] ** 2))
    return _total(terms)


def neighbours(x: Cells) -> Cells:
    """Return the sum of all cells that touch a cell, at an edge or at a corner, in the order of their indices.

    Of booleans it is how many are true, int64.
    """
    x, axes = _taken("neighbours", x)
    offsets = [each for each in product((-1, 0, 1), repeat=len(axes)) if any(each)]
    return _total([x.shifted(*each) for each in offsets])


def _central(x: Cells, axis: int) -> Cells:
    return _scaled(_minus(_on(x, axis, 1), _on(x, axis, -1)), 0.5 / x.spacing[axis])


def _second(x: Cells, axis: int) -> Cells:
    around = _plus(_on(x, axis, -1), _on(x, axis, 1))
    return _scaled(_less(around, x, 2), 1 / x.spacing[axis] ** 2)


def _upwards(x: Cells, axis: int) -> Cells:
    return _scaled(_minus(_on(x, axis, 1), x), 1 / x.spacing[axis])


def _downwards(x: Cells, axis: int) -> Cells:
    return _scaled(_minus(x, _on(x, axis, -1)), 1 / x.spacing[axis])


def _along(difference: Callable[[Cells, int], Cells], axis: int, name: str, text: str) -> Callable[[Cells], Cells]:
    """Return a difference along one axis, by name."""

    def operator(x: Cells) -> Cells:
        x, axes = _taken(name, x)
        if axis not in axes:
            raise InputError(f"{name} is along axis {axis}, but the grid has {x.axes}.")
        return difference(x, axis)

    operator.__name__ = operator.__qualname__ = name
    operator.__doc__ = f"Return ``{text}`` along axis {axis}."
    return operator


_CENTRAL, _SECOND = "(x[1] - x[-1]) * (0.5 / s)", "(x[-1] + x[1] - 2 * x) * (1 / s**2)"
_UP, _DOWN = "(x[1] - x) * (1 / s)", "(x - x[-1]) * (1 / s)"
dx, dy, dz = (_along(_central, axis, f"d{name}", _CENTRAL) for axis, name in enumerate("xyz"))
dxx, dyy, dzz = (_along(_second, axis, f"d{name}{name}", _SECOND) for axis, name in enumerate("xyz"))
dx_up, dy_up, dz_up = (_along(_upwards, axis, f"d{name}_up", _UP) for axis, name in enumerate("xyz"))
dx_down, dy_down, dz_down = (_along(_downwards, axis, f"d{name}_down", _DOWN) for axis, name in enumerate("xyz"))


def _taken(name: str, x: Any) -> tuple[Cells, range]:
    """Return cells of which no memory is written to, and the axes of their grid."""
    if not isinstance(x, Cells):
        raise InputError(f"{name} takes cells: x, an array by cell, or an expression of them, not {_told(x)}.")
    return x.borrowed(), range(x.axes)


def _on(x: Cells, axis: int, offset: int) -> Cells:
    return x.shifted(*[0] * axis, offset)


def _plus(one: Cells, other: Cells) -> Cells:
    return _total([one, other])


def _minus(one: Cells, other: Cells) -> Cells:
    return _applied(np.subtract, one, other)


def _times(one: Cells, other: Cells) -> Cells:
    return _applied(np.multiply, one, other)


def _total(terms: list[Cells]) -> Cells:
    """Return the sum, from left to right."""
    if len(terms) == 1:
        return terms[0]
    total = _applied(np.add, terms[0], terms[1])
    for each in terms[2:]:
        total = _applied(np.add, total, each)
    return total


def _less(total: Cells, x: Cells, times: int) -> Cells:
    """Return ``total - times * x``."""
    (_, middle), margins = common([total, x])
    return _minus(total, _scaled(x.like(middle, margins), times))


def _scaled(x: Cells, factor: Any) -> Cells:
    """Return ``x * factor``, which is `x` for a factor of 1, so that integers stay what they are."""
    if type(factor) is float and factor == 1.0:
        return x
    return _applied(np.multiply, x, factor)


def _applied(ufunc: Any, *operands: Any) -> Cells:
    """Return the result of an operation, in the memory of an operand if that is free with it, and free the others."""
    arrays, margins = common(operands)
    arrays = [_counting(each) for each in arrays]
    first = operands[0]
    out = memory = None
    shape, dtype = arrays[0].shape, arrays[0].dtype
    alike = all(isinstance(each, int | float) or (each.shape, each.dtype) == (shape, dtype) for each in arrays)
    if alike and dtype.kind in "fc":
        out, memory = result_memory(operands, arrays, shape, dtype)
    first.note(ufunc, arrays, out)
    result: Cells = first.like(ufunc(*arrays, out=out), margins, memory=memory)
    for each in operands:
        if isinstance(each, Cells):
            each.free()
    return result


def _counting(array: Any) -> Any:
    """Return booleans as numbers, so that they are counted."""
    return array.astype(np.int64) if isinstance(array, np.ndarray) and array.dtype.kind == "b" else array


def _told(value: Any) -> str:
    """Say what is there in place of cells."""
    return f"an array of shape {value.shape}" if hasattr(value, "shape") else repr(value)
