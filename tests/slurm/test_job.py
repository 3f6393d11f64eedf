"""``simsplit job --submit``: the script that it makes is accepted, runs and finishes."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from tests.support.launching import BIN, environment, run

from .jobs import CONFIGURATION, Job

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.slurm


def test_it_is_submitted_and_runs(tmp_path: Path) -> None:
    (tmp_path / "a problem.toml").write_text('size = 1000\nsteps = 20\nkernel = "x * t"\n')
    asked = ["--nodes", "2", "--ntasks-per-node", "2", "--time", "5:00", "--partition", "main", "--submit"]
    ended = run(
        [str(BIN / "simsplit"), "job", "a problem.toml", "--verify", *asked],
        cwd=tmp_path,
        env=environment(SLURM_CONF=CONFIGURATION),
    )
    assert ended.status == 0, ended.err
    assert sys.prefix == str(BIN.parent)  # which the script names as the environment
    job = Job(ended.out.strip(), tmp_path)
    record = job.wait()
    assert (record["JobState"], record["ExitCode"]) == ("COMPLETED", "0:0"), job.output
    assert "identical: 20 of 20 steps" in job.output
    assert (record["NumNodes"], record["NumTasks"], record["TimeLimit"]) == ("2", "4", "00:05:00")
    assert record["JobName"] == "a_problem"
    assert record["Partition"] == "main"
    assert 480 < int(record["MinMemoryNode"].removesuffix("M")) < 1000
    assert (tmp_path / "runs" / f"a_problem-{job.number}" / "history.npy").exists()


def test_what_slurm_refuses_is_handed_on(tmp_path: Path) -> None:
    ended = run(
        [str(BIN / "simsplit"), "job", "--ntasks-per-node", "1", "--partition", "nowhere", "--submit"],
        cwd=tmp_path,
        env=environment(SLURM_CONF=CONFIGURATION),
    )
    assert (ended.status, ended.out) == (2, "")
    assert ended.err.startswith("simsplit: Slurm does not take the job:\n")
    assert "invalid partition" in ended.err
