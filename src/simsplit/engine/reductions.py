"""Mean, minimum, maximum, standard deviation and sum over all rows or cells, with the same bits for any split.

Rounding depends on the order in which numbers are added. Here it is that of a binary tree over the numbers
of the rows: rows 2i and 2i + 1 are put together, then these pairs two by two, and so on; what has no
neighbour on its right goes up as it is. A rank computes those nodes of the tree that lie within its rows,
of which there are few, and root puts them together; so the tree, and with it every bit, is the same for any
number of ranks. The error of such a sum grows with the logarithm of the number of rows. The cells of a row
are put together by such a tree before.

The standard deviation (of all rows, not of a sample) is put together from the mean and the sum of squared
deviations of each node (T. F. Chan, G. H. Golub, R. J. LeVeque, The American Statistician 37, 1983, 242-247,
doi:10.1080/00031305.1983.10483115). NaN in a step makes its results NaN, and always the same NaN: of two,
processors and loops hand on now the one, now the other.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import accumulate, pairwise
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from ..communicator import Agreement
from ..util.dtypes import canonicalize_nan
from ..util.memory_limits import require_memory

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    import numpy.typing as npt

    from ..communicator import Communicator
    from .plan import Plan

    Array = npt.NDArray[Any]
    Value = tuple[Array, ...]


@dataclass(frozen=True, slots=True)
class TreeReduction:
    """How nodes of the tree are made and put together.

    Attributes
    ----------
    leaf : callable
        Gives the value of rows, arrays of the shape of the rows.
    join : callable
        Gives the value of two neighbours, of two values and the numbers of rows behind them.
    dtypes : tuple of numpy.dtype
        Of the arrays of a value.
    """

    leaf: Callable[[Array], Value]
    join: Callable[[Value, Value, int, int], Value]
    dtypes: tuple[np.dtype[Any], ...]


def _sum(dtype: np.dtype[Any]) -> TreeReduction:
    return TreeReduction(lambda x: (x.astype(dtype, copy=False),), lambda a, b, _m, _n: (a[0] + b[0],), (dtype,))


def _extreme(choose: Any, dtype: np.dtype[Any]) -> TreeReduction:
    return TreeReduction(lambda x: (x,), lambda a, b, _m, _n: (choose(a[0], b[0]),), (dtype,))


def _moments(dtype: np.dtype[Any]) -> TreeReduction:
    real = np.empty(0, dtype).real.dtype

    def leaf(x: Array) -> Value:
        x = x.astype(dtype, copy=False)
        return x, (x - x).real.astype(real, copy=False)  # 0, but NaN for what is not finite, as deviations from it are

    def join(one: Value, other: Value, m: int, n: int) -> Value:
        apart = other[0] - one[0]
        squared = apart.real * apart.real + apart.imag * apart.imag if apart.dtype.kind == "c" else apart * apart
        # As Python numbers the shares change no precision; of equal ones, nearly all, they are exact.
        return one[0] + apart * (n / (m + n)), one[1] + other[1] + squared * (m * n / (m + n))

    return TreeReduction(leaf, join, (dtype, real))


def dtypes_of(dtype: np.dtype[Any]) -> dict[str, np.dtype[Any]]:
    """Return the dtypes of the results for a history of a dtype.

    As NumPy has them: a sum of booleans or integers has 64 bits, their mean and standard deviation are
    float64; floats and complex numbers stay what they are, and a standard deviation is real. Of float16 all
    is computed in float32, and rounded at the end.
    """
    mean = np.dtype(np.float64) if dtype.kind in "biu" else dtype
    total = np.add.reduce(np.zeros(1, dtype)).dtype
    return {"mean": mean, "min": dtype, "max": dtype, "std": np.empty(0, mean).real.dtype, "sum": total}


def shapes_of(names: Iterable[str], plan: Plan) -> dict[str, tuple[tuple[int, ...], np.dtype[Any]]]:
    """Return the shape and the dtype of the results of each reduction."""
    names = list(names)
    dtypes = dtypes_of(plan.history_dtype) if names else {}  # which fields have not
    return {name: ((plan.steps, *plan.shape[plan.reduced_axes :]), dtypes[name]) for name in names}


def _wide(dtype: np.dtype[Any]) -> np.dtype[Any]:
    return np.dtype(np.float32) if dtype == np.float16 else dtype


class Reducer:
    """Gathers what rows contribute to the reductions of a run.

    Parameters
    ----------
    communicator : Communicator
    plan : Plan
    names : iterable of str
        Of "mean", "min", "max", "std" and "sum".
    results : mapping of str to ndarray, optional
        Where root puts the results, if not in new memory.

    Attributes
    ----------
    results : dict of str to ndarray, shape (steps, *shape of a row), or of a cell if cells are reduced
        On root; empty elsewhere.

    Raises
    ------
    InputError
        If the results do not fit in memory. Not collective: to be made in an agreed block.
    """

    def __init__(
        self, communicator: Communicator, plan: Plan, names: Iterable[str], results: Mapping[str, Array] | None = None
    ) -> None:
        self._communicator = communicator
        self._agreement = Agreement(communicator)
        self._plan = plan
        self._row = plan.shape[plan.reduced_axes :]
        self._cells = prod(plan.shape[1 : plan.reduced_axes])  # of a row that are put together first
        self._names = list(names)
        dtypes = dtypes_of(plan.history_dtype)
        mean = _wide(dtypes["mean"])
        folds = {
            "mean": _sum(mean),
            "min": _extreme(np.minimum, dtypes["min"]),
            "max": _extreme(np.maximum, dtypes["max"]),
            "std": _moments(mean),
            "sum": _sum(_wide(dtypes["sum"])),
        }
        self._folds = {
            name: folds[name] if plan.reduced_axes == 1 else _over_cells(folds[name], plan.reduced_axes, self._cells)
            for name in self._names
        }
        self._nodes = [subtree_roots(*bounds) for bounds in plan.bounds]
        ends = [0, *accumulate(map(len, self._nodes))]
        self._spans = list(pairwise(ends))
        self._waiting: dict[int, dict[str, list[tuple[int, int, Value]]]] = {}
        self.results: dict[str, Array] = dict(results or {})
        if communicator.rank == 0 and not results:
            shapes = shapes_of(self._names, plan)
            nbytes = sum(prod(shape) * dtype.itemsize for shape, dtype in shapes.values())
            require_memory(nbytes, f"the reductions of {plan.steps:,} steps", "Compute fewer steps.")
            self.results = {name: np.empty(*shape) for name, shape in shapes.items()}

    def add(self, steps: range, lower: int, values: Array) -> None:
        """Take the results of `steps` for a run of rows. Not collective.

        Parameters
        ----------
        steps : range
            With no gap; taken together for all rows of this rank.
        lower : int
            The first row; those before it were taken before.
        values : ndarray, shape (len(steps), m, ...)
        """
        stacks = self._waiting.setdefault(steps.start, {name: [] for name in self._names})
        for name, fold in self._folds.items():
            for node in _nodes(fold, lower, values):
                _combine_upward(fold, stacks[name], node)

    def deliver(self, stretch: range) -> None:
        """Put together what all ranks took of a stretch of steps. Collective."""
        pieces = [self._waiting[start] for start in sorted(self._waiting)]
        self._waiting = {}
        gathered: dict[str, list[Array]] = {}
        for name, fold in self._folds.items():
            gathered[name] = []
            for number, dtype in enumerate(fold.dtypes):
                own = [np.stack([node[2][number] for node in each[name]], axis=1) for each in pieces if each[name]]
                shape = (len(stretch), len(self._nodes[self._communicator.rank]), *self._row)
                mine = np.concatenate(own).astype(dtype, copy=False) if own else np.empty(shape, dtype)
                gathered[name].append(self._gather(mine))
        with self._agreement, np.errstate(all="ignore"):
            for name, result in self.results.items():
                part = result[stretch.start : stretch.stop]
                part[...] = self._finish(name, gathered[name])
                canonicalize_nan(part)

    def _gather(self, mine: Array) -> Array:
        if self._communicator.rank:
            self._communicator.gatherv(mine, self._spans, None)
            return mine
        whole = np.empty((len(mine), self._spans[-1][1], *self._row), mine.dtype)
        whole[:, : mine.shape[1]] = mine
        self._communicator.gatherv(whole[:, : mine.shape[1]], self._spans, whole)
        return whole

    def _finish(self, name: str, gathered: list[Array]) -> Array:
        """Put the nodes of all ranks together. Root only."""
        fold, stack = self._folds[name], list[tuple[int, int, "Value"]]()
        numbers = [node for nodes in self._nodes for node in nodes]
        for place, (level, index) in enumerate(numbers):
            _combine_upward(fold, stack, (level, index, tuple(array[:, place] for array in gathered)))
        value, rows = _top(fold, stack)
        count = rows * self._cells
        if name == "std":
            deviation: Array = np.sqrt(value[1] / count)
            return deviation
        return value[0] / count if name == "mean" else value[0]


def _top(fold: TreeReduction, stack: list[tuple[int, int, Value]]) -> tuple[Value, int]:
    """Return the value of all nodes, which is taken from the stack, and how many rows are behind it."""
    level, _, value = stack.pop()
    rows = 2**level
    while stack:  # what is left has no neighbour of its size: from the right it goes up as it is
        level, _, left = stack.pop()
        value = fold.join(left, value, 2**level, rows)
        rows += 2**level
    return value, rows


def _over_cells(fold: TreeReduction, axes: int, cells: int) -> TreeReduction:
    """Return what reduces rows by a tree of their cells, before that of the rows."""

    def leaf(x: Array) -> Value:
        flat = x.reshape(*x.shape[:2], cells, *x.shape[axes + 1 :])
        stack: list[tuple[int, int, Value]] = []
        for node in _nodes(fold, 0, np.moveaxis(flat, 2, 1)):
            _combine_upward(fold, stack, node)
        return _top(fold, stack)[0]

    def join(one: Value, other: Value, m: int, n: int) -> Value:
        return fold.join(one, other, m * cells, n * cells)

    return TreeReduction(leaf, join, fold.dtypes)


def subtree_roots(lower: int, upper: int) -> list[tuple[int, int]]:
    """Return the largest nodes of the tree within rows, as level and index, in the order of the rows.

    >>> subtree_roots(3, 13)
    [(0, 3), (2, 1), (2, 2), (0, 12)]
    """
    left, right, level = [], [], 0
    while lower < upper:
        if lower % 2:
            left.append((level, lower))
        if upper % 2:
            right.append((level, upper - 1))
        lower, upper, level = (lower + 1) // 2, upper // 2, level + 1
    return left + right[::-1]


def _nodes(fold: TreeReduction, lower: int, values: Array) -> list[tuple[int, int, Value]]:
    """Return the largest nodes within rows from `lower` on, with their values, arrays of shape (steps, ...)."""
    left, right, level = [], [], 0
    value = fold.leaf(values)
    upper = lower + values.shape[1]
    while lower < upper:
        if lower % 2:
            left.append((level, lower, tuple(array[:, 0].copy() for array in value)))
            lower, value = lower + 1, tuple(array[:, 1:] for array in value)
        if upper % 2 and lower < upper:
            right.append((level, upper - 1, tuple(array[:, -1].copy() for array in value)))
            upper, value = upper - 1, tuple(array[:, :-1] for array in value)
        if lower < upper:
            even, odd = (tuple(array[:, first::2] for array in value) for first in (0, 1))
            value = fold.join(even, odd, 2**level, 2**level)
        lower, upper, level = lower // 2, upper // 2, level + 1
    return left + right[::-1]


def _combine_upward(fold: TreeReduction, stack: list[tuple[int, int, Value]], node: tuple[int, int, Value]) -> None:
    """Put a node to those on its left, together with its neighbour if that is there."""
    level, index, value = node
    while stack and index % 2 and stack[-1][:2] == (level, index - 1):
        _, _, other = stack.pop()
        value = fold.join(other, value, 2**level, 2**level)
        level, index = level + 1, index // 2
    stack.append((level, index, value))
