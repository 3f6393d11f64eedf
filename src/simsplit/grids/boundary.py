"""What lies beyond the edges of a grid: how the ghost cells there are computed from the cells within.

`ghosts[i]` is the ghost that lies `i` cells beyond the first one, outwards, and `inner[i]` the cell that lies `i`
cells within the edge; so both sides of an axis go the same way.
"""

from __future__ import annotations

import inspect
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ..errors import InputError
from ..kernels.base import COORDINATES, INDICES
from ..kernels.expressions.language import Expression
from ..util.dtypes import iter_fields
from ..util.validation import near

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    import numpy.typing as npt

    Array = npt.NDArray[Any]

PLAIN = ("periodic", "anti-periodic", "no-flux", "mirror")
WITH_VALUE = ("fixed", "wall", "flux")
CYCLIC = ("periodic", "anti-periodic")
VARIABLES = ("t", "k", "delta_t", *INDICES, *COORDINATES)
ACCEPTED = (
    'Accepted are "periodic", "anti-periodic", "fixed V", "wall V", "no-flux", "flux Q", "mirror", an expression of '
    "t, coordinates and inner, or, in Python, a function of the inner cells. A list has one for each axis, or of one "
    'axis for both sides: ["periodic", ["fixed 0", "no-flux"]].'
)


class Side(NamedTuple):
    """The boundary at one side of an axis.

    Attributes
    ----------
    kind : str
        Of `PLAIN` or `WITH_VALUE`, "expression" or "function".
    text : str
        What the user wrote.
    value : Expression or callable or None
        The value that is fixed, the flux, or what gives the ghosts.
    """

    kind: str
    text: str
    value: Expression | Callable[..., Any] | None = None

    @property
    def names(self) -> frozenset[str]:
        """The names that it uses."""
        if isinstance(self.value, Expression):
            return self.value.names
        return frozenset() if self.value is None else frozenset(_arguments(self.value))

    @property
    def least(self) -> int | None:
        """How many more cells a grid must have than are read beyond this side; None if any number will do."""
        if self.kind in CYCLIC or self.kind == "fixed":
            return None
        return 1 if self.kind == "mirror" else 0

    def fill(self, ghosts: Array, inner: Array, names: Mapping[str, Any], spacing: float) -> None:
        """Compute ghost cells.

        Parameters
        ----------
        ghosts : ndarray, shape (h, ...)
            Written to.
        inner : ndarray, shape (h, ...), or (h + 1, ...) for a mirror
        names : mapping of str to number or ndarray
            Values of the names in an expression; arrays broadcast with `ghosts`.
        spacing : float
            Between cells along the axis.

        Raises
        ------
        InputError
            If the dtype does not hold the values.
        """
        value: Any = None
        if self.kind in WITH_VALUE:
            value = self.value.evaluate(names)  # type: ignore[union-attr]
        elif self.kind == "function":
            wanted = _arguments(self.value)
            value = np.asarray(self.value(inner, **{name: names[name] for name in wanted}))  # type: ignore[operator, misc]
            if value.dtype.names is not None:
                ghosts[...] = value
                return
        for target, within in zip(iter_fields(ghosts), iter_fields(inner), strict=True):
            self._put(target, self._ghosts(target, within, value, names, spacing))

    def _ghosts(self, ghosts: Array, inner: Array, value: Any, names: Mapping[str, Any], spacing: float) -> Any:
        if self.kind == "wall":
            return 2 * value - inner
        if self.kind == "flux":
            if inner.dtype.kind in "iu" and float(spacing).is_integer():  # so that they stay whole numbers
                spacing = int(spacing)
            cells = np.arange(1, 2 * len(ghosts), 2).reshape(-1, *[1] * (ghosts.ndim - 1))
            return inner - (value * spacing) * cells.astype(inner.real.dtype)
        if self.kind == "expression":
            return self.value.evaluate(_With(names, inner))  # type: ignore[union-attr]
        if self.kind == "no-flux":
            return inner
        return inner[1:] if self.kind == "mirror" else value

    def _put(self, target: Array, value: Any) -> None:
        if target.dtype.kind == "b" and np.isin(value, (0, 1)).all():
            value = np.asarray(value).astype(np.bool_)
        if target.dtype.kind not in "iu" or _within(np.asarray(value), np.iinfo(target.dtype)):
            with suppress(TypeError, OverflowError):
                np.copyto(target, value, casting="same_kind")
                return
        raise InputError(
            f"the boundary {self.text!r} gives {np.asarray(value).dtype}, which the grid's {target.dtype} does not "
            "hold. Give a whole number, or a grid of floats (--dtype float64)."
        )


def _within(values: Array, limits: np.iinfo[Any]) -> bool:
    """Return whether whole numbers lie within limits; of others NumPy says whether they can be taken.

    NumPy before 2 takes 300 for uint8 as 44.
    """
    if values.dtype.kind not in "iu" or values.dtype == limits.dtype or not values.size:
        return True
    return limits.min <= int(values.min()) and int(values.max()) <= limits.max


class _With(dict[str, Any]):
    """Names, and `inner`."""

    def __init__(self, names: Mapping[str, Any], inner: Array) -> None:
        super().__init__(inner=inner)
        self._names = names

    def __missing__(self, name: str) -> Any:
        return self._names[name]


def parse_side(given: Any, parameters: Collection[str] = ()) -> Side:
    """Return the boundary at a side.

    Parameters
    ----------
    given : str or callable
    parameters : collection of str
        Names of numbers that may stand in an expression.

    Raises
    ------
    InputError
        If it is none; the message says what is accepted.
    """
    if callable(given):
        unknown = [name for name in _arguments(given) if name not in (*VARIABLES, *parameters)]
        name = getattr(given, "__name__", "a function")
        if unknown:
            raise InputError(
                f"the boundary {name} wants {unknown[0]}; it gets the inner cells, and may ask for "
                f"{', '.join((*VARIABLES, *parameters))}."
            )
        return Side("function", name, given)
    if not isinstance(given, str) or not given.strip():
        raise InputError(f"a boundary cannot be {given!r}. {ACCEPTED}")
    text = " ".join(given.split())
    if text in PLAIN:
        return Side(text, text)
    word, _, rest = text.partition(" ")
    names = (*VARIABLES, *(each for each in parameters if each not in VARIABLES))
    if word in WITH_VALUE:
        if not rest:
            raise InputError(f"the boundary {text!r} wants a value, such as {word} 0.")
        return Side(word, text, _expression(rest, names, text))
    return Side("expression", text, _expression(text, (*names, "inner"), text))


def _expression(text: str, names: Collection[str], whole: str) -> Expression:
    try:
        found = Expression(text, names)
    except InputError as error:
        hint = f"Did you mean {meant}? " if (meant := near(whole, PLAIN)) else ""
        raise InputError(f"the boundary {whole!r}: {error}\n{hint}{ACCEPTED}") from None
    if found.reads_neighbours:
        raise InputError(f"the boundary {whole!r} reads neighbours; it may use inner, the cells within the edge.")
    return found


def _arguments(function: Any) -> list[str]:
    """Return the names of the arguments after the first."""
    return list(inspect.signature(function).parameters)[1:]
