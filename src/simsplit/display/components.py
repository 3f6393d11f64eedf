"""The values of a row: what they are called, and how one of them is taken out of a history."""

from __future__ import annotations

import re
from math import prod
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ..errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy.typing as npt

    Array = npt.NDArray[Any]

# Parts of complex values: how each is taken, what it is called of a value without a name, and of one with a name.
PARTS: dict[str, tuple[Callable[[Array], Array], str, str]] = {
    "real": (np.real, "real part", "Re {}"),
    "imag": (np.imag, "imaginary part", "Im {}"),
    "abs": (np.abs, "absolute value", "|{}|"),
    "phase": (np.angle, "phase", "arg {}"),
}
_SEVERAL = 3  # so many are drawn together, unless some are chosen
_MOST = 12
_COMMA = re.compile(r",(?![^\[]*\])")  # not one within brackets


class Quantity(NamedTuple):
    """One real number of each row: a component, or a part of one that is complex.

    Attributes
    ----------
    number : int
        Of the component, in C order.
    part : str
        A key of `PARTS`; ``""`` of a real component.
    label : str
    """

    number: int
    part: str
    label: str

    def of(self, block: Array) -> Array:
        """Return it from values of shape (steps, rows, ...): float64 (steps, rows), NaN for what is not finite."""
        values = block.reshape(*block.shape[:2], -1)[:, :, self.number]
        with np.errstate(over="ignore", invalid="ignore"):
            finite = np.isfinite(values)
            if self.part:
                values = PARTS[self.part][0](values)
            values = values.astype(np.float64)  # a copy
            values[~(finite & np.isfinite(values))] = np.nan
        return values


class Components:
    """The components of a row.

    Parameters
    ----------
    shape : tuple of int
        Of a row.
    dtype : numpy.dtype
    names : tuple of str
        What the kernel calls those along the last axis; empty if they have no names.
    """

    def __init__(self, shape: tuple[int, ...], dtype: np.dtype[Any], names: tuple[str, ...] = ()) -> None:
        self._shape = shape
        self._is_complex = dtype.kind == "c"
        self.names = names if len(names) == (shape[-1] if shape else 1) else ()
        self.count = prod(shape)

    def label(self, index: int) -> str:
        """Return what a component is called."""
        where = [int(each) for each in np.unravel_index(index, self._shape)] if self._shape else []
        if self.names:
            *before, last = where or [0]
            return self.names[last] + (f"[{', '.join(map(str, before))}]" if before else "")
        if self.count == 1:
            return "value"
        return f"component {where[0]}" if len(where) == 1 else f"component [{', '.join(map(str, where))}]"

    def default(self) -> list[Quantity]:
        """Return what is drawn unless something is chosen: all components if they are few, else the first."""
        shown = self.count if self.count * (1 + self._is_complex) <= _SEVERAL else 1
        return [each for index in range(shown) for each in self._parts(index, "")]

    def chosen(self, wanted: int | str | Sequence[int | str]) -> list[Quantity]:
        """Return the quantities that a user names, in a text with commas or one by one; none is the default.

        Raises
        ------
        InputError
            If there is none of such a name.
        """
        given = [wanted] if isinstance(wanted, int | str) else wanted
        texts = [word.strip() for each in given for word in _COMMA.split(str(each))]
        if not texts:
            return self.default()
        found = [each for text in texts for each in self.find(text)]
        if len(found) > _MOST:
            raise InputError(f"--component names {len(found)} components: {_MOST} at most go into one picture.")
        return found

    def find(self, text: str, option: str = "--component", others: Sequence[str] = ()) -> list[Quantity]:
        """Return the quantities that a name stands for: a complex component has two parts, a name several places.

        Parameters
        ----------
        text : str
            A name, a number in C order, or a place in brackets; a part of a complex one after a point.
        option : str
            For the message.
        others : sequence of str
            What else the option takes.

        Raises
        ------
        InputError
            If it is none.
        """
        name, _, part = text.rpartition(".")
        if not self._is_complex or part not in PARTS:
            name, part = text, ""
        elif not name and self.count == 1:
            name = "0"
        indices = self._indices(name)
        if not indices:
            known = "".join(f"{each}, " for each in (*others, *self.names))
            parts = f", or a part of these, such as 0.abs ({', '.join(PARTS)})" if self._is_complex else ""
            raise InputError(
                f"{option} must be {known}{'or ' if known else ''}from 0 to {self.count - 1}{parts}, not {text}"
            )
        return [each for index in indices for each in self._parts(index, part)]

    def _indices(self, name: str) -> list[int]:
        if name in self.names:
            return list(range(self.names.index(name), self.count, len(self.names)))
        if name.isascii() and name.isdecimal():
            return [int(name)] if int(name) < self.count else []
        word, bracket, places = name.removesuffix("]").partition("[")
        where = [each.strip() for each in places.split(",")] if bracket and name.endswith("]") else []
        if not where or not all(each.isascii() and each.isdecimal() for each in where):
            return []
        numbers = [int(each) for each in where]
        if word in self.names:
            numbers.append(self.names.index(word))
        elif word:
            return []
        fits = len(numbers) == len(self._shape) and all(n < size for n, size in zip(numbers, self._shape, strict=True))
        return [int(np.ravel_multi_index(tuple(numbers), self._shape))] if fits else []

    def _parts(self, index: int, part: str) -> list[Quantity]:
        label = self.label(index)
        if not self._is_complex:
            return [Quantity(index, "", label)]
        return [
            Quantity(index, each, PARTS[each][1] if label == "value" else PARTS[each][2].format(label))
            for each in ([part] if part else ["real", "imag"])
        ]
