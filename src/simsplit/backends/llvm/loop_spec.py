"""The specification of a compiled loop: the graph of a kernel and the memory layout of its values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import numpy as np

    from ...kernels.tracing import Node, Trace

VECTOR = 64  # bytes, of a cache line and of the widest vectors
BLOCK = 16 * 2**10  # bytes of a block: it stays in the first-level cache from step to step


@dataclass(frozen=True)
class LoopSpec:
    """What is to be compiled.

    Attributes
    ----------
    kind : {"map", "step"}
        Whether each step starts from `x`, or from the step before.
    trace : Trace
        What the numbers and parameters are.
    results : tuple of Node
        The value of each component.
    dtype : numpy.dtype
        Of `x`.
    nested : bool
        Whether there are several items to a row, and some values go with rows: a loop within a loop.
    by_row : tuple of bool
        Of each parameter, whether it has one value for all items of a row. Without `nested` none has.
    """

    kind: Literal["map", "step"]
    trace: Trace
    results: tuple[Node, ...]
    dtype: np.dtype[Any]
    nested: bool
    by_row: tuple[bool, ...]

    @property
    def components(self) -> int:
        """The number of values of an item."""
        return len(self.results)

    @property
    def block(self) -> int:
        """The number of items in a block."""
        size = max(self.dtype.itemsize, self.results[0].dtype.itemsize) * self.components
        return max(VECTOR, BLOCK // size // VECTOR * VECTOR)

    @property
    def width(self) -> int:
        """The number of items in a vector."""
        widest, todo = 1, list(self.results)
        while todo:
            node = todo.pop()
            widest = max(widest, node.dtype.itemsize)
            todo.extend(node.operands)
        return VECTOR // widest
