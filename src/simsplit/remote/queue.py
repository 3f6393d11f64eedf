"""The requests that came and that nobody has begun."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .endpoint import Arrived


class Queue:
    """Requests that nobody has begun: of one depth in order, the deepest first, for others wait for them."""

    def __init__(self, deepest: int) -> None:
        self._deepest = deepest
        self._by_depth: dict[int, deque[Arrived]] = {}

    def __bool__(self) -> bool:
        for requests in list(self._by_depth.values()):  # noqa: SIM110, any() takes longer, and this is asked often
            if requests:
                return True
        return False

    def push(self, arrived: Arrived) -> None:
        """Put a request at the end."""
        depth = min(max(1, arrived.head.depth), self._deepest)
        self._by_depth.setdefault(depth, deque()).append(arrived)

    def pop(self, floor: int = -1) -> Arrived | None:
        """Return the next request that is deeper than `floor`, if there is one."""
        depths = list(self._by_depth)
        if len(depths) > 1:
            depths.sort(reverse=True)
        for depth in depths:
            if depth <= floor:
                break
            try:
                return self._by_depth[depth].popleft()
            except IndexError:  # empty, or another thread was faster
                continue
        return None

    def take(self, source: int, correlation: int) -> Arrived | None:
        """Return a certain request, if it is there."""
        for requests in list(self._by_depth.values()):
            for arrived in list(requests):
                if arrived.head.source == source and arrived.head.correlation == correlation:
                    try:
                        requests.remove(arrived)
                    except ValueError:  # another thread was faster
                        return None
                    return arrived
        return None
