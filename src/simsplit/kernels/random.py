"""Counter-based random numbers that do not depend on the split.

They are counter-based: the bits for a row are a function of (seed, step, row, number of the draw), by
the Philox 4x64-10 block cipher of Salmon, Moraes, Dror and Shaw, "Parallel random numbers: as easy as
1, 2, 3", SC'11, doi:10.1145/2063384.2063405. The key is (seed, step). A draw of c numbers a row takes
ceil(c / 4) counters a row, always, since nothing is rejected: a run of rows starts at its own counter.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

_WORDS = 4  # 64-bit words that a counter gives
_UNUSED = np.uint64(11)  # bits of a word that a float64 has no room for


class RandomStream:
    """The random numbers of some rows at one step. Each call draws anew.

    Parameters
    ----------
    seed, step : int
        The key.
    lower, upper : int
        The rows.
    """

    def __init__(self, seed: int, step: int, lower: int, upper: int) -> None:
        self.step = step
        self._key = np.array([seed, step], np.uint64)
        self._rows = lower, upper
        self._draws = 0

    def words(self, count: int) -> npt.NDArray[np.uint64]:
        """Return `count` words of 64 random bits for each row, shape (m, count)."""
        lower, upper = self._rows
        counters = -(-count // _WORDS)
        start = lower * counters
        counter = np.array([start & (2**64 - 1), start >> 64, self._draws, 0], np.uint64)
        self._draws += 1
        bits: npt.NDArray[np.uint64] = np.random.Philox(key=self._key, counter=counter).random_raw(
            (upper - lower) * counters * _WORDS
        )
        return bits.reshape(upper - lower, counters * _WORDS)[:, :count]

    def uniform(self, *shape: int) -> npt.NDArray[np.float64]:
        """Return numbers from [0, 1), multiples of 2^-53, of shape (m, *shape)."""
        count = int(np.prod(shape))
        return self._shaped((self.words(count) >> _UNUSED) * 2.0**-53, shape)

    def normal(self, *shape: int) -> npt.NDArray[np.float64]:
        """Return standard normal numbers, of shape (m, *shape).

        By the transform of Box and Muller (1958), doi:10.1214/aoms/1177706645, for it takes a fixed
        number of uniform ones.
        """
        count = int(np.prod(shape))
        pairs = -(-count // 2)
        words = self.words(2 * pairs)
        whole = words[:, :pairs] >> _UNUSED
        whole += np.uint64(1)
        radius = whole * 2.0**-53
        np.log(radius, out=radius)
        radius *= -2.0
        np.sqrt(radius, out=radius)
        angle = (words[:, pairs:] >> _UNUSED) * (2.0**-53 * 2.0 * np.pi)
        if count == 1:  # as most kernels ask for: the other half is not wanted
            np.cos(angle, out=angle)
            angle *= radius
            return self._shaped(angle, shape)
        both = np.concatenate([radius * np.cos(angle), radius * np.sin(angle)], axis=1)
        return self._shaped(both[:, :count], shape)

    def _shaped(self, values: npt.NDArray[Any], shape: tuple[int, ...]) -> npt.NDArray[np.float64]:
        return np.ascontiguousarray(values).reshape(len(values), *shape)
