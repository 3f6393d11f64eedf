"""A history on disk that all ranks write at once. No rank holds more than a tile of it."""

from __future__ import annotations

from contextlib import suppress
from math import prod
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from ..communicator import Agreement
from ..errors import InputError
from ..util import durable as disk
from ..util.memory_limits import require_memory
from .stored_array import stored_array

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import numpy.typing as npt

    from ..communicator import Communicator, SharedFile
    from ..engine import Plan, Tile
    from .layout import HistoryLayout
    from .stored_array import StoredArray

    Array = npt.NDArray[Any]

SMALL = 32 * 2**10  # bytes of a step's rows: less is gathered first, for a call costs more than the bytes
REMEDY = "Make room or mend the disk."


class RowWriter(Protocol):
    """A file, or several, that this rank writes its rows to."""

    def write(self, k: int, lower: int, data: Array) -> None:
        """Write rows from `lower` of steps from `k`. Not collective.

        Parameters
        ----------
        k, lower : int
        data : ndarray, shape (steps, rows, ...), each step C-contiguous

        Raises
        ------
        OSError
        """

    def sync(self) -> None:
        """Make what this rank wrote durable. Not collective; raises `OSError`."""

    def close(self) -> None:
        """Close it. Not collective."""


class ContiguousWriter:
    """A file in which the steps lie one behind the other from `offset` on: ``.npy``, and the data of an ``.h5``."""

    def __init__(self, file: SharedFile, offset: int, layout: HistoryLayout) -> None:
        self._file = file
        self._offset = offset
        self._layout = layout

    def write(self, k: int, lower: int, data: Array) -> None:
        """Write rows from `lower` of steps from `k`."""
        place = self._offset + k * self._layout.step_nbytes + lower * self._layout.row_nbytes
        if data.flags.c_contiguous and data.shape[1] == self._layout.shape[1]:
            self._file.write(data, place)
            return
        for number, step in enumerate(data):
            self._file.write(step, place + number * self._layout.step_nbytes)

    def sync(self) -> None:
        """Make it durable."""
        self._file.sync()

    def close(self) -> None:
        """Close it."""
        self._file.close()


class FileHistory:
    """Receives the steps, and writes them. Each rank computes into a buffer for one tile.

    Parameters
    ----------
    communicator : Communicator
    plan : Plan
    target : RowWriter
    path : Path
        Of the file.
    what : str, optional
        What messages call it.
    gathers : bool
        Whether the rows are gathered on root, which writes them in one go, where a step has few bytes of them.

    Attributes
    ----------
    in_place : bool
        False: what is in the buffer is read again, to be written.

    Raises
    ------
    InputError
        If a tile does not fit in memory. Not collective: to be made in an agreed block.
    """

    def __init__(
        self,
        communicator: Communicator,
        plan: Plan,
        target: RowWriter,
        path: Path,
        *,
        what: str | None = None,
        gathers: bool = True,
    ) -> None:
        self._communicator = communicator
        self._agreement = Agreement(communicator)
        self._target = target
        self._path = path
        self._stored: StoredArray | None = None
        self._what = what or f"the history {path}"
        self._plan = plan
        self.in_place = False
        root = communicator.rank == 0
        few = plan.longest * plan.history_row_nbytes < SMALL
        steps, rows, *rest = plan.tile_shape
        self._whole = gathers and few and communicator.size > 1 and rows == plan.longest
        shape = (steps, plan.shape[0] if self._whole and root else rows, *rest)
        nbytes = prod(shape) * plan.history_dtype.itemsize
        require_memory(nbytes, f"a tile of results on rank {communicator.rank}", "Use more nodes, or shorter rows.")
        self._buffer = np.empty(shape, plan.history_dtype)

    def rows(self, tile: Tile) -> Array:
        """Return this rank's buffer."""
        lower, upper = tile.spans[self._communicator.rank]
        return self._buffer[: len(tile.steps), : upper - lower]

    def deliver(self, tile: Tile) -> None:
        """Write the rows of each step."""
        rows = self.rows(tile)
        lower, upper = tile.spans[self._communicator.rank]
        if self._whole:
            whole = self._buffer[: len(tile.steps)] if self._communicator.rank == 0 else None
            self._communicator.gatherv(rows, tile.spans, whole)
            lower, upper, rows = (0, self._plan.shape[0], whole) if whole is not None else (0, 0, rows)
        with self._agreement, disk.as_output_error(self._what, REMEDY):
            if upper > lower:
                self._target.write(tile.positions.start, lower, rows)

    def fetch(self, position: int, spans: Sequence[tuple[int, int]]) -> Array:
        """Read rows of a step from the file."""
        lower, upper = spans[self._communicator.rank]
        with self._agreement:
            if self._stored is None:
                self._stored = stored_array(self._path)
            if self._stored is None:
                raise InputError(f"cannot read {self._path}: it is not what was written.")
            rows: Array = self._stored.block(slice(position, position + 1), slice(lower, upper))[0]
        return rows

    def sync(self) -> None:
        """Make all that was delivered durable. Collective.

        Raises
        ------
        OutputError
            On every rank.
        """
        with self._agreement, disk.as_output_error(self._what, REMEDY):
            self._target.sync()

    def finish(self) -> None:
        """Make it durable, and close the file."""
        self.sync()
        self._target.close()

    def abort(self) -> None:
        """Close the file."""
        with suppress(Exception):  # the run has failed, and says why
            self._target.close()
