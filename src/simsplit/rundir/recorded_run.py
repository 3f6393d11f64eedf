"""A run directory that is looked at: what ran, how it ended, and its history a piece at a time."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import InputError
from ..history.stored_array import AT_ONCE, StoredArray, stored_array
from .directory import RECORD, read_record
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
class PastRun:
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

    def history(self) -> StoredArray:
        """Return the history, of which nothing is read yet.

        Raises
        ------
        InputError
            If it is not there.
        """
        path = self.path / self.record["history"]["path"]
        found = stored_array(path)
        if found is None:
            raise InputError(f"cannot read the history {path}: it is not there, or not what was written.")
        return found

    def times(self) -> npt.NDArray[np.float64]:
        """Return the time of each step of the history."""
        problem = self.record["problem"]
        steps = np.array(self.record["history"]["steps"], dtype=np.int64)
        if len(steps) == 3:  # noqa: PLR2004, start, stop and stride of a range
            steps = np.arange(*steps)
        times = np.float64(problem["start_time"]) + steps.astype(np.float64) * np.float64(problem["delta_t"])
        return np.asarray(times, np.float64)

    def label(self, name: str, unit: str) -> str:
        """Return a name with its unit, if the problem gives one."""
        found = self.record["problem"].get("units", {}).get(unit)
        return f"{name} ({found})" if found else name


def open_run(path: str | os.PathLike[str]) -> PastRun:
    """Return the run in a directory.

    Raises
    ------
    InputError
        If it is not a run directory.
    """
    folder = Path(path)
    return PastRun(folder, read_record(folder))


def runs_in(folder: Path) -> list[PastRun]:
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
    at_once = max(1, AT_ONCE // row)
    least, greatest, count, wrong = np.inf, -np.inf, 0, 0
    total = squares = np.longdouble(0)  # squares of great numbers have no place in a double
    shift: Any = None
    with np.errstate(over="ignore", invalid="ignore"):
        for lower in range(0, rows, at_once):
            block = history.block(slice(k, k + 1), slice(lower, min(lower + at_once, rows)))
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


def spread(count: int, most: int) -> list[int]:
    """Return at most so many of the numbers 0 … count - 1, evenly spread, the first and the last among them.

    >>> spread(100, 4), spread(3, 10)
    ([0, 33, 66, 99], [0, 1, 2])
    """
    if count <= most:
        return list(range(count))
    return sorted({round(number * (count - 1) / (most - 1)) for number in range(most)})
