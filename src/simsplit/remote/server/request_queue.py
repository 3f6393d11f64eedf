"""The queue of requests that have not begun."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..wire.frame import IncomingFrame


class RequestQueue:
    """Requests that nobody has begun: of one depth in order, the deepest first, for others wait for them.

    Parameters
    ----------
    deepest : int
        Requests that are deeper are put with those of this depth.

    Attributes
    ----------
    plain : deque of IncomingFrame
        Those of depth 1: calls that are made within no other, as most are.
    nested : dict of int to deque of IncomingFrame
        The others, by depth.
    """

    def __init__(self, deepest: int) -> None:
        self._deepest = deepest
        self.plain: deque[IncomingFrame] = deque()
        self.nested: dict[int, deque[IncomingFrame]] = {}

    def __bool__(self) -> bool:
        return bool(self.plain) or (bool(self.nested) and any(self.nested.values()))

    def push(self, arrived: IncomingFrame) -> None:
        """Put a request at the end."""
        depth = arrived.depth
        if depth <= 1:
            self.plain.append(arrived)
        else:
            self.nested.setdefault(min(depth, self._deepest), deque()).append(arrived)

    def pop(self, floor: int = 0) -> IncomingFrame | None:
        """Return the next request that is deeper than `floor`, if there is one."""
        if self.nested:
            for depth in sorted(self.nested, reverse=True):
                if depth <= floor:
                    break
                try:
                    return self.nested[depth].popleft()
                except IndexError:  # empty, or another thread was faster
                    continue
        if floor < 1:
            try:
                return self.plain.popleft()
            except IndexError:
                pass
        return None

    def take(self, source: int, correlation: int) -> IncomingFrame | None:
        """Return a certain request, if it is there."""
        for requests in (self.plain, *list(self.nested.values())):
            for arrived in list(requests):
                if arrived.source == source and arrived.correlation == correlation:
                    try:
                        requests.remove(arrived)
                    except ValueError:  # another thread was faster
                        return None
                    return arrived
        return None
