"""Shared-memory segments of a node. They leave nothing behind, even after a kill.

A segment is a file without a name (``memfd_create``), which the rank that makes it keeps open until the
others have opened it through ``/proc``. So it does not depend on how large /dev/shm is, there is nothing to
remove after a kill, and no rank must wait for another to give it back: the system frees it with the last
mapping. Where ranks do not see each other's processes (containers with process numbers of their own) it
cannot be opened, and the caller goes another way.
"""

from __future__ import annotations

import mmap
import os

from ..util.buffer_pool import Segment


class SegmentOwner:
    """A new segment that other processes may open. To be closed when they have.

    Parameters
    ----------
    nbytes : int

    Raises
    ------
    OSError
        If the system does not give it.

    Attributes
    ----------
    address : tuple
        What `accept` is told in the other processes.
    """

    def __init__(self, nbytes: int) -> None:
        if not hasattr(os, "memfd_create"):
            raise OSError("this system has no memory files")
        self._file = os.memfd_create("simsplit", os.MFD_CLOEXEC)
        try:
            os.ftruncate(self._file, max(1, nbytes))
            self.segment = Segment(mmap.mmap(self._file, 0))
            found = os.fstat(self._file)
        except BaseException:
            self.close()
            raise
        self.address = (f"/proc/{os.getpid()}/fd/{self._file}", found.st_dev, found.st_ino)

    def close(self) -> None:
        """Let nobody open it any more."""
        os.close(self._file)


def attach(address: tuple[str, int, int]) -> Segment:
    """Return the segment that another process offers.

    Raises
    ------
    OSError
        If it cannot be opened, or is not the one that is meant.
    """
    path, device, number = address
    found = os.stat(path)  # noqa: PTH116, before it is opened: with other process numbers it may be anything
    if (found.st_dev, found.st_ino) != (device, number):
        raise OSError(f"{path} is another file here")
    file = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    try:
        return Segment(mmap.mmap(file, 0))
    finally:
        os.close(file)
