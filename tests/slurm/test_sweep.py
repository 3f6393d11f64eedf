"""``jobs/sweep.sbatch`` and ``jobs/collect.sbatch``: a run for each row of a table, and what is made of them."""

from __future__ import annotations

import csv
import json
import time
from typing import TYPE_CHECKING

import pytest

from tests.support.launching import LIMIT
from tests.support.sweeps import GROW, write_sweep

from .jobs import SCRIPTS, Job, slurm

if TYPE_CHECKING:
    from pathlib import Path

    from .jobs import Submitter

pytestmark = pytest.mark.slurm


@pytest.fixture(autouse=True)
def table(tmp_path: Path) -> None:
    """Write a table of eight runs, one of which fails as long as there is a certain file."""
    write_sweep(tmp_path, range(8), seconds=1.5)


def starts(folder: Path) -> list[int]:
    """Return how often each run was started."""
    paths = sorted((folder / "runs" / "table").glob("run-*/run.json"))
    return [len(json.loads(path.read_text())["attempts"]) for path in paths]


def test_what_failed_is_run_again_and_then_all_are_collected(submit: Submitter) -> None:
    arguments = ("table.csv", *GROW)
    options = "--array=1-8%4 --ntasks=2"
    first = submit("sweep.sbatch", *arguments, options=options, SIMSPLIT_JOBS=str(SCRIPTS))
    too_early = submit("collect.sbatch", "runs/table", options=f"--dependency=afterok:{first.number}")
    assert parts(first) == ["COMPLETED"] * 3 + ["FAILED"] + ["COMPLETED"] * 4
    assert "ArithmeticError: it broke" in output(first, 4)
    assert starts(submit.folder) == [1] * 8
    assert too_early.wait(until="PENDING")["Reason"] in {"Dependency", "DependencyNeverSatisfied"}
    slurm("scancel", too_early.number)

    (submit.folder / "broken").unlink()
    before = {path: path.stat().st_mtime_ns for path in submit.folder.glob("runs/table/run-[!3]/history.npy")}
    second = submit("sweep.sbatch", *arguments, options=options, SIMSPLIT_JOBS=str(SCRIPTS))
    collect = submit("collect.sbatch", "runs/table", options=f"--dependency=afterok:{second.number}")
    assert collect.record()["JobState"] == "PENDING"
    assert parts(second) == ["COMPLETED"] * 8
    assert starts(submit.folder) == [1] * 3 + [2] + [1] * 4
    assert len(before) == 7
    assert before == {path: path.stat().st_mtime_ns for path in before}

    assert collect.ended() == ("COMPLETED", 0), collect.output
    with (submit.folder / "runs" / "table" / "table.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["run"] for row in rows] == [f"run-{rate}" for rate in range(8)]
    assert {row["status"] for row in rows} == {"finished"}
    # The state of step 0 is the initial array, whose mean is 2; the last step is one less than the steps.
    assert [float(row["mean"]) for row in rows] == [2.0 * rate ** (3 + rate % 2) for rate in range(8)]
    assert (submit.folder / "runs" / "table" / "picture.png").read_bytes().startswith(b"\x89PNG")


def test_a_part_that_is_warned_goes_back_into_the_queue_alone(submit: Submitter) -> None:
    slow = ("--kernel", "kernels:slow", "--kind", "step", "--import-from", ".", "--checkpoint-every", "0")
    array = submit("sweep.sbatch", "table.csv", *slow, options="--array=1-2 --ntasks=1", SIMSPLIT_JOBS=str(SCRIPTS))
    each = [Job(f"{array.number}_{part}", array.folder) for part in (1, 2)]
    warned = each[1]
    wait_for(submit.folder / "reached-1")  # the second part is the one that has the number of the whole array, too
    slurm("scancel", "--batch", "--signal=USR1", warned.number)
    assert [job.ended() for job in each] == [("COMPLETED", 0)] * 2, output(array, 1) + output(array, 2)
    assert [job.record()["Restarts"] for job in each] == ["0", "1"]
    assert starts(submit.folder) == [1, 2]
    assert output(array, 2).count("stopped early: back into the queue") == 1


def wait_for(path: Path) -> None:
    """Wait until a file is there."""
    deadline = time.monotonic() + LIMIT
    while not path.exists():
        assert time.monotonic() < deadline, f"no {path} after {LIMIT} s"
        time.sleep(0.05)


def parts(array: Job) -> list[str]:
    """Wait until all parts of an array have ended; return their states."""
    return [Job(f"{array.number}_{part}", array.folder).wait()["JobState"] for part in range(1, 9)]


def output(array: Job, part: int) -> str:
    """Return what a part has written."""
    return (array.folder / f"sweep-{array.number}_{part}.out").read_text()


def test_a_row_that_was_changed_is_not_taken_for_the_old_one(submit: Submitter) -> None:
    options = "--array=1-1 --ntasks=1"
    first = submit("sweep.sbatch", "table.csv", *GROW, options=options, SIMSPLIT_JOBS=str(SCRIPTS))
    assert Job(f"{first.number}_1", first.folder).ended() == ("COMPLETED", 0), output(first, 1)
    table = submit.folder / "table.csv"
    table.write_text(table.read_text().replace("run-0,0,4", "run-0,0.5,4"))
    second = submit("sweep.sbatch", "table.csv", *GROW, options=options, SIMSPLIT_JOBS=str(SCRIPTS))
    assert Job(f"{second.number}_1", second.folder).ended() == ("FAILED", 2), output(second, 1)
    assert "run-0 was made by other arguments" in output(second, 1)


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        (("table.csv",), "--ntasks=1", "submit an array: simsplit sweep table.csv says which"),
        ((), "--ntasks=1 --array=1-1", "give a table"),
        (("table.csv", *GROW), "--ntasks=1 --array=9-9", "table.csv has 8 rows: there is no row 9"),
    ],
)
def test_what_is_wrong_is_named(submit: Submitter, arguments: tuple[str, ...], options: str, message: str) -> None:
    job = submit("sweep.sbatch", *arguments, options=options, SIMSPLIT_JOBS=str(SCRIPTS))
    assert job.ended() == ("FAILED", 2)
    assert message in "".join(file.read_text() for file in job.folder.glob("sweep-*.out"))
