"""Digests of files, computed by all ranks together; the same for any number of ranks."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..bounds import part
from ..communicator import Agreement
from ..errors import InputError
from ..util import durable as disk

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt

    from ..communicator import Communicator
    from ..history.stored_array import StoredArray

CHUNK = 16 * 2**20  # bytes that are hashed on their own
_SIZE = 32


def digest_of_file(communicator: Communicator, path: str, *, chunk: int = CHUNK) -> str:
    """Return the digest of a file, or of all files in a folder with their names. Collective.

    A BLAKE2b digest of the digests of chunks, so that each rank reads its share only.

    Raises
    ------
    InputError
        On every rank, if any cannot read its share.
    """
    pieces: list[tuple[str, int, int]] | None = None
    with Agreement(communicator):
        if communicator.rank == 0:
            try:
                pieces = _pieces(Path(path), chunk)
            except OSError as error:
                raise _unreadable(path, error) from error
    pieces = communicator.bcast(pieces)
    labels = [f"{os.path.relpath(name, path)}:{begin}:{end}\n" for name, begin, end in pieces]
    return _together(communicator, labels, lambda number: _read(*pieces[number]), path)


def digest_of_array(communicator: Communicator, array: StoredArray, *, chunk: int = CHUNK) -> str:
    """Return the digest of an array, whatever else is in its file. Collective; every rank gives the array.

    Raises
    ------
    InputError
        On every rank, if any cannot read its share.
    """
    rows = max(1, chunk * len(array) // max(1, array.nbytes))
    pieces = [(lower, min(lower + rows, len(array))) for lower in range(0, len(array), rows)]
    labels = [f"{array.shape}{array.dtype}:{lower}:{upper}\n" for lower, upper in pieces]
    return _together(communicator, labels, lambda number: array.rows(*pieces[number]).tobytes(), array.path)


def digest_of_npy(array: npt.NDArray[Any], *, chunk: int = CHUNK) -> str:
    """Return what `digest_of_file` returns for the file that `NpyOutput` writes of an array. Not collective."""
    from ..communicator.serial import SerialCommunicator
    from ..history.formats.npy import header_of

    header = header_of(array.shape, array.dtype)
    data = np.ascontiguousarray(array).reshape(-1).view(np.uint8) if array.nbytes else np.empty(0, np.uint8)
    size, start = len(header) + data.nbytes, len(header)
    pieces = [(begin, min(begin + chunk, size)) for begin in range(0, size, chunk)]

    def read(number: int) -> bytes:
        begin, end = pieces[number]
        return header[begin:end] + data[max(0, begin - start) : max(0, end - start)].tobytes()

    return _together(SerialCommunicator(), [f".:{begin}:{end}\n" for begin, end in pieces], read, "an array")


def _together(
    communicator: Communicator, labels: list[str], read: Callable[[int], bytes | bytearray], path: str
) -> str:
    """Return the digest of pieces, of which each rank reads its share."""
    lower, upper = part(len(labels), communicator.size, communicator.rank)
    with Agreement(communicator):
        try:
            own = b"".join(_digest(read(number)) for number in range(lower, upper))
        except OSError as error:
            raise _unreadable(path, error) from error
    whole = hashlib.blake2b(digest_size=_SIZE, usedforsecurity=False)
    for label in labels:
        whole.update(label.encode("utf-8", "surrogateescape"))  # names need not be UTF-8
    for digests in communicator.allgather(own):
        whole.update(digests)
    return f"blake2b:{whole.hexdigest()}"


def digest_of_text(text: str) -> str:
    """Return the digest of a text."""
    return f"blake2b:{hashlib.blake2b(text.encode(), digest_size=_SIZE, usedforsecurity=False).hexdigest()}"


def _pieces(path: Path, chunk: int) -> list[tuple[str, int, int]]:
    files = sorted(found for found in path.rglob("*") if found.is_file()) if path.is_dir() else [path]
    pieces: list[tuple[str, int, int]] = []
    for file in files:
        size = file.stat().st_size
        pieces.extend((str(file), begin, min(begin + chunk, size)) for begin in range(0, max(1, size), chunk))
    return pieces


def _read(name: str, begin: int, end: int) -> bytearray:
    file = os.open(name, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return disk.read(file, end - begin, begin)
    finally:
        os.close(file)


def _digest(data: bytes | bytearray) -> bytes:
    return hashlib.blake2b(data, digest_size=_SIZE, usedforsecurity=False).digest()


def _unreadable(path: str, error: OSError) -> InputError:
    return InputError(f"cannot read {path}: {error.strerror or error}. Is it where it was?")
