"""Verify a history: every rank recomputes its rows the plain way and compares all bits."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from ..communicator import Agreement
from ..errors import KernelError
from ..util.formatting import format_rows, stdout_held
from ..verification import Verification, bit_mismatch, max_ulp_distance
from .cache_blocking import FALLBACK
from .local_part import LocalPart
from .reductions import Reducer

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy.typing as npt

    from ..communicator import Communicator
    from .interfaces import HistorySink
    from .plan import Plan

    Array = npt.NDArray[Any]

AT_ONCE = 8 * 2**20  # bytes of a step that are recomputed at a time: many blocks, but no second history


class ReferenceSolution:
    """What one process computes for some rows, step by step, the plain way.

    Parameters
    ----------
    rows : LocalPart
    lower, upper : int
        Which of them.
    dtype : numpy.dtype
        Of the history.
    """

    def __init__(self, rows: LocalPart, lower: int, upper: int, dtype: np.dtype[Any]) -> None:
        self._rows = rows
        self._span = lower, upper
        self._dtype = dtype
        self._parameters = rows.parameters(lower, upper)
        self._initial = rows.initial(lower, upper)
        self._k, self._state = 0, self._initial
        if rows.problem.kernel.kind == "step":
            self._state = self._initial.astype(dtype)

    def at(self, k: int) -> Array:
        """Return step `k`; those of a step kernel in rising order."""
        kernel = self._rows.problem.kernel
        with np.errstate(all="ignore"), stdout_held():
            if kernel.kind == "map":
                return kernel.reference(self._initial, self._block(k), self._dtype)
            while self._k < k:
                self._state = kernel.reference(self._state, self._block(self._k), self._dtype)
                self._k += 1
        return self._state

    def _block(self, k: int) -> Any:
        return self._rows.block(k, *self._span, self._parameters)


def verify_steps(
    communicator: Communicator, plan: Plan, rows: LocalPart, receiver: HistorySink, block: int = FALLBACK
) -> Verification:
    """Compare a history with what one process computes. Collective.

    Parameters
    ----------
    communicator : Communicator
    plan : Plan
    rows : LocalPart
        This rank's.
    receiver : HistorySink
        What has the history.
    block : int
        Bytes of the result of a step that the run computed at a time.

    Returns
    -------
    Verification
        The same on every rank.

    Raises
    ------
    KernelError
        On every rank, if the kernel failed on any.
    """
    values = plan.history_nbytes // plan.history_dtype.itemsize
    if not values:
        return Verification(len(plan.kept), 0, 0, 0, None, 0.0)
    found = _MismatchTally(len(plan.kept))
    if plan.reach:
        from .grid_verify import compare_grid

        compare_grid(communicator, plan, rows, receiver, found.compare)
        return _together(communicator, plan, found)
    single = plan.longest == 1  # the run computed each row by itself: mixing them shows in a longer piece alone
    with Agreement(communicator):
        if single and communicator.rank == 0 and rows.problem.initial is not None:
            whole = rows.problem.initial[:]  # an array in a file is read here
            rows = LocalPart(rows.problem, 0, whole, rows.problem.kernel.parameters, rows.layout)
    for spans in _all_on_root(plan) if single else plan.spans(_rows_at_once(plan, block)):
        lower, upper = spans[communicator.rank]
        with Agreement(communicator):
            expected = ReferenceSolution(rows, lower, upper, plan.history_dtype)
        for position, k in enumerate(plan.kept):
            here = receiver.fetch(position, spans)
            with Agreement(communicator):
                try:
                    if len(here):
                        found.compare(position, (k, lower), expected.at(k), here)
                except Exception as error:
                    raise KernelError(
                        f"the kernel {rows.problem.kernel.name} failed on rank {communicator.rank} of "
                        f"{communicator.size} (host {communicator.host}) when verifying step {k}, "
                        f"{format_rows(lower, upper)}"
                    ) from error
    return _together(communicator, plan, found)


def _together(communicator: Communicator, plan: Plan, found: _MismatchTally) -> Verification:
    """Return what all ranks found. Collective."""
    everyone = communicator.allgather(found.facts())
    steps = np.bitwise_or.reduce([facts[0] for facts in everyone])
    return Verification(
        steps=len(plan.kept),
        values=plan.history_nbytes // plan.history_dtype.itemsize,
        different_steps=int(np.unpackbits(steps).sum()),
        different_values=sum(facts[1] for facts in everyone),
        first=min((facts[2] for facts in everyone if facts[2] is not None), default=None),
        ulp=max(facts[3] for facts in everyone),
    )


def _all_on_root(plan: Plan) -> Iterator[list[tuple[int, int]]]:
    """Return runs of the whole array for root, and none for the others; two rows or more while they last."""
    rows = plan.shape[0]
    block_rows = max(2, AT_ONCE // plan.history_row_nbytes)
    for lower in range(0, rows, block_rows):
        yield [(lower, min(lower + block_rows, rows)), *[(rows, rows)] * (plan.ranks - 1)]


def _rows_at_once(plan: Plan, block: int) -> int:
    """Return how many rows to recompute in one piece: never the pieces of the run, so that both must agree."""
    row = plan.history_row_nbytes  # not 0: there are values to compare
    if plan.longest * row <= block:  # the run computed a part in one piece
        return max(1, (plan.longest + 1) // 2)
    rows = max(1, AT_ONCE // row)
    return rows if rows != block // row else max(1, rows // 2)


class _MismatchTally:
    """What one rank found."""

    def __init__(self, steps: int) -> None:
        self._steps = np.zeros(steps, np.bool_)
        self._values = 0
        self._first: tuple[int, int] | None = None
        self._ulp = 0.0

    def compare(self, position: int, start: tuple[int, int], expected: Array, found: Array) -> None:
        """Compare rows of a step, the position-th of those kept; `start` is the step's number and the first row's."""
        differs = bit_mismatch(expected, found)
        if differs.any():
            k, lower = start
            self._steps[position] = True
            self._values += int(np.count_nonzero(differs))
            first = (k, lower + int(np.argwhere(differs)[0][0]))
            self._first = first if self._first is None else min(first, self._first)
            self._ulp = max(self._ulp, max_ulp_distance(expected, found))

    def facts(self) -> tuple[npt.NDArray[np.uint8], int, tuple[int, int] | None, float]:
        """Return what the ranks tell each other."""
        return np.packbits(self._steps), self._values, self._first, self._ulp


def verify_reductions(
    communicator: Communicator, plan: Plan, rows: LocalPart, results: dict[str, Array], found: Verification
) -> Verification:
    """Recompute the reductions of every step, from whole parts, and compare. Collective.

    Parameters
    ----------
    communicator : Communicator
    plan : Plan
    rows : LocalPart
        This rank's.
    results : dict of str to ndarray, shape (steps, ...), on root
    found : Verification
        Of the history.

    Returns
    -------
    Verification
        With what was found; the same on every rank.
    """
    names = communicator.bcast(list(results) if communicator.rank == 0 else None)
    lower, upper = plan.bounds[communicator.rank]
    with Agreement(communicator):
        reducer = Reducer(communicator, plan, names)
        expected = None if plan.reach else ReferenceSolution(rows, lower, upper, plan.history_dtype)
    whole = None
    if plan.reach:
        from .grid_verify import RootSolution

        whole = RootSolution(communicator, plan, rows)
    block_rows = max(1, AT_ONCE // max(1, plan.longest * plan.history_row_nbytes))
    for first in range(0, plan.steps, block_rows):
        steps = range(first, min(first + block_rows, plan.steps))
        given = None if whole is None else [whole.own(k) for k in steps]
        with Agreement(communicator), np.errstate(all="ignore"):
            try:
                values = given if expected is None else [expected.at(k) for k in steps]
                if values and lower < upper:
                    reducer.add(steps, lower, np.stack(values))
            except Exception as error:
                raise KernelError(
                    f"the kernel {rows.problem.kernel.name} failed on rank {communicator.rank} of {communicator.size} "
                    f"(host {communicator.host}) when verifying reductions from step {first} on"
                ) from error
        reducer.deliver(steps)
    pairs = [(again, results[name]) for name, again in reducer.results.items()]
    counts = (sum(result.size for _, result in pairs), sum(int(bit_mismatch(*pair).sum()) for pair in pairs))
    reduced, wrong = communicator.bcast(counts if communicator.rank == 0 else None)
    return replace(found, reduced=reduced, different_reduced=wrong)
