"""Read a run directory: the record, the status, and the history a piece at a time."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Any

import numpy as np

from ..communicator import launchers as launch
from ..errors import InputError
from ..history.stored_array import AT_ONCE, StoredArray, stored_array
from ..problem import times_of
from ..util.formatting import pluralize
from .directory import RECORD, REDUCTIONS, UNFINISHED, history_in, read_record
from .lock import is_locked

if TYPE_CHECKING:
    import os

    import numpy.typing as npt

    Array = npt.NDArray[Any]


@dataclass(frozen=True, slots=True)
class Statistics:
    """Of one step, over all its values that are numbers; of complex ones the absolute values."""

    least: float
    mean: float
    greatest: float
    deviation: float
    not_numbers: int


@dataclass(frozen=True)
class RecordedRun:
    """A run, as its directory tells.

    Attributes
    ----------
    path : Path
    record : dict
        What ``run.json`` says.
    """

    path: Path
    record: dict[str, Any]

    @property
    def status(self) -> str:
        """How it ended: finished, stopped, failed, interrupted, hung, killed; or running."""
        status = str(self.record["status"])
        return "killed" if status == "running" and not is_locked(self.path) else status

    @property
    def complete(self) -> int:
        """How many steps of the history are sure to be there."""
        return int(self.record["complete"])

    @property
    def file(self) -> Path:
        """Where the history is."""
        return history_in(self.path, self.record)

    def history(self) -> StoredArray:
        """Return the history, of which nothing is read yet.

        Raises
        ------
        InputError
            If it is not there.
        """
        found = stored_array(self.file)
        if found is None:
            raise InputError(f"cannot read the history {self.file}: it is not there, or not what was written.")
        return found

    def reductions(self) -> dict[str, npt.NDArray[Any]]:
        """Return what was computed over all rows of every step so far, by name: memory maps, shape (steps, ...)."""
        steps, files = int(self.record["position"]), sorted((self.path / REDUCTIONS).glob("*.npy"))
        return {file.stem: np.load(file, mmap_mode="r")[:steps] for file in files}

    def step(self, k: int) -> StoredArray:
        """Return step `k`, of which nothing is read yet.

        Raises
        ------
        InputError
            If the history does not hold it, or not yet.
        """
        complete = self.kept()[: self.complete]
        (entry,) = np.nonzero(complete == k)
        if not len(entry):
            few = [str(each) for each in complete[:3]]
            held = ", ".join(few if len(complete) <= len(few) else [*few[:2], f"… {complete[-1]}"]) or "none"
            raise InputError(f"step {k} is not in the history of {self.path}. Steps that are complete: {held}.")
        return self.history().at(int(entry[0]))

    @property
    def last_step(self) -> int:
        """The number of the last step that is complete.

        Raises
        ------
        InputError
            If there is none.
        """
        if not self.complete:
            raise InputError(f"the history of {self.path} has no complete step yet: there is no state to start from.")
        return int(self.kept()[self.complete - 1])

    def times(self) -> npt.NDArray[np.float64]:
        """Return the time of each step of the history."""
        problem = self.record["problem"]
        times = np.float64(problem["start_time"]) + self.kept().astype(np.float64) * np.float64(problem["delta_t"])
        return np.asarray(times, np.float64)

    def step_times(self) -> npt.NDArray[np.float64]:
        """Return the time of each step so far, kept or not."""
        problem = self.record["problem"]
        return times_of(problem["start_time"], problem["delta_t"], range(int(self.record["position"])))

    def kept(self) -> npt.NDArray[np.int64]:
        """Return the number of each step of the history."""
        steps = np.array(self.record["history"]["steps"], dtype=np.int64)
        return np.arange(*steps) if len(steps) == 3 else steps  # noqa: PLR2004, start, stop and stride of a range

    @property
    def resume(self) -> str:
        """The command that continues it, on as many ranks as its last start had."""
        attempts = self.record["attempts"]
        return launch.command(f"resume {quote(str(self.path))}", attempts[-1]["ranks"] if attempts else 1)

    def label(self, name: str, unit: str) -> str:
        """Return a name with its unit, if the problem gives one."""
        found = self.record["problem"].get("units", {}).get(unit)
        return f"{name} ({found})" if found else name


def open_run(path: str | os.PathLike[str]) -> RecordedRun:
    """Return the run in a directory.

    Raises
    ------
    InputError
        If it is not a run directory.
    """
    folder = Path(path)
    return RecordedRun(folder, read_record(folder))


def require_finished(path: str | os.PathLike[str]) -> None:
    """Refuse a history that is not whole where an array is read.

    Raises
    ------
    InputError
        If that is what the file is, by whatever link or spelling of its path.
    """
    file = Path(path).resolve()
    marked = file.name in UNFINISHED.values()
    if not marked and file.name not in UNFINISHED:
        return
    try:
        run = open_run(file.parent)
    except InputError:
        run = None
    if run is not None and run.file.name == file.name and run.record["status"] != "finished":
        steps = f"{run.complete:,} of {pluralize(run.record['history']['shape'][0], 'step')} are complete"
        some = f", or start from a step that is complete (--input {run.path}@K)" if run.complete else ""
        raise InputError(
            f"{path} is the history of a run that is not finished: {steps}, and zeros stand for the others. Finish "
            f"that run ({run.resume}){some}."
        )
    if marked:
        raise InputError(f"{path} is the history of a run that was not finished. If you know what is in it, rename it.")


def runs_in(folder: Path) -> list[RecordedRun]:
    """Return the runs in a folder and in the folders in it, one level deep, by name.

    Raises
    ------
    InputError
        If there is no such folder.
    """
    if not folder.is_dir():
        raise InputError(f"there is no folder {folder}. Give one that holds run directories.")
    found = []
    for path in sorted([folder, *folder.iterdir()]):
        if (path / RECORD).is_file():
            try:
                found.append(open_run(path))
            except InputError:
                continue  # what is called run.json need not be ours
    return found


def statistics(history: StoredArray, k: int) -> Statistics:
    """Return what is to be said about a step, reading a piece at a time."""
    rows = history.shape[1]
    row = max(1, history.nbytes // max(1, history.shape[0] * rows))
    block_rows = max(1, AT_ONCE // row)
    least, greatest, count, wrong = np.inf, -np.inf, 0, 0
    total = squares = np.longdouble(0)  # squares of great numbers have no place in a double
    shift: Any = None
    with np.errstate(over="ignore", invalid="ignore"):
        for lower in range(0, rows, block_rows):
            block = history.block(slice(k, k + 1), slice(lower, min(lower + block_rows, rows)))
            values = np.abs(block) if block.dtype.kind == "c" else block.astype(np.float64)
            values = values[np.isfinite(values)]
            wrong += block.size - values.size
            if not values.size:
                continue
            if shift is None:
                shift = np.longdouble(values[0])  # sums of squares of what is far from zero lose all digits
            least, greatest = min(least, float(values.min())), max(greatest, float(values.max()))
            apart = values - shift
            total += apart.sum()
            squares += (apart**2).sum()
            count += values.size
        if shift is None:
            return Statistics(np.nan, np.nan, np.nan, np.nan, wrong)
        mean = total / count
        deviation = np.sqrt(np.maximum(0, squares / count - mean**2))
        return Statistics(least, float(shift + mean), greatest, float(deviation), wrong)


def evenly_spaced(count: int, most: int) -> list[int]:
    """Return at most so many of the numbers 0 … count - 1, evenly spread, the first and the last among them.

    >>> evenly_spaced(100, 4), evenly_spaced(3, 10)
    ([0, 33, 66, 99], [0, 1, 2])
    """
    if count <= most:
        return list(range(count))
    return sorted({round(number * (count - 1) / (most - 1)) for number in range(most)})
