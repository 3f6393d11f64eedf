"""The steps: every rank runs the kernel over its part, tile by tile, and the results are delivered."""

from __future__ import annotations

from time import perf_counter
from typing import TYPE_CHECKING, Any

import numpy as np

from ..communicator import Agreement
from ..errors import KernelError

if TYPE_CHECKING:
    import numpy.typing as npt

    from ..communicator import Communicator
    from ..kernels import Kernel
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
        Bytes of the result of a step that are computed at a time; at least one row is.

    Raises
    ------
    KernelError
        On every rank, if the kernel failed on any; the receiver then holds no history.
    """
    agreement = Agreement(communicator)
    first = plan.bounds[communicator.rank][0]
    at_once = max(1, block // max(1, plan.history_nbytes // max(1, plan.steps * plan.shape[0])))
    where = f"rank {communicator.rank} of {communicator.size} (host {communicator.host})"
    part = part.view()
    part.flags.writeable = False  # on root it is the user's own array
    for tile in plan.tiles():
        begun = perf_counter()
        with agreement, np.errstate(all="ignore"):
            target = receiver.rows(tile)
            lower, upper = tile.spans[communicator.rank]
            times = [(k, problem.time(k)) for k in tile.steps]
            for row in range(lower, upper, at_once):
                rows = slice(row, min(row + at_once, upper))
                x = part[rows.start - first : rows.stop - first]
                out = target[:, rows.start - lower : rows.stop - lower]
                _compute(problem.kernel, x, times, out, f"rows {rows.start}–{rows.stop - 1}", where)
            computed = perf_counter()
        receiver.deliver(tile)
        timings.compute += computed - begun
        timings.gather += perf_counter() - computed


def _compute(kernel: Kernel, x: Array, times: list[tuple[int, float]], out: Array, rows: str, where: str) -> None:
    """Compute some rows of some steps, and say where it happened if the kernel fails."""
    k, t = times[0]
    try:
        x = np.ascontiguousarray(x, x.dtype.newbyteorder("="))
        prepared = kernel.prepare(x, out[-1])
        if not isinstance(prepared, np.ndarray):
            raise TypeError(f"prepare() returned {type(prepared).__name__}; it must return x, or scratch")  # noqa: TRY301
        for (k, t), target in zip(times, out, strict=True):  # noqa: B007, for the message
            returned: object = kernel.evaluate(prepared, t, target)
            if returned is not None and returned is not target:
                raise TypeError(  # noqa: TRY301, reported like what a kernel raises itself
                    f"evaluate() returned {type(returned).__name__}; it must write the result into out"
                )
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        raise KernelError(f"the kernel {kernel.name} failed on {where} at step {k}, t = {t}, {rows}") from error
