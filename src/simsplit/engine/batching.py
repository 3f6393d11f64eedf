"""The size of a batch: how many steps the ranks compute between two agreements.

To agree, to deliver and to call the observers costs the same for one step of a few rows as for a thousand. So
the size doubles while all ranks are quick, and halves when one is slow. What each rank found travels as two
flags in the message that agrees on errors, so that all ranks come to the same size.
"""

from __future__ import annotations

from time import perf_counter
from typing import TYPE_CHECKING

from ..communicator.flags import BUSY, SLOW

if TYPE_CHECKING:
    from collections.abc import Callable

QUICK_BELOW = 0.05  # seconds of a batch
SLOW_ABOVE = 0.2  # seconds of a batch: errors and requests to stop are known that late


class StepBatcher:
    """The number of steps in the next batch.

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

    def vote(self) -> int:
        """Return the flags of this rank at the end of a batch."""
        seconds = self._clock() - self._begun
        return (BUSY if seconds >= QUICK_BELOW else 0) | (SLOW if seconds > SLOW_ABOVE else 0)

    def adapt(self, flags: int) -> None:
        """Take the flags of all ranks, and begin the next batch."""
        if flags & SLOW:
            self.steps = max(self._least, self.steps // 2)
        elif not flags & BUSY:
            self.steps = min(2 * self.steps, self._most)
        self._begun = self._clock()
