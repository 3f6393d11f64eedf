"""Large memory that is used again: first touch of memory new from the system costs more than what is then done with it.

What is lent lies behind an array, and is free again when the last view of that array is gone. Free memory of this
process is the system's to take (``MADV_FREE``): under pressure it does, and otherwise finds it as it was left.
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

LARGE = 32 * 2**20  # bytes; what is smaller, the C library keeps by itself
_ROOMY = 2  # a segment is used again for at least one part in so many of its bytes


class Segment:
    """Memory of this process, its own or shared, that is lent to one array at a time.

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
        """How many bytes it has."""
        return len(self._mapped)

    @property
    def is_leased(self) -> bool:
        """Whether an array on it, or a view of one, is still there in this process."""
        return self._lent is not None and self._lent() is not None

    def lease(self, nbytes: int) -> npt.NDArray[np.uint8]:
        """Return an array on its first bytes. It holds anything."""
        lent = _Lease(self._mapped, nbytes)
        given_back = self._given_back
        self._lent = weakref.ref(lent, None if given_back is None else lambda _: given_back())
        return np.asarray(lent)


class _Lease:
    """What lies behind an array, and so lives as long as any view of it."""

    def __init__(self, mapped: mmap.mmap, nbytes: int) -> None:
        self._bytes = np.frombuffer(mapped, np.uint8, nbytes)
        self.__array_interface__: dict[str, Any] = self._bytes.__array_interface__


def owns_memory(array: npt.NDArray[Any]) -> bool:
    """Return whether memory belongs to this array: whoever has a view of it refers to this array."""
    return array.flags.owndata or isinstance(array.base, _Lease)


def best_fit(segments: Iterable[Segment], nbytes: int) -> Segment | None:
    """Return the smallest segment that is free and fits, and is not far too large; None if there is none."""
    fit = [each for each in segments if not each.is_leased and nbytes <= each.nbytes <= _ROOMY * max(1, nbytes)]
    return min(fit, key=lambda each: each.nbytes, default=None)


class BufferPool:
    """Private memory, kept for the next who asks for as much. What is free and does not fit is let go of then."""

    def __init__(self) -> None:
        self._segments: list[Segment] = []
        self._lock = threading.Lock()

    def has(self, nbytes: int) -> bool:
        """Return whether memory that was used before is ready; if not, let go of what is free."""
        with self._lock:
            return self._found(nbytes) is not None

    def take(self, nbytes: int) -> tuple[npt.NDArray[np.uint8], bool]:
        """Return memory, and whether it was used before. It holds anything.

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
    """Let the system take the memory if it needs some."""
    if advice is not None:
        with suppress(OSError):
            mapped.madvise(advice)


_POOL = BufferPool()


def has_warm(shape: tuple[int, ...], dtype: np.dtype[Any]) -> bool:
    """Return whether `empty` would find memory that was used before; if not, let go of what is free."""
    nbytes = prod(shape) * dtype.itemsize
    return nbytes >= LARGE and _POOL.has(nbytes)


def pooled_empty(
    shape: tuple[int, ...], dtype: np.dtype[Any], order: Literal["C", "F"] = "C"
) -> tuple[npt.NDArray[Any], bool]:
    """Return an array as `numpy.empty` does, if it is large in memory that was used before, and whether it is.

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
