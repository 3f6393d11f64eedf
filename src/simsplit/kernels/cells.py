"""Values of the cells of a grid together with those around them, for kernels that read neighbours.

`Cells` is what a stencil sees as ``x``: ``x[-1, 0]`` are the values one row above, a view and no copy. Arithmetic of
cells gives cells, with the margins that all operands have, so that a neighbour can be taken of a result, too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin

from ..errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    Array = npt.NDArray[Any]

Reach = tuple[tuple[int, int], ...]  # of each axis of the grid: how many cells are read before a cell, and after it
Margins = tuple[tuple[int, int] | None, ...]  # the same; None along an axis where the values are all alike

_ALL = slice(None)
_MOST = 64  # cells: a reach beyond it is not looked for


class TooFarError(Exception):
    """A cell is read that is not there."""

    def __init__(self, axis: int, offset: int) -> None:
        super().__init__(f"a cell {abs(offset)} {'before' if offset < 0 else 'after'} along axis {axis} is read")


class Probe:
    """Notes which cells are read of an array that has `margin` cells around its middle.

    If it is `strict`, values that have no neighbours, such as random numbers, have none in the trial, either.
    """

    def __init__(self, axes: int, margin: int, *, strict: bool = False) -> None:
        self.margin = margin
        self.strict = strict
        self._reach = [[0, 0] for _ in range(axes)]

    def note(self, margins: Margins) -> None:
        """Note what was left of the margins where a result was taken."""
        for sides, left in zip(self._reach, margins, strict=True):
            if left is not None:
                sides[:] = (max(sides[0], self.margin - left[0]), max(sides[1], self.margin - left[1]))

    @property
    def reach(self) -> Reach:
        """How far was read."""
        return tuple((low, high) for low, high in self._reach)


class Workspace:
    """Memory for values on the way, used again and again: fresh memory costs more than what is computed into it.

    Attributes
    ----------
    tape : Tape or None
        Is told of every operation on arrays.
    """

    def __init__(self) -> None:
        self.tape: Any = None  # what notes the operations, if they are to be done again
        self._free: dict[tuple[tuple[int, ...], np.dtype[Any]], list[Array]] = {}

    def take(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
        """Return an array that holds anything."""
        free = self._free.get((shape, dtype))
        return free.pop() if free else np.empty(shape, dtype)

    def give(self, array: Array) -> None:
        """Take back an array that `take` returned."""
        self._free.setdefault((array.shape, array.dtype), []).append(array)


class Cells(NDArrayOperatorsMixin):
    """Values of cells, with some around them on each side.

    ``cells[i, j]`` are the values of the cells `i` rows and `j` columns on, an array like that of the result; indices
    that are left out are 0. ``cells["name"]`` are the cells of a field. In arithmetic with arrays, and for functions
    that are no ufuncs, cells stand for the values of the cells themselves.

    Parameters
    ----------
    array : ndarray, shape (lo + m + hi, ...)
        With the margins.
    margins : tuple of (int, int) or None
        For each axis of the grid: how many cells lie before the middle, and after it; None if the values are the same
        all along it, in an axis of length 1.
    spacing : tuple of float
        Between cells along each axis.
    probe : Probe, optional
        Notes what is read.
    workspace : Workspace, optional
        Where memory for results comes from.
    memory : ndarray, optional
        What the values lie in if nobody else uses it, and it came from the workspace.
    """

    __slots__ = ("array", "margins", "memory", "probe", "spacing", "workspace")

    def __init__(
        self,
        array: Array,
        margins: Margins,
        spacing: tuple[float, ...],
        probe: Probe | None = None,
        workspace: Workspace | None = None,
        memory: Array | None = None,
    ) -> None:
        self.array = array
        self.margins = margins
        self.spacing = spacing
        self.probe = probe
        self.workspace = workspace
        self.memory = memory

    def like(self, array: Array, margins: Margins, *, memory: Array | None = None) -> Cells:
        """Return other values of cells of the same grid."""
        return Cells(array, margins, self.spacing, self.probe, self.workspace, memory)

    def borrowed(self) -> Cells:
        """Return the same cells, as somebody else's."""
        return self.like(self.array, self.margins)

    def room(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
        """Return memory for a result."""
        return np.empty(shape, dtype) if self.workspace is None else self.workspace.take(shape, dtype)

    def note(self, function: Any, arrays: list[Any], out: Array | None) -> None:
        """Note an operation on arrays, if operations are noted."""
        if self.workspace is not None and self.workspace.tape is not None:
            self.workspace.tape.note(function, arrays, out)

    def free(self) -> None:
        """Let others use the memory, if it is free with these values."""
        if self.memory is not None and self.workspace is not None:
            self.workspace.give(self.memory)
        self.memory = None

    def shifted(self, *offsets: int) -> Cells:
        """Return the values of the cells that lie `offsets` on, with the margins that are left."""
        if len(offsets) > len(self.margins):
            raise InputError(
                f"a neighbour is named by {len(offsets)} indices, but the grid has {len(self.margins)}: an index for "
                "each axis."
            )
        margins = list(self.margins)
        for axis, offset in enumerate(offsets):
            if (sides := margins[axis]) is not None:
                sides = (sides[0] + offset, sides[1] - offset)
                if min(sides) < 0:
                    raise TooFarError(axis, offset)
                margins[axis] = sides
        return self.like(self.array, tuple(margins), memory=self.memory)

    def within(self, margins: Margins) -> Array:
        """Return the values with smaller margins, a view."""
        if margins == self.margins:
            return self.array
        cuts = []
        for own, wanted, length in zip(self.margins, margins, self.array.shape, strict=False):
            if own is None or wanted is None:
                cuts.append(_ALL)
            else:
                cuts.append(slice(own[0] - wanted[0], length - own[1] + wanted[1]))
        return self.array[tuple(cuts)]

    @property
    def middle(self) -> Array:
        """The values without margins, a view."""
        if self.probe is not None:
            self.probe.note(self.margins)
        return self.within(tuple(None if sides is None else (0, 0) for sides in self.margins))

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, str):
            return self.like(self.array[index], self.margins)
        offsets = index if isinstance(index, tuple) else (index,)
        if not all(isinstance(each, int) for each in offsets):
            raise TypeError(f"a neighbour is named by whole numbers, such as x[-1, 0], not x[{index!r}]")
        return self.shifted(*offsets).middle

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:  # noqa: FBT001, as NumPy calls it
        return np.array(self.middle, dtype=dtype, copy=copy)

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **options: Any) -> Any:
        if method != "__call__" or options.get("out") is not None or ufunc.nout != 1:
            plain = [each.middle if isinstance(each, Cells) else each for each in inputs]
            return getattr(ufunc, method)(*plain, **options)
        if any(isinstance(each, np.ndarray) and each.ndim for each in inputs):  # of the cells themselves
            return ufunc(*(each.middle if isinstance(each, Cells) else each for each in inputs), **options)
        arrays, margins = common(inputs)
        return self.like(ufunc(*arrays, **options), margins)

    @property
    def axes(self) -> int:
        """How many axes the grid has."""
        return len(self.margins)

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of the values."""
        return self.array.dtype

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the values without margins."""
        return self.middle.shape

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(self.middle, name)


class FlatCells(Cells):
    """Cells of rows with their ghosts, one behind the other: a shift along any axis is one along memory.

    NumPy goes through memory without gaps in half the time. What is computed between the rows, where ghosts lie, is
    not used: these are filled afterwards.

    Parameters
    ----------
    array, margins, spacing, workspace, memory
        As of `Cells`, of one axis.
    strides : tuple of int
        How many values lie between neighbours along each axis of the grid.
    """

    __slots__ = ("strides",)

    def __init__(
        self,
        array: Array,
        margins: Margins,
        spacing: tuple[float, ...],
        strides: tuple[int, ...],
        workspace: Workspace | None = None,
        memory: Array | None = None,
    ) -> None:
        super().__init__(array, margins, spacing, None, workspace, memory)
        self.strides = strides

    def like(self, array: Array, margins: Margins, *, memory: Array | None = None) -> FlatCells:
        """Return other values of cells of the same grid."""
        return FlatCells(array, margins, self.spacing, self.strides, self.workspace, memory)

    def shifted(self, *offsets: int) -> Cells:
        """Return the values of the cells that lie `offsets` on, with the margins that are left."""
        return super().shifted(sum(offset * stride for offset, stride in zip(offsets, self.strides, strict=False)))

    @property
    def axes(self) -> int:
        """How many axes the grid has."""
        return len(self.strides)


def common(operands: Sequence[Any]) -> tuple[list[Any], Margins]:
    """Return operands with cells as arrays of the margins that all of them have, and these margins."""
    margins: Margins | None = None
    for each in operands:
        if isinstance(each, Cells) and each.margins != margins:
            margins = each.margins if margins is None else tuple(map(_narrower, margins, each.margins))
    assert margins is not None  # noqa: S101, for the type checker: one of them is cells
    return [each.within(margins) if isinstance(each, Cells) else each for each in operands], margins


def result_memory(
    operands: Sequence[Any], arrays: Sequence[Any], shape: tuple[int, ...], dtype: np.dtype[Any]
) -> tuple[Array, Array]:
    """Return where a result may be put, and the memory that goes with it: an operand's that is free with it, or more.

    Parameters
    ----------
    operands : sequence of Cells or number
    arrays : sequence of ndarray or number
        As `common` returns them. Those of `shape` have the dtype of the result, too.
    shape, dtype
        Of the result.
    """
    cells = [(each, array) for each, array in zip(operands, arrays, strict=True) if isinstance(each, Cells)]
    for each, array in cells:
        if each.memory is not None and array.shape == shape:
            memory, each.memory = each.memory, None
            return array, memory
    room = cells[0][0].room(shape, dtype)
    return room, room


def _narrower(one: tuple[int, int] | None, other: tuple[int, int] | None) -> tuple[int, int] | None:
    if one is None or other is None:
        return one if other is None else other
    return (
        min(other[0], one[0]),
        min(other[1], one[1]),
    )


def probe_reach(axes: int, evaluate: Any) -> Reach:
    """Return how far a function reads.

    Parameters
    ----------
    axes : int
        Of the grid.
    evaluate : callable
        Is given a `Probe`, and evaluates the function once for cells with its margin around them.

    Raises
    ------
    InputError
        If it reads further than 64 cells, or neighbours of what has none.
    """
    margin = 4
    while margin <= _MOST:
        probe = Probe(axes, margin)
        try:
            with np.errstate(all="ignore"):
                evaluate(probe)
        except TooFarError:
            margin *= 2
            continue
        try:
            with np.errstate(all="ignore"):
                evaluate(Probe(axes, max(map(max, probe.reach)), strict=True))
        except TooFarError:
            raise InputError(
                "the kernel reads neighbours of random numbers, or of an array that is the same for all rows. Read "
                "them of x, or of a parameter by row."
            ) from None
        return probe.reach
    raise InputError(f"the kernel reads cells more than {_MOST} away along an axis, which is not supported.")


def checked_reach(reach: Any, axes: int) -> Reach:
    """Return a reach that is given as a number, or as one or a pair for each axis.

    >>> checked_reach(2, 2), checked_reach(((1, 0), 2), 2)
    (((2, 2), (2, 2)), ((1, 0), (2, 2)))

    Raises
    ------
    InputError
        If it is something else.
    """
    each = [reach] * axes if isinstance(reach, int) else list(reach) if isinstance(reach, tuple | list) else [None]
    pairs: list[Any] = [(one, one) if isinstance(one, int) else one for one in each]
    pairs += [(0, 0)] * (axes - len(pairs))  # of the axes that are left out
    right = len(pairs) == axes and all(
        isinstance(pair, tuple | list) and len(pair) == 2 and all(isinstance(n, int) and n >= 0 for n in pair)  # noqa: PLR2004, both sides
        for pair in pairs
    )
    if not right or any(isinstance(n, bool) for pair in pairs for n in pair):
        raise InputError(
            f"reach must be a number of cells, such as 1, or for each of {axes} axes one or a pair (before, after), "
            f"not {reach!r}"
        )
    return tuple((low, high) for low, high in pairs)
