"""The time loop of a kernel that reads neighbours.

It goes as that of `time_loop`, with one difference: all rows of a rank are computed before any of them is delivered,
since the next step reads them. Exchanges between neighbours lie within the agreed block of a batch. So a rank that
fails goes on to exchange, without computing, until the end of the batch, where all learn of it: nobody waits for it.
"""

from __future__ import annotations

from functools import partial
from math import sqrt
from time import perf_counter
from typing import TYPE_CHECKING, Any

import numpy as np

from ..kernels.base import read_only
from .executors import Executor
from .grid_state import GridState
from .plan import Plan, Tile, kept_before
from .time_loop import Run

if TYPE_CHECKING:
    import numpy.typing as npt

    from ..communicator import Communicator
    from ..grids.grid import Layout
    from .interfaces import ResumePoint
    from .local_part import LocalPart

    Array = npt.NDArray[Any]

VALUE = 4e-9  # seconds to compute a value with NumPy, and to begin an exchange, of which the rest is measured:
EXCHANGE = 4e-5
BLOCKS = 4  # of the bytes that others compute at a time: a block costs more calls here, and halves less of the cache
DEEPEST = 256  # steps between two exchanges


class GridExecutor(Executor):
    """What a run with a grid has in place of an executor: the state of the rank, for observers and checkpoints."""

    def __init__(self, rows: LocalPart, state: GridState, results: Array | None) -> None:
        super().__init__(rows)
        self.grid = state
        self.results = results  # of a map kernel: the last step

    @property
    def state(self) -> Array:
        """The last step of this rank's rows."""
        return self.grid.values if self.results is None else self.results

    @state.setter
    def state(self, value: Array | None) -> None:
        """Leave it: the state is the grid's."""

    def snapshot(self) -> Array | None:
        """Return this rank's rows of the state that the kernel goes on from, read-only, or None if there is none."""
        return read_only(self.state) if self.results is None else None


class GridRun(Run):
    """The loop of a run with a grid."""

    compute: GridExecutor
    grid: GridState

    def close(self) -> None:
        """Finish the exchange that was started, and free its messages. Collective."""
        if hasattr(self, "grid"):  # which may not have fitted in memory
            self.grid.close()

    def prepare(self, rows: LocalPart, start: ResumePoint, depth: int, *, share: bool) -> None:
        """Make the state, and take the rank's rows. Collective."""
        plan = self.plan
        with self.agreement:
            steps = depth if self.is_step else 1
            self.grid = GridState(self.communicator, plan, rows, steps, self.block_rows, self.where)
            results = None
            if not self.is_step:
                results = np.empty((len(rows.part), *plan.shape[1:]), plan.history_dtype)
            self.compute = GridExecutor(rows, self.grid, results)
            first = rows.part
            if self.is_step and start.next_step:
                if start.state is None or start.state.shape != rows.part.shape:
                    raise ValueError(f"to go on from step {start.next_step} takes a state of shape {rows.part.shape}")
                first = start.state
        self.grid.connect(self.communicator.node() if share else None)
        with self.agreement:
            self.grid.begin(first, max(0, start.next_step - 1) if self.is_step else 0)

    @property
    def whole(self) -> bool:
        """Whether a tile holds all rows of a rank."""
        return self.plan.tile_shape[1] == self.plan.longest

    def max_steps(self) -> int:
        """Return the most steps that the next batch may have: up to one that is kept, if a tile has not all rows."""
        most = super().max_steps()
        if self.whole:
            return most
        kept = self.plan.kept
        place = kept_before(kept, self.next_step)
        if not self.every:
            return 1
        return most if place == len(kept) else min(most, kept[place] + 1 - self.next_step)

    def run_batch(self, batch: range) -> tuple[int, int]:
        """Compute a batch of steps and deliver it; return the flags of all ranks, and how many steps are delivered."""
        begun = perf_counter()
        tiles = list(self.plan.tiles(batch))
        with self.agreement, np.errstate(all="ignore"):
            self._compute(batch, tiles[0])
            if self.grid.failure is not None:
                raise self.grid.failure
            self.vote()
        flags = self.agreement.requested
        computed = perf_counter()
        for tile in tiles:
            if tile.steps:
                if not self.whole:
                    with self.agreement:
                        self._put(tile)
                self.receiver.deliver(tile)
        self.timings.compute += computed - begun
        self.timings.gather += perf_counter() - computed
        return flags, tiles[-1].positions.stop

    def _compute(self, batch: range, tile: Tile) -> None:
        """Compute the steps of a batch, those that are kept into `tile` if it has all rows."""
        grid, targets = self.grid, list[Any]()
        if self.whole and tile.steps:
            grid.guarded(lambda: targets.extend(self.receiver.rows(tile)))
        for k in batch:
            if not self.is_step:
                grid.exchange()
                grid.evaluate(k, self.compute.state)
            elif k:
                grid.exchange()
                grid.step(more=k + 1 < self.plan.steps)
            if k in tile.steps and targets:
                grid.guarded(partial(np.copyto, targets[tile.steps.index(k)], self.compute.state))
            if self.reducer is not None and grid.lower < grid.upper:
                grid.guarded(partial(self._reduce, k))

    def _reduce(self, k: int) -> None:
        assert self.reducer is not None  # noqa: S101, for the type checker
        self.reducer.add(range(k, k + 1), self.grid.lower, self.compute.state[None])

    def _put(self, tile: Tile) -> None:
        """Put the rows of a tile, the last step that was computed, where the sink wants them."""
        lower, upper = tile.spans[self.rank]
        first = self.grid.lower
        self.receiver.rows(tile)[0] = self.compute.state[lower - first : upper - first]


def choose_depth(communicator: Communicator, plan: Plan, layout: Layout, wanted: int | None) -> int:
    """Return how many steps are computed between two exchanges. Collective.

    Parameters
    ----------
    communicator : Communicator
    plan : Plan
    layout : Layout
    wanted : int or None
        What the user asks for.
    """
    if (fixed := fixed_depth(layout, wanted)) is not None:
        return fixed
    begun = perf_counter()
    for _ in range(10):
        communicator.allreduce_or(0)
    return best_depth(plan, communicator.bcast((perf_counter() - begun) / 10))


def fixed_depth(layout: Layout, wanted: int | None) -> int | None:
    """Return the depth that does not depend on the latency, None if there is none.

    With anti-periodic rows it is 1: what a kernel gives for rows of another sign is not what it gives of another sign.
    """
    return 1 if layout.is_anti(0) else wanted


def best_depth(plan: Plan, latency: float) -> int:
    """Return how many steps between two exchanges take the least time.

    To exchange every K steps costs a step 2 a / K for the latency a, and (K - 1) h rows that two ranks compute, h being
    the reach: least at K = sqrt(2 a / (h t)), t being the time of a row.

    Parameters
    ----------
    plan : Plan
        With a reach.
    latency : float
        Of a message, in seconds.
    """
    reach = sum(plan.reach[0])
    if plan.ranks == 1 or not reach:
        return 1
    best = sqrt(2 * (latency + EXCHANGE) / (reach * VALUE * max(1, row_values(plan))))
    few = plan.part_shape(plan.ranks - 1)[0] // (4 * reach)  # of the rows that are computed twice there are few
    return max(1, min(round(best), few, DEEPEST))


def row_values(plan: Plan) -> int:
    """Return the number of values of a row."""
    return plan.history_row_nbytes // plan.history_dtype.itemsize
