"""How many steps go between two agreements of the ranks: as many as take a moment.

Agreeing, delivering and asking the watcher cost the same for one step of a few rows as for a thousand. So
their number doubles while all ranks are quick, and halves when one is slow. What each rank found travels as
two bits in the message that agrees on errors, and so all come to the same number.
"""

from __future__ import annotations

from time import perf_counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

QUICK = 0.05  # seconds: less than this for a stretch of steps is quick
SLOW = 0.2  # and more than this is slow: errors and stops are known that late
BITS = 2
_BUSY, _SLOW = 1, 2


class Pace:
    """The number of steps in the next stretch.

    Parameters
    ----------
    least, most : int
        Bounds of it.
    clock : callable
        Returns seconds.

    Attributes
    ----------
    steps : int
    """

    def __init__(self, least: int, most: int, clock: Callable[[], float] = perf_counter) -> None:
        self._least, self._most = least, max(least, most)
        self._clock = clock
        self._begun = clock()
        self.steps = least

    def opinion(self) -> int:
        """Return the bits of this rank at the end of a stretch, less than ``2**BITS``."""
        seconds = self._clock() - self._begun
        return (_BUSY if seconds >= QUICK else 0) | (_SLOW if seconds > SLOW else 0)

    def adapt(self, opinions: int) -> None:
        """Take the opinions of all ranks, and begin the next stretch."""
        if opinions & _SLOW:
            self.steps = max(self._least, self.steps // 2)
        elif not opinions & _BUSY:
            self.steps = min(2 * self.steps, self._most)
        self._begun = self._clock()
