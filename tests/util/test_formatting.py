"""Numbers for people."""

from __future__ import annotations

import io
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from simsplit.util.formatting import format_bytes, format_ranks, format_rows, pluralize, say, stdout_held


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


def test_what_is_printed_in_a_block_is_kept_back(capsys: pytest.CaptureFixture[str]) -> None:
    with stdout_held() as printed:
        print("again")
    print("after")
    assert (printed.getvalue(), capsys.readouterr().out) == ("again\n", "after\n")


def test_it_is_printed_if_the_block_fails(capsys: pytest.CaptureFixture[str]) -> None:
    def fail() -> None:
        with stdout_held():
            print("before it failed")
            raise ValueError("amid it")

    with pytest.raises(ValueError, match="amid it"):
        fail()
    assert capsys.readouterr().out == "before it failed\n"


def test_other_threads_print_meanwhile(capsys: pytest.CaptureFixture[str]) -> None:
    with ThreadPoolExecutor(1) as pool, stdout_held() as printed:
        pool.submit(print, "another thread").result()
        print("this one")
    assert (printed.getvalue(), capsys.readouterr().out) == ("this one\n", "another thread\n")


def test_blocks_of_two_threads_may_end_in_any_order(capsys: pytest.CaptureFixture[str]) -> None:
    stdout = sys.stdout
    first, second = stdout_held(), stdout_held()
    with ThreadPoolExecutor(1) as one, ThreadPoolExecutor(1) as two:
        kept = [one.submit(first.__enter__).result(), two.submit(second.__enter__).result()]
        one.submit(print, "one").result()
        two.submit(print, "two").result()
        one.submit(first.__exit__, None, None, None).result()
        two.submit(print, "two again").result()
        two.submit(second.__exit__, None, None, None).result()
    assert [each.getvalue() for each in kept] == ["one\n", "two\ntwo again\n"]
    assert sys.stdout is stdout
    assert capsys.readouterr().out == ""


def test_a_block_within_a_block_keeps_its_own(capsys: pytest.CaptureFixture[str]) -> None:
    with stdout_held() as outer:
        print("outer")
        with stdout_held() as inner:
            print("inner")
        print("outer again")
    assert (outer.getvalue(), inner.getvalue(), capsys.readouterr().out) == ("outer\nouter again\n", "inner\n", "")


def test_what_else_stdout_has_is_there_in_the_block(monkeypatch: pytest.MonkeyPatch) -> None:
    stdout = io.TextIOWrapper(io.BytesIO())
    monkeypatch.setattr(sys, "stdout", stdout)
    with stdout_held():
        assert sys.stdout.buffer is stdout.buffer
    monkeypatch.setattr(sys, "stdout", None)  # as of a program without a terminal
    with stdout_held() as printed:
        print("nowhere")
    assert (printed.getvalue(), sys.stdout) == ("nowhere\n", None)
