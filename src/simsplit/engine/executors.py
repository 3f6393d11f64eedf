"""Compute the steps of a block of rows: map kernels from the initial array, step kernels from the state."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import KernelError
from ..kernels.base import read_only
from ..util.dtypes import iter_fields, rows_with_nan
from ..util.formatting import format_rows
from ..util.memory_limits import require_memory
from .plan import STEPS_BETWEEN, kept_before

if TYPE_CHECKING:
    import numpy.typing as npt

    from ..kernels import Block
    from ..problem import Problem
    from .interfaces import ResumePoint
    from .local_part import LocalPart
    from .plan import Plan, Tile
    from .reductions import Reducer
    from .row_check import RowCheck

    Array = npt.NDArray[Any]


def kernel_error(problem: Problem, block: Block, ahead: int, where: str) -> KernelError:
    """Return the error that says where a kernel failed.

    Parameters
    ----------
    problem : Problem
    block : Block
    ahead : int
        How far the step that is computed is from that of which the kernel is told.
    where : str
        The rank.
    """
    step = block.k + ahead
    at = f"step {step}, t = {problem.time(step)}"
    if ahead:
        at += f" (from step {block.k}, t = {block.t})"
    rows = format_rows(block.lower, block.upper)
    return KernelError(f"the kernel {problem.kernel.name} failed on {where} at {at}, {rows}")


class Executor:
    """Computes some rows of some steps, and says where it happened if the kernel fails."""

    def __init__(self, rows: LocalPart) -> None:
        self.rows = rows
        self.kernel = rows.problem.kernel
        self.check_nan = rows.problem.nan == "error"
        self.reducer: Reducer | None = None
        self.state: Array | None = None  # this rank's rows of the last step, where they are wanted
        self.row_check: RowCheck | None = None
        self.ahead = 0  # how far the step that is computed is from that of which the kernel is told

    def __call__(self, tile: Tile, lower: int, upper: int, out: Array | None, where: str) -> None:
        """Compute rows ``[lower, upper)`` of `tile`; those of the kept steps into `out`, None if there are none."""
        rows = self.rows
        block = rows.block(tile.computed.start, lower, upper, rows.parameters(lower, upper))
        try:
            self.compute(tile, block, out)
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            raise kernel_error(rows.problem, block, self.ahead, where) from error

    def compute(self, tile: Tile, block: Block, out: Array | None) -> None:
        """Compute some rows of a tile, those of the kept steps into `out`, and let them be reduced."""
        if out is not None and len(tile.steps) == len(tile.computed):
            state = self.go_on(self.state_before(tile.computed, block), block, tile.computed, out)
            self.reduce(tile.computed, block, out)
        else:
            state = self.pick(self.state_before(tile.computed, block), block, tile, out)
        self.keep_state(state, block)

    def pick(self, state: Array | None, block: Block, tile: Tile, out: Array | None) -> Array | None:
        """Compute steps of which only some are kept; return the state of the last."""
        kept, block_rows = tile.steps, self.scratch.shape[1]
        for turn, first in enumerate(range(0, len(tile.computed), block_rows)):
            steps = tile.computed[first : first + block_rows]
            results = self.scratch[turn % 2, : len(steps), : block.upper - block.lower]
            state = self.go_on(state, block, steps, results)
            self.reduce(steps, block, results)
            lower, upper = kept_before(kept, steps.start), kept_before(kept, steps.stop)
            if out is not None and lower < upper:
                out[lower:upper] = results[kept[lower] - steps.start :: kept.step][: upper - lower]
        return state

    def go_on(self, state: Array | None, block: Block, steps: range, out: Array) -> Array | None:
        """Compute `steps` into `out`; return the state of the last, if there is such a thing."""
        raise NotImplementedError

    def state_before(self, steps: range, block: Block) -> Array | None:
        """Return the state that `steps` go on from, if there is one."""
        return None

    def keep_state(self, state: Array | None, block: Block) -> None:
        """Keep the state of some rows for the next tile, or for observers."""
        if self.state is not None and state is not None:
            self.state[self.own(block)] = state

    def own(self, block: Block) -> slice:
        """Return where the rows of a block are among this rank's."""
        return slice(block.lower - self.rows.first, block.upper - self.rows.first)

    def make_scratch(self, plan: Plan, block_rows: int) -> None:
        """Take memory for steps that are not kept: two pieces of about a block, used by turns."""
        most = min(block_rows, len(self.rows.part))
        steps = min(max(1, block_rows // max(1, most)), STEPS_BETWEEN, plan.steps)
        self.scratch = np.empty((2, steps, most, *plan.shape[1:]), plan.history_dtype)

    def reduce(self, steps: range, block: Block, results: Array) -> None:
        """Give the results of some rows to the reductions."""
        if self.reducer is not None:
            self.reducer.add(steps, block.lower, results)

    def snapshot(self) -> Array | None:
        """Return this rank's rows of the state that the kernel goes on from, read-only, or None if there is none."""
        return None

    def values_now(self) -> Array | None:
        """Return this rank's rows of the last step, read-only, or None if they were not kept."""
        return None if self.state is None else read_only(self.state)

    def advance(self, x: Array, block: Block, steps: range, out: Array) -> None:
        """Let the kernel compute successive steps, and check what it did."""
        problem = self.rows.problem
        try:
            self.rows.advance(x, block, steps, [problem.time(k) for k in steps], out)
        except BaseException:
            if self.check_nan and block.k in steps:  # of two failures the one of the earlier step is told
                self.require_numbers(block, steps[: steps.index(block.k)], out)
            raise
        if self.row_check is not None:
            self.row_check.look(x, block, steps, out)
        if self.check_nan:
            self.require_numbers(block, steps, out)

    def require_numbers(self, block: Block, steps: range, out: Array) -> None:
        """Raise if a result is not a number, with the block at the first step that has one."""
        if not any(np.isnan(leaf).any() for leaf in iter_fields(out[: len(steps)])):
            return
        for k, result in zip(steps, out, strict=False):
            bad = rows_with_nan(result)
            if bad.any():
                block.k, block.t = k, self.rows.problem.time(k)
                first = block.lower + int(bad.argmax())
                raise FloatingPointError(f"{int(bad.sum())} of these rows are not a number, the first is row {first}")


class MapExecutor(Executor):
    """Step k from the initial array and the time of step k. If it `shows`, the last step is kept for observers."""

    def __init__(self, rows: LocalPart, plan: Plan, *, shows: bool) -> None:
        super().__init__(rows)
        if shows:
            self.state = np.empty((len(rows.part), *plan.shape[1:]), plan.history_dtype)

    def go_on(self, state: Array | None, block: Block, steps: range, out: Array) -> Array:
        """Compute `steps` into `out`; return the last of them."""
        self.advance(self.rows.initial(block.lower, block.upper), block, steps, out)
        last: Array = out[-1]
        return last


class StepExecutor(Executor):
    """Step k from the state of step k - 1 and its time; step 0 is the initial array.

    Parameters
    ----------
    rows, plan, start
        As of `run_steps`.
    block_rows : int
        The number of rows of a block.
    at_first : int
        The number of steps in the first batch.
    observed : bool
        Whether the state is asked for at the end of each batch, the last one included.
    """

    def __init__(
        self, rows: LocalPart, plan: Plan, block_rows: int, start: ResumePoint, *, at_first: int, observed: bool
    ) -> None:
        super().__init__(rows)
        shape = (len(rows.part), *plan.shape[1:])
        if start.next_step:
            if start.state is None or start.state.shape != shape:
                raise ValueError(f"to go on from step {start.next_step} takes a state of shape {shape}")
            self.state = np.require(start.state, plan.history_dtype, ["C", "W"])
        elif observed or plan.steps > min(at_first, plan.tile_shape[0]):  # else no state outlives its block
            nbytes = prod(shape) * plan.history_dtype.itemsize
            require_memory(nbytes, "the state between the steps", "Use more nodes, or fewer ranks on each.")
            self.state = np.empty(shape, plan.history_dtype)

    def snapshot(self) -> Array | None:
        """Return the state, read-only."""
        return None if self.state is None else read_only(self.state)

    def state_before(self, steps: range, block: Block) -> Array | None:
        """Return the state of some rows, or None before step 0."""
        return None if self.state is None or steps.start == 0 else self.state[self.own(block)]

    def go_on(self, state: Array | None, block: Block, steps: range, out: Array) -> Array:
        """Compute `steps`, with no gap between them, into `out`; return the state of the last."""
        self.ahead = 0
        if state is None:
            state = out[0]
            np.copyto(state, self.rows.initial(block.lower, block.upper), casting="same_kind")
            steps, out = steps[1:], out[1:]
        if not steps:
            return state
        self.ahead = 1
        self.advance(read_only(state), block, range(steps.start - 1, steps.stop - 1), out)
        last: Array = out[-1]
        return last
