"""The steps: every rank runs the kernel over its part, block by block, and the results are delivered."""

from __future__ import annotations

from time import perf_counter
from typing import TYPE_CHECKING, Any

import numpy as np

from ..communicator import Agreement
from ..errors import KernelError

if TYPE_CHECKING:
    import numpy.typing as npt

    from ..communicator import Communicator
    from ..problem import Problem
    from .contract import HistoryReceiver, Timings
    from .plan import Plan

    Array = npt.NDArray[Any]

BLOCK = 256 * 2**10  # bytes of a block's result: it and its input stay in a core's cache between passes


def run_steps(
    communicator: Communicator,
    plan: Plan,
    problem: Problem,
    part: Array,
    receiver: HistoryReceiver,
    timings: Timings,
    *,
    block: int = BLOCK,
) -> None:
    """Run all steps. Collective.

    Parameters
    ----------
    communicator : Communicator
    plan : Plan
    problem : Problem
        The kernel and the time grid; its array is not looked at.
    part : ndarray
        This rank's rows of the initial array, of any byte order and layout.
    receiver : HistoryReceiver
        Where the results go.
    timings : Timings
        Gets the seconds added.
    block : int
        Bytes of the result that are computed at a time; at least one row is.

    Raises
    ------
    KernelError
        On every rank, if the kernel failed on any; the receiver then holds no history.
    """
    agreement = Agreement(communicator)
    rows = _rows_at_once(plan, block)
    first = plan.bounds[communicator.rank][0]
    for k in range(plan.steps):
        begun = perf_counter()
        with agreement:
            _compute(communicator, problem, k, part, receiver.part(k), rows, first)
            computed = perf_counter()
        receiver.deliver(k)
        timings.compute += computed - begun
        timings.gather += perf_counter() - computed


def _rows_at_once(plan: Plan, block: int) -> int:
    nbytes = plan.history_nbytes // max(1, plan.steps * plan.shape[0])
    return max(1, block // max(1, nbytes))


def _compute(
    communicator: Communicator, problem: Problem, k: int, part: Array, out: Array, rows: int, first: int
) -> None:
    """Compute this rank's rows of step `k`."""
    kernel, t = problem.kernel, problem.time(k)
    as_it_is = part.flags.c_contiguous and part.dtype.isnative
    native = part.dtype.newbyteorder("=")
    for lower in range(0, len(part), rows):
        x = part[lower : lower + rows]
        if not as_it_is:
            x = np.ascontiguousarray(x, dtype=native)
        target = out[lower : lower + rows]
        try:
            returned: object = kernel.evaluate(x, t, target)
            if returned is not None and returned is not target:
                raise TypeError(  # noqa: TRY301, reported like what a kernel raises itself
                    f"evaluate() returned {type(returned).__name__}; it must write the result into out"
                )
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            here = f"rank {communicator.rank} of {communicator.size} (host {communicator.host})"
            raise KernelError(
                f"the kernel {kernel.name} failed on {here} at step {k}, t = {t}, "
                f"rows {first + lower}–{first + lower + len(x) - 1}"
            ) from error
