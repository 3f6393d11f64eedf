"""The grid in settings: the table [grid] of a problem file, and the options that override it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..errors import InputError
from ..grids.grid import AXES, Grid
from ..options import GRID
from ..util.validation import near

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


def of_options(
    grid: str | None, spacing: str | None, origin: str | None, boundary: Sequence[str], before: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the grid that options give, over what a file says.

    Raises
    ------
    InputError
        If one of them is wrong.
    """
    found = dict(before)
    if grid is not None:
        found["shape"] = shape_of(grid)
    for name, text in (("spacing", spacing), ("origin", origin)):
        if text is not None:
            numbers = [_number(name, word, text) for word in text.split(",")]
            found[name] = numbers if len(numbers) > 1 else numbers[0]
    if boundary:
        found["boundary"] = _boundary(boundary)
    if found != before:
        _require_right(found, "--boundary" if boundary else "--grid")
    return found


def check_file(values: Mapping[str, Any], path: str) -> None:
    """Refuse a grid that is wrong in a problem file.

    Parameters
    ----------
    values : mapping of str to object
        All keys of the file.
    path : str
        Of the file.

    Raises
    ------
    InputError
        If it is wrong.
    """
    table, where = values["grid"], f"{path}: `grid`"
    if "size" in values and "shape" in table:
        raise InputError(f"{path}: `size` and `grid.shape` exclude each other: give one of them")
    for key in table:
        if key not in GRID:
            hint = f" Did you mean `{found}`?" if (found := near(key, GRID)) else ""
            raise InputError(f"{where} has no key `{key}`.{hint} Known: {', '.join(GRID)}.")
    _require_right(table, where)


def shape_of(text: str) -> list[int]:
    """Return the shape that ``--grid`` gives, such as 1000x1000.

    Raises
    ------
    InputError
        If it is none.
    """
    return [_whole(word, text) for word in text.lower().replace("×", "x").split("x")]


def grid_of(settings: Mapping[str, Any]) -> Grid | None:
    """Return the grid that settings describe, None if they say nothing of one."""
    if not settings:
        return None
    return Grid(**{name: value for name, value in settings.items() if value is not None})


def settings_of(grid: Grid | None, own: Any, shape: Sequence[int] | None) -> dict[str, Any]:
    """Return what a problem file says of a grid.

    Parameters
    ----------
    grid : Grid or None
    own : object
        The boundary that the kernel brings.
    shape : sequence of int or None
        Of an initial array that is computed.

    Raises
    ------
    InputError
        If a boundary is a function.
    """
    if grid is None:
        return {}
    shape = shape if grid.shape is None and shape is not None and len(shape) > 1 else grid.shape
    found: dict[str, Any] = {} if shape is None else {"shape": list(shape)}
    for name, value, default in (("spacing", grid.spacing, 1.0), ("origin", grid.origin, 0.0)):
        if value != default:
            found[name] = list(value) if isinstance(value, tuple) else value
    if grid.boundary is not None and grid.boundary is not own:
        found["boundary"] = _plain(grid.boundary)
    return found


def _plain(boundary: Any) -> Any:
    if isinstance(boundary, dict):
        return {name: _plain(value) for name, value in boundary.items()}
    if isinstance(boundary, list | tuple):
        return [_plain(each) for each in boundary]
    if callable(boundary):
        name = getattr(boundary, "__name__", "a function")
        raise InputError(
            f"the boundary {name} is a function, which no problem file can hold. Give it to the stencil "
            '(boundary=…) in a module of its own, or write an expression, such as "0.5 * inner".'
        )
    return boundary


def _require_right(table: Mapping[str, Any], where: str) -> None:
    try:
        grid_of(table)
    except InputError as error:
        raise InputError(f"{where}: {error}") from None


def _boundary(texts: Sequence[str]) -> Any:
    """Return what ``--boundary`` says: a text, or a mapping of axes."""
    found: dict[str, Any] = {}
    for text in texts:
        axis, equals, rest = text.partition("=")
        named = bool(equals) and axis.strip().isidentifier() and not rest.startswith("=")
        if named and axis.strip() not in AXES and not axis.strip().startswith("axis"):
            hint = f" Did you mean {near_axis}?" if (near_axis := near(axis.strip(), AXES)) else ""
            raise InputError(
                f"--boundary {text!r}: there is no axis {axis.strip()!r}.{hint} Give rows=, columns=, layers=."
            )
        key = axis.strip() if named else "others"
        if key in found:
            raise InputError(f"--boundary is given twice for {key}. Give each axis once.")
        sides = [side.strip() for side in (rest if named else text).split("|")]
        if len(sides) > 2:  # noqa: PLR2004, an axis has two sides
            raise InputError(f"--boundary {text!r}: an axis has two sides, with one | between them.")
        found[key] = sides if len(sides) > 1 else sides[0]
    return found["others"] if list(found) == ["others"] and isinstance(found["others"], str) else found


def _whole(word: str, text: str) -> int:
    try:
        number = float(word)
    except ValueError:
        number = -1.0
    if number < 0 or not number.is_integer():
        raise InputError(f"--grid must be a number of cells for each axis, such as 1000x1000, not {text!r}")
    return int(number)


def _number(name: str, word: str, text: str) -> float:
    try:
        return float(word)
    except ValueError:
        raise InputError(f"--{name} must be a number, or one for each axis, such as 0.1,0.2, not {text!r}") from None
