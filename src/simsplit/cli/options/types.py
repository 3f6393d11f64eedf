"""Parse and check option values; errors say what is accepted."""

from __future__ import annotations

from argparse import ArgumentTypeError
from math import isfinite
from typing import TYPE_CHECKING

from ...errors import InputError
from ...util import validation as checks

if TYPE_CHECKING:
    from collections.abc import Callable


def finite(text: str) -> float:
    """Return a finite number."""
    try:
        number = float(text)
    except ValueError:
        number = float("nan")
    if not isfinite(number):
        raise ArgumentTypeError(f"must be a finite number, not {text!r}")
    return number


def duration(text: str) -> float:
    """Return the seconds of a text such as 90s, 5min or 2h."""
    try:
        return checks.duration("it", text)
    except InputError as error:
        raise ArgumentTypeError(str(error)) from None


def interval(text: str) -> str:
    """Return a text such as 5min or 500steps as it is."""
    try:
        checks.interval("it", text)
    except InputError as error:
        raise ArgumentTypeError(str(error)) from None
    return text


def yes_or_no(text: str) -> bool:
    """Return whether a text is yes."""
    if text not in ("yes", "no"):
        raise ArgumentTypeError(f"must be yes or no, not {text!r}")
    return text == "yes"


def integers(text: str) -> tuple[int, ...]:
    """Return the integers of a text such as 0,3,17."""
    return tuple(integer(0)(word) for word in text.split(","))


def integer(least: int) -> Callable[[str], int]:
    """Return what reads an integer of `least` or more."""

    def read(text: str) -> int:
        try:
            number = int(text)
        except ValueError:
            number = _whole(text, least - 1)
        if number < least:
            raise ArgumentTypeError(f"must be an integer of {least} or more, not {text!r}")
        return number

    return read


def count_or_auto(least: int) -> Callable[[str], int | str]:
    """Return what reads an integer of `least` or more, or auto."""
    return lambda text: text if text == "auto" else integer(least)(text)


def _whole(text: str, otherwise: int) -> int:
    """Return the whole number that a text such as 1e6 is."""
    try:
        number = float(text)
    except ValueError:
        return otherwise
    return int(number) if number.is_integer() else otherwise
