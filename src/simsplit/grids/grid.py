"""The grid of a problem: shape, coordinates, and what lies beyond its edges."""

from __future__ import annotations

from math import isfinite
from typing import TYPE_CHECKING, Any

from ..errors import InputError
from ..util.records import Record
from ..util.validation import near
from .boundary import ACCEPTED, CYCLIC, Side, parse_side

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from ..kernels.cells import Reach

AXES = ("rows", "columns", "layers")  # what the axes are called


class Layout(Record):
    """A grid that goes with an array.

    Attributes
    ----------
    shape : tuple of int
        The number of cells along each axis of the grid, the first axes of the array.
    spacing, origin : tuple of float
        The distance between cells along each axis, and the coordinate of the first one.
    sides : tuple of (Side, Side)
        The boundaries before and after the cells of each axis.
    """

    shape: tuple[int, ...]
    spacing: tuple[float, ...]
    origin: tuple[float, ...]
    sides: tuple[tuple[Side, Side], ...]

    def is_cyclic(self, axis: int) -> bool:
        """Return whether the cells after the last one are the first ones again."""
        return self.sides[axis][0].kind in CYCLIC

    def is_anti(self, axis: int) -> bool:
        """Return whether they are, with another sign."""
        return self.sides[axis][0].kind == "anti-periodic"

    @property
    def cyclic(self) -> tuple[bool, ...]:
        """Whether each axis is cyclic."""
        return tuple(map(self.is_cyclic, range(len(self.shape))))

    @property
    def names(self) -> frozenset[str]:
        """The names that the boundaries use."""
        return frozenset().union(*(side.names for pair in self.sides for side in pair))

    def require(self, reach: Reach, dtype: Any) -> None:
        """Refuse a reach, or a dtype, for which a boundary has no meaning.

        Raises
        ------
        InputError
        """
        for axis, (pair, far) in enumerate(zip(self.sides, reach, strict=True)):
            for side, cells in zip(pair, far, strict=True):
                if side.least is not None and cells and self.shape[axis] < cells + side.least:
                    raise InputError(
                        f"{_name(axis)}: the boundary {side.text!r} takes its ghosts from {cells + side.least} cells "
                        f"within the edge, but there are {self.shape[axis]}. Give a larger grid, or a boundary that is "
                        "periodic or fixed."
                    )
                kinds = {"wall": "b", "flux": "b", "anti-periodic": "bu"}.get(side.kind, "")
                if dtype.names is None and dtype.kind in kinds:
                    raise InputError(
                        f"{_name(axis)}: the boundary {side.text!r} takes differences, which {dtype} does not hold. "
                        "Give a grid of floats (--dtype float64), or another boundary."
                    )

    def facts(self) -> str:
        """Say for people what it is, such as "4,096 × 4,096 cells of 0.01, periodic"."""
        cells = " × ".join(f"{n:,}" for n in self.shape)
        spacing = {f"{each:g}" for each in self.spacing}
        apart = " × ".join(f"{each:g}" for each in self.spacing) if len(spacing) > 1 else spacing.pop()
        return f"{cells} cells of {apart}" + (f", {self.boundary}" if self.sides[0][0].kind else "")

    @property
    def boundary(self) -> str:
        """The boundaries, for people."""
        texts = [low.text if low.text == high.text else f"{low.text} | {high.text}" for low, high in self.sides]
        if len(set(texts)) == 1:
            return texts[0]
        return ", ".join(f"{_name(axis)} {text}" for axis, text in enumerate(texts))


class Grid:
    """The grid that the values of an array lie on.

    Parameters
    ----------
    shape : sequence of int, optional
        The number of cells along each axis of the grid, which are the first axes of the array; further axes are
        components of a cell. By default the shape of the array.
    spacing : float or sequence of float, default 1.0
        The distance between neighbouring cells: of all axes, or one for each.
    origin : float or sequence of float, default 0.0
        The coordinate of the first cell: along all axes, or one for each. ``X`` of a row is
        ``origin + row * spacing``.
    boundary : str, callable, sequence or mapping, optional
        What lies beyond the edges: for all sides, or a list with one for each axis, each of which may be a pair for
        the side before and the one after; or a mapping of "rows", "columns" and "layers" to these, or "others". One
        side is "periodic", "anti-periodic", "fixed V", "wall V", "no-flux", "flux Q", "mirror", an expression of `t`,
        the coordinates and `inner`, the cells within the edge, or a function of these (see docs/grids.md).

    Raises
    ------
    InputError
        If a value is wrong; the message names it and says what is accepted.

    Examples
    --------
    >>> Grid([100, 200], spacing=0.1, boundary=["periodic", ["fixed 0", "no-flux"]])
    Grid(shape=(100, 200), spacing=0.1, origin=0.0, boundary=['periodic', ['fixed 0', 'no-flux']])
    """

    def __init__(
        self,
        shape: Sequence[int] | None = None,
        *,
        spacing: float | Sequence[float] = 1.0,
        origin: float | Sequence[float] = 0.0,
        boundary: str | Callable[..., Any] | Sequence[Any] | Mapping[str, Any] | None = None,
    ) -> None:
        self.shape = None if shape is None else _shape(shape)
        self.spacing = spacing
        self.origin = origin
        self.boundary = boundary
        axes = None if self.shape is None else len(self.shape)
        for name, given in (("spacing", spacing), ("origin", origin)):
            _numbers(name, given, axes)
        if axes is not None and boundary is not None:
            self._sides(axes, None)

    def __repr__(self) -> str:
        return f"Grid(shape={self.shape}, spacing={self.spacing!r}, origin={self.origin!r}, boundary={self.boundary!r})"

    def settings(self) -> str:
        """Return it as a text that every rank must have the same of."""
        return f"{self.shape} {self.spacing!r} {self.origin!r} {_text(self.boundary)}"

    def layout(self, shape: tuple[int, ...], parameters: Mapping[str, Any]) -> Layout:
        """Return how the grid goes with an array.

        Parameters
        ----------
        shape : tuple of int
            Of the array.
        parameters : mapping of str to object
            Of the kernel: those that are numbers may stand in boundaries.

        Raises
        ------
        InputError
            If it does not.
        """
        own = shape if self.shape is None else self.shape
        if own != shape[: len(own)]:
            raise InputError(
                f"the grid has the shape {own}, but the array {shape}: its first axes must be those of the grid. Leave "
                "out the shape, or give another array."
            )
        axes = len(own)
        numbers = [name for name, value in parameters.items() if isinstance(value, int | float | complex)]
        sides = ((Side("", "none"),) * 2,) * axes if self.boundary is None else self._sides(axes, numbers)
        return Layout(
            own,
            _numbers("spacing", self.spacing, axes),
            _numbers("origin", self.origin, axes),
            sides,
        )

    def _sides(self, axes: int, numbers: Collection[str] | None) -> tuple[tuple[Side, Side], ...]:
        if numbers is None:  # which are not known yet
            for given in _of_axes(self.boundary, axes):
                _pair(given)
            return ()
        found = []
        for axis, given in enumerate(_of_axes(self.boundary, axes)):
            try:
                low, high = (parse_side(each, numbers) for each in _pair(given))
            except InputError as error:
                raise InputError(f"boundary of the {_name(axis)}: {error}") from None
            if (low.kind in CYCLIC or high.kind in CYCLIC) and low.kind != high.kind:
                raise InputError(
                    f"boundary of the {_name(axis)}: {low.text!r} on one side and {high.text!r} on the other; "
                    f"{low.kind if low.kind in CYCLIC else high.kind} must be both."
                )
            found.append((low, high))
        return tuple(found)


def _of_axes(boundary: Any, axes: int) -> list[Any]:
    """Return what is given for each axis."""
    if isinstance(boundary, dict):
        names = [_name(axis) for axis in range(axes)]
        if "others" in boundary:
            boundary = dict.fromkeys(names, boundary["others"]) | {
                name: value for name, value in boundary.items() if name != "others"
            }
        for key in boundary:
            if key not in names:
                hint = f" Did you mean {found}?" if (found := near(str(key), names)) else ""
                raise InputError(f"boundary has the axis {key!r}; the grid has {', '.join(names)}.{hint}")
        if missing := [name for name in names if name not in boundary]:
            raise InputError(f"boundary says nothing of the {missing[0]}. {ACCEPTED}")
        return [boundary[name] for name in names]
    if not isinstance(boundary, list | tuple):
        return [boundary] * axes
    if axes == 1 and len(boundary) == 2:  # noqa: PLR2004, both sides of the only axis
        return [boundary]
    if len(boundary) != axes:
        raise InputError(f"boundary has {len(boundary)} entries, and the grid {axes} axes. {ACCEPTED}")
    return list(boundary)


def _pair(given: Any) -> tuple[Any, Any]:
    """Return what is given for the two sides of an axis."""
    if not isinstance(given, list | tuple):
        return given, given
    if len(given) != 2:  # noqa: PLR2004, an axis has two sides
        raise InputError(f"a boundary of an axis is one for both sides, or a list of two, not {given!r}. {ACCEPTED}")
    return given[0], given[1]


def _name(axis: int) -> str:
    return AXES[axis] if axis < len(AXES) else f"axis {axis}"


def _text(boundary: Any) -> str:
    if isinstance(boundary, dict):
        return str({key: _text(value) for key, value in boundary.items()})
    if isinstance(boundary, list | tuple):
        return str([_text(each) for each in boundary])
    return "a function" if callable(boundary) else str(boundary)


def _shape(shape: Any) -> tuple[int, ...]:
    try:
        found = tuple(shape)
    except TypeError:
        found = ()
    if not found or not all(isinstance(n, int) and not isinstance(n, bool) and n >= 0 for n in found):
        raise InputError(f"the shape of a grid must be whole numbers, such as [100, 200], not {shape!r}")
    return found


def _numbers(name: str, given: Any, axes: int | None) -> tuple[float, ...]:
    """Return a number for each axis."""
    each = list(given) if isinstance(given, list | tuple) else [given] * (axes or 1)
    for value in each:
        if not isinstance(value, int | float) or isinstance(value, bool) or not isfinite(value):
            raise InputError(f"{name} must be a number, or one for each axis, not {given!r}")
        if name == "spacing" and value <= 0:
            raise InputError(f"spacing must be greater than 0, not {given!r}")
    if axes is not None and len(each) != axes:
        raise InputError(f"{name} has {len(each)} numbers, and the grid {axes} axes: give one, or as many.")
    return tuple(float(value) for value in each)
