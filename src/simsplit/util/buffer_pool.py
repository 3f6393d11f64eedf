"""A pool of large buffers. Page-faulting fresh memory costs more than the computation that fills it.

A buffer is leased to one array, and becomes free when the last view of that array is gone. The system may reclaim
free buffers under memory pressure (``MADV_FREE``); otherwise their pages stay mapped.
"""

from __future__ import annotations

import mmap
import threading
import weakref
from contextlib import suppress
from functools import partial
from math import prod
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    import numpy.typing as npt

LARGE = 32 * 2**20  # bytes; the C library itself keeps smaller blocks
_ROOMY = 2  # a segment is reused for requests of at least half its size


class Segment:
    """Memory of this process, private or shared, that is leased to one array at a time.

    Parameters
    ----------
    mapped : mmap.mmap
    given_back : callable, optional
        Called without arguments when the array and all its views are gone.
    """

    def __init__(self, mapped: mmap.mmap, given_back: Callable[[], object] | None = None) -> None:
        self._mapped = mapped
        self._given_back = given_back
        self._lent: weakref.ref[_Lease] | None = None

    @property
    def nbytes(self) -> int:
        """Size in bytes."""
        return len(self._mapped)

    @property
    def is_leased(self) -> bool:
        """Whether an array on it, or a view of one, still exists in this process."""
        return self._lent is not None and self._lent() is not None

    def lease(self, nbytes: int) -> npt.NDArray[np.uint8]:
        """Return an array on the first bytes. Its content is arbitrary."""
        lent = _Lease(self._mapped, nbytes)
        given_back = self._given_back
        self._lent = weakref.ref(lent, None if given_back is None else lambda _: given_back())
        return np.asarray(lent)


class _Lease:
    """The base object of a leased array. It lives as long as any view of the array."""

    def __init__(self, mapped: mmap.mmap, nbytes: int) -> None:
        self._bytes = np.frombuffer(mapped, np.uint8, nbytes)
        self.__array_interface__: dict[str, Any] = self._bytes.__array_interface__


def owns_memory(array: npt.NDArray[Any]) -> bool:
    """Return whether the array owns its memory, so that every view of the memory refers to it."""
    return array.flags.owndata or isinstance(array.base, _Lease)


def best_fit(segments: Iterable[Segment], nbytes: int) -> Segment | None:
    """Return the smallest free segment that fits and is not far too large, or None."""
    fit = [each for each in segments if not each.is_leased and nbytes <= each.nbytes <= _ROOMY * max(1, nbytes)]
    return min(fit, key=lambda each: each.nbytes, default=None)


class BufferPool:
    """A pool of private memory. A request that no free segment fits releases all free segments."""

    def __init__(self) -> None:
        self._segments: list[Segment] = []
        self._lock = threading.Lock()

    def has(self, nbytes: int) -> bool:
        """Return whether warm memory of this size is free; if not, release all free segments."""
        with self._lock:
            return self._found(nbytes) is not None

    def take(self, nbytes: int) -> tuple[npt.NDArray[np.uint8], bool]:
        """Return memory of arbitrary content, and whether it was used before.

        Raises
        ------
        MemoryError
            If the system has none.
        """
        with self._lock:
            segment = self._found(nbytes)
            warm = segment is not None
            if segment is None:
                segment = _private(nbytes)
                self._segments.append(segment)
            return segment.lease(nbytes), warm

    def _found(self, nbytes: int) -> Segment | None:
        segment = best_fit(self._segments, nbytes)
        if segment is None:
            self._segments = [each for each in self._segments if each.is_leased]
        return segment


def _private(nbytes: int) -> Segment:
    try:
        mapped = mmap.mmap(-1, nbytes, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    except OSError as error:
        raise MemoryError(f"cannot take {nbytes:,} bytes: {error.strerror}") from None
    with suppress(OSError, AttributeError):  # as NumPy does for arrays of its own
        mapped.madvise(mmap.MADV_HUGEPAGE)
    return Segment(mapped, partial(_offer, mapped, getattr(mmap, "MADV_FREE", None)))


def _offer(mapped: mmap.mmap, advice: int | None) -> None:
    """Allow the system to reclaim the memory."""
    if advice is not None:
        with suppress(OSError):
            mapped.madvise(advice)


_POOL = BufferPool()


def has_warm(shape: tuple[int, ...], dtype: np.dtype[Any]) -> bool:
    """Return whether `pooled_empty` would find warm memory; if not, release all free segments."""
    nbytes = prod(shape) * dtype.itemsize
    return nbytes >= LARGE and _POOL.has(nbytes)


def pooled_empty(
    shape: tuple[int, ...], dtype: np.dtype[Any], order: Literal["C", "F"] = "C"
) -> tuple[npt.NDArray[Any], bool]:
    """Return an empty array, in warm memory if it is large and there is some, and whether it is warm.

    Raises
    ------
    MemoryError
        If there is not enough memory.
    """
    nbytes = prod(shape) * dtype.itemsize
    if nbytes < LARGE:
        return np.empty(shape, dtype, order), False
    memory, warm = _POOL.take(nbytes)
    return np.ndarray(shape, dtype, memory, order=order), warm
