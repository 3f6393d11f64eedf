"""What every sink of a history keeps: tests that each of them inherits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from simsplit.bounds import bounds
from simsplit.engine import Plan
from simsplit.verification import bit_mismatch
from tests.support.arrays import random_array

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from simsplit.communicator import Communicator
    from simsplit.engine import Tile

SHAPES = [(7, 2), (1,), (0, 3), (5, 0), (13, 2, 3)]
KEPT = ["all", "every:3", "last", "last:4"]
DTYPES = ["f8", "c8", "i2", "?"]


class SinkSuite:
    """The contract of `HistorySink`. A subclass says how one is made, and what it has when the run is over.

    Attributes
    ----------
    world : Communicator
        Set by the fixture of the subclass.
    """

    world: Communicator

    def planned(self, plan: Plan) -> Plan:
        """Return the plan that this sink needs; of a file no two ranks may share a chunk."""
        return plan

    def make(self, plan: Plan) -> Any:
        """Return a sink that is new. Collective."""
        raise NotImplementedError

    def found(self, sink: Any) -> Any:
        """Return the history of a sink that has finished, on root, and None on the other ranks."""
        raise NotImplementedError

    def plan(self, shape: tuple[int, ...], keep: str = "all", dtype: str = "f8", tile_nbytes: int = 60) -> Plan:
        """Return a plan of ten steps, of which tiles hold a few rows."""
        whole = {"dtype": np.dtype("i4"), "history_dtype": np.dtype(dtype), "steps": 10, "ranks": self.world.size}
        return self.planned(Plan(shape, **whole, keep=keep, tile_nbytes=tile_nbytes))  # type: ignore[arg-type]

    def fill(self, sink: Any, plan: Plan, tiles: Sequence[Tile], whole: Any) -> None:
        """Compute and deliver tiles as the time loop does."""
        for tile in tiles:
            lower, upper = tile.spans[self.world.rank]
            rows = sink.rows(tile)
            assert rows.shape == (len(tile.steps), upper - lower, *plan.shape[1:])
            assert rows.dtype == plan.history_dtype
            assert all(step.flags.c_contiguous for step in rows)
            rows[...] = whole[tile.positions, lower:upper]
            self.world.allreduce_or(0)  # all ranks have computed theirs
            sink.deliver(tile)

    @pytest.mark.parametrize("keep", KEPT)
    @pytest.mark.parametrize("shape", SHAPES)
    def test_what_each_rank_delivers_comes_to_its_place(self, shape: tuple[int, ...], keep: str) -> None:
        for dtype in DTYPES:
            plan = self.plan(shape, keep, dtype)
            whole = random_array(dtype, int(np.prod(plan.history_shape)), 5).reshape(plan.history_shape)
            sink = self.make(plan)
            self.fill(sink, plan, [*tiles_of(plan)], whole)
            sink.finish()
            history = self.found(sink)
            assert (history is None) == (self.world.rank > 0)
            if history is not None:
                assert history.dtype == whole.dtype
                assert history.shape == whole.shape
                assert not bit_mismatch(whole, np.ascontiguousarray(history)).any()
            self.world.allreduce_or(0)

    def test_any_rows_can_be_read_back_before_the_end(self) -> None:
        plan = self.plan((11, 2))
        whole = np.arange(220.0).reshape(10, 11, 2)
        sink = self.make(plan)
        self.fill(sink, plan, [*tiles_of(plan)], whole)
        size, rank = self.world.size, self.world.rank
        few = [(min(each, 11), min(each + 1, 11)) for each in range(size)]
        for spans in (plan.bounds, bounds(11, size)[::-1], few, [(0, 11), *[(0, 0)] * (size - 1)]):
            for position in (9, 0, 4):
                lower, upper = spans[rank]
                rows = sink.fetch(position, spans)
                assert rows.flags.c_contiguous
                np.testing.assert_array_equal(rows, whole[position, lower:upper])
        sink.finish()
        self.world.allreduce_or(0)

    def test_a_run_that_is_stopped_has_what_was_delivered(self) -> None:
        plan = self.plan((7, 2))
        whole = np.arange(140.0).reshape(10, 7, 2)
        sink = self.make(plan)
        tiles = [tile for tile in tiles_of(plan) if tile.positions.stop <= 6]
        self.fill(sink, plan, tiles, whole)
        sink.finish()
        history = self.found(sink)
        if history is not None:
            done = tiles[-1].positions.stop
            assert done
            np.testing.assert_array_equal(history[:done], whole[:done])
        self.world.allreduce_or(0)

    def test_after_a_failure_it_lets_go_and_the_next_one_works(self) -> None:
        plan = self.plan((7, 2))
        whole = np.arange(140.0).reshape(10, 7, 2)
        sink = self.make(plan)
        self.fill(sink, plan, [*tiles_of(plan)][:1], whole)
        sink.abort()
        del sink
        self.world.allreduce_or(0)
        again = self.make(plan)
        self.fill(again, plan, [*tiles_of(plan)], whole)
        again.finish()
        history = self.found(again)
        if history is not None:
            np.testing.assert_array_equal(history, whole)
        self.world.allreduce_or(0)


def tiles_of(plan: Plan) -> Iterator[Tile]:
    """Return the tiles that hold kept steps, in the order of the time loop of a step kernel."""
    first = 0
    while plan.longest and (batch := plan.batch(first, 4, every=True)):
        yield from (tile for tile in plan.tiles(batch) if tile.steps)
        first = batch.stop
