"""Every sink of a history keeps the contract, on any number of ranks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from simsplit import Problem, kernels
from simsplit.communicator import connect
from simsplit.history.gathered import GatheredHistory
from simsplit.history.history_file import HistoryFile, plan_for_format
from simsplit.history.layout import layout_of
from simsplit.history.select import make_sink
from simsplit.history.stored_array import stored_array
from simsplit.util import durable as disk
from tests.support.sinks import SinkSuite

if TYPE_CHECKING:
    from pathlib import Path

    from simsplit.engine import Plan

pytestmark = pytest.mark.mpi


class TestGathered(SinkSuite):
    @pytest.fixture(autouse=True)
    def _connected(self) -> None:
        self.world = connect()

    def make(self, plan: Plan) -> Any:
        return GatheredHistory(self.world, plan)

    def found(self, sink: Any) -> Any:
        return sink.history


@pytest.mark.mpi(min_size=2)
class TestShared(TestGathered):
    def make(self, plan: Plan) -> Any:
        sink, choice = make_sink(self.world, plan, "shared")
        assert choice.name == "shared" or plan.history_nbytes == 0
        return sink


class FileSuite(SinkSuite):
    """A history in a file that all ranks write."""

    kind: str

    @pytest.fixture(autouse=True)
    def _in_a_folder(self, tmp_path: Path) -> None:
        self.world = connect()
        self.path = self.world.bcast(tmp_path) / f"history.{self.kind}"

    def problem(self, plan: Plan) -> Problem:
        """Return a problem of which this is the plan."""
        return Problem(np.zeros(plan.shape), kernels.affine(), delta_t=0.5, steps=plan.steps, keep=plan.keep)

    def planned(self, plan: Plan) -> Plan:
        return plan_for_format(self.problem(plan), self.world, plan, self.kind)

    def make(self, plan: Plan) -> Any:
        file = HistoryFile(self.path, self.kind, layout_of(self.problem(plan), plan), f"the history {self.path}")
        if self.world.rank == 0:
            disk.remove_tree(self.path)
            file.create_whole(plan)
        self.world.allreduce_or(0)
        return file.sink(self.world, plan)

    def found(self, sink: Any) -> Any:
        self.world.allreduce_or(0)  # all ranks have finished
        stored = stored_array(self.path) if self.world.rank == 0 else None
        return None if stored is None else stored.block(slice(0, stored.shape[0]), slice(0, stored.shape[1]))


class TestNpy(FileSuite):
    kind = "npy"


class TestZarr(FileSuite):
    kind = "zarr"


class TestHdf5(FileSuite):
    kind = "h5"
