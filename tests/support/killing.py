"""Kill runs at random and resume them: ``python -m tests.support.killing --kills 100``.

Each trial starts a job on 1 to 4 ranks with frequent checkpoints, kills the whole job or a single rank by SIGKILL
at a random moment, and resumes it on another number of ranks, which is killed now and then, too. In the end the
history must have the bytes of a run that nobody disturbed.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from tests.support.launching import LIMIT, SIMSPLIT, finish, mpiexec, run, start

if TYPE_CHECKING:
    import subprocess

PROGRAMS = Path(__file__).parents[1] / "launches" / "programs"
STEPS, NAP = 60, 0.01
PROBLEMS = (
    ["--kernel", "paced:step", "--kind", "step", "--set", f"nap={NAP}", "--size", "1003"],
    ["--kernel", "paced:at", "--kind", "map", "--set", f"nap={NAP}", "--size", "50000", "--format", "zarr"],
    ["--kernel", "paced:step", "--kind", "step", "--set", f"nap={NAP}", "--size", "20011", "--keep", "every:7"],
    ["--kernel", "paced:step", "--kind", "step", "--set", f"nap={NAP}", "--size", "777", "--format", "h5"],
    ["--kernel", "paced:flow", "--set", f"nap={NAP / 2}", "--grid", "67x30", "--depth", "4"],
)
COMMON = ["--import-from", str(PROGRAMS), "--steps", str(STEPS), "--checkpoint-every", "3steps", "--quiet"]


def main() -> int:
    """Kill, resume and compare; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.support.killing", description=__doc__.partition("\n")[0])
    parser.add_argument("--kills", type=int, default=100, help="trials (default 100)")
    parser.add_argument("--seed", type=int, default=None, help="of the random numbers (default: another each time)")
    options = parser.parse_args()
    seed = random.randrange(10**6) if options.seed is None else options.seed
    print(f"seed {seed}", flush=True)
    with tempfile.TemporaryDirectory(prefix="simsplit-killing-") as folder:
        good = trials(Path(folder), options.kills, random.Random(seed))
    print(f"{good} of {options.kills} ended with the bytes of an undisturbed run")
    return 0 if good == options.kills else 1


def trials(folder: Path, count: int, rng: random.Random, *, tell: bool = True) -> int:
    """Return how many of so many trials ended well."""
    shared = shared_memory()
    expected = {}
    for number, problem in enumerate(PROBLEMS):
        calm = folder / f"calm-{number}"
        ended = run([sys.executable, *SIMSPLIT, "run", *problem, *COMMON, "--serial", "-o", str(calm)], LIMIT)
        assert ended.status == 0, ended.err
        expected[number] = contents(calm)
    good = 0
    for trial in range(count):
        number = rng.randrange(len(PROBLEMS))
        path = folder / f"trial-{trial}"
        story = disturbed(path, PROBLEMS[number], rng)
        same = contents(path) == expected[number]
        left = [found.name for found in path.rglob(".*.tmp")]
        good += same and not left
        if tell or not same or left:
            print(f"{trial + 1}: problem {number}: {story}: {'identical' if same else 'DIFFERENT'} {left}", flush=True)
        shutil.rmtree(path)
    # MPI libraries that are killed leave small files of their own; simsplit leaves none.
    grown = {name for name in shared_memory() - shared if "simsplit" in name}
    assert not grown, grown
    return good


def disturbed(path: Path, problem: list[str], rng: random.Random) -> str:
    """Run a problem to its end through at least one kill; return what happened."""
    story, victim = [], ""
    kills = 1 + (rng.random() < 0.3) + (rng.random() < 0.1)
    first = ["run", *problem, *COMMON, "--overwrite", "-o", str(path)]
    again = ["resume", str(path), "--quiet"]
    while True:
        ranks = rng.randint(1, 4)
        begun = (path / "run.json").exists()
        command = mpiexec(ranks, *SIMSPLIT, *(again if begun else first))
        process = start(command)
        if kills:
            kills -= 1
            wait_until_it_steps(path, process, rng)
            victim = killed(process, ranks, rng)
            story.append(f"{ranks} ranks, {victim} killed")
        ended = finish(process, LIMIT)
        if ended.status == 0 and finished(path):
            story.append(f"{ranks} ranks to the end")
            return "; ".join(story)
        if not victim:
            raise AssertionError(f"{' '.join(command)}: {ended.status}: {ended.out} {ended.err}")
        victim = ""


def wait_until_it_steps(path: Path, process: subprocess.Popen[str], rng: random.Random) -> None:
    """Wait for a random moment: mostly one in which the run takes its steps, now and then one before."""
    if rng.random() < 0.1:
        time.sleep(rng.random() * 0.8)
        return
    before = marks(path)
    end = time.monotonic() + LIMIT / 2
    while process.poll() is None and time.monotonic() < end and marks(path) == before:
        time.sleep(0.01)
    time.sleep(rng.random() * STEPS * NAP)


def marks(path: Path) -> list[str]:
    """Return what shows that a checkpoint was written."""
    return sorted(found.name for found in path.glob("checkpoints/step-*"))


def killed(process: subprocess.Popen[str], ranks: int, rng: random.Random) -> str:
    """Kill the whole job or one rank; return which."""
    family = descendants(process.pid)
    programs = [pid for pid in family if b"simsplit" in command_of(pid) and b"mpiexec" not in command_of(pid)]
    programs = [pid for pid in programs if b"proxy" not in command_of(pid)]
    if ranks > 1 and programs and rng.random() < 0.5:
        pid = rng.choice(programs)
        with_grace(pid)
        return "a rank"
    for pid in [process.pid, *family]:
        with_grace(pid)
    return "all"


def with_grace(pid: int) -> None:
    """Kill a process that may be gone already."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def descendants(pid: int) -> list[int]:
    """Return the processes that a process started, and those that they started."""
    found = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            children = [int(word) for word in task.read_text().split()]
        except OSError:
            continue
        for child in children:
            found.extend([child, *descendants(child)])
    return found


def command_of(pid: int) -> bytes:
    """Return the command line of a process."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def finished(path: Path) -> bool:
    """Return whether the record says that the run is done."""
    import json

    return json.loads((path / "run.json").read_text())["status"] == "finished"


def contents(path: Path) -> bytes:
    """Return the bytes of the numbers in the history, whatever its format."""
    found = next(path.glob("history.*"))
    return joined(found) if found.is_dir() else data_of(found)


def data_of(path: Path) -> bytes:
    """Return the numbers in a file."""
    import h5py
    import numpy as np

    if path.suffix == ".npy":
        return np.load(path).tobytes()
    with h5py.File(path) as file:
        return file["history"][...].tobytes()


def joined(path: Path) -> bytes:
    """Return the numbers in a store."""
    import zarr

    return zarr.open_array(str(path / "history"), mode="r")[...].tobytes()


def shared_memory() -> set[str]:
    """Return the names in /dev/shm."""
    return set(os.listdir("/dev/shm"))  # noqa: PTH208, names are wanted


if __name__ == "__main__":
    sys.exit(main())
