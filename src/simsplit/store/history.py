"""A history on disk, written by all ranks at once: nobody ever holds more of it than a tile."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from ..communicator import Agreement
from ..memory import require
from . import disk

if TYPE_CHECKING:
    import numpy.typing as npt

    from ..communicator import Communicator, SharedFile
    from ..engine import Plan, Tile

    Array = npt.NDArray[Any]

SMALL = 32 * 2**10  # bytes of a step's rows: less is gathered first, for a call costs more than the bytes
INSTEAD = "Make room or mend the disk."


@dataclass(frozen=True, slots=True)
class Layout:
    """What a history looks like.

    Attributes
    ----------
    shape : tuple of int
        ``(steps, n, ...)``.
    dtype : numpy.dtype
    times : ndarray, shape (steps,)
        The time of each step.
    labels : dict of str to str
        What is said about it: the kernel, units.
    """

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    times: npt.NDArray[np.float64]
    labels: dict[str, str]

    @property
    def row_nbytes(self) -> int:
        """Bytes of a row of a step."""
        return prod(self.shape[2:]) * self.dtype.itemsize

    @property
    def step_nbytes(self) -> int:
        """Bytes of a step."""
        return self.shape[1] * self.row_nbytes

    @property
    def nbytes(self) -> int:
        """Bytes of the history."""
        return self.shape[0] * self.step_nbytes

    @property
    def dimensions(self) -> tuple[str, ...]:
        """The name of each axis."""
        rest = len(self.shape) - 2
        names = ("component",) if rest == 1 else tuple(f"component_{number}" for number in range(rest))
        return ("time", "row", *names)


class Target(Protocol):
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
        """Make what this rank wrote durable. Collective; raises `OSError` on the ranks where that fails."""

    def close(self) -> None:
        """Close it. Collective."""


class OneFile:
    """A file in which the steps lie one behind the other from `offset` on: ``.npy``, and the data of an ``.h5``."""

    def __init__(self, file: SharedFile, offset: int, layout: Layout) -> None:
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


class WrittenHistory:
    """Receives the steps, and writes them. Each rank computes into a buffer for one tile.

    Parameters
    ----------
    communicator : Communicator
    plan : Plan
    target : Target
    name : str
        Of the file, for messages.
    gathers : bool
        Whether rows of which a step has few bytes are gathered on root, which writes them in one go.

    Raises
    ------
    InputError
        If a tile does not fit in memory. Not collective: to be made in an agreed block.
    """

    def __init__(
        self, communicator: Communicator, plan: Plan, target: Target, name: str, *, gathers: bool = True
    ) -> None:
        self._communicator = communicator
        self._agreement = Agreement(communicator)
        self._target = target
        self._what = f"the history {name}"
        self._plan = plan
        root = communicator.rank == 0
        few = plan.longest * plan.history_row_nbytes < SMALL
        self._gathers = gathers and few and communicator.size > 1
        steps, rows, *rest = plan.tile_shape
        self._whole = self._gathers and rows == plan.longest
        shape = (steps, plan.shape[0] if self._whole and root else rows, *rest)
        nbytes = prod(shape) * plan.history_dtype.itemsize
        require(nbytes, f"a tile of results on rank {communicator.rank}", "Use more nodes, or shorter rows.")
        self._buffer = np.empty(shape, plan.history_dtype)

    def rows(self, tile: Tile) -> Array:
        """Return this rank's buffer."""
        lower, upper = tile.spans[self._communicator.rank]
        return self._buffer[: len(tile.steps), : upper - lower]

    def deliver(self, tile: Tile) -> None:
        """Write the rows of each step."""
        rows = self.rows(tile)
        if self._whole:
            root = self._communicator.rank == 0
            whole = self._buffer[: len(tile.steps)] if root else None
            self._communicator.gatherv(rows, tile.spans, whole)
            with self._agreement, disk.reported(self._what, INSTEAD):
                if whole is not None:
                    self._target.write(tile.steps.start, 0, whole)
            return
        lower, upper = tile.spans[self._communicator.rank]
        with self._agreement, disk.reported(self._what, INSTEAD):
            if upper > lower:
                self._target.write(tile.steps.start, lower, rows)

    def sync(self) -> None:
        """Make all that was delivered durable. Collective.

        Raises
        ------
        OutputError
            On every rank.
        """
        failed: OSError | None = None
        try:
            self._target.sync()  # collective, so not in the block
        except OSError as error:
            failed = error
        with self._agreement, disk.reported(self._what, INSTEAD):
            if failed is not None:
                raise failed

    def close(self) -> None:
        """Close the file. Collective."""
        self._target.close()
