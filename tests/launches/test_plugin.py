"""The plug-in that the tests under mpiexec rely on: it fails where it must, and never hangs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.launching import LIMIT, ROOT, Ended, environment, mpiexec, run

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.launch, pytest.mark.once]

HEAD = """
import time
import pytest
from mpi4py import MPI
comm = MPI.COMM_WORLD
pytestmark = pytest.mark.mpi
"""


def session(folder: Path, source: str, *, ranks: int = 3, grace: float = LIMIT) -> Ended:
    """Run a file of tests under mpiexec."""
    (folder / "test_it.py").write_text(HEAD + source)
    (folder / "pytest.ini").write_text("[pytest]\nmarkers = mpi\n")
    short = f"import tests.support.ranks as r, sys, pytest; r.GRACE = {grace}; sys.exit(pytest.main(sys.argv[1:]))"
    plugins = ("-p", "tests.support.ranks", "-p", "no:cacheprovider")
    options = ("-q", "--color=no", "--with-mpi", *plugins, f"--rootdir={folder}")
    return run(mpiexec(ranks, "-c", short, *options, folder), env=environment(PYTHONPATH=str(ROOT)), cwd=folder)


def test_a_test_that_passes_everywhere_passes_and_is_reported_once(tmp_path: Path) -> None:
    ended = session(tmp_path, "def test_sum():\n    assert comm.allreduce(1) == comm.size\n")
    assert ended.status == 0
    assert ended.out.count("1 passed") == 1


def test_what_fails_on_one_rank_fails_on_all_and_the_next_test_still_runs(tmp_path: Path) -> None:
    ended = session(
        tmp_path,
        """
def test_one():
    assert comm.rank != 1, "no good on this rank"

def test_two():
    assert comm.allreduce(1) == comm.size
""",
    )
    assert ended.status == 1
    assert "1 failed, 1 passed" in ended.out
    assert "On rank 1 of 3, call: failed" in ended.out
    assert "no good on this rank" in ended.out
    assert "On rank 0" not in ended.out


def test_a_rank_that_fails_before_a_collective_call_ends_the_job_with_its_reason(tmp_path: Path) -> None:
    ended = session(
        tmp_path,
        """
def test_one():
    assert comm.rank != 1, "no good on this rank"
    comm.Barrier()
""",
        grace=1.0,
    )
    assert ended.status == 1
    assert "call failed on rank 1 of 3, and another rank did not come to its end" in ended.err
    assert "no good on this rank" in ended.err


@pytest.mark.parametrize("phase", ["setup", "teardown"])
def test_a_fixture_that_fails_on_one_rank_fails_on_all(tmp_path: Path, phase: str) -> None:
    here = "assert comm.rank != 2, 'broken fixture'"
    before, after = (here, "") if phase == "setup" else ("", here)
    ended = session(
        tmp_path,
        f"""
@pytest.fixture
def thing():
    {before or "pass"}
    yield 1
    {after or "pass"}

def test_one(thing):
    assert comm.allreduce(thing) == comm.size
""",
    )
    assert ended.status == 1
    assert "1 error" in ended.out
    assert f"On rank 2 of 3, {phase}: failed" in ended.out
    assert "broken fixture" in ended.out


def test_a_test_that_only_one_rank_skips_is_a_failure(tmp_path: Path) -> None:
    ended = session(
        tmp_path,
        """
def test_one():
    if comm.rank == 0:
        pytest.skip("not here")
""",
    )
    assert ended.status == 1
    assert "On rank 0 of 3, call: skipped" in ended.out
