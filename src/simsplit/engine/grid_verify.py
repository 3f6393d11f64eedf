"""What one process computes on a grid, for verification: from stored steps, or from the initial array on root.

Where the step before is in the history, each rank recomputes its rows from that, read back with the rows around: if
every step follows from the one before, all of them are right. Nothing of the exchange of halos has a part in it.
Where the steps between two that are kept reach over the whole grid, root recomputes all of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..communicator import Agreement
from ..errors import KernelError
from ..grids.ghosts import Ghosts, negate, runs
from ..kernels import Block
from ..kernels.base import around_cells, read_only
from ..util.dtypes import canonicalize_nan
from ..util.formatting import stdout_held
from ..util.memory_limits import require_memory
from .grid_state import widened
from .verify import AT_ONCE

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy.typing as npt

    from ..communicator import Communicator
    from .interfaces import HistorySink
    from .local_part import LocalPart
    from .plan import Plan

    Array = npt.NDArray[Any]
    Spans = list[tuple[int, int]]


class GridReference:
    """The plain way from one step of rows of a grid to the next.

    Parameters
    ----------
    rows : LocalPart
        With a layout.
    plan : Plan
    parameters : mapping of str to object
        For all rows; of arrays by row none, or all rows of them.
    """

    def __init__(self, rows: LocalPart, plan: Plan, parameters: dict[str, Any]) -> None:
        assert rows.layout is not None  # noqa: S101, for the type checker
        self._rows, self._plan, self.layout = rows, plan, rows.layout
        self.cyclic = rows.layout.is_cyclic(0)
        self.reach = widened(plan.reach, rows.layout.sides[0])
        self._ghosts = Ghosts(rows.layout, self.reach, rows.numbers, rows.problem.delta_t)
        self._parameters = {name: value for name, value in parameters.items() if not isinstance(value, np.ndarray)}
        self._arrays = {name: value for name, value in parameters.items() if isinstance(value, np.ndarray)}

    def window(self, lower: int, upper: int, steps: int) -> tuple[int, int] | None:
        """Return the rows from which rows can be computed `steps` later; None if that takes all rows."""
        (low, high), n = self.reach[0], self._plan.shape[0]
        first, last = lower - steps * low, upper + steps * high
        if last - first >= n:
            return None
        if self.layout.is_anti(0) and steps > 1:  # whose rows cannot be computed further as they are
            return None
        return (first, last) if self.cyclic else (max(first, 0), min(last, n))

    def steps(self, values: Array, first: int, k: int, count: int) -> tuple[Array, int]:
        """Return rows `count` steps later, and the number of the first: all of the whole grid, else those that can be.

        Parameters
        ----------
        values : ndarray, shape (m, ...)
            Rows from `first` on.
        first : int
        k : int
            Their step.
        count : int
        """
        for step in range(k, k + count):
            values, first = self.next(values, first, step, self._plan.history_dtype)
        return values, first

    def next(self, values: Array, first: int, k: int, dtype: np.dtype[Any]) -> tuple[Array, int]:
        """Return what a kernel gives for step `k` of rows from `first` on, and which row is the first of that."""
        (low, high), n = self.reach[0], self._plan.shape[0]
        whole = len(values) == n and first == 0
        before = low if whole or (first == 0 and not self.cyclic) else 0
        after = high if whole or (first + len(values) == n and not self.cyclic) else 0
        t = self._rows.problem.time(k)
        padded = self._ghosts.pad(values, first, before, after, k, t)
        start = first - before  # the row of padded[0]
        lower, upper = start + low, start + len(padded) - high
        result = np.empty((upper - lower, *values.shape[1:]), dtype)
        for begin, last, row in runs(lower, upper, n, cyclic=self.cyclic, most=_rows_at_once(self._plan)):
            kernel_low, kernel_high = self._plan.reach[0]
            x = padded[begin - kernel_low - start : last + kernel_high - start]
            result[begin - lower : last - lower] = self._evaluate(x, row, last - begin, k, t, dtype)
        return result, lower

    def _evaluate(self, x: Array, row: int, count: int, k: int, t: float, dtype: np.dtype[Any]) -> Array:
        problem, reach = self._rows.problem, self._plan.reach
        parameters, around = dict(self._parameters), {}
        for name, value in self._arrays.items():
            places = np.clip(np.arange(row - reach[0][0], row + count + reach[0][1]), 0, len(value) - 1)
            if self.cyclic:
                places = np.arange(row - reach[0][0], row + count + reach[0][1]) % len(value)
            around[name] = read_only(around_cells(value[places], x.ndim, reach, self.layout.cyclic))
            parameters[name] = read_only(around_cells(value[row : row + count], x.ndim, (), ()))
        block = Block(
            k,
            t,
            problem.delta_t,
            (row, row + count),
            parameters,
            problem.seed,
            grid=self.layout,
            reach=reach,
            around=around,
        )
        with np.errstate(all="ignore"), stdout_held():
            result = problem.kernel.reference(read_only(x), block, dtype)
        canonicalize_nan(result)
        return result


class RootSolution:
    """All steps of a run, recomputed by root from the initial array.

    Parameters
    ----------
    communicator : Communicator
    plan : Plan
    rows : LocalPart
        Root's problem has the whole array and all parameters.
    """

    def __init__(self, communicator: Communicator, plan: Plan, rows: LocalPart) -> None:
        self._communicator, self._plan, self._rows = communicator, plan, rows
        self._k = 0
        self.is_step = rows.problem.kernel.kind == "step"
        with Agreement(communicator):
            if communicator.rank == 0 and rows.problem.initial is not None:
                require_memory(
                    2 * plan.history_row_nbytes * plan.shape[0],
                    "verifying on rank 0",
                    "Keep all steps, or do not verify.",
                )
                self._reference = GridReference(rows, plan, rows.problem.kernel.parameters)
                initial = np.asarray(rows.problem.initial[:])
                dtype = plan.history_dtype if self.is_step else initial.dtype.newbyteorder("=")
                self._state = initial.astype(dtype)

    def at(self, k: int) -> Array | None:
        """Return step `k` on root, None elsewhere; those of a step kernel in rising order. Not collective."""
        if self._communicator.rank:
            return None
        if not self.is_step:
            return self._reference.next(self._state, 0, k, self._plan.history_dtype)[0]
        self._state, _ = self._reference.steps(self._state, 0, self._k, k - self._k)
        self._k = k
        return self._state

    def own(self, k: int) -> Array:
        """Return this rank's rows of step `k`. Collective."""
        whole: Array | None = None
        with Agreement(self._communicator):
            whole = self.at(k)
            lower, upper = self._plan.bounds[self._communicator.rank]
            part = np.empty((upper - lower, *self._plan.shape[1:]), self._plan.history_dtype)
        if whole is not None:
            self._communicator.scatterv(np.ascontiguousarray(whole), self._plan.bounds, whole[:upper])
            return whole[lower:upper]
        self._communicator.scatterv(None, self._plan.bounds, part)
        return part


def compare_grid(
    communicator: Communicator,
    plan: Plan,
    rows: LocalPart,
    receiver: HistorySink,
    compare: Callable[[int, tuple[int, int], Array, Array], None],
) -> None:
    """Recompute each kept step, and compare it with the history. Collective.

    Parameters
    ----------
    communicator : Communicator
    plan : Plan
    rows : LocalPart
    receiver : HistorySink
    compare : callable
        Takes the place of a step among those kept, its number and that of the first row, what is expected, and what was
        found.
    """
    is_step = rows.problem.kernel.kind == "step"
    by_row = communicator.allreduce_or(bool(rows.arrays))  # whose rows around no rank but root has
    reference = GridReference(rows, plan, rows.numbers)
    root: RootSolution | None = None
    for position, k in enumerate(plan.kept):
        gap = k - plan.kept[position - 1] if position else k
        inductive = is_step and not by_row and all(reference.window(*span, gap) for span in plan.bounds)
        if is_step and k == 0:
            _compare_initial(communicator, plan, rows, receiver, compare)
        elif position and inductive:
            for spans in plan.spans(_rows_at_once(plan)):
                _compare_from_before(communicator, plan, reference, receiver, position, spans, compare)
        else:
            root = RootSolution(communicator, plan, rows) if root is None else root
            _compare_on_root(communicator, plan, root, receiver, position, compare)


def _compare_initial(
    communicator: Communicator, plan: Plan, rows: LocalPart, receiver: HistorySink, compare: Callable[..., None]
) -> None:
    for spans in plan.spans(_rows_at_once(plan)):
        here = receiver.fetch(0, spans)
        with Agreement(communicator):
            lower, upper = spans[communicator.rank]
            if len(here):
                compare(0, (0, lower), rows.initial(lower, upper).astype(plan.history_dtype), here)


def _compare_on_root(
    communicator: Communicator,
    plan: Plan,
    root: RootSolution,
    receiver: HistorySink,
    position: int,
    compare: Callable[..., None],
) -> None:
    n, k = plan.shape[0], plan.kept[position]
    expected: Array | None = None
    with Agreement(communicator):
        expected = _told(lambda: root.at(k), communicator, k)
    at_once = _rows_at_once(plan)
    for lower in range(0, n, at_once):
        upper = min(lower + at_once, n)
        here = receiver.fetch(position, [(lower, upper), *[(n, n)] * (plan.ranks - 1)])
        with Agreement(communicator):
            if expected is not None:
                compare(position, (k, lower), expected[lower:upper], here)


def _compare_from_before(
    communicator: Communicator,
    plan: Plan,
    reference: GridReference,
    receiver: HistorySink,
    position: int,
    spans: Spans,
    compare: Callable[..., None],
) -> None:
    """Recompute rows of a kept step from the one that was kept before it."""
    before, k = plan.kept[position - 1], plan.kept[position]
    windows = [reference.window(*span, k - before) if span[0] < span[1] else (span[0], span[0]) for span in spans]
    window = _fetch_windows(communicator, plan, reference, receiver, position - 1, windows)
    here = receiver.fetch(position, spans)
    with Agreement(communicator):
        lower, upper = spans[communicator.rank]
        own = windows[communicator.rank]
        if lower < upper and own is not None:
            expected, first = _told(lambda: reference.steps(window, own[0], before, k - before), communicator, k)
            compare(position, (k, lower), expected[lower - first : upper - first], here)


def _fetch_windows(
    communicator: Communicator,
    plan: Plan,
    reference: GridReference,
    receiver: HistorySink,
    position: int,
    windows: Sequence[tuple[int, int] | None],
) -> Array:
    """Return this rank's window of a kept step. Collective.

    Windows overlap, and what is fetched at a time must not: so in each round a rank fetches of another rank's rows.
    """
    ranks, n = plan.ranks, plan.shape[0]
    first, last = windows[communicator.rank] or (0, 0)
    window = np.empty((last - first, *plan.shape[1:]), plan.history_dtype)
    for apart in range(ranks):
        spans = [_needed(windows[rank], plan.bounds[(rank + apart) % ranks], n) for rank in range(ranks)]
        if not any(lower < upper for lower, upper in spans):
            continue
        found = receiver.fetch(position, spans)
        lower, upper = spans[communicator.rank]
        for rounds in range(first // n, -(-last // n) + 1) if len(found) else ():
            begin, end = max(first, lower + rounds * n), min(last, upper + rounds * n)
            if begin < end:
                part = window[begin - first : end - first]
                part[...] = found[begin - rounds * n - lower : end - rounds * n - lower]
                if rounds % 2 and reference.layout.is_anti(0):
                    negate(part)
    return window


def _needed(window: tuple[int, int] | None, bounds: tuple[int, int], n: int) -> tuple[int, int]:
    """Return the rows within bounds that a window has, wherever it goes round."""
    first, last = window or (0, 0)
    found = [
        (max(bounds[0], first - rounds * n), min(bounds[1], last - rounds * n))
        for rounds in range(first // n, -(-last // n) + 1)
    ]
    found = [(lower, upper) for lower, upper in found if lower < upper]
    if not found:
        return (bounds[0], bounds[0])
    return min(lower for lower, _ in found), max(upper for _, upper in found)


def _rows_at_once(plan: Plan) -> int:
    return max(1, AT_ONCE // max(1, plan.history_row_nbytes))


def _told(compute: Callable[[], Any], communicator: Communicator, k: int) -> Any:
    try:
        return compute()
    except Exception as error:
        raise KernelError(
            f"the kernel failed on rank {communicator.rank} of {communicator.size} (host {communicator.host}) when "
            f"verifying step {k}"
        ) from error
