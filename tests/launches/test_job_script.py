"""``jobs/run.sbatch`` without Slurm: what it starts, and what it says when it cannot.

What Slurm does with it is tried in ``tests/slurm``.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.support.launching import BIN, ROOT, Ended, environment, run

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.launch, pytest.mark.once]

_STEP = ("--kernel", "slow:step", "--kind", "step", "--import-from", ".")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Submit from a folder of its own."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "slow.py").write_text("import time\n\ndef step(x):\n    time.sleep(0.05)\n    return x + 0.1\n")
    return tmp_path


def job(*arguments: str, **variables: str) -> Ended:
    """Run the script as sbatch would, but for the allocation."""
    given = {"SLURM_NTASKS": "3", "SLURM_JOB_ID": "7", "SLURM_JOB_NAME": "job", "SIMSPLIT_SETUP": str(BIN.parent)}
    kept = {name: value for name, value in {**given, **variables}.items() if value}
    return run(["bash", str(ROOT / "jobs" / "run.sbatch"), *arguments], env=environment(**kept))


def double(folder: Path, name: str, text: str) -> str:
    """Put a program in the place of one of Slurm's; return the setup file that does so."""
    (folder / name).write_text(f"#!/bin/bash\n{text}\n")
    (folder / name).chmod(0o755)
    (folder / "setup.sh").write_text(f'source "{BIN}/activate"\nPATH={folder}:$PATH\n')
    return str(folder / "setup.sh")


def test_it_runs_on_all_tasks_by_mpiexec_into_a_directory_of_the_job(folder: Path) -> None:
    ended = job("--json", "--verify")
    assert (ended.status, ended.err) == (0, "")
    report = json.loads(ended.out)
    assert (report["ranks"], report["identical"]) == (3, True)
    assert (folder / "runs" / "job-7" / "history.npy").exists()


def test_its_exit_status_is_that_of_the_program() -> None:
    assert job("--steps", "-1").status == 2
    assert job("--kernel", "slow:step", "--import-from", ".", "--offset", "1").status == 2
    assert job(SLURM_NTASKS="2", SIMSPLIT_RUN="/proc/nowhere/a").status != 0


def test_a_run_that_is_there_goes_on(folder: Path) -> None:
    first = job(*_STEP, "--steps", "40", "--time-limit", "0.5", SIMSPLIT_RUN="here/a")
    assert first.status == 75
    again = job(*_STEP, "--steps", "40", SIMSPLIT_RUN="here/a", SLURM_RESTART_COUNT="10", SLURM_NTASKS="2")
    assert again.status == 0, again.err
    assert "here/a goes on" in again.err
    assert json.loads((folder / "here" / "a" / "run.json").read_text())["status"] == "finished"
    assert job(SIMSPLIT_RUN="here/a").status == 0  # finished, and says so


def test_srun_is_asked_for_by_one_variable(folder: Path) -> None:
    setup = double(folder, "srun", 'echo "$@" $SIMSPLIT_EXPECT_RANKS $OMP_NUM_THREADS $SRUN_CPUS_PER_TASK $SLURM_WAIT')
    ended = job("--quiet", SIMSPLIT_LAUNCH="srun --mpi=pmi2", SIMSPLIT_SETUP=setup, SLURM_CPUS_PER_TASK="2")
    assert ended.out == "--mpi=pmi2 -n 3 simsplit run --quiet -o runs/job-7 3 2 2 60\n"


def test_what_stops_early_is_put_back_into_the_queue_by_its_name(folder: Path) -> None:
    stops = ("mkdir -p runs/job-7", "echo '{\"position\": 5}' > runs/job-7/run.json", "exit 75")
    double(folder, "srun", "\n".join(stops))
    setup = double(folder, "scontrol", 'echo "$@" > asked\nexit 1')
    for variables, name in (
        ({}, "7"),
        ({"SLURM_ARRAY_JOB_ID": "7", "SLURM_ARRAY_TASK_ID": "3"}, "7_3"),  # 7 alone would be all of the array
    ):
        (folder / "runs" / "job-7" / "run.json").unlink(missing_ok=True)
        ended = job(SIMSPLIT_LAUNCH="srun", SIMSPLIT_SETUP=setup, **variables)
        assert ended.status == 75
        assert (folder / "asked").read_text() == f"requeue {name}\n"
        assert "cannot be requeued. Go on with: SIMSPLIT_RUN=runs/job-7 sbatch" in ended.err


def test_a_start_that_does_no_step_is_not_followed_by_another(folder: Path) -> None:
    double(folder, "srun", "exit 75")
    setup = double(folder, "scontrol", "touch asked")
    (folder / "runs" / "job-7").mkdir(parents=True)
    (folder / "runs" / "job-7" / "run.json").write_text('{"position": 5}')
    ended = job(SIMSPLIT_LAUNCH="srun", SIMSPLIT_SETUP=setup, SLURM_RESTART_COUNT="1")
    assert ended.status == 75
    assert "no step was done in this start" in ended.err
    assert not (folder / "asked").exists()


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({"SIMSPLIT_SETUP": "/nowhere"}, "SIMSPLIT_SETUP: /nowhere cannot be read"),
        (
            {"SIMSPLIT_SETUP": "/dev/null", "PATH": "/usr/bin:/bin"},
            "no simsplit here: set SIMSPLIT_SETUP, or run 'make run'",
        ),
        ({"SLURM_NTASKS": ""}, "run.sbatch is to be started by sbatch"),
    ],
)
def test_what_is_wrong_is_named(variables: dict[str, str], message: str) -> None:
    ended = job(**variables)
    assert ended.status != 0
    assert message in ended.err


@pytest.mark.parametrize("option", ["-o", "-oa", "--output", "--output=a"])
def test_the_run_directory_is_set_by_its_variable(option: str) -> None:
    ended = job(option, "a")
    assert ended.status == 2
    assert f"the run directory is runs/job-7: instead of {option} set SIMSPLIT_RUN" in ended.err
