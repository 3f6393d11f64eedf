"""A pytest plug-in: under mpiexec, a test that fails on one rank fails on all of them, and none hangs.

pytest-mpi runs the whole session on every rank, without any agreement between them. Here the ranks
compare the outcome of each phase (setup, call, teardown) of each test:

* All arrive, and at least one failed: the phase fails on all, with the reports of those that failed.
* A rank failed, and the others do not arrive within `GRACE` seconds, for they wait for it in a
  collective call: the reason is printed and the job is aborted, with exit status 1.
* A rank passed and the others do not arrive within `PATIENCE` seconds: the same.

Only rank 0 writes to the terminal. Without ``--with-mpi`` or with one rank the plug-in does nothing.
"""

from __future__ import annotations

import os
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.support import profiles

GRACE = 60.0
PATIENCE = 300.0
_OUTCOMES = ("passed", "skipped", "failed")


class Ranks:
    """The hooks, on a communicator that the tests do not see."""

    def __init__(self, comm: Any) -> None:
        self.comm = comm

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_makereport(self, item: pytest.Item) -> Any:
        """Make the report of a phase the same kind on every rank."""
        report: pytest.TestReport = yield
        mine = _OUTCOMES.index(report.outcome)
        if not self._everyone_arrives(mine):
            self._abort(item, report)
        if max(self.outcomes) == min(self.outcomes) < _OUTCOMES.index("failed"):
            return report
        texts = self.comm.allgather(f"{report.when}: {report.outcome}\n{report.longrepr or ''}")
        wrong = [rank for rank, outcome in enumerate(self.outcomes) if outcome == max(self.outcomes)]
        report.outcome = "failed"
        report.__dict__.pop("wasxfail", None)
        report.longrepr = "\n".join(f"On rank {rank} of {self.comm.size}, {texts[rank]}" for rank in wrong)
        return report

    def _everyone_arrives(self, outcome: int) -> bool:
        """Gather the outcomes of all ranks; return whether they came in time."""
        self.outcomes = np.empty(self.comm.size, np.int32)
        request = self.comm.Iallgather(np.array([outcome], np.int32), self.outcomes)
        limit = GRACE if _OUTCOMES[outcome] == "failed" else PATIENCE
        end, pause = time.monotonic() + limit, 1e-5
        while not request.Test():
            if time.monotonic() > end:
                return False
            time.sleep(pause)
            pause = min(2 * pause, 1e-3)
        return True

    def _abort(self, item: pytest.Item, report: pytest.TestReport) -> None:
        capture = item.config.pluginmanager.getplugin("capturemanager")
        with capture.global_and_fixture_disabled():
            text = (
                f"\n{item.nodeid}: {report.when} {report.outcome} on rank {self.comm.rank} of {self.comm.size}, "
                f"and another rank did not come to its end. The job is aborted.\n{report.longrepr or ''}\n"
            )
            os.write(2, text.encode())
        self.comm.Abort(1)


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Join the other ranks, if there are any."""
    profiles.load()
    os.environ["SIMSPLIT_CACHE_DIR"] = ""  # compiled code is not kept in the user's folder
    # A shell lets what runs in the background ignore Ctrl-C, and all that the tests start would inherit that.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if not config.getoption("--with-mpi", default=False):
        return
    from mpi4py import MPI

    if MPI.COMM_WORLD.size > 1:
        config.pluginmanager.register(Ranks(MPI.COMM_WORLD.Dup()), "ranks")
        # pytest's own folders are numbered, and the ranks would tidy up each other's.
        folder = tempfile.TemporaryDirectory(prefix=f"rank-{MPI.COMM_WORLD.rank}-")
        config.add_cleanup(folder.cleanup)
        config.option.basetemp = Path(folder.name) / "pytest"
    if MPI.COMM_WORLD.rank > 0:
        config.option.xmlpath = None  # --junitxml


def _silence() -> None:
    """Let rank 0 speak for all. Done before pytest sets up its terminal."""
    from mpi4py import MPI

    if MPI.COMM_WORLD.rank > 0:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


if "--with-mpi" in sys.argv:
    _silence()
