"""Texts of the command line: what is read, and the message where it cannot be."""

from __future__ import annotations

from argparse import ArgumentTypeError
from typing import TYPE_CHECKING, Any

import pytest

from simsplit.cli.options import types

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.mark.parametrize(
    ("read", "text", "value"),
    [
        (types.finite, "-1e3", -1000.0),
        (types.finite, " 0.5", 0.5),
        (types.duration, "90s", 90.0),
        (types.duration, "2h", 7200.0),
        (types.interval, "500steps", "500steps"),
        (types.interval, "5min", "5min"),
        (types.yes_or_no, "yes", True),
        (types.yes_or_no, "no", False),
        (types.integers, "0,3,17", (0, 3, 17)),
        (types.integer(1), "1", 1),
        (types.integer(0), "0", 0),
    ],
)
def test_what_is_read(read: Callable[[str], Any], text: str, value: object) -> None:
    assert read(text) == value
    assert type(read(text)) is type(value)


@pytest.mark.parametrize(
    ("read", "text", "message"),
    [
        (types.finite, "nan", "must be a finite number, not 'nan'"),
        (types.finite, "1,5", "must be a finite number, not '1,5'"),
        (types.finite, "1e400", "must be a finite number, not '1e400'"),
        (types.duration, "soon", "'soon'"),
        (types.interval, "0.5steps", "'0.5steps'"),
        (types.yes_or_no, "Yes", "must be yes or no, not 'Yes'"),
        (types.integers, "1,,2", "must be an integer of 0 or more, not ''"),
        (types.integers, "1,-2", "must be an integer of 0 or more, not '-2'"),
        (types.integer(1), "0", "must be an integer of 1 or more, not '0'"),
        (types.integer(0), "2.5", "must be an integer of 0 or more, not '2.5'"),
        (types.integer(0), "9" * 5000, "must be an integer of 0 or more, not '999"),
    ],
)
def test_what_is_refused_is_named(read: Callable[[str], Any], text: str, message: str) -> None:
    with pytest.raises(ArgumentTypeError) as caught:
        read(text)
    assert message in str(caught.value)
