"""Histories in HDF5 files, by h5py (extra ``hdf5``).

The data of a contiguous dataset that is allocated at once lie in the file one behind the other, from an
offset that HDF5 tells (``H5Dget_offset``). So root makes the file and closes it, and then all ranks write
there like into any other file, by MPI-IO. That is as fast as a collective HDF5 library, which h5py seldom has,
and a run that is killed leaves a file that can be opened, for what HDF5 itself writes is done by then.
"""

from __future__ import annotations

from contextlib import contextmanager
from io import BytesIO
from typing import TYPE_CHECKING, Any

from ...errors import InputError, OutputError
from ...util import optional as extras
from ..layout import STEP_TIME

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    import numpy.typing as npt

    from ..layout import HistoryLayout

NAME = "history"


def import_h5py() -> Any:
    """Import h5py.

    Raises
    ------
    InputError
        If it is not installed.
    """
    return extras.import_optional("h5py", "HDF5 needs h5py", "hdf5")


@contextmanager
def opened(
    path: str | os.PathLike[str], mode: str = "r", refusal: type[InputError | OutputError] = InputError
) -> Iterator[Any]:
    """Open a file for the block.

    Raises
    ------
    InputError or OutputError
        As `refusal` says, if h5py is missing or the file is locked.
    OSError
    """
    h5py = import_h5py()
    try:
        file = h5py.File(path, mode)
    except OSError as error:
        if "unable to lock file" not in str(error):
            raise
        raise refusal(
            f"{path} is locked: another program has it open. Close it there and try again. If no program has, the file "
            "system may have no locks: set HDF5_USE_FILE_LOCKING=FALSE."
        ) from error
    with file:
        yield file


def require_possible(layout: HistoryLayout) -> None:
    """Refuse what HDF5 cannot hold: make it in memory, without the data.

    Raises
    ------
    Exception
        Whatever the library raises: its limits are many.
    """
    h5py = import_h5py()
    with h5py.File(BytesIO(), "w") as file:
        _describe(file, layout, h5py.h5d.ALLOC_TIME_LATE)
        if file[NAME].dtype != layout.dtype:
            raise TypeError(f"it would become {file[NAME].dtype}")


def create(path: Path, layout: HistoryLayout) -> int:
    """Make a file with an empty history, and return where its first step begins. Root only.

    Raises
    ------
    InputError
        If h5py is missing.
    OSError
    """
    with opened(path, "x", OutputError) as file:
        _describe(file, layout, import_h5py().h5d.ALLOC_TIME_EARLY)
    return data_offset(path, layout)


def add_reductions(path: Path, layout: HistoryLayout, reductions: Mapping[str, npt.NDArray[Any]]) -> None:
    """Write reductions beside the history: datasets of their names. Root only.

    Raises
    ------
    OSError
    """
    h5py = import_h5py()
    with h5py.File(path, "r+") as file:
        if layout.grid is not None:
            file.create_dataset(STEP_TIME, data=layout.step_times).make_scale(STEP_TIME)
        for name, values in reductions.items():
            dataset = file.create_dataset(name, data=values)
            for axis, label in zip(dataset.dims, layout.reduced_dimensions, strict=True):
                axis.label = label
            dataset.dims[0].attach_scale(file[layout.reduced_dimensions[0]])
        file.flush()


def _describe(file: Any, layout: HistoryLayout, alloc_time: int) -> None:
    """Make the datasets of a history in an open file."""
    h5py = import_h5py()
    time = file.create_dataset("time", data=layout.times)
    time.make_scale("time")
    plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    plist.set_layout(h5py.h5d.CONTIGUOUS)
    plist.set_alloc_time(alloc_time)
    plist.set_fill_time(h5py.h5d.FILL_TIME_NEVER)
    kind = h5py.h5t.py_create(layout.dtype, logical=True)
    space = h5py.h5s.create_simple(layout.shape)
    history = h5py.Dataset(h5py.h5d.create(file.id, NAME.encode(), kind, space, plist))
    for axis, name in zip(history.dims, layout.dimensions, strict=True):
        axis.label = name
    history.dims[0].attach_scale(time)
    history.attrs.update(layout.labels)


def data_offset(path: Path, layout: HistoryLayout) -> int:
    """Return where the first step of a history begins, after looking whether it is the one that was made.

    Raises
    ------
    OutputError
        If it is not.
    OSError
        If it cannot be read.
    """
    h5py = import_h5py()
    with opened(path, refusal=OutputError) as file:
        found = file.get(NAME)
        offset = found.id.get_offset() if isinstance(found, h5py.Dataset) else None
        if offset is None and layout.nbytes == 0 and found is not None:
            offset = 0
        if offset is None or (found.shape, found.dtype) != (layout.shape, layout.dtype):
            raise OutputError(
                f"{path} is not the history that was written there. Start the run again with --overwrite."
            )
    return int(offset)
