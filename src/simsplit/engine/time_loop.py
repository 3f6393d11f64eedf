"""The steps: every rank runs the kernel over its part, tile by tile, and the results are delivered."""

from __future__ import annotations

from math import prod
from time import perf_counter
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import kernels
from ..communicator import Agreement
from ..communicator.flags import STOP
from ..errors import KernelError
from ..kernels import Block
from ..kernels.base import beside, read_only
from ..util.dtypes import leaves, not_a_number
from ..util.formatting import rows_in_short
from ..util.memory_limits import require
from .batching import StepBatcher
from .cache_blocking import FALLBACK
from .interfaces import Position
from .plan import STEPS_AT_ONCE, STEPS_BETWEEN, Tile, count_before

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import numpy.typing as npt

    from ..communicator import Communicator
    from ..problem import Problem
    from .interfaces import HistorySink, StepObserver, Timings
    from .plan import Plan
    from .reductions import Reducer
    from .row_check import RowCheck

    Array = npt.NDArray[Any]


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

    Attributes
    ----------
    advance : callable
        What computes the steps: `Kernel.advance`, or what does the same.
    """

    def __init__(self, problem: Problem, first: int, part: Array, parameters: Mapping[str, Any]) -> None:
        self.problem = problem
        self.advance: Callable[..., None] = problem.kernel.advance
        self.first = first
        self.part = part.view()
        self.part.flags.writeable = False  # on root it is the user's own array
        self._numbers = {name: value for name, value in parameters.items() if not isinstance(value, np.ndarray)}
        self._arrays = {name: value for name, value in parameters.items() if isinstance(value, np.ndarray)}

    def initial(self, lower: int, upper: int) -> Array:
        """Return rows of the initial array, C-contiguous, in the machine's byte order, and read-only."""
        rows = self.part[lower - self.first : upper - self.first]
        return read_only(np.ascontiguousarray(rows, rows.dtype.newbyteorder("=")))

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
    receiver: HistorySink,
    timings: Timings,
    *,
    block: int = FALLBACK,
    observer: StepObserver | None = None,
    start: Position | None = None,
    batcher: StepBatcher | None = None,
    reducer: Reducer | None = None,
    check_rows: bool = False,
) -> int:
    """Run all steps, or those from `start` on, unless the observer stops the run. Collective.

    Parameters
    ----------
    communicator : Communicator
    plan : Plan
    rows : Rows
        This rank's.
    receiver : HistorySink
        Where the results go. Its `finish` and `abort` are left to the caller.
    timings : Timings
        Gets the seconds added.
    block : int
        Bytes of the result of a step that are computed at a time; at least one row is.
    observer : StepObserver, optional
        Called at the end of every batch.
    start : Position, optional
        Where to begin, as an observer was told. Its state becomes the engine's own.
    batcher : StepBatcher, optional
        How many steps there are in a batch.
    reducer : Reducer, optional
        Gets the results of every step, kept or not.
    check_rows : bool, default False
        Look whether a kernel of the user's own is row-local (see `row_check`).

    Returns
    -------
    int
        The step that comes next: ``plan.steps``, unless the observer stopped the run. Of a run that keeps the
        last step alone, the history then holds the last one that was computed.

    Raises
    ------
    KernelError
        On every rank, if the kernel failed on any; the receiver then holds no history.
    """
    start = Position() if start is None else start
    begun = perf_counter()
    run = _Run(communicator, plan, rows, receiver, timings, block, observer, start, batcher, reducer)
    if check_rows and _may_mix(rows):
        from .row_check import RowCheck

        run.compute.row_check = RowCheck(rows, plan)
    next_step = run.go()
    timings.steps += perf_counter() - begun
    return next_step


def _may_mix(rows: Rows) -> bool:
    """Return whether what computes the steps is the user's own: no built-in kernel, expression or compiled code."""
    kernel = rows.problem.kernel
    module = type(kernel).__module__
    own = not module.startswith(f"{kernels.__name__}.") or module == f"{kernels.__name__}.functions"
    return own and rows.advance == kernel.advance


class _Run:
    """The loop of `run_steps`, whose arguments it takes."""

    def __init__(
        self,
        communicator: Communicator,
        plan: Plan,
        rows: Rows,
        receiver: HistorySink,
        timings: Timings,
        block: int,
        observer: StepObserver | None,
        start: Position,
        batcher: StepBatcher | None,
        reducer: Reducer | None,
    ) -> None:
        self.rank = communicator.rank
        self.plan = plan
        self.receiver = receiver
        self.timings = timings
        self.observer = observer
        self.next_step = start.next_step
        self.agreement = Agreement(communicator)
        self.at_once = max(1, block // max(1, plan.history_row_nbytes))
        self.where = f"rank {communicator.rank} of {communicator.size} (host {communicator.host})"
        self.reducer = reducer
        is_step = rows.problem.kernel.kind == "step"
        shows = observer is not None and observer.wants_values
        self.every = is_step or reducer is not None or shows
        least = 1 if observer is not None and observer.can_stop else STEPS_AT_ONCE
        self.batcher = StepBatcher(least, STEPS_BETWEEN) if batcher is None else batcher
        with self.agreement:
            self.compute: _Compute
            if is_step:
                observed = observer is not None
                self.compute = _Step(rows, plan, self.at_once, start, at_first=self.batcher.steps, observed=observed)
            else:
                self.compute = _Map(rows, plan, shows=shows)
            if self.every and len(plan.kept) < plan.steps:
                self.compute.make_scratch(plan, self.at_once)
            self.compute.reducer = reducer

    def go(self) -> int:
        plan = self.plan
        while plan.longest and (batch := plan.batch(self.next_step, self.max_steps(), every=self.every)):
            flags = delivered = 0
            for tile in plan.tiles(batch):
                self.tile(tile)
                flags |= self.agreement.requested
                delivered = tile.positions.stop
            if self.reducer is not None:
                begun = perf_counter()
                self.reducer.deliver(batch)
                self.timings.gather += perf_counter() - begun
            self.batcher.adapt(flags)
            self.next_step = min(batch.stop, plan.steps)
            if self.observer is not None:
                position = Position(self.next_step, delivered, self.compute.state_now(), self.compute.values_now())
                if self.observer.on_batch_end(position, flags) & STOP:
                    if plan.keep == "last" and not delivered:
                        self.deliver_last()
                    return self.next_step
        return plan.steps

    def max_steps(self) -> int:
        """Return the most steps that the next batch may have."""
        most = self.batcher.steps
        return most if self.observer is None else min(most, self.observer.max_steps(self.next_step))

    def deliver_last(self) -> None:
        """Deliver the last step that was computed, in place of the last one of a run that is not finished."""
        last = range(self.next_step - 1, self.next_step)
        for spans in self.plan.spans(self.plan.tile_shape[1]):
            tile = Tile(last, last, slice(0, 1), spans)
            if self.compute.state is None:
                self.tile(tile)
                continue
            with self.agreement:
                lower, upper = spans[self.rank]
                first = self.compute.rows.first
                self.receiver.rows(tile)[0] = self.compute.state[lower - first : upper - first]
            self.receiver.deliver(tile)

    def tile(self, tile: Tile) -> None:
        """Compute a tile and deliver it."""
        begun = perf_counter()
        with self.agreement, np.errstate(all="ignore"):
            target = self.receiver.rows(tile) if tile.steps else None
            lower, upper = tile.spans[self.rank]
            for first in range(lower, upper, self.at_once):
                end = min(first + self.at_once, upper)
                out = None if target is None else target[:, first - lower : end - lower]
                self.compute(tile, first, end, out, self.where)
            raised = 0 if self.observer is None else self.observer.poll_flags()
            self.agreement.request(raised | self.batcher.vote())
            computed = perf_counter()
        if tile.steps:
            self.receiver.deliver(tile)
        self.timings.compute += computed - begun
        self.timings.gather += perf_counter() - computed


class _Compute:
    """Computes some rows of some steps, and says where it happened if the kernel fails."""

    def __init__(self, rows: Rows) -> None:
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
            step = block.k + self.ahead
            at = f"step {step}, t = {rows.problem.time(step)}"
            if self.ahead:
                at += f" (from step {block.k}, t = {block.t})"
            raise KernelError(
                f"the kernel {self.kernel.name} failed on {where} at {at}, {rows_in_short(block.lower, block.upper)}"
            ) from error

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
        kept, at_once = tile.steps, self.scratch.shape[1]
        for turn, first in enumerate(range(0, len(tile.computed), at_once)):
            steps = tile.computed[first : first + at_once]
            results = self.scratch[turn % 2, : len(steps), : block.upper - block.lower]
            state = self.go_on(state, block, steps, results)
            self.reduce(steps, block, results)
            lower, upper = count_before(kept, steps.start), count_before(kept, steps.stop)
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
        return slice(block.lower - self.rows.first, block.upper - self.rows.first)

    def make_scratch(self, plan: Plan, at_once: int) -> None:
        """Take memory for steps that are not kept: two pieces of about a block, used by turns."""
        most = min(at_once, len(self.rows.part))
        steps = min(max(1, at_once // max(1, most)), STEPS_BETWEEN, plan.steps)
        self.scratch = np.empty((2, steps, most, *plan.shape[1:]), plan.history_dtype)

    def reduce(self, steps: range, block: Block, results: Array) -> None:
        if self.reducer is not None:
            self.reducer.add(steps, block.lower, results)

    def state_now(self) -> Array | None:
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
        if not any(np.isnan(leaf).any() for leaf in leaves(out[: len(steps)])):
            return
        for k, result in zip(steps, out, strict=False):
            bad = not_a_number(result)
            if bad.any():
                block.k, block.t = k, self.rows.problem.time(k)
                first = block.lower + int(bad.argmax())
                raise FloatingPointError(f"{int(bad.sum())} of these rows are not a number, the first is row {first}")


class _Map(_Compute):
    """Step k from the initial array and the time of step k. If it `shows`, the last step is kept for observers."""

    def __init__(self, rows: Rows, plan: Plan, *, shows: bool) -> None:
        super().__init__(rows)
        if shows:
            self.state = np.empty((len(rows.part), *plan.shape[1:]), plan.history_dtype)

    def go_on(self, state: Array | None, block: Block, steps: range, out: Array) -> Array:
        self.advance(self.rows.initial(block.lower, block.upper), block, steps, out)
        last: Array = out[-1]
        return last


class _Step(_Compute):
    """Step k from the state of step k - 1 and its time; step 0 is the initial array.

    Parameters
    ----------
    rows, plan, start
        As of `run_steps`.
    at_once : int
        The number of rows of a block.
    at_first : int
        The number of steps in the first batch.
    observed : bool
        Whether the state is asked for at the end of each batch, the last one included.
    """

    def __init__(self, rows: Rows, plan: Plan, at_once: int, start: Position, *, at_first: int, observed: bool) -> None:
        super().__init__(rows)
        shape = (len(rows.part), *plan.shape[1:])
        if start.next_step:
            if start.state is None or start.state.shape != shape:
                raise ValueError(f"to go on from step {start.next_step} takes a state of shape {shape}")
            self.state = np.require(start.state, plan.history_dtype, ["C", "W"])
        elif observed or plan.steps > min(at_first, plan.tile_shape[0]):  # else no state outlives its block
            nbytes = prod(shape) * plan.history_dtype.itemsize
            require(nbytes, "the state between the steps", "Use more nodes, or fewer ranks on each.")
            self.state = np.empty(shape, plan.history_dtype)

    def state_now(self) -> Array | None:
        return None if self.state is None else read_only(self.state)

    def state_before(self, steps: range, block: Block) -> Array | None:
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
