"""Durable file operations. Each system call is its own function so that tests can make it fail.

A file is written under a temporary name, synced, and then renamed; then its folder is synced. These calls raise
`OSError`; `as_output_error` turns it into an error for the user.
"""

from __future__ import annotations

import errno
import os
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from ..errors import OutputError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# Bytes. Linux writes less than 2 GiB in one call; beyond it some MPI libraries fail, and one says that all is well
# and writes nothing.
MAX_IO_NBYTES = 2**30


def create(path: Path) -> int:
    """Create a file, which must not be there, and return its descriptor."""
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)


def open_existing(path: str | os.PathLike[str]) -> int:
    """Open a file for reading and writing, and return its descriptor."""
    return os.open(path, os.O_RDWR | os.O_CLOEXEC)


def write(file: int, data: memoryview | bytes, offset: int) -> None:
    """Write all of `data` at `offset`."""
    left = memoryview(data).cast("B")
    while left.nbytes:
        written = os.pwrite(file, left[:MAX_IO_NBYTES], offset)
        if not written:
            raise OSError(errno.EIO, "nothing was written")
        left, offset = left[written:], offset + written


def fsync(file: int) -> None:
    """Make a file's content durable."""
    os.fsync(file)


def rename(path: Path, name: Path) -> None:
    """Give a file its name, in one step; one that has it already is replaced."""
    path.replace(name)


def fsync_dir(path: Path) -> None:
    """Make the names in a folder durable."""
    folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def free_bytes(path: str | os.PathLike[str]) -> int:
    """Return the bytes that are left on the disk that a folder is on, or would be on if it were made."""
    folder = os.path.abspath(path)  # noqa: PTH100, pathlib is not worth loading for this
    while not os.path.exists(folder):  # noqa: PTH110, the same
        folder = os.path.dirname(folder)  # noqa: PTH120, the same
    found = os.statvfs(folder)
    return found.f_bavail * found.f_frsize


def within(path: Path, place: Path) -> bool:
    """Return whether a path is a place, or lies in it or passes through it, by whatever spelling or link."""
    try:
        spellings = (path.absolute(), path.resolve())
        return any(_same(each, place) for found in spellings for each in (found, *found.parents))
    except (OSError, RuntimeError, ValueError):  # it is no path at all
        return False


def _same(one: Path, other: Path) -> bool:
    try:
        return one.samefile(other)
    except OSError:
        return False


def remove(path: Path) -> None:
    """Remove a file if it is there."""
    path.unlink(missing_ok=True)


@contextmanager
def atomic_write(path: Path, temporary: Path) -> Iterator[int]:
    """Give the descriptor of a file to write, which appears whole or not at all, in place of one that may be there.

    Parameters
    ----------
    path : Path
        The name that it gets at the end of the block, once it is durable.
    temporary : Path
        Its name until then, in the same folder; not there yet. Whatever goes wrong, nothing is left of it.
    """
    file = create(temporary)
    try:
        try:
            yield file
            fsync(file)
        finally:
            os.close(file)
        rename(temporary, path)
    except BaseException:
        with suppress(OSError):
            remove(temporary)
        raise
    fsync_dir(path.parent)


def atomic_write_bytes(path: Path, data: bytes) -> None:
    """Write a small file, which appears whole or not at all, in place of one that may be there."""
    temporary = path.with_name(f".{path.name}.tmp")
    remove(temporary)  # of a program that was killed
    with atomic_write(path, temporary) as file:
        write(file, data, 0)


def read(file: int, nbytes: int, offset: int) -> bytearray:
    """Read `nbytes` at `offset`; fewer if the file ends before."""
    data = bytearray(nbytes)
    view, done = memoryview(data), 0
    while done < nbytes:
        got = os.preadv(file, [view[done : done + MAX_IO_NBYTES]], offset + done)
        if not got:
            break
        done += got
    view.release()
    del data[done:]
    return data


@contextmanager
def as_output_error(what: str, instead: str) -> Iterator[None]:
    """Raise an `OutputError` for what the system refuses: ``cannot write {what}: reason. {instead}``."""
    try:
        yield
    except OSError as error:
        raise OutputError(f"cannot write {what}: {error.strerror or error}. {instead}") from error


def remove_tree(path: Path) -> None:
    """Remove a file, or a folder with all that is in it, if it is there."""
    if path.is_dir() and not path.is_symlink():
        import shutil

        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
