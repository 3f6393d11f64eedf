"""Histories in Zarr v3 stores (extra ``zarr``), which ``xarray.open_zarr`` opens.

zarr itself writes the description, on root. The chunks are not compressed, so that a chunk is a file of its
numbers one behind the other, and each rank writes its rows where they belong: a run that is killed and resumed
writes the same bytes again. The split of the rows follows the chunks (`Plan.grain`), so that no chunk is
shared by two ranks.
"""

from __future__ import annotations

import os
import warnings
from contextlib import contextmanager
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from ...errors import OutputError
from ...util import durable as disk
from ...util import optional as extras
from ..layout import STEP_TIME

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    import numpy.typing as npt

    from ..layout import HistoryLayout

    Array = npt.NDArray[Any]

NAME = "history"
CHUNK = 16 * 2**20  # bytes that a chunk has at most, if a row is not longer
_OPEN = 64  # files at a time


def import_zarr() -> Any:
    """Import zarr.

    Raises
    ------
    InputError
        If it is not installed.
    """
    return extras.import_optional("zarr", "Zarr needs zarr", "zarr")


def chunk_rows(rows: int, ranks: int, row_nbytes: int, chunk: int = CHUNK) -> int:
    """Return the rows of a chunk: each rank gets some chunks, and none much more than others."""
    longest = -(-rows // ranks)
    pieces = max(1, -(-longest * row_nbytes // chunk))
    return max(1, -(-longest // pieces))


@contextmanager
def opened(path: str | os.PathLike[str]) -> Iterator[Any]:
    """Open a store, which is a folder and never a URL, for reading in the block."""
    zarr = import_zarr()
    with _quiet():
        yield zarr.open(zarr.storage.LocalStore(path, read_only=True), mode="r")


@contextmanager
def _quiet() -> Iterator[None]:
    """Ignore the warnings of zarr, which would stand amid what simsplit prints. docs/runs.md says what matters."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def require_possible(layout: HistoryLayout) -> None:
    """Refuse what Zarr cannot hold: make it in memory, without the data.

    Raises
    ------
    Exception
        Whatever the library raises: its limits are many.
    """
    _describe(import_zarr().storage.MemoryStore(), layout, 1)


def create(path: Path, layout: HistoryLayout, rows: int) -> None:
    """Make a store with an empty history. Root only.

    Parameters
    ----------
    path : Path
    layout : HistoryLayout
    rows : int
        Of a chunk.

    Raises
    ------
    InputError
        If zarr is missing.
    OSError
    """
    _describe(import_zarr().storage.LocalStore(path), layout, rows)
    _sync(path)


def _sync(path: Path) -> None:
    """Make all files of a store durable."""
    for folder, _, names in os.walk(path):
        for name in names:
            file = os.open(os.path.join(folder, name), os.O_RDONLY | os.O_CLOEXEC)  # noqa: PTH118, as os.walk gives it
            try:
                disk.fsync(file)
            finally:
                os.close(file)
    disk.fsync_dir(path)


def _describe(store: Any, layout: HistoryLayout, rows: int) -> None:
    """Make the arrays of a history in a store."""
    row_nbytes = max(1, layout.row_nbytes)
    steps = min(max(1, CHUNK // (rows * row_nbytes)), max(1, layout.shape[0]))
    with _quiet():
        group = import_zarr().create_group(store, zarr_format=3, attributes=layout.labels)
        history = group.create_array(
            NAME,
            shape=layout.shape,
            dtype=layout.dtype,
            chunks=(steps, rows, *(max(1, length) for length in layout.shape[2:])),
            compressors=None,
            filters=None,
            fill_value=0,
            dimension_names=layout.dimensions,
            attributes=layout.labels,
            config={"write_empty_chunks": True},
        )
        if history.dtype != layout.dtype:
            raise TypeError(f"it would become {history.dtype}")
        time = group.create_array(
            "time",
            shape=layout.times.shape,
            dtype="float64",
            compressors=None,
            dimension_names=("time",),
            attributes={"units": layout.labels["time_unit"]} if "time_unit" in layout.labels else {},
        )
        time[:] = layout.times


def add_reductions(path: Path, layout: HistoryLayout, reductions: Mapping[str, npt.NDArray[Any]]) -> None:
    """Write reductions beside the history: arrays of their names. Root only.

    Raises
    ------
    OSError
    """
    zarr = import_zarr()
    group = zarr.open_group(zarr.storage.LocalStore(path), mode="r+", zarr_format=3)
    variables = {name: (values, layout.reduced_dimensions) for name, values in reductions.items()}
    if layout.grid is not None:
        variables[STEP_TIME] = (layout.step_times, (STEP_TIME,))
    for name, (values, dimensions) in variables.items():
        with _quiet():
            array = group.create_array(
                name, shape=values.shape, dtype=values.dtype, compressors=None, dimension_names=dimensions
            )
            array[...] = values
    _sync(path)


def chunks(path: Path, layout: HistoryLayout) -> tuple[int, ...]:
    """Return the shape of the chunks of a history, after looking whether it is the one that was made.

    Raises
    ------
    OutputError
        If it is not.
    """
    try:
        with opened(path / NAME) as found:
            known, shape = (found.shape, found.dtype), found.chunks
    except (OSError, ValueError, KeyError, AttributeError) as error:
        raise OutputError(f"{path} cannot be opened: {error}. Start the run again with --overwrite.") from error
    if known != (layout.shape, layout.dtype):
        raise OutputError(f"{path} is not the history that was written there. Start the run again with --overwrite.")
    return tuple(shape)


class ChunkWriter:
    """The chunks that this rank writes.

    Parameters
    ----------
    path : Path
        The store.
    layout : HistoryLayout
    chunk : tuple of int
        Shape of a chunk; all axes but the first two are whole.
    """

    def __init__(self, path: Path, layout: HistoryLayout, chunk: tuple[int, ...]) -> None:
        self._folder = path / NAME / "c"
        self._chunk = chunk
        self._row_nbytes = layout.row_nbytes
        self._nbytes = prod(chunk) * layout.dtype.itemsize
        self._rest = "/0" * (len(chunk) - 2)
        self._open: dict[tuple[int, int], int] = {}
        self._folders: set[Path] = set()  # in which files were made since they were last made durable

    def write(self, k: int, lower: int, data: Array) -> None:
        """Write rows from `lower` of steps from `k`, each part into its chunk."""
        if not data.nbytes:
            return
        steps, rows, *_ = self._chunk
        for number, step in enumerate(data):
            begin = lower
            while begin < lower + len(step):
                end = min((begin // rows + 1) * rows, lower + len(step))
                file = self._file(((k + number) // steps, begin // rows))
                place = ((k + number) % steps * rows + begin % rows) * self._row_nbytes
                piece = step[begin - lower : end - lower]
                disk.write(file, piece.reshape(-1).view(np.uint8).data, place)
                begin = end

    def sync(self) -> None:
        """Make all chunks durable, and close them."""
        for key in list(self._open):
            self._finish(key)
        for folder in sorted(self._folders):
            disk.fsync_dir(folder)
        self._folders.clear()

    def close(self) -> None:
        """Close them."""
        for file in self._open.values():
            os.close(file)
        self._open.clear()

    def _file(self, key: tuple[int, int]) -> int:
        file = self._open.get(key)
        if file is None:
            if len(self._open) >= _OPEN:
                self._finish(next(iter(self._open)))
            path = self._folder / f"{key[0]}/{key[1]}{self._rest}"
            path.parent.mkdir(parents=True, exist_ok=True)
            file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
            self._open[key] = file
            os.ftruncate(file, self._nbytes)  # a chunk at the edge is as large as any other
            self._folders.update((path.parent, self._folder / str(key[0]), self._folder))
        return file

    def _finish(self, key: tuple[int, int]) -> None:
        file = self._open.pop(key)
        try:
            disk.fsync(file)
        finally:
            os.close(file)
