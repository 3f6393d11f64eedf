"""Checks of single values."""

from __future__ import annotations

import os
from math import inf, isfinite
from numbers import Number, Real
from operator import index
from typing import TYPE_CHECKING, Any

from ..errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence


def finite(name: str, value: Any) -> float:
    """Return `value` as a float, or raise an `InputError` that names it."""
    try:
        if not isinstance(value, bool) and isinstance(value, Real) and isfinite(value):
            return float(value)
    except OverflowError:
        pass
    raise InputError(f"{name} must be a finite real number, not {value!r}")


_LONG = ("g", "G")  # the dtypes long double and clongdouble, by the letters of NumPy


def number(name: str, value: Any) -> complex:
    """Return `value` as a finite number of Python, or raise an `InputError` that names it.

    One of long double stays what it is: Python has none of its precision.
    """
    plain = value.item() if hasattr(value, "item") and getattr(value, "ndim", None) == 0 else value
    try:
        if isinstance(plain, int) and isfinite(plain):
            return plain
        if getattr(getattr(value, "dtype", None), "char", "") in _LONG and abs(value) < inf:
            long: complex = value[()]
            return long
        if isinstance(plain, Number):
            whole = complex(plain)  # type: ignore[call-overload]
            if isfinite(whole.real) and isfinite(whole.imag):
                return whole if isinstance(plain, complex) else float(plain)  # type: ignore[arg-type]
    except (OverflowError, TypeError):
        pass
    raise InputError(f"{name} must be a finite number, not {value!r}")


_SECONDS = {"": 1.0, "s": 1.0, "min": 60.0, "h": 3600.0, "d": 86400.0}


def duration(name: str, value: Any) -> float:
    """Return a time span in seconds, or raise an `InputError` that names it.

    >>> duration("time_limit", "90"), duration("time_limit", "5min"), duration("time_limit", "1.5 h")
    (90.0, 300.0, 5400.0)
    """
    if isinstance(value, str):
        digits = value.strip().rstrip("abcdefghijklmnopqrstuvwxyz")
        unit = value.strip()[len(digits) :]
        try:
            value = float(digits) * _SECONDS[unit]
        except (ValueError, KeyError):
            raise InputError(f"{name} must be a time such as 90, 30s, 5min, 2h or 1d, not {value!r}") from None
    seconds = finite(name, value)
    if seconds < 0:
        raise InputError(f"{name} must be 0 seconds or more, not {value!r}")
    return seconds


def interval(name: str, value: Any) -> tuple[float | None, int | None]:
    """Return an interval as seconds or as a number of steps, the other one None.

    >>> interval("checkpoint_every", "5min"), interval("checkpoint_every", "500 steps")
    ((300.0, None), (None, 500))
    """
    if isinstance(value, str):
        digits = value.strip().removesuffix("s").removesuffix("step")
        if digits != value.strip().removesuffix("s"):
            if digits.strip().isascii() and digits.strip().isdecimal() and int(digits) > 0:
                return None, int(digits)
            raise InputError(f"{name} must be a time such as 5min, or steps such as 500steps, not {value!r}")
    return duration(name, value), None


def integer(name: str, value: Any, least: int) -> int:
    """Return `value` as an int of `least` or more, or raise an `InputError` that names it."""
    if isinstance(value, float) and value.is_integer():  # 1e6 is meant as a whole number
        value = int(value)
    try:
        number = index(value)
    except TypeError:
        number = least - 1
    if number < least or isinstance(value, bool) or getattr(getattr(value, "dtype", None), "kind", "") == "b":
        raise InputError(f"{name} must be an integer of {least} or more, not {value!r}")
    return number


def user_path(text: str) -> str:
    """Return a path; ``~`` at its start is the user's home, which a shell does not see in ``--input=~/a.npy``."""
    return os.path.expanduser(text)  # noqa: PTH111, pathlib is not worth loading for this


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
