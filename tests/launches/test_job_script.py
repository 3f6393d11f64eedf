"""``jobs/run.sbatch`` without Slurm: what it starts, and what it says when it cannot."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.launching import BIN, ROOT, Ended, environment, run

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.launch, pytest.mark.timeout(60)]


def job(*arguments: str, **variables: str) -> Ended:
    """Run the script as sbatch would, but for the allocation."""
    given = {"SLURM_NTASKS": "3", "VENV": str(BIN.parent), **variables}
    kept = {name: value for name, value in given.items() if value}
    return run(["bash", str(ROOT / "jobs" / "run.sbatch"), *arguments], env=environment(**kept))


def test_it_runs_on_all_tasks_by_mpiexec() -> None:
    ended = job("--json", "--verify")
    assert (ended.status, ended.err) == (0, "")
    report = json.loads(ended.out)
    assert (report["ranks"], report["identical"]) == (3, True)


def test_its_exit_status_is_that_of_the_program() -> None:
    assert job("--steps", "-1").status == 2
    assert job("--output", "/nowhere/history.npy").status == 5


def test_srun_is_asked_for_by_one_variable(tmp_path: Path) -> None:
    (tmp_path / "srun").write_text('#!/bin/sh\necho "$@" $SIMSPLIT_EXPECT_RANKS $OMP_NUM_THREADS $SRUN_CPUS_PER_TASK\n')
    (tmp_path / "srun").chmod(0o755)
    ended = job("--quiet", LAUNCH="srun", PATH=f"{tmp_path}:/usr/bin:/bin", SLURM_CPUS_PER_TASK="2")
    assert ended.out == "--mpi=pmi2 python -m simsplit run --quiet 3 2 2\n"


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({"LAUNCH": "ssh"}, "LAUNCH must be mpiexec or srun, not 'ssh'"),
        ({"VENV": "/nowhere"}, "no Python in /nowhere: set VENV, or run 'make run' once"),
        ({"SLURM_NTASKS": ""}, "run.sbatch is to be started by sbatch"),
    ],
)
def test_what_is_wrong_is_named(variables: dict[str, str], message: str) -> None:
    ended = job(**variables)
    assert ended.status != 0
    assert message in ended.err
