"""What writing costs: ``mpiexec -n 2 python benchmarks/output.py [FOLDER [ROWS]]``.

In one run, by the same ranks, and the median of several rounds: the history into an ``.npy`` by simsplit's writer
beside plain ``os.pwrite`` of the same bytes into one file, and a checkpoint of a state beside such a write and fsync.
A checkpoint and its peer are new files each time, and of both the last two are kept. To remove an older one is not
counted: a run does it while it computes on.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from itertools import count
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import TYPE_CHECKING, Any

import numpy as np

from simsplit.communicator import Communicator, connect
from simsplit.communicator.files import open_shared
from simsplit.engine import Plan
from simsplit.history.file import ContiguousWriter, FileHistory
from simsplit.history.formats import npy
from simsplit.history.layout import HistoryLayout
from simsplit.rundir.checkpoint import KEPT, Checkpoints

if TYPE_CHECKING:
    from collections.abc import Callable

ROWS = int(sys.argv[2]) if sys.argv[2:] else 4_000_000
STEPS, ROUNDS = 10, 11
WARM_UP = 3  # rounds that are not counted: until files are removed, each takes memory that was never used before
LARGE = 4 * ROWS  # rows of the state


def main() -> None:
    """Measure and print."""
    world = connect()
    folder = None
    if world.rank == 0:
        folder = tempfile.mkdtemp(dir=sys.argv[1] if len(sys.argv) > 1 else ".", prefix="simsplit-output-")
    path = Path(world.bcast(folder))
    try:
        measure(world, path)
    finally:
        world.allreduce_or(0)
        if world.rank == 0:
            shutil.rmtree(path)


def measure(world: Communicator, path: Path) -> None:
    """Let all ways take turns."""
    plan = Plan((ROWS,), np.dtype("f8"), np.dtype("f8"), STEPS, world.size)
    lower, upper = plan.bounds[world.rank]
    state = np.random.default_rng(world.rank).random(upper - lower)
    large = plan.replace(shape=(LARGE,))
    first, last = large.bounds[world.rank]
    much = np.random.default_rng(world.rank).random(last - first)
    checkpoints = Checkpoints(world, path / "checkpoints")
    rounds = count(1)
    ways: dict[str, Callable[[], float]] = {
        "plain writes": lambda: plainly(world, path / "plain", plan, state),
        "history.npy": lambda: by_simsplit(world, path / "history.npy", plan, state),
        "plain write and fsync": lambda: durably(world, path, next(rounds), large, much),
        "checkpoint": lambda: checkpoint(world, checkpoints, next(rounds), large, much),
    }
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    names = list(ways)
    for pair in (names[:2], names[2:]):  # what is still on its way to the disk of one would hold up the other
        for number in range(-WARM_UP, ROUNDS):
            for name in pair:
                taken = ways[name]()
                if number >= 0:
                    seconds[name].append(taken)
    if world.rank:
        return
    print(f"{world.size} ranks, {world.library}, {STEPS} steps of {ROWS * 8 / 1e6:.0f} MB, medians of {ROUNDS}")
    found = {name: median(each) for name, each in seconds.items()}
    for name, value in found.items():
        nbytes = 8 * (LARGE if "fsync" in name or name == "checkpoint" else ROWS * STEPS)
        print(f"{name:24} {value * 1e3:8.1f} ms {nbytes / value / 1e9:6.2f} GB/s")
    history = median(a / b for a, b in zip(seconds["plain writes"], seconds["history.npy"], strict=True))
    state_ = median(b / a for a, b in zip(seconds["plain write and fsync"], seconds["checkpoint"], strict=True))
    print(f"history: {history:.2f} of the rate of plain writes; 0.8 is wanted")
    print(f"checkpoint: {state_:.2f} of the time of a plain write and fsync; 1.5 is the most that is wanted")


def timed(world: Communicator, work: Callable[[], Any]) -> float:
    """Return how long all ranks take together, on a disk that has nothing else to write."""
    if world.rank == 0:
        os.sync()
    world.allreduce_or(0)
    begun = perf_counter()
    work()
    world.allreduce_or(0)
    return perf_counter() - begun


def opened(world: Communicator, path: Path) -> int:
    """Open a new file on all ranks."""
    if world.rank == 0:
        path.unlink(missing_ok=True)
        path.touch()
    world.allreduce_or(0)
    return os.open(path, os.O_RDWR)


def plainly(world: Communicator, path: Path, plan: Plan, state: Any) -> float:
    """Write the history with plain calls."""
    file = opened(world, path)
    lower, _ = plan.bounds[world.rank]

    def work() -> None:
        for k in range(STEPS):
            whole(file, state, (k * ROWS + lower) * 8)

    seconds = timed(world, work)
    os.close(file)
    return seconds


def whole(file: int, data: Any, offset: int) -> None:
    """Write all of an array."""
    left = memoryview(data).cast("B")
    while left.nbytes:
        written = os.pwrite(file, left, offset)
        left, offset = left[written:], offset + written


def by_simsplit(world: Communicator, path: Path, plan: Plan, state: Any) -> float:
    """Write the history as a run does, tile by tile, with the agreements that belong to it."""
    layout = HistoryLayout(plan.history_shape, plan.history_dtype, np.arange(STEPS, dtype=np.float64), {})
    if world.rank == 0:
        path.unlink(missing_ok=True)
        npy.create(path, layout)
    world.allreduce_or(0)
    target = ContiguousWriter(open_shared(world, str(path)), npy.data_offset(path, layout), layout)
    receiver = FileHistory(world, plan, target, path)
    batches = [plan.batch(first, 4, every=False) for first in range(0, plan.steps, 4)]
    tiles = [tile for batch in batches for tile in plan.tiles(batch)]
    receiver.rows(tiles[0])[...] = state[0]

    def work() -> None:
        for tile in tiles:
            receiver.deliver(tile)

    seconds = timed(world, work)
    receiver.abort()
    return seconds


def durably(world: Communicator, folder: Path, number: int, plan: Plan, state: Any) -> float:
    """Write a state with plain calls, and make it durable."""
    file = opened(world, folder / f"durable-{number}")

    def work() -> None:
        whole(file, state, plan.bounds[world.rank][0] * 8)
        os.fsync(file)

    seconds = timed(world, work)
    os.close(file)
    if world.rank == 0:
        (folder / f"durable-{number - 2 * KEPT}").unlink(missing_ok=True)  # each second number is a checkpoint's
    return seconds


def checkpoint(world: Communicator, checkpoints: Checkpoints, position: int, plan: Plan, state: Any) -> float:
    """Commit a state."""
    layout = plan.shape, plan.history_dtype, plan.bounds
    seconds = timed(world, lambda: checkpoints.write(position, state, layout, {}))
    checkpoints.join_pruning()
    return seconds


if __name__ == "__main__":
    main()
