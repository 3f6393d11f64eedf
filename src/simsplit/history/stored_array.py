"""Read arrays from ``.npy``, Zarr and HDF5 lazily, a few rows or steps at a time.

Nobody needs the whole: every rank reads its rows of an initial array, and a history is looked at step by step.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import InputError
from ..util import durable as disk

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy.typing as npt

    Array = npt.NDArray[Any]

FORMATS = {".npy": "npy", ".zarr": "zarr", ".h5": "h5", ".hdf5": "h5"}
AT_ONCE = 16 * 2**20  # bytes that are read of a history
_NAMES = ("history", "initial")  # of the array in a file with several


def format_of(path: str | os.PathLike[str]) -> str | None:
    """Return ``npy``, ``zarr`` or ``h5``, as the name of a file says, or None."""
    return FORMATS.get(Path(path).suffix.lower())


def converted(found: Array, dtype: np.dtype[Any], path: str) -> Array:
    """Return numbers of a file with another dtype.

    Raises
    ------
    InputError
        If it is one of whole numbers, and does not hold one of these.
    """
    result = found.astype(dtype, copy=False)
    if dtype.kind in "iu" and (changed := found[result != found]).size:
        raise InputError(f"--dtype {dtype}: {path} holds {changed[0]}, which {dtype} does not. Choose a wider --dtype.")
    return result


@dataclass(frozen=True, eq=False)
class StoredArray:
    """An array in a file that any rank can read rows of. It is small, and can be sent to other ranks.

    Attributes
    ----------
    path : str
    format : {"npy", "zarr", "h5"}
    shape : tuple of int
    dtype : numpy.dtype
        Of the rows that are given out.
    name : str
        Of the array in the file; ``""`` for an ``.npy``.
    offset : int
        Where the numbers of an ``.npy`` begin.
    stored : numpy.dtype or None
        As which they are stored; None is as `dtype`.
    chunk : tuple of int
        How much of axes 0 and 1 is stored, and so read, as one.
    entry : int or None
        The array is this entry of axis 0 of the one in a Zarr store or HDF5 file.
    """

    path: str
    format: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    name: str = ""
    offset: int = 0
    stored: np.dtype[Any] | None = None
    chunk: tuple[int, int] = (1, 1)
    entry: int | None = None

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, index: slice) -> Array:
        return self.block(slice(*index.indices(len(self))[:2]))

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    @property
    def nbytes(self) -> int:
        """Bytes of the whole array."""
        return prod(self.shape) * self.dtype.itemsize

    def astype(self, dtype: np.dtype[Any], *, copy: bool = False) -> StoredArray:
        """Return the array with another dtype for the rows that are given out."""
        return replace(self, dtype=dtype, stored=self.stored or self.dtype)

    def at(self, entry: int) -> StoredArray:
        """Return ``array[entry]``, of which nothing is read yet."""
        shape = self.shape[1:]
        if self.format != "npy":
            return replace(self, shape=shape, entry=entry)
        return replace(
            self, shape=shape, offset=self.offset + entry * prod(shape) * (self.stored or self.dtype).itemsize
        )

    def rows(self, lower: int, upper: int) -> Array:
        """Return ``array[lower:upper]``. Not collective.

        Raises
        ------
        InputError
            If they cannot be read.
        """
        return self.block(slice(lower, upper))

    def block(self, index: slice, *within: slice) -> Array:
        """Return ``array[index, *within]``, of a range of axis 0 and of ranges of the axes after it.

        Raises
        ------
        InputError
            If they cannot be read.
        """
        try:
            found = self._npy(index, within) if self.format == "npy" else self._by_library((index, *within))
        except InputError:
            raise
        except (OSError, RuntimeError, ValueError, KeyError) as error:
            raise unreadable(self.path, getattr(error, "strerror", None) or str(error)) from error
        if self.stored is None or self.stored == self.dtype:
            return found
        return converted(found, self.dtype, self.path)

    def pieces(self, steps: int) -> Iterator[tuple[slice, slice]]:
        """Yield the ranges of axes 0 and 1 that make up the first `steps` of a history.

        A block of each fits in memory, and no chunk is in two of them.
        """
        return pieces(self.shape, self.dtype, self.chunk, steps)

    def _npy(self, index: slice, within: tuple[slice, ...]) -> Array:
        dtype = self.stored or self.dtype
        row = prod(self.shape[1:]) * dtype.itemsize
        lower, upper, _ = index.indices(len(self))
        rest = [each.indices(length)[:2] for each, length in zip(within, self.shape[1:], strict=False)]
        file = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            if not rest:
                return self._read(file, self.offset + lower * row, (upper - lower, *self.shape[1:]), dtype)
            (first, last), *inner = rest
            inside = row // max(1, self.shape[1])
            shape = (last - first, *self.shape[2:])
            found = np.empty((upper - lower, *shape), dtype)
            for number, k in enumerate(range(lower, upper)):
                found[number] = self._read(file, self.offset + k * row + first * inside, shape, dtype)
            return found[(slice(None), slice(None), *(slice(*each) for each in inner))]
        finally:
            os.close(file)

    def _read(self, file: int, offset: int, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
        data = disk.read(file, prod(shape) * dtype.itemsize, offset)
        if len(data) < prod(shape) * dtype.itemsize:
            raise OSError(5, "the file is shorter than its header says")
        return np.frombuffer(data, dtype).reshape(shape)

    def _by_library(self, index: tuple[Any, ...]) -> Array:
        if self.entry is not None:
            index = (self.entry, *index)
        if self.format == "zarr":
            from .formats import zarr_v3 as zarr

            with zarr.opened(self.path) as group:
                return np.asarray((group[self.name] if self.name else group)[index])
        from .formats import hdf5

        with hdf5.opened(self.path) as file:
            return np.asarray(file[self.name][index])


def stored_array(path: str | os.PathLike[str]) -> StoredArray | None:
    """Return an array in a file, of which nothing but the description is read yet. Not collective.

    Parameters
    ----------
    path : path-like
        Ends in ``.npy``, ``.zarr``, ``.h5`` or ``.hdf5``. Of several arrays the one is taken that is called
        ``history`` or ``initial``, or the only one.

    Returns
    -------
    StoredArray or None
        None for an ``.npy`` whose rows do not lie one behind the other, or that only NumPy's own reader
        understands or refuses.

    Raises
    ------
    InputError
        If it is not there or holds no array.
    """
    kind = format_of(path) or "npy"
    if kind == "npy":
        return _npy_file(Path(path))
    if not Path(path).exists():
        raise unreadable(path, "there is no such file")
    try:
        return _zarr_store(str(path)) if kind == "zarr" else _hdf5_file(str(path))
    except InputError:
        raise
    except Exception as error:  # whatever a damaged file leads these libraries into
        raise unreadable(path, str(error).partition("\n")[0] or type(error).__name__) from error


def pieces(
    shape: tuple[int, ...], dtype: np.dtype[Any], chunk: tuple[int, int], steps: int
) -> Iterator[tuple[slice, slice]]:
    """Yield what `StoredArray.pieces` does, for an array of this shape that is stored in such chunks."""
    rows, (long, high) = shape[1], chunk
    row_nbytes = max(1, prod(shape[2:]) * dtype.itemsize)
    high *= max(1, AT_ONCE // (long * high * row_nbytes))
    if high >= rows:
        high = max(1, rows)
        long *= max(1, AT_ONCE // (long * high * row_nbytes))
    for k in range(0, steps, long):
        for lower in range(0, rows, high):
            yield slice(k, min(k + long, steps)), slice(lower, min(lower + high, rows))


def unreadable(path: str | os.PathLike[str], reason: str) -> InputError:
    """Return the error for a file that cannot be read."""
    return InputError(f"cannot read {path}: {reason}. Give a .npy, .zarr or .h5 file with an array of numbers in it.")


def _npy_file(path: Path) -> StoredArray | None:
    formats = np.lib.format
    try:
        with path.open("rb") as file:
            version = formats.read_magic(file)
            reader = {(1, 0): formats.read_array_header_1_0, (2, 0): formats.read_array_header_2_0}.get(version)
            if reader is None:
                return None
            shape, fortran, dtype = reader(file)
            offset = file.tell()
        size = path.stat().st_size
    except (OSError, ValueError):
        return None
    whole = prod(shape) * dtype.itemsize
    if (fortran and len(shape) > 1) or dtype.hasobject or not shape or size < offset + whole:
        return None
    return StoredArray(str(path.absolute()), "npy", shape, dtype, offset=offset)


def _zarr_store(path: str) -> StoredArray:
    from .formats import zarr_v3 as ours

    with ours.opened(path) as opened:
        if isinstance(opened, ours.import_zarr().Array):
            name, found = "", opened
        else:
            name = _select_variable(path, {name: array.ndim for name, array in opened.arrays()})
            found = opened[name]
        where = os.path.abspath(path)  # noqa: PTH100, a text is wanted
        return StoredArray(where, "zarr", found.shape, found.dtype, name, chunk=_chunk(found.chunks))


def _hdf5_file(path: str) -> StoredArray:
    from .formats import hdf5

    h5py = hdf5.import_h5py()
    with hdf5.opened(path) as file:
        name = _select_variable(
            path, {name: found.ndim for name, found in file.items() if isinstance(found, h5py.Dataset)}
        )
        found = file[name]
        where = os.path.abspath(path)  # noqa: PTH100, the same
        return StoredArray(where, "h5", found.shape, found.dtype, name, chunk=_chunk(found.chunks))


def _chunk(shape: tuple[int, ...] | None) -> tuple[int, int]:
    """Return how long a chunk is along axes 0 and 1; None is an array without chunks."""
    long, high, *_ = (*(shape or ()), 1, 1)
    return long, high


def _select_variable(path: str, arrays: dict[str, int]) -> str:
    """Return the name of the array that is meant."""
    for name in _NAMES:
        if name in arrays:
            return name
    if len(arrays) == 1:
        return next(iter(arrays))
    held = f"it holds {', '.join(sorted(arrays))}: call one of them initial" if arrays else "it holds no array"
    raise unreadable(path, held)
