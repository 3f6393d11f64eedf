"""Checkpoints: the state between two steps, committed atomically by all ranks.

A checkpoint is one file. Every rank writes its rows, root the end, and the file gets its name when all of
it is on the disk::

    rows of rank 0 of those who wrote it, then zeros up to a multiple of PAGE bytes
    rows of rank 1, …
    JSON: position, facts, shape, dtype, who wrote which rows where, and the checksum of every CHUNK bytes
    trailer: length of the JSON (8 bytes, little-endian), digest of length and JSON (32), magic (24)

Each byte is under a checksum or compared, and any number of ranks can read their rows: a rank
checks the chunks that it reads. No page belongs to two ranks, which network file systems do not forgive.
"""

from __future__ import annotations

import hashlib
import json
import os
import threading
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from ..communicator import Agreement
from ..util import durable as disk
from ..util.dtypes import as_json, from_json
from ..util.memory_limits import require_memory

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    import numpy.typing as npt

    from ..communicator import Communicator

    Array = npt.NDArray[Any]

PAGE = 4096
CHUNK = 8 * 2**20  # bytes under one checksum, a multiple of PAGE
KEPT = 2
_TEMPORARY = ".checkpoint.tmp"
_DIGEST = 32
_MAGIC = b"simsplit checkpoint 1\r\n\0"
_TRAILER = 8 + _DIGEST + len(_MAGIC)
_INSTEAD = "Make room or mend the disk; what was written before is intact"


class CorruptCheckpointError(Exception):
    """A checkpoint that cannot be used: incomplete, changed, or not one at all."""


@dataclass(frozen=True, slots=True)
class StateLayout:
    """Where the rows of an array lie in a checkpoint.

    Parameters
    ----------
    shape : tuple of int
        Of the array; axis 0 is split.
    dtype : numpy.dtype
    bounds : list of (int, int)
        The rows ``[lower, upper)`` of each rank that writes.
    chunk : int
        Bytes under one checksum.
    """

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    bounds: Sequence[tuple[int, int]]
    chunk: int = CHUNK

    @property
    def row_nbytes(self) -> int:
        """Bytes of a row."""
        return prod(self.shape[1:]) * self.dtype.itemsize

    def nbytes(self, part: int) -> int:
        """Return the bytes of a part, the zeros behind it included."""
        lower, upper = self.bounds[part]
        return -(-(upper - lower) * self.row_nbytes // PAGE) * PAGE

    def offsets(self) -> list[int]:
        """Return the offset of each part, and the end of the last one."""
        ends = [0]
        for part in range(len(self.bounds)):
            ends.append(ends[-1] + self.nbytes(part))
        return ends

    def chunks(self, part: int) -> list[tuple[int, int]]:
        """Return the chunks of a part: ``[begin, end)`` in bytes from its beginning."""
        nbytes = self.nbytes(part)
        return [(begin, min(begin + self.chunk, nbytes)) for begin in range(0, nbytes, self.chunk)]


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """A checkpoint that was found intact.

    Attributes
    ----------
    path : Path
    position : int
        The step to be computed next; all before it are in the history.
    facts : dict
        What was said about the run when it was written.
    state : ndarray, shape (m, ...), or None
        This rank's rows; None if the kernel needs none.
    passed_over : list of str
        Newer ones that could not be used, and why.
    """

    path: Path
    position: int
    facts: dict[str, Any]
    state: Array | None = field(repr=False)
    skipped: list[str] = field(default_factory=list)


class Checkpoints:
    """The checkpoints in a folder. All methods are collective.

    Parameters
    ----------
    communicator : Communicator
    folder : Path
        Made if it is not there.
    chunk : int
        Bytes under one checksum, a multiple of `PAGE`.
    """

    def __init__(self, communicator: Communicator, folder: Path, *, chunk: int = CHUNK) -> None:
        self._communicator = communicator
        self._folder = folder
        self._chunk = chunk
        self._pruning: threading.Thread | None = None

    @contextmanager
    def settled(self) -> Iterator[None]:
        """Return a context that is left when no more than the last two are left."""
        try:
            yield
        finally:
            self.join_pruning()

    def join_pruning(self) -> None:
        """Wait until no more than the last two are left. Not collective."""
        if self._pruning is not None:
            self._pruning.join()
            self._pruning = None

    def write(
        self,
        position: int,
        state: Array | None,
        layout: tuple[tuple[int, ...], np.dtype[Any], Sequence[tuple[int, int]]] | None,
        facts: dict[str, Any],
    ) -> Path:
        """Commit the state before step `position`, and remove all but the last two checkpoints.

        Parameters
        ----------
        position : int
        state : ndarray, shape (m, ...), C-contiguous, or None
            This rank's rows, if there is a state.
        layout : (shape, dtype, bounds) or None
            Of the whole state, and who has which rows.
        facts : dict
            Said again when it is read; of what JSON knows.

        Raises
        ------
        OutputError
            On every rank, if any could not write; older checkpoints are untouched.
        """
        self.join_pruning()
        root = self._communicator.rank == 0
        agreement = Agreement(self._communicator)
        parts = (
            StateLayout(*layout, self._chunk)
            if layout is not None
            else StateLayout((0,), np.dtype("u1"), [], self._chunk)
        )
        name = self._folder / f"step-{position:015d}.checkpoint"
        temporary = self._folder / _TEMPORARY
        what = f"the checkpoint {name}"
        try:
            with agreement, disk.as_output_error(what, f"{_INSTEAD}."):
                if root:
                    self._folder.mkdir(exist_ok=True)
                    # A rank of a run that was killed may still be writing: never into the same file.
                    disk.remove(temporary)
                    os.close(disk.create(temporary))
            with agreement, disk.as_output_error(what, f"{_INSTEAD}."):
                digests = b""
                if state is not None:
                    digests = _write_part(temporary, parts, self._communicator.rank, state)
            everyone = self._communicator.allgather(digests)
            with agreement, disk.as_output_error(what, f"{_INSTEAD}."):
                if root:
                    _write_end(temporary, parts, position, facts, b"".join(everyone))
                    disk.rename(temporary, name)
                    disk.fsync_dir(self._folder)
                    # To give back the room of a large file takes a while, for which nobody need wait.
                    self._pruning = threading.Thread(target=self._prune, args=(name,))
                    self._pruning.start()
        except BaseException:
            if root:
                with suppress(OSError):
                    disk.remove(temporary)
            raise
        return name

    def latest(self, span: tuple[int, int]) -> Checkpoint | None:
        """Return the newest checkpoint that is intact on all ranks, with this rank's rows, or None.

        Parameters
        ----------
        span : (int, int)
            Which rows this rank is to have; together the ranks have all.

        Raises
        ------
        InputError
            If the rows do not fit in the memory of a rank.
        """
        self.join_pruning()
        names: list[str] | None = None
        if self._communicator.rank == 0:
            with suppress(OSError):  # of a run that was killed: it costs room only
                disk.remove(self._folder / _TEMPORARY)
            names = [path.name for path in _newest_first(self._folder)]
        skipped: list[str] = []
        for name in self._communicator.bcast(names):
            path = self._folder / name
            found: Checkpoint | None = None
            wrong: str | None = None
            with Agreement(self._communicator):
                try:
                    found = read(path, span)
                except (CorruptCheckpointError, OSError) as error:
                    wrong = (isinstance(error, OSError) and error.strerror) or str(error)
            reasons = [reason for reason in self._communicator.allgather(wrong) if reason is not None]
            if found is not None and not reasons:
                found.skipped.extend(skipped)
                return found
            skipped.append(f"the checkpoint {name} is passed over: {reasons[0]}")
        return None

    def _prune(self, newest: Path) -> None:
        """Remove old checkpoints. A failure costs only space; it is tried again the next time."""
        for old in _newest_first(self._folder)[KEPT:]:
            if old != newest:
                with suppress(OSError):
                    disk.remove(old)


def _newest_first(folder: Path) -> list[Path]:
    return sorted(folder.glob("step-*.checkpoint"), reverse=True)


def _checksum(data: Any) -> bytes:
    """Return the checksum of whole pages: a digest of the sum of each page, and of the words in each place of a page.

    A change inside one page changes the sum of a place, whatever it is, and so does one of up to three words anywhere;
    a page that is lost or stale would have to have the same sum, modulo 2^64, in all places. It takes a tenth of the
    time of a digest of all bytes, which would take longer than the disk.
    """
    words = np.frombuffer(data, "<u8").reshape(-1, PAGE // 8)
    sums = np.concatenate([words.sum(axis=1, dtype="<u8"), words.sum(axis=0, dtype="<u8")])
    return _digest(sums.data)


def _digest(data: Any) -> bytes:
    return hashlib.blake2b(data, digest_size=_DIGEST, usedforsecurity=False).digest()


def _write_part(path: Path, layout: StateLayout, part: int, state: Array) -> bytes:
    """Write this rank's rows, make them durable, and return the checksums of the chunks, summed up meanwhile."""
    from concurrent.futures import ThreadPoolExecutor

    data = state.reshape(-1).view(np.uint8).data if state.nbytes else memoryview(b"")
    begin_of_part, nbytes = layout.offsets()[part], layout.nbytes(part)
    whole = len(data) // PAGE * PAGE
    last = bytes(data[whole:]).ljust(nbytes - whole, b"\0")
    file = disk.open_existing(path)
    try:
        disk.write(file, data[:whole], begin_of_part)
        disk.write(file, last, begin_of_part + whole)
        with ThreadPoolExecutor(1) as beside:  # to wait for the disk leaves the processor idle
            durable = beside.submit(disk.fsync, file)
            sums = [
                _checksum(data[begin:end]) if end <= whole else _checksum(bytes(data[begin:whole]) + last)
                for begin, end in layout.chunks(part)
            ]
            durable.result()
    finally:
        os.close(file)
    return b"".join(sums)


def _write_end(path: Path, layout: StateLayout, position: int, facts: dict[str, Any], digests: bytes) -> None:
    end = {
        "position": position,
        "facts": facts,
        "shape": layout.shape,
        "dtype": as_json(layout.dtype),
        "bounds": layout.bounds,
        "chunk": layout.chunk,
        "checksums": digests.hex(),
    }
    text = json.dumps(end).encode()
    length = len(text).to_bytes(8, "little")
    file = disk.open_existing(path)
    try:
        disk.write(file, text + length + _digest(length + text) + _MAGIC, layout.offsets()[-1])
        disk.fsync(file)
    finally:
        os.close(file)


def read(path: Path, span: tuple[int, int]) -> Checkpoint:
    """Return a checkpoint with the rows ``[lower, upper)`` of `span`, after checking all that was read.

    Not collective: only together have all ranks checked all of the file.

    Raises
    ------
    CorruptCheckpointError
        If it is not intact.
    OSError
        If it cannot be read.
    """
    file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        layout, end = _read_end(file)
        state = None
        if layout.bounds:
            state = _read_rows(file, layout, bytes.fromhex(end["checksums"]), *span)
    finally:
        os.close(file)
    return Checkpoint(path, end["position"], end["facts"], state)


def _read_end(file: int) -> tuple[StateLayout, dict[str, Any]]:
    size = os.fstat(file).st_size
    trailer = bytes(disk.read(file, _TRAILER, max(0, size - _TRAILER)))
    if len(trailer) < _TRAILER or not trailer.endswith(_MAGIC):
        raise CorruptCheckpointError("it is incomplete")
    length = int.from_bytes(trailer[:8], "little")
    if length > size - _TRAILER:
        raise CorruptCheckpointError("it is damaged at its end")
    text = bytes(disk.read(file, length, size - _TRAILER - length))
    if _digest(trailer[:8] + text) != trailer[8 : 8 + _DIGEST]:
        raise CorruptCheckpointError("it is damaged at its end")
    end: dict[str, Any] = json.loads(text)
    layout = StateLayout(
        tuple(end["shape"]), from_json(end["dtype"]), [(lower, upper) for lower, upper in end["bounds"]], end["chunk"]
    )
    if layout.offsets()[-1] + length + _TRAILER != size:
        raise CorruptCheckpointError("it has not the length that it was written with")
    return layout, end


def _read_rows(file: int, layout: StateLayout, digests: bytes, lower: int, upper: int) -> Array:
    """Return rows ``[lower, upper)`` after checking the checksums of their chunks."""
    if upper > layout.shape[0]:
        raise CorruptCheckpointError(f"it has {layout.shape[0]} rows only")
    shape = (upper - lower, *layout.shape[1:])
    require_memory(
        prod(shape) * layout.dtype.itemsize, "the state in a checkpoint", "Use more nodes, or fewer ranks on each."
    )
    state = np.empty(shape, layout.dtype)
    target = state.reshape(-1).view(np.uint8).data if state.nbytes else memoryview(bytearray())
    row = layout.row_nbytes
    number = 0  # of the first chunk of a part
    for part, (offset, (first, last)) in enumerate(zip(layout.offsets(), layout.bounds, strict=False)):
        # In bytes from the beginning of the part: what is wanted of it.
        wanted = (max(lower, first) - first) * row, (min(upper, last) - first) * row
        chunks = layout.chunks(part)
        shift = (first - lower) * row  # from there to the place in `target`
        begun, ended = wanted[0] // layout.chunk, -(-wanted[1] // layout.chunk)
        for each in range(begun, ended) if wanted[0] < wanted[1] else ():
            begin, end = chunks[each]
            data = disk.read(file, end - begin, offset + begin)
            place = (number + each) * _DIGEST
            if _checksum(data) != digests[place : place + _DIGEST]:
                raise CorruptCheckpointError(f"it is damaged between byte {offset + begin} and {offset + end}")
            own = slice(max(begin, wanted[0]), min(end, wanted[1]))
            target[own.start + shift : own.stop + shift] = memoryview(data)[own.start - begin : own.stop - begin]
        number += len(chunks)
    return state
