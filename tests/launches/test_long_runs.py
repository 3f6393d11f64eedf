"""Long runs for real: stopped by signals, clocks and files, killed, hung, on disks that fail; and resumed."""

from __future__ import annotations

import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from simsplit.monitor import stop_requests as stopping
from tests.support import killing
from tests.support.launching import LIMIT, SIMSPLIT, Ended, environment, finish, mpiexec, run, start

pytestmark = pytest.mark.launch

PROGRAMS = Path(__file__).parent / "programs"
PYTHON = sys.executable
OPEN_MPI = "prte" in (Path(PYTHON).with_name("mpiexec").resolve().name) or "openmpi" in PYTHON


def problem(*more: str, steps: int = 400, nap: float = 0.01, kernel: str = "step") -> list[str]:
    """Return the options of a run that takes its time."""
    kind = "map" if kernel == "at" else "step"
    return [
        *("--kernel", f"paced:{kernel}", "--kind", kind, "--import-from", str(PROGRAMS)),
        *([] if kernel == "hangs" else ["--set", f"nap={nap}"]),
        *("--size", "10", "--steps", str(steps), *more),
    ]


def job(ranks: int, *arguments: object, **extra: str) -> subprocess.Popen[str]:
    return start(mpiexec(ranks, *SIMSPLIT, *arguments), env=environment(**extra))


def until(seen: Any, process: subprocess.Popen[str], limit: float = LIMIT) -> None:
    """Wait until something is seen."""
    end = time.monotonic() + limit
    while not seen():
        assert process.poll() is None, process.communicate()
        if time.monotonic() > end:
            finish(process, 0)  # which ends it and fails
        time.sleep(0.02)


def record(folder: Path) -> Any:
    return json.loads((folder / "run.json").read_text())


def steps_of(folder: Path) -> int:
    """Return how far the checkpoints are."""
    found = [int(path.name[5:20]) for path in folder.glob("checkpoints/step-*")]
    return max(found, default=0)


def calm(folder: Path, *options: str) -> bytes:
    """Return the bytes of the history of a run that nobody disturbs."""
    ended = run([PYTHON, *SIMSPLIT, "run", *options, "--serial", "--quiet", "-o", str(folder)])
    assert ended.status == 0, ended.err
    return np.load(folder / "history.npy").tobytes()


def resumed(folder: Path, ranks: int, *more: str) -> Ended:
    ended = finish(job(ranks, "resume", folder, *more, HURRY="yes"))
    assert ended.status == 0, ended.err
    return ended


@pytest.mark.parametrize("trigger", ["SIGTERM", "kill"])
def test_a_run_with_neighbours_is_resumed_on_other_ranks_and_at_another_depth(tmp_path: Path, trigger: str) -> None:
    options = ["--kernel", "paced:flow", "--import-from", str(PROGRAMS), "--set", "nap=0.01", "--grid", "37x8"]
    options += ["--steps", "200", "--keep", "every:7", "--reduce", "mean", "--reduce-over", "cells"]
    folder = tmp_path / "a"
    process = job(4, "run", *options, "--checkpoint-every", "5steps", "--depth", "7", "-o", str(folder))
    until(lambda: steps_of(folder) > 20, process)
    for pid in ranks_of(process):
        os.kill(pid, signal.SIGKILL if trigger == "kill" else signal.SIGTERM)
        if trigger == "kill":
            break
    with suppress(AssertionError):
        assert finish(process).status != 0
    assert 0 < steps_of(folder) < 200
    resumed(folder, 3, "--depth", "2")
    calm = [PYTHON, *SIMSPLIT, "run", *options, "--serial", "--quiet", "-o", str(tmp_path / "b")]
    ended = run(calm, env=environment(HURRY="yes"))
    assert ended.status == 0, ended.err
    for name in ("history.npy", "mean.npy"):
        found, expected = (next(each.rglob(name)).read_bytes() for each in (folder, tmp_path / "b"))
        assert found == expected


TRIGGERS = ["SIGTERM", "SIGUSR1", "SIGINT", "time limit", "slurm", "file"]


@pytest.mark.parametrize("trigger", TRIGGERS)
def test_a_run_is_stopped_in_order_and_resumed(tmp_path: Path, trigger: str) -> None:
    folder = tmp_path / "a"
    options = problem("--checkpoint-every", "5steps", "-o", str(folder), nap=0.1)
    extra = {}
    if trigger == "time limit":
        options += ["--time-limit", "4s"]
    if trigger == "slurm":
        extra["SLURM_JOB_END_TIME"] = str(int(time.time()) + 64)
    process = job(4, "run", *options, **extra)
    if trigger not in ("time limit", "slurm"):  # which may come before the first step, on a busy machine
        until(lambda: steps_of(folder) > 0, process)
    if trigger.startswith("SIG"):
        # mpiexec hands them on; but after SIGTERM and SIGINT Open MPI's kills the ranks a quarter of a second later.
        by_launcher = trigger == "SIGUSR1" or not OPEN_MPI
        everyone = [process.pid] if by_launcher else ranks_of(process)
        for pid in everyone:
            os.kill(pid, signal.Signals[trigger])
    elif trigger == "file":
        (folder / "stop").touch()
    ended = finish(process)
    assert ended.status == 75, (ended.status, ended.out, ended.err)
    words = {"SIGINT": "Ctrl-C", "time limit": "the time limit", "slurm": "the end of the Slurm job"}
    found = re.search(
        r"^simsplit: stopped by (.*) after (\d+) of 400 steps\. Continue with: (.*)$", ended.err, re.MULTILINE
    )
    assert found, ended.err
    assert found[1] == words.get(trigger, "the file stop" if trigger == "file" else trigger)
    assert re.fullmatch(rf"\S*mpiexec -n 4 \S*simsplit resume {folder}", found[3])
    assert steps_of(folder) == int(found[2])
    assert not (folder / "stop").exists()
    kept = record(folder)
    assert (kept["status"], kept["attempts"][0]["exit"]["status"]) == ("stopped", 75)
    if trigger in ("SIGTERM", "file"):
        assert "resumed at step" in resumed(folder, 3).out
        assert np.load(folder / "history.npy").tobytes() == calm(tmp_path / "calm", *problem(nap=0.0))


def ranks_of(process: subprocess.Popen[str]) -> list[int]:
    """Return the processes of the ranks."""
    family = killing.descendants(process.pid)
    return [pid for pid in family if b"-m\0simsplit" in killing.command_of(pid) and not has_children(pid)]


def press(ranks: list[int], number: signal.Signals = signal.SIGINT) -> None:
    """Send a signal, by default that of Ctrl-C, to the ranks that are still there."""
    for pid in ranks:
        with suppress(ProcessLookupError):
            os.kill(pid, number)


def has_children(pid: int) -> bool:
    return bool(killing.descendants(pid))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_second_signal_ends_the_job_at_once(tmp_path: Path, number: signal.Signals) -> None:
    folder = tmp_path / "a"
    signs = tmp_path / "signs"
    signs.mkdir()
    process = job(3, "run", *problem("-o", str(folder), nap=3600.0, steps=5), SIGNS=str(signs))
    until(lambda: len(list(signs.iterdir())) == 3, process)
    ranks = [int(path.name) for path in signs.iterdir()]
    press(ranks, number)
    end = time.monotonic() + LIMIT
    while process.poll() is None and time.monotonic() < end:  # a rank that was late to see the first takes two for one
        time.sleep(stopping._SAME + 0.3)
        assert record(folder)["status"] in ("running", "interrupted")
        press(ranks, number)
    ended = finish(process)
    assert ended.status != 0
    assert record(folder)["status"] == "interrupted"


def test_a_run_that_hangs_is_ended_with_the_stack_of_each_rank(tmp_path: Path) -> None:
    folder = tmp_path / "a"
    options = problem("--hang-after", "5s", "--checkpoint-every", "1steps", "-o", str(folder), kernel="hangs")
    ended = finish(job(3, "run", *options))
    assert ended.status not in (0, 75)
    assert ended.err.count("simsplit: no progress for 5 s after step ") == 1
    assert f"The Python stack of each rank is in {folder / 'stacks'}" in ended.err
    stacks = sorted((folder / "stacks").glob("rank-*.txt"))
    assert [path.name for path in stacks] == [f"rank-00000{rank}.txt" for rank in range(3)]
    assert "in hangs" in stacks[2].read_text()
    assert "in __exit__" in stacks[0].read_text()
    assert record(folder)["status"] == "hung"


def test_killed_runs_end_with_the_bytes_of_an_undisturbed_one(tmp_path: Path) -> None:
    assert killing.trials(tmp_path, 3, random.Random(), tell=False) == 3


def faulty(folder: Path, call: str, number: int, what: str, *, rank: int = 0, ranks: int = 1, **extra: str) -> Ended:
    """Run with a disk that fails."""
    program = [str(PROGRAMS / "faulty.py"), call, str(number), what, str(rank), "run"]
    options = problem("-o", str(folder), "--checkpoint-every", "5steps", "--quiet", steps=12, nap=0.0)
    command = [PYTHON, *program, *options] if ranks == 1 else mpiexec(ranks, *program, *options)
    return finish(start(command, env=environment(**extra)))


def test_a_rank_whose_disk_fails_lets_all_end(tmp_path: Path) -> None:
    ended = faulty(tmp_path / "a", "write", 1, "ENOSPC", rank=2, ranks=3)
    assert ended.status == 5, ended.err
    assert ended.err.count("No space left on device") == 1
    assert record(tmp_path / "a")["attempts"][0]["exit"]["status"] == 5
    resumed(tmp_path / "a", 2)


@pytest.fixture
def small_disk(tmp_path: Path) -> Any:
    """Mount a disk of little room, where that is allowed."""
    place = tmp_path / "small"
    place.mkdir()
    mount = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(place)], check=False, timeout=LIMIT)  # noqa: S607, wherever it is
    if mount.returncode:
        pytest.skip("no disk can be mounted here")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True, timeout=LIMIT)  # noqa: S607, as above


def test_a_disk_that_gets_full_ends_the_run_and_one_with_room_goes_on(tmp_path: Path, small_disk: Path) -> None:
    options = [*("--size", "1000", "--steps", "100"), "--checkpoint-every", "10steps", "--quiet"]
    good = calm(tmp_path / "calm", *options)
    folder = small_disk / "a"
    filler = small_disk / "filler"
    filler.write_bytes(bytes(700_000))
    with (tmp_path / "patched.py").open("w") as file:
        file.write("import simsplit.runs.run_directory as l, sys\nl.require_room = lambda *_: None\n")
        file.write("from simsplit.__main__ import main\nmain()\n")
    ended = finish(start(mpiexec(2, tmp_path / "patched.py", "run", *options, "-o", folder), env=environment()))
    assert ended.status == 5, ended.err
    assert "cannot write " in ended.err
    filler.unlink()
    resumed(folder, 3)
    assert np.load(folder / "history.npy").tobytes() == good


def test_a_history_of_three_times_the_memory_of_a_process_is_written(tmp_path: Path) -> None:
    import resource

    limit = 700 * 2**20  # of address space, most of which an MPI library maps and never touches

    def limited() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))

    folder = tmp_path / "a"
    options = ["--size", "2000000", "--steps", "140", "--dtype", "float64", "--quiet", "-o", str(folder)]
    ended = finish(start(mpiexec(2, *SIMSPLIT, "run", *options), env=environment(), preexec_fn=limited))
    assert ended.status == 0, ended.err
    history = np.load(folder / "history.npy", mmap_mode="r")
    assert history.nbytes >= 3 * limit
    k = 139
    assert history[k].tobytes() == ((3.0 + np.arange(2e6) * 5.0) * (0.5 * k)).tobytes()
    del history
    (folder / "history.npy").unlink()  # pytest keeps the folders of its last runs


def test_two_runs_into_one_folder_are_refused(tmp_path: Path) -> None:
    folder = tmp_path / "a"
    process = job(2, "run", *problem("-o", str(folder), nap=1.0, steps=10_000))  # until it is stopped
    until((folder / "run.json").exists, process)
    for command in (["resume", str(folder)], ["run", "--overwrite", "-o", str(folder)], ["run", "-o", str(folder)]):
        ended = run([PYTHON, *SIMSPLIT, *command, "--serial"])
        assert ended.status == 2
        assert "is in use" in ended.err or "is there already" in ended.err
    os.kill(process.pid, signal.SIGUSR1)
    assert finish(process).status == 75


def test_a_changed_problem_or_kernel_is_refused_unless_told_otherwise(tmp_path: Path) -> None:
    folder, model = tmp_path / "a", tmp_path / "model.py"
    model.write_text("def step(x, t):\n    return x + t\n")
    np.save(tmp_path / "start.npy", np.arange(5.0))
    options = ["--kernel", "model:step", "--kind", "step", "--import-from", str(tmp_path)]
    options += ["--input", str(tmp_path / "start.npy"), "--steps", "9", "--time-limit", "0", "-o", str(folder)]
    assert run([PYTHON, *SIMSPLIT, "run", *options, "--serial"]).status == 75
    command = [PYTHON, *SIMSPLIT, "resume", str(folder), "--serial"]
    model.write_text("def step(x, t):\n    return x + t + 0\n")
    np.save(tmp_path / "start.npy", np.arange(5.0) + 1)
    (folder / "problem.toml").write_text((folder / "problem.toml").read_text() + "# changed\n")
    ended = run(command)
    assert ended.status == 2
    what = "the source of the kernel (its module, or what that imports from beside it), the file of input, problem.toml"
    assert f"changed since the run began: {what}. The" in ended.err
    assert "--accept-changes" in ended.err
    ended = run([PYTHON, *SIMSPLIT, "run", str(folder / "problem.toml"), "--serial", "-o", str(tmp_path / "b")])
    assert ended.status == 2
    assert not (tmp_path / "b").exists()
    assert run([*command, "--accept-changes"]).status == 0
    ended = run(command)
    assert (ended.status, ended.out) == (0, f"the run in {folder} is finished: nothing to do\n")


def test_the_resolved_problem_gives_the_same_bits(tmp_path: Path) -> None:
    options = ["--kernel", "x * exp(-rate * t) + c", "--set", "rate=0.3", "--set", "c=1e-3+2j", "--size", "11"]
    good = calm(tmp_path / "a", *options)
    assert calm(tmp_path / "b", str(tmp_path / "a" / "problem.toml")) == good
    assert (tmp_path / "a" / "problem.toml").read_bytes() == (tmp_path / "b" / "problem.toml").read_bytes()


def test_a_kernel_that_fails_is_recorded_and_its_checkpoint_can_be_used(tmp_path: Path) -> None:
    folder, model = tmp_path / "a", tmp_path / "model.py"
    model.write_text("def step(x, t):\n    if t > 2:\n        raise ValueError('too late')\n    return x + t\n")
    options = ["--kernel", "model:step", "--kind", "step", "--import-from", str(tmp_path), "--steps", "9"]
    options += ["--checkpoint-every", "2steps", "-o", str(folder)]
    ended = finish(job(2, "run", *options))
    assert ended.status == 4
    assert re.search(
        rf"^The checkpoint at step \d is intact: \S*mpiexec -n 2 \S*simsplit resume {folder}$", ended.err, re.MULTILINE
    )
    assert record(folder)["status"] == "failed"
    assert "too late" in record(folder)["attempts"][0]["exit"]["reason"]
    model.write_text("def step(x, t):\n    return x + t\n")
    resumed(folder, 3, "--accept-changes")
    expected = np.arange(7.0) + np.concatenate([[0.0], np.cumsum(0.5 * np.arange(8.0))])[:, None]
    assert np.load(folder / "history.npy").tobytes() == expected.tobytes()


@pytest.mark.parametrize("name", ["h.npy", "h.zarr", "h.h5"])
def test_a_file_is_written_whole_or_not_at_all_and_read_again(tmp_path: Path, name: str) -> None:
    target = tmp_path / name
    ended = finish(job(3, "run", "--size", "10", "--quiet", "-o", target))
    assert ended.status == 0, ended.err
    again = finish(job(2, "run", "--input", target, "--steps", "2", "--verify", "--quiet", "-o", tmp_path / "a"))
    assert again.status == 0, again.err
    assert np.load(tmp_path / "a" / "history.npy").shape == (2, 5, 10)
    broken = problem("-o", str(tmp_path / f"x{target.suffix}"), steps=3, nap=-1.0)
    assert finish(job(2, "run", *broken)).status == 4
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(["a", name])
