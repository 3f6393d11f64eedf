"""The steps: every rank runs the kernel over its part, tile by tile, and the results are delivered."""

from __future__ import annotations

from time import perf_counter
from typing import TYPE_CHECKING, Any

import numpy as np

from ..communicator import Agreement
from ..errors import KernelError
from ..kernels import Block
from ..kernels.contract import beside
from ..memory import require
from ..text import rows_in_short

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy.typing as npt

    from ..communicator import Communicator
    from ..problem import Problem
    from .contract import HistoryReceiver, Timings
    from .plan import Plan

    Array = npt.NDArray[Any]

BLOCK = 256 * 2**10  # bytes of a block's result: it and its input stay in a core's cache between passes


class Rows:
    """The rows of this rank: its part of the initial array and of the parameters.

    Parameters
    ----------
    problem : Problem
        Kernel, time grid and seed; its array is not looked at.
    first : int
        The number of the first row in the whole array.
    part : ndarray, shape (m, ...)
        Rows of the initial array, of any byte order and layout.
    parameters : mapping of str to number or ndarray of shape (m, ...)
    """

    def __init__(self, problem: Problem, first: int, part: Array, parameters: Mapping[str, Any]) -> None:
        self.problem = problem
        self.first = first
        self.part = part.view()
        self.part.flags.writeable = False  # on root it is the user's own array
        self._numbers = {name: value for name, value in parameters.items() if not isinstance(value, np.ndarray)}
        self._arrays = {name: value for name, value in parameters.items() if isinstance(value, np.ndarray)}

    def initial(self, lower: int, upper: int) -> Array:
        """Return rows of the initial array, C-contiguous, in the machine's byte order, and read-only."""
        return _plain(self.part[lower - self.first : upper - self.first])

    def parameters(self, lower: int, upper: int) -> Mapping[str, Any]:
        """Return the parameters for some rows, of shapes that broadcast with them; arrays as `initial` gives them."""
        if not self._arrays:
            return self._numbers
        own = slice(lower - self.first, upper - self.first)
        return {**self._numbers, **{name: beside(self.part, value[own]) for name, value in self._arrays.items()}}

    def block(self, k: int, lower: int, upper: int, parameters: Mapping[str, Any]) -> Block:
        """Return what the kernel is told of some rows and a step."""
        problem = self.problem
        return Block(k, problem.time(k), problem.delta_t, (lower, upper), parameters, problem.seed)


def run_steps(
    communicator: Communicator,
    plan: Plan,
    rows: Rows,
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
    rows : Rows
        This rank's.
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
    at_once = max(1, block // max(1, plan.history_row_nbytes))
    where = f"rank {communicator.rank} of {communicator.size} (host {communicator.host})"
    with agreement:
        compute = _Map(rows) if rows.problem.kernel.kind == "map" else _Step(rows, plan)
    for tile in plan.tiles():
        begun = perf_counter()
        with agreement, np.errstate(all="ignore"):
            target = receiver.rows(tile)
            lower, upper = tile.spans[communicator.rank]
            for start in range(lower, upper, at_once):
                end = min(start + at_once, upper)
                compute(tile.steps, start, end, target[:, start - lower : end - lower], where)
            computed = perf_counter()
        receiver.deliver(tile)
        timings.compute += computed - begun
        timings.gather += perf_counter() - computed


class _Compute:
    """Computes some rows of some steps, and says where it happened if the kernel fails."""

    def __init__(self, rows: Rows) -> None:
        self.rows = rows
        self.kernel = rows.problem.kernel
        self.check_nan = rows.problem.nan == "error"

    def __call__(self, steps: range, lower: int, upper: int, out: Array, where: str) -> None:
        """Compute rows ``[lower, upper)`` of `steps` into `out`."""
        rows = self.rows
        block = rows.block(steps.start, lower, upper, rows.parameters(lower, upper))
        try:
            self.compute(steps, block, out)
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            at = f"step {block.k}, t = {block.t}, {rows_in_short(lower, upper)}"
            raise KernelError(f"the kernel {self.kernel.name} failed on {where} at {at}") from error

    def compute(self, steps: range, block: Block, out: Array) -> None:
        raise NotImplementedError

    def evaluate(self, x: Array, block: Block, out: Array) -> None:
        """Call the kernel for one step, and check what it did."""
        returned: object = self.kernel.evaluate(x, block, out)
        if returned is not None and returned is not out:
            raise TypeError(f"evaluate() returned {type(returned).__name__}; it must write the result into out")
        if self.check_nan and np.isnan(out).any():
            bad = np.isnan(out).reshape(len(out), -1).any(axis=1)
            raise FloatingPointError(
                f"{int(bad.sum())} of these rows are not a number, the first is row {block.lower + int(bad.argmax())}"
            )


class _Map(_Compute):
    """Step k from the initial array and the time of step k."""

    def compute(self, steps: range, block: Block, out: Array) -> None:
        x = self.kernel.prepare(self.rows.initial(block.lower, block.upper), block, out[-1])
        if not isinstance(x, np.ndarray):
            raise TypeError(f"prepare() returned {type(x).__name__}; it must return x, or scratch")
        for k, target in zip(steps, out, strict=True):
            block.k, block.t = k, self.rows.problem.time(k)
            self.evaluate(x, block, target)


class _Step(_Compute):
    """Step k from the state of step k - 1 and its time; step 0 is the initial array."""

    def __init__(self, rows: Rows, plan: Plan) -> None:
        super().__init__(rows)
        self.steps = plan.steps
        shape = (len(rows.part), *plan.shape[1:])
        if plan.steps > plan.tile_shape[0]:  # else all steps of a row are in one tile
            nbytes = int(np.prod(shape, dtype=object)) * plan.history_dtype.itemsize
            require(nbytes, "the state between the steps", "Use more nodes, or fewer ranks on each.")
            self.state = np.empty(shape, plan.history_dtype)

    def compute(self, steps: range, block: Block, out: Array) -> None:
        first = self.rows.first
        own = slice(block.lower - first, block.upper - first)
        state = self.state[own] if steps.start else None
        for k, target in zip(steps, out, strict=True):
            if state is None:
                np.copyto(target, self.rows.initial(block.lower, block.upper), casting="same_kind")
            else:
                block.k, block.t = k - 1, self.rows.problem.time(k - 1)
                self.evaluate(_read_only(state), block, target)
            state = target
        if steps.stop < self.steps and state is not None:
            self.state[own] = state


def _plain(array: Array) -> Array:
    """Return it C-contiguous and in the machine's byte order, read-only like what is not copied."""
    return _read_only(np.ascontiguousarray(array, array.dtype.newbyteorder("=")))


def _read_only(array: Array) -> Array:
    """Return a view that cannot be written to: what lies behind it is the user's, or part of the history."""
    view = array.view()
    view.flags.writeable = False
    return view
