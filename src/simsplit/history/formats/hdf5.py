"""Histories in HDF5 files, by h5py (extra ``hdf5``).

The data of a contiguous dataset that is allocated at once lie in the file one behind the other, from an
offset that HDF5 tells (``H5Dget_offset``). So root makes the file and closes it, and then all ranks write
there like into any other file, by MPI-IO. That is as fast as a collective HDF5 library, which h5py seldom has,
and a run that is killed leaves a file that can be opened, for what HDF5 itself writes is done by then.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ...errors import InputError, OutputError
from ...util import optional as extras

if TYPE_CHECKING:
    from pathlib import Path

    from ..file import Layout

NAME = "history"


def load() -> Any:
    """Import h5py.

    Raises
    ------
    InputError
        If it is not installed.
    """
    return extras.load("h5py", "HDF5 needs h5py", "hdf5")


def create(path: Path, layout: Layout) -> int:
    """Make a file with an empty history, and return where its first step begins. Root only.

    Raises
    ------
    InputError
        If h5py is missing, or HDF5 does not know the dtype.
    OSError
    """
    h5py = load()
    with h5py.File(path, "x") as file:
        time = file.create_dataset("time", data=layout.times)
        time.make_scale("time")
        plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        plist.set_layout(h5py.h5d.CONTIGUOUS)
        plist.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
        plist.set_fill_time(h5py.h5d.FILL_TIME_NEVER)
        try:
            kind = h5py.h5t.py_create(layout.dtype, logical=True)
        except TypeError as error:
            raise InputError(f"HDF5 cannot hold {layout.dtype}: {error}. Use --format npy.") from error
        space = h5py.h5s.create_simple(layout.shape)
        history = h5py.Dataset(h5py.h5d.create(file.id, NAME.encode(), kind, space, plist))
        for axis, name in zip(history.dims, layout.dimensions, strict=True):
            axis.label = name
        history.dims[0].attach_scale(time)
        history.attrs.update(layout.labels)
    return first_step(path, layout)


def first_step(path: Path, layout: Layout) -> int:
    """Return where the first step of a history begins, after looking whether it is the one that was made.

    Raises
    ------
    OutputError
        If it is not.
    OSError
        If it cannot be read.
    """
    h5py = load()
    with h5py.File(path, "r") as file:
        found = file.get(NAME)
        offset = found.id.get_offset() if isinstance(found, h5py.Dataset) else None
        if offset is None and layout.nbytes == 0 and found is not None:
            offset = 0
        if offset is None or (found.shape, found.dtype) != (layout.shape, layout.dtype):
            raise OutputError(
                f"{path} is not the history that was written there. Start the run again with --overwrite."
            )
    return int(offset)
