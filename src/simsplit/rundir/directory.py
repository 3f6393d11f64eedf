"""The run directory: everything about one run on disk. Root only; the other ranks know its path.

::

    problem.toml    the problem, with nothing left to defaults: run again, it gives the same bits
    history.npy     (or .zarr, .h5) the history; history.unfinished.npy until all of it is there
    reductions/     what was computed over all rows of every step
    arrays/         arrays of the problem that came from memory
    kernel.py.txt   the source of a kernel that only the program that began the run has
    run.json        what ran where, when and how it ended (see `record`)
    log.txt         what happened, a line each
    checkpoints/    the last two
    stacks/         where each rank was when the run hung
    lock            held as long as a run writes here
    stop            made by the user: the run stops at the next step
"""

from __future__ import annotations

import json
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Any

import numpy as np

from ..communicator import launchers as launch
from ..errors import InputError
from ..util import durable as disk
from .lock import Lock

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Mapping

    import numpy.typing as npt

PROBLEM, RECORD, LOG, CHECKPOINTS, STACKS, STOP, REDUCTIONS, ARRAYS, KERNEL = (
    "problem.toml",
    "run.json",
    "log.txt",
    "checkpoints",
    "stacks",
    "stop",
    "reductions",
    "arrays",
    "kernel.py.txt",
)
HISTORY = {"npy": "history.npy", "zarr": "history.zarr", "h5": "history.h5"}
UNFINISHED = {name: name.replace(".", ".unfinished.") for name in HISTORY.values()}
_FILES = (PROBLEM, RECORD, LOG, CHECKPOINTS, STACKS, STOP, REDUCTIONS, ARRAYS, KERNEL)
OURS = (*_FILES, *UNFINISHED, *UNFINISHED.values())
_INSTEAD = "Name a writable folder with room for it (-o FOLDER)."
FORMAT = 1  # of run.json


class RunDirectory:
    """A run directory that this process has locked.

    Attributes
    ----------
    path : Path
        Absolute.
    """

    def __init__(self, path: Path, lock: Lock) -> None:
        self.path = path
        self._lock = lock
        self._log: Any = None

    @classmethod
    def create(cls, path: str | os.PathLike[str], *, overwrite: bool = False) -> RunDirectory:
        """Make one.

        Parameters
        ----------
        path : path-like
            A folder that is not there, or empty.
        overwrite : bool
            One that holds another run is emptied of it; what else is in it stays.

        Raises
        ------
        InputError
            If there is something else, or another run writes there.
        OutputError
            If it cannot be made.
        """
        folder = Path(path).absolute()
        with disk.as_output_error(f"the run directory {path}", _INSTEAD):
            if folder.exists():
                _require_usable(folder, overwrite=overwrite)
            folder.mkdir(parents=True, exist_ok=True)
            lock = Lock(folder)
            try:
                if not overwrite and (folder / RECORD).exists():  # made by another run in this very moment
                    raise _there_already(folder)  # noqa: TRY301, the lock is given back below
                for name in OURS:
                    disk.remove_tree(folder / name)
                disk.fsync_dir(folder)
            except BaseException:
                lock.release()
                raise
        return cls(folder, lock)

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> RunDirectory:
        """Open and lock one that is there.

        Raises
        ------
        InputError
            If it is not a run directory, or another run writes there.
        """
        folder = Path(path).absolute()
        read_record(folder)
        with disk.as_output_error(f"the run directory {path}", _INSTEAD):
            return cls(folder, Lock(folder))

    def write_problem(self, text: str) -> None:
        """Write the resolved problem."""
        with disk.as_output_error(f"{self.path / PROBLEM}", _INSTEAD):
            disk.atomic_write_bytes(self.path / PROBLEM, text.encode())

    def write_record(self, record: dict[str, Any]) -> None:
        """Write ``run.json``, whole or not at all."""
        with disk.as_output_error(f"{self.path / RECORD}", _INSTEAD):
            disk.atomic_write_bytes(self.path / RECORD, (json.dumps(record, indent=1) + "\n").encode())

    def write_array(self, name: str, array: npt.NDArray[Any]) -> None:
        """Write an array of the problem, in the folder for such arrays."""
        from ..history.formats.npy import NpyOutput

        with disk.as_output_error(f"{self.path / ARRAYS / name}", _INSTEAD):
            (self.path / ARRAYS).mkdir(exist_ok=True)
        NpyOutput(self.path / ARRAYS / name, array.nbytes).write(np.ascontiguousarray(array))

    def write_kernel(self, text: str) -> None:
        """Write the source of a kernel that only the program that began the run has."""
        with disk.as_output_error(f"{self.path / KERNEL}", _INSTEAD):
            disk.atomic_write_bytes(self.path / KERNEL, text.encode(errors="backslashreplace"))

    def create_reductions(self, shapes: Mapping[str, tuple[tuple[int, ...], np.dtype[Any]]]) -> None:
        """Make a file for each reduction, of the full size. Raises `OSError`."""
        disk.remove_tree(self.path / REDUCTIONS)
        for name, (shape, dtype) in shapes.items():
            (self.path / REDUCTIONS).mkdir(exist_ok=True)
            np.lib.format.open_memmap(self.reduction(name), "w+", dtype, shape).flush()

    def reduction(self, name: str) -> Path:
        """Return where a reduction is."""
        return self.path / REDUCTIONS / f"{name}.npy"

    def open_reductions(self, names: Iterable[str]) -> dict[str, np.memmap[Any, Any]]:
        """Return the files of the reductions, mapped into memory. Raises `OSError`."""
        return {name: np.lib.format.open_memmap(self.reduction(name), "r+") for name in names}

    def mark_finished(self, name: str) -> None:
        """Give the history its name, for all of it is there. Raises `OSError`."""
        disk.remove_tree(self.path / name)  # a folder is not replaced in one step
        self._rename(UNFINISHED[name], name)

    def mark_unfinished(self, name: str) -> None:
        """Let the name of the history say that it is unfinished, if it does not yet. Raises `OSError`."""
        if (self.path / name).exists() and not (self.path / UNFINISHED[name]).exists():
            self._rename(name, UNFINISHED[name])

    def _rename(self, old: str, new: str) -> None:
        disk.rename(self.path / old, self.path / new)
        disk.fsync_dir(self.path)

    def log(self, text: str) -> None:
        """Add a line to the log. A log that cannot be written ends no run."""
        with suppress(OSError):
            if self._log is None:
                self._log = (self.path / LOG).open("a", encoding="utf-8", errors="backslashreplace", buffering=1)
            now = datetime.now(UTC).isoformat(timespec="seconds")
            self._log.write(f"{now} {text}\n")

    def heartbeat(self) -> None:
        """Show other hosts that the run lives."""
        self._lock.heartbeat()

    def stop_requested(self) -> bool:
        """Return whether the user made a file ``stop``."""
        return (self.path / STOP).exists()

    def close(self) -> None:
        """Give the lock back. The file ``stop`` has done its work then."""
        with suppress(OSError):
            (self.path / STOP).unlink(missing_ok=True)
        if self._log is not None:
            with suppress(OSError, ValueError):
                self._log.close()
        self._lock.release()


def history_in(folder: Path, record: dict[str, Any]) -> Path:
    """Return where the history of a run is."""
    name = record["history"]["path"]
    unfinished = folder / UNFINISHED[name]
    return unfinished if unfinished.exists() else folder / name


def read_record(folder: Path) -> dict[str, Any]:
    """Return what ``run.json`` says.

    Raises
    ------
    InputError
        If the folder is no run directory, or of a later version of simsplit.
    """
    try:
        record = json.loads((folder / RECORD).read_text("utf-8"))
        known = record["format"]
    except OSError as error:
        reason = f"there is no folder {folder}" if not folder.is_dir() else f"{folder / RECORD}: {error.strerror}"
        raise InputError(f"{folder} is not a run directory: {reason}. Give one that simsplit run -o made.") from None
    except (ValueError, KeyError, TypeError):
        raise InputError(f"{folder} is not a run directory: {folder / RECORD} is not simsplit's.") from None
    if known != FORMAT:
        raise InputError(
            f"{folder / RECORD} has the format {known}; this simsplit knows {FORMAT}. Use the version that made it."
        )
    checked: dict[str, Any] = record
    return checked


def _require_usable(folder: Path, *, overwrite: bool) -> None:
    if not folder.is_dir():
        raise InputError(f"the run directory {folder} is there already, and is not a folder. Name another one.")
    names = [entry.name for entry in folder.iterdir()]
    if names and not overwrite:
        raise _there_already(folder)
    if names and "lock" not in names and RECORD not in names:
        raise InputError(
            f"the folder {folder} holds something else than a run: --overwrite is not for it. Name another one."
        )


def _there_already(folder: Path) -> InputError:
    how = "empty it"
    if (folder / RECORD).exists():
        resume = launch.command(f"resume {quote(str(folder))}")
        how = f"continue it ({resume}), or replace it (--overwrite)"
    return InputError(f"the folder {folder} is there already. Name another one, {how}.")
