"""What the values of options may be: from texts of the command line, or messages that say what is accepted."""

from __future__ import annotations

import os
from argparse import ArgumentTypeError
from collections.abc import Mapping
from math import isfinite
from typing import TYPE_CHECKING, Any

from ...errors import InputError
from ...util import validation as checks

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


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


def user_path(text: str) -> str:
    """Return a path; ``~`` at its start is the user's home, which a shell does not see in ``--input=~/a.npy``."""
    return os.path.expanduser(text)  # noqa: PTH111, pathlib is not worth loading for this


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
            number = least - 1
        if number < least:
            raise ArgumentTypeError(f"must be an integer of {least} or more, not {text!r}")
        return number

    return read


LEAST = {"size": 0, "steps": 0, "seed": 0, "block_size": 1}  # of the integers that are keys of a problem file
_PATHS = ("input", "output")


def check(key: str, name: str, value: Any) -> None:
    """Refuse what a key of a problem file, or the option of its name, must not be, whatever its type allows.

    Parameters
    ----------
    key : str
    name : str
        For the message.
    value : object
        Of the type that the key has.

    Raises
    ------
    InputError
    """
    if key in _PATHS and isinstance(value, str) and (not value or "\0" in value):
        raise InputError(f"{name} must be a path, not {value!r}")
    if key in LEAST:
        checks.integer(name, value, LEAST[key])
    elif isinstance(value, float):
        checks.finite(name, value)
    elif isinstance(value, Mapping) and key == "parameters":
        for parameter, given in value.items():
            if not isinstance(given, str):
                _check_numbers(f"{name}: {parameter}", given)
            elif not given.endswith(".npy"):
                raise InputError(f"{name}: {parameter} must be a number, a list, or a .npy file, not {given!r}")
    elif isinstance(value, list):
        _check_numbers(f"{name}: each value", value)


def _check_numbers(name: str, value: Any) -> None:
    """Refuse what is neither a finite number nor a list of them, or of such lists."""
    if isinstance(value, list):
        for each in value:
            _check_numbers(name, each)
    else:
        checks.number(name, value)


_CALLED = {  # what a key is called elsewhere
    "dt": "delta_t",
    "timestep": "delta_t",
    "time_step": "delta_t",
    "t0": "start_time",
    "t_start": "start_time",
    "n": "size",
    "n_steps": "steps",
    "nsteps": "steps",
    "num_steps": "steps",
    "t_end": "steps",
    "t_max": "steps",
    "initial": "input",
    "x0": "input",
    "function": "kernel",
    "model": "kernel",
}


def near(word: str, known: Sequence[str]) -> str | None:
    """Return which of the known keys is probably meant, or None."""
    import difflib

    called = _CALLED.get(word.lower())
    parts = [key for key in known if key.startswith(word) or word in key.split("_")] if len(word) > 1 else []
    if called in known or len(parts) == 1:
        return called if called in known else parts[0]
    return next(iter(difflib.get_close_matches(word, known, n=1, cutoff=0.7)), None)
