"""``jobs/run.sbatch``: it starts, stops, goes on and fails as it should, and loses nothing."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

import numpy as np
import pytest

from tests.support.launching import BIN, LIMIT, SIMSPLIT, run

from .jobs import BY_SRUN, slurm

if TYPE_CHECKING:
    from pathlib import Path

    from .jobs import Job, Submitter

pytestmark = pytest.mark.slurm

_KERNELS = """
import time
from pathlib import Path


def slow(x, k, delta_t):
    time.sleep(0.04)
    Path(f"reached-{k // 10}").touch()
    return x * (1 + 0.1 * delta_t) + k


def failing(x, k):
    if k == 3 and Path("broken").exists():
        raise ArithmeticError("it broke")
    return x * 0.5
"""
SLOW = ("--kernel", "kernels:slow", "--kind", "step", "--import-from", ".", "--size", "10", "--steps", "200")
FAILING = ("--kernel", "kernels:failing", "--kind", "step", "--import-from", ".", "--steps", "8")


@pytest.fixture(autouse=True)
def kernels(tmp_path: Path) -> None:
    """Write kernels where the jobs run."""
    (tmp_path / "kernels.py").write_text(_KERNELS)


def record(job: Job, name: str = "simsplit") -> dict[str, object]:
    """Return what the run directory of a job says."""
    found: dict[str, object] = json.loads((job.folder / "runs" / f"{name}-{job.number}" / "run.json").read_text())
    return found


def require_undisturbed(job: Job, arguments: tuple[str, ...]) -> None:
    """Compare the history, bit for bit, with a run of one process that nothing happened to."""
    undisturbed = job.folder / "undisturbed"
    if not undisturbed.exists():
        quickly = (job.folder / "kernels.py").read_text().replace("time.sleep", "abs")
        (job.folder / "quick").mkdir()
        (job.folder / "quick" / "kernels.py").write_text(quickly)
        given = ["quick" if word == "." else word for word in arguments]
        ended = run(
            [str(BIN / "python"), *SIMSPLIT, "run", *given, "--serial", "--quiet", "-o", "undisturbed"], cwd=job.folder
        )
        assert ended.status == 0, ended.err
    mine = np.load(job.folder / "runs" / f"simsplit-{job.number}" / "history.npy")
    np.testing.assert_array_equal(mine.view(np.uint64), np.load(undisturbed / "history.npy").view(np.uint64))


@pytest.mark.parametrize("nodes", [1, 2])
def test_it_runs_on_one_and_two_nodes(on_each: Submitter, nodes: int) -> None:
    tasks = 4 // nodes
    job = on_each("run.sbatch", "--verify", options=f"--nodes={nodes} --ntasks-per-node={tasks}")
    assert job.ended() == ("COMPLETED", 0), job.output
    assert f"4 ranks on {nodes} node" in job.output or "4 ranks on 1 node" in job.output  # all on this host
    assert "identical: 5 of 5 steps" in job.output
    assert (job.folder / "runs" / f"simsplit-{job.number}" / "history.npy").exists()


@pytest.mark.parametrize("nodes", [1, 2])
def test_srun_runs_it_too(submit: Submitter, nodes: int) -> None:
    job = submit("run.sbatch", "--verify", options=f"--nodes={nodes} --ntasks-per-node={4 // nodes}", **BY_SRUN)
    assert job.ended() == ("COMPLETED", 0), job.output
    assert "identical: 5 of 5 steps" in job.output


def test_ranks_that_are_each_alone_fail_the_job(on_each: Submitter) -> None:
    job = on_each("run.sbatch", options="--ntasks=3", SIMSPLIT_LAUNCH="srun")
    assert job.ended() == ("FAILED", 3), job.output
    assert "wrong launch: srun started 3 processes" in job.output
    assert not list(job.folder.glob("runs/*/history*"))


def test_a_kernel_that_fails_fails_the_job(submit: Submitter) -> None:
    (submit.folder / "broken").touch()
    job = submit("run.sbatch", *FAILING, options="--ntasks=3")
    assert job.ended() == ("FAILED", 4), job.output
    assert "ArithmeticError: it broke" in job.output


@pytest.mark.parametrize(("variables", "warnings"), [({}, 2), (BY_SRUN, 1)], ids=["mpiexec", "srun"])
def test_a_warning_stops_it_and_the_next_start_goes_on(
    submit: Submitter, variables: dict[str, str], warnings: int
) -> None:
    job = submit("run.sbatch", *SLOW, options="--nodes=2 --ntasks=3", **variables)
    require_finished_after(job, warnings)


def test_a_rank_that_dies_before_mpi_begins_ends_the_job(submit: Submitter) -> None:
    dying = submit.folder / "dying"
    dying.mkdir()
    lines = ("#!/bin/bash", "[[ $SLURM_PROCID -ne 1 ]] || kill -KILL $$", f'exec "{BIN / "simsplit"}" "$@"')
    (dying / "simsplit").write_text("\n".join(lines))
    (dying / "simsplit").chmod(0o755)
    setup = submit.folder / "setup.sh"
    setup.write_text(f"source {BIN / 'activate'}\nPATH={dying}:$PATH\n")
    job = submit("run.sbatch", options="--ntasks=3", **{**BY_SRUN, "SIMSPLIT_SETUP": str(setup), "SLURM_WAIT": "2"})
    state, status = job.ended()
    assert state == "FAILED", job.output
    assert status != 0


def test_open_mpi_is_warned_as_well(tmp_path: Path) -> None:
    from .jobs import Submitter

    job = Submitter(tmp_path, "openmpi")("run.sbatch", *SLOW, options="--nodes=1 --ntasks=2")
    require_finished_after(job, 1)


def require_finished_after(job: Job, warnings: int) -> None:
    """Warn a job as Slurm does before its time is up, a number of times; require that nothing is lost."""
    steps = [0]
    for start in range(warnings):
        job.wait(until="RUNNING")
        wait_for_step(job, steps[-1] + 20)
        slurm("scancel", "--batch", "--signal=USR1", job.number)
        job.wait_for_output("stopped early: back into the queue", times=start + 1)
        steps.append(int(str(record(job)["position"])))
        assert steps[-2] < steps[-1] < 200
    assert job.ended() == ("COMPLETED", 0), job.output
    assert job.record()["Restarts"] == str(warnings)
    require_undisturbed(job, SLOW)
    attempts = record(job)["attempts"]
    assert isinstance(attempts, list)
    assert [attempt["from_step"] for attempt in attempts] == steps


def wait_for_step(job: Job, step: int) -> None:
    """Wait until the kernel has come to a step."""
    deadline = time.monotonic() + LIMIT
    while not (job.folder / f"reached-{step // 10}").exists():
        assert time.monotonic() < deadline, f"not at step {step} after {LIMIT} s: {job.record()}\n{job.output}"
        time.sleep(0.05)


def test_a_node_that_goes_down_loses_nothing(submit: Submitter) -> None:
    job = submit("run.sbatch", *SLOW, "--checkpoint-every", "20steps", options="--nodes=2 --ntasks=2")
    wait_for_step(job, 100)
    slurm("scontrol", "update", "NodeName=n2", "State=DOWN", "Reason=test")  # it comes back by itself: it is well
    job.wait(until="PENDING")
    assert job.ended() == ("COMPLETED", 0), job.output
    assert job.record()["Restarts"] == "1"
    require_undisturbed(job, SLOW)


def test_what_is_cancelled_can_be_resumed_by_another_job_on_fewer_ranks(submit: Submitter) -> None:
    job = submit("run.sbatch", *SLOW, options="--ntasks=3")
    wait_for_step(job, 50)
    slurm("scancel", job.number)
    assert job.ended()[0] == "CANCELLED"
    assert "stopped early" not in job.output
    run_directory = f"runs/simsplit-{job.number}"
    again = submit("run.sbatch", *SLOW, options="--ntasks=2", SIMSPLIT_RUN=run_directory)
    assert again.ended() == ("COMPLETED", 0), again.output
    require_undisturbed(job, SLOW)


def test_the_file_stop_ends_the_job(submit: Submitter) -> None:
    job = submit("run.sbatch", *SLOW, options="--ntasks=2")
    wait_for_step(job, 20)
    (job.folder / "runs" / f"simsplit-{job.number}" / "stop").touch()
    assert job.ended() == ("FAILED", 75), job.output
    assert "not put back into the queue. Go on with: SIMSPLIT_RUN=runs/simsplit-" in job.output
