"""The time loop: run the kernel over the part of this rank, tile by tile, and deliver the results."""

from __future__ import annotations

from time import perf_counter
from typing import TYPE_CHECKING, Any

import numpy as np

from ..communicator import Agreement
from ..communicator.flags import STOP
from ..errors import SimsplitError
from ..kernels.base import is_own
from .batching import StepBatcher
from .cache_blocking import FALLBACK
from .executors import Executor, MapExecutor, StepExecutor
from .interfaces import ResumePoint
from .plan import STEPS_AT_ONCE, STEPS_BETWEEN, Tile

if TYPE_CHECKING:
    import numpy.typing as npt

    from ..communicator import Communicator
    from .interfaces import HistorySink, StepObserver, Timings
    from .local_part import LocalPart
    from .plan import Plan
    from .reductions import Reducer

    Array = npt.NDArray[Any]


def run_steps(
    communicator: Communicator,
    plan: Plan,
    rows: LocalPart,
    receiver: HistorySink,
    timings: Timings,
    *,
    block: int = FALLBACK,
    observer: StepObserver | None = None,
    start: ResumePoint | None = None,
    batcher: StepBatcher | None = None,
    reducer: Reducer | None = None,
    check_rows: bool = False,
    depth: int = 1,
    share_halos: bool = True,
) -> int:
    """Run all steps, or those from `start` on, unless the observer stops the run. Collective.

    Parameters
    ----------
    communicator : Communicator
    plan : Plan
    rows : LocalPart
        This rank's.
    receiver : HistorySink
        Where the results go. Its `finish` and `abort` are left to the caller.
    timings : Timings
        Gets the seconds added.
    block : int
        Bytes of the result of a step that are computed at a time; at least one row is.
    observer : StepObserver, optional
        Called at the end of every batch.
    start : ResumePoint, optional
        Where to begin, as an observer was told. Its state becomes the engine's own.
    batcher : StepBatcher, optional
        How many steps there are in a batch.
    reducer : Reducer, optional
        Gets the results of every step, kept or not.
    check_rows : bool, default False
        Look whether a kernel of the user's own is row-local (see `row_check`).
    depth : int, default 1
        How many steps of a kernel that reads neighbours are computed between two exchanges.
    share_halos : bool, default True
        Whether the ranks of a node exchange through memory that they share.

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
    start = ResumePoint() if start is None else start
    begun = perf_counter()
    given = (communicator, plan, rows, receiver, timings, block, observer, start, batcher, reducer)
    if plan.reach:
        from .grid_loop import GridRun

        run: Run = GridRun(*given)
    else:
        run = Run(*given)
    try:
        run.prepare(rows, start, depth, share=share_halos)
        if check_rows and not plan.reach and _may_mix(rows):
            from .row_check import RowCheck

            run.compute.row_check = RowCheck(rows, plan)
        next_step = run.go()
    except (SimsplitError, KeyboardInterrupt):  # raised on all ranks
        run.close()
        raise
    run.close()
    timings.steps += perf_counter() - begun
    return next_step


def _may_mix(rows: LocalPart) -> bool:
    """Return whether what computes the steps is the user's own, and not compiled."""
    kernel = rows.problem.kernel
    return is_own(kernel) and not kernel.is_by_row and rows.advance == kernel.advance


class Run:
    """The loop of `run_steps`, whose arguments it takes."""

    compute: Executor

    def __init__(
        self,
        communicator: Communicator,
        plan: Plan,
        rows: LocalPart,
        receiver: HistorySink,
        timings: Timings,
        block: int,
        observer: StepObserver | None,
        start: ResumePoint,
        batcher: StepBatcher | None,
        reducer: Reducer | None,
    ) -> None:
        self.communicator = communicator
        self.rank = communicator.rank
        self.plan = plan
        self.receiver = receiver
        self.timings = timings
        self.observer = observer
        self.next_step = start.next_step
        self.agreement = Agreement(communicator)
        self.block_rows = max(1, block // max(1, plan.history_row_nbytes))
        self.where = f"rank {communicator.rank} of {communicator.size} (host {communicator.host})"
        self.reducer = reducer
        self.is_step = rows.problem.kernel.kind == "step"
        self.shows = observer is not None and observer.wants_values
        self.every = self.is_step or reducer is not None or self.shows
        least = 1 if observer is not None and observer.can_stop else STEPS_AT_ONCE
        self.batcher = StepBatcher(least, STEPS_BETWEEN) if batcher is None else batcher

    def close(self) -> None:
        """Let go of what is shared with other ranks. Collective."""

    def prepare(self, rows: LocalPart, start: ResumePoint, _depth: int, *, share: bool) -> None:
        """Make what computes the steps. Collective."""
        plan = self.plan
        with self.agreement:
            if self.is_step:
                observed = self.observer is not None
                self.compute = StepExecutor(
                    rows, plan, self.block_rows, start, at_first=self.batcher.steps, observed=observed
                )
            else:
                self.compute = MapExecutor(rows, plan, shows=self.shows)
            if self.every and len(plan.kept) < plan.steps:
                self.compute.make_scratch(plan, self.block_rows)
            self.compute.reducer = self.reducer

    def go(self) -> int:
        """Run the steps. Collective."""
        plan = self.plan
        while plan.longest and (batch := plan.batch(self.next_step, self.max_steps(), every=self.every)):
            flags, delivered = self.run_batch(batch)
            if self.reducer is not None:
                begun = perf_counter()
                self.reducer.deliver(batch)
                self.timings.gather += perf_counter() - begun
            self.batcher.adapt(flags)
            self.next_step = min(batch.stop, plan.steps)
            if self.observer is not None:
                position = ResumePoint(self.next_step, delivered, self.compute.snapshot(), self.compute.values_now())
                if self.observer.on_batch_end(position, flags) & STOP:
                    if plan.keep == "last" and not delivered:
                        self.deliver_last()
                    return self.next_step
        return plan.steps

    def run_batch(self, batch: range) -> tuple[int, int]:
        """Compute a batch of steps and deliver it; return the flags of all ranks, and how many steps are delivered."""
        flags = delivered = 0
        for tile in self.plan.tiles(batch):
            self.tile(tile)
            flags |= self.agreement.requested
            delivered = tile.positions.stop
        return flags, delivered

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
            for first in range(lower, upper, self.block_rows):
                end = min(first + self.block_rows, upper)
                out = None if target is None else target[:, first - lower : end - lower]
                self.compute(tile, first, end, out, self.where)
            self.vote()
            computed = perf_counter()
        if tile.steps:
            self.receiver.deliver(tile)
        self.timings.compute += computed - begun
        self.timings.gather += perf_counter() - computed

    def vote(self) -> None:
        """Let all ranks know at the end of the agreed block what was raised here, and whether this rank is quick."""
        raised = 0 if self.observer is None else self.observer.poll_flags()
        self.agreement.request(raised | self.batcher.vote())
