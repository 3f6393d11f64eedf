"""Numbers for people."""

from __future__ import annotations

import io
import sys

import pytest

from simsplit.util.formatting import format_bytes, format_ranks, format_rows, pluralize, say


@pytest.mark.parametrize(
    ("ranks", "text"),
    [
        ([2], "rank 2"),
        ([0, 1], "ranks 0–1"),
        ([0, 1, 2, 5], "ranks 0–2, 5"),
        ([1, 3, 5], "ranks 1, 3, 5"),
        ([0, 2, 3, 4, 9, 10], "ranks 0, 2–4, 9–10"),
        (list(range(1000)), "ranks 0–999"),
    ],
)
def test_ranks_are_written_as_people_do(ranks: list[int], text: str) -> None:
    assert format_ranks(ranks) == text


@pytest.mark.parametrize(
    ("nbytes", "text"),
    [
        (0, "0 B"),
        (7, "7 B"),
        (999, "999 B"),
        (1000, "1 kB"),
        (1234, "1.23 kB"),
        (99_950, "100 kB"),
        (640_000_000, "640 MB"),
        (999_499, "999 kB"),
        (999_500, "1 MB"),
        (999_999_999, "1 GB"),
        (10**12, "1 TB"),
        (25 * 10**14, "2.5 PB"),
        (10**15, "1 PB"),
        (10**18, "1.00e+03 PB"),
    ],
)
def test_bytes_are_written_with_three_digits_in_decimal_units(nbytes: int, text: str) -> None:
    assert format_bytes(nbytes) == text


def test_more_bytes_than_a_float_can_hold_are_no_error() -> None:
    assert format_bytes(10**400).endswith(" PB")


@pytest.mark.parametrize(
    ("number", "text"), [(0, "0 steps"), (1, "1 step"), (2, "2 steps"), (1_234_567, "1,234,567 steps")]
)
def test_things_are_counted(number: int, text: str) -> None:
    assert pluralize(number, "step") == text


@pytest.mark.parametrize(
    ("lower", "upper", "text"), [(0, 0, "no rows"), (0, 1, "row 0"), (3, 5, "rows 3–4"), (7, 7, "no rows")]
)
def test_rows_are_named(lower: int, upper: int, text: str) -> None:
    assert format_rows(lower, upper) == text


@pytest.mark.parametrize(
    ("encoding", "exact", "written"),
    [
        ("ascii", False, b"a ? ? \xff\n"),
        ("ascii", True, b"a \xc2\xb7 \xe2\x82\xac \xff\n"),
        ("latin-1", False, b"a \xb7 ? \xff\n"),
        ("utf-8", False, b"a \xc2\xb7 \xe2\x82\xac \xff\n"),
        ("utf-8", True, b"a \xc2\xb7 \xe2\x82\xac \xff\n"),
    ],
)
def test_a_sign_that_stdout_lacks_is_replaced_and_the_name_of_a_file_stays(
    monkeypatch: pytest.MonkeyPatch, encoding: str, exact: bool, written: bytes
) -> None:
    out = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(out, encoding=encoding))
    say("a · € \udcff", exact=exact)
    assert out.getvalue() == written


def test_a_stdout_that_was_closed_gets_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    closed = io.StringIO()
    closed.close()
    for out in (closed, None):
        monkeypatch.setattr(sys, "stdout", out)
        say("nobody reads this")
