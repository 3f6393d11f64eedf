"""What pictures read: a history in a file or in memory, and one component of its values as real numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable

    import numpy.typing as npt

    Array = npt.NDArray[Any]


class History(Protocol):
    """What is drawn: a history in a file, or one in memory."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Its shape."""

    @property
    def dtype(self) -> np.dtype[Any]:
        """Its dtype."""

    def pieces(self, steps: int) -> Iterable[tuple[slice, slice]]:
        """Return the runs of steps and rows in which its first steps are best read."""

    def block(self, steps: slice, within: slice) -> Array:
        """Return a part of it."""


class InMemory(NamedTuple):
    """A history in memory."""

    array: Array

    @property
    def shape(self) -> tuple[int, ...]:
        """Its shape."""
        return self.array.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        """Its dtype."""
        return self.array.dtype

    def pieces(self, steps: int) -> list[tuple[slice, slice]]:
        """Return the one piece that it is."""
        return [(slice(0, steps), slice(0, self.shape[1]))]

    def block(self, steps: slice, within: slice) -> Array:
        """Return a part of it."""
        return self.array[steps, within]


def component_of(values: Array, axes: int, component: int) -> Array:
    """Return one component, counted in C order over all axes but the first ones; of complex ones the absolute values.

    >>> component_of(np.array([[3 + 4j, 1], [0, 2j]]), 1, 0)
    array([5., 0.])
    """
    found: Array = values.reshape(*values.shape[:axes], -1)[..., component]
    return np.abs(found) if np.iscomplexobj(found) else found
