"""Files that all ranks write at once, by MPI-IO, or by plain writes in a single process.

Each rank opens the file for itself, so that no call is collective and an error of one rank leaves nobody
waiting; places that do not overlap need no more.
"""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING, Any

import numpy as np

from ..util import durable as disk

if TYPE_CHECKING:
    from .interface import Array, Communicator, SharedFile


def _bytes(data: Array) -> Array:
    """View an array, C-contiguous and not empty, as bytes."""
    return data.reshape(-1).view(np.uint8)


def open_shared(communicator: Communicator, path: str) -> SharedFile:
    """Open a file, which is there, for writing by all ranks. Not collective; raises `OSError`."""
    return PlainFile(path) if communicator.comm is None else MPIFile(path)


class PlainFile:
    """The contract in a single process."""

    def __init__(self, path: str) -> None:
        self._file = disk.open_existing(path)

    def write(self, data: Array, offset: int) -> None:
        """Write all of `data`."""
        if data.nbytes:
            disk.write(self._file, _bytes(data).data, offset)

    def sync(self) -> None:
        """Make it durable."""
        disk.fsync(self._file)

    def close(self) -> None:
        """Close it."""
        os.close(self._file)


class MPIFile:
    """The contract by MPI-IO."""

    def __init__(self, path: str) -> None:
        from mpi4py import MPI

        self._mpi = MPI
        os.close(disk.open_existing(path))  # whose error says why; that of MPI does not
        try:
            # As bytes: mpi4py does not take a text that is not UTF-8.
            self._file = MPI.File.Open(MPI.COMM_SELF, os.fsencode(path), MPI.MODE_RDWR)
        except MPI.Exception as error:
            raise self._os_error(error) from error

    def write(self, data: Array, offset: int) -> None:
        """Write all of `data`, in pieces whose counts every library takes."""
        left: Any = _bytes(data) if data.nbytes else ()
        status = self._mpi.Status()
        while len(left):
            piece = left[: disk.MAX_IO_NBYTES]
            try:
                self._file.Write_at(offset, [piece, len(piece), self._mpi.BYTE], status)
            except self._mpi.Exception as error:
                raise self._os_error(error) from error
            written = status.Get_count(self._mpi.BYTE)
            if not 0 < written <= len(piece):
                raise OSError(errno.EIO, f"{written} of {len(piece)} bytes were written: is the disk full?")
            left, offset = left[written:], offset + written

    def sync(self) -> None:
        """Make what this rank wrote durable."""
        try:
            self._file.Sync()
        except self._mpi.Exception as error:
            raise self._os_error(error) from error

    def close(self) -> None:
        """Close it."""
        self._file.Close()

    def _os_error(self, error: Any) -> OSError:
        """Say it as the system does."""
        codes = {
            self._mpi.ERR_NO_SPACE: errno.ENOSPC,
            self._mpi.ERR_QUOTA: errno.EDQUOT,
            self._mpi.ERR_READ_ONLY: errno.EROFS,
            self._mpi.ERR_ACCESS: errno.EACCES,
            self._mpi.ERR_NO_SUCH_FILE: errno.ENOENT,
        }
        code = codes.get(error.Get_error_class())
        return OSError(errno.EIO, error.Get_error_string()) if code is None else OSError(code, os.strerror(code))
