"""Arrays in NumPy's own ``.npy`` files."""

from __future__ import annotations

import os
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

from ...errors import InputError, OutputError
from ...util import durable as disk
from ...util.formatting import format_bytes
from ...util.memory_limits import require_memory

if TYPE_CHECKING:
    import numpy.typing as npt

    from ..layout import HistoryLayout

    Array = npt.NDArray[Any]


def read_npy(path: str | os.PathLike[str], what: str = "the input") -> Array:
    """Read an array. Not collective; nothing in the file is executed.

    Parameters
    ----------
    path : path-like
        A ``.npy`` file: any shape, byte order and memory order.
    what : str
        What messages call it.

    Returns
    -------
    ndarray
        With the byte order and memory order of the file.

    Raises
    ------
    InputError
        If there is no such file, or it cannot be read or does not hold an array.
    """
    file = Path(path)
    if not file.is_file():
        reason = "it is not a regular file" if file.exists() else "there is no such file"
        raise _unreadable(what, file, reason)
    try:
        require_memory(file.stat().st_size, f"{what} {file}", "Use a node with more memory.")
        with file.open("rb") as opened:
            array = np.load(opened, allow_pickle=False)
    except InputError:
        raise
    except Exception as error:  # whatever a damaged file leads NumPy into
        reason = str(error).partition("\n")[0] or type(error).__name__
        if isinstance(error, OSError) and error.strerror:
            reason = error.strerror
        if "pickle" in reason:
            reason = "it holds Python objects or is not a .npy file"
        raise _unreadable(what, file, reason) from error
    if not isinstance(array, np.ndarray):
        raise _unreadable(what, file, "it is an archive of several arrays")
    return array


def _unreadable(what: str, file: Path, reason: str) -> InputError:
    return InputError(
        f"cannot read {what} {file}: {reason}. Give a .npy file of a numeric dtype, as numpy.save writes it."
    )


def require_possible(dtype: np.dtype[Any]) -> None:
    """Refuse what an ``.npy`` cannot hold.

    Raises
    ------
    InputError
    """
    try:
        header_of((), dtype)
    except UnicodeEncodeError:
        raise InputError(
            f"an .npy file cannot hold {dtype}: the names of its fields must be in Latin letters. Rename them, or "
            "write the history as .h5 or .zarr."
        ) from None


def create(path: Path, layout: HistoryLayout) -> int:
    """Make a file of the full size with a header, and return where the first step begins. Root only.

    Raises
    ------
    OSError
    """
    header = header_of(layout.shape, layout.dtype)
    file = disk.create(path)
    try:
        disk.write(file, header, 0)
        os.ftruncate(file, len(header) + layout.nbytes)
        disk.fsync(file)
    finally:
        os.close(file)
    return len(header)


def header_of(shape: tuple[int, ...], dtype: np.dtype[Any]) -> bytes:
    """Return what stands before the data of an array that lies in C order."""
    header = BytesIO()
    facts = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_2_0(header, facts)
    return header.getvalue()


def data_offset(path: Path, layout: HistoryLayout) -> int:
    """Return where the first step of a history begins, after looking whether it is the one that was made.

    Raises
    ------
    OutputError
        If it is not.
    OSError
        If it cannot be read.
    """
    with path.open("rb") as file:
        try:
            version = np.lib.format.read_magic(file)
            read_header = np.lib.format.read_array_header_2_0
            shape, fortran, dtype = read_header(file) if version == (2, 0) else ((), True, None)
        except ValueError:
            shape, fortran, dtype = (), True, None
        offset = file.tell()
    size = path.stat().st_size
    if fortran or (shape, dtype) != (layout.shape, layout.dtype) or size != offset + layout.nbytes:
        raise OutputError(f"{path} is not the history that was written there. Start the run again with --overwrite.")
    return offset


class NpyOutput:
    """A ``.npy`` file that appears whole or not at all.

    Made before the run, it finds out at once what would otherwise be found after hours of computing.

    Parameters
    ----------
    path : path-like
        Ends in ``.npy``. A file of that name is replaced, at the end of a run that succeeded.
    nbytes : int
        How much will be written.

    Raises
    ------
    InputError
        If the name does not end in ``.npy``.
    OutputError
        If the file could not be written there. Not collective.
    """

    def __init__(self, path: str | os.PathLike[str], nbytes: int) -> None:
        self._asked = Path(os.fsdecode(path))
        if self._asked.suffix != ".npy":
            raise InputError(f"the output must be a file that ends in .npy, not {str(self._asked)!r}")
        try:
            self._file = self._asked.resolve()
            if self._file.exists() and not self._file.is_file():
                self._fail("it is not a regular file")
            if not self._file.parent.is_dir():
                self._fail(f"there is no folder {self._file.parent}")
            if not os.access(self._file.parent, os.W_OK | os.X_OK):
                self._fail(f"the folder {self._file.parent} is not writable")
            left = disk.free_bytes(self._file.parent)
        except (OSError, RuntimeError, ValueError) as error:
            self._fail(str(error), error)
        if nbytes > left:
            self._fail(f"the history takes {format_bytes(nbytes)}, but {format_bytes(left)} are left on that disk")

    def write(self, history: Array) -> None:
        """Write the history beside its final name, make it durable, and only then give it the name.

        Parameters
        ----------
        history : ndarray, C-contiguous

        Raises
        ------
        OutputError
            If that fails; nothing is left behind.
        """
        temporary = self._file.with_name(f".simsplit-{os.urandom(4).hex()}.tmp")
        try:
            with disk.atomic_write(self._file, temporary) as file:
                header = header_of(history.shape, history.dtype)
                disk.write(file, header, 0)
                if history.nbytes:
                    disk.write(file, history.reshape(-1).view(np.uint8).data, len(header))
        except OSError as error:
            self._fail(error.strerror or str(error), error)

    def _fail(self, reason: str, cause: BaseException | None = None) -> NoReturn:
        raise OutputError(
            f"cannot write the output {self._asked}: {reason}. Name a file in a writable folder with room for it."
        ) from cause
