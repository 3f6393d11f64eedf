"""A whole program: its exit status, what it says, and whether it ends the other ranks."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from simsplit import (
    InputError,
    KernelError,
    LaunchError,
    OutputError,
    SimsplitError,
    VerificationError,
    program,
    script,
)
from tests.support.launching import LIMIT

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture
def aborted(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return the list of the statuses with which the job was aborted; leave SIGINT alone."""
    statuses: list[int] = []
    monkeypatch.setattr(program, "abort_job", statuses.append)
    monkeypatch.setattr(program.interrupts, "install", lambda: None)
    return statuses


def status_of(main: Callable[[], Any]) -> Any:
    """Run a program; return its exit status."""
    with pytest.raises(SystemExit) as caught:
        script(main)
    return caught.value.code


def raising(error: BaseException, **marks: bool) -> Callable[[], Any]:
    """Return a program that raises an error with these marks."""
    for name, value in marks.items():
        setattr(error, name, value)

    def main() -> None:
        print("so far")
        raise error

    return main


@pytest.mark.parametrize(("ranks", "by_line"), [("1", False), ("2", True)])
def test_on_several_ranks_what_is_printed_comes_a_line_at_a_time(
    aborted: list[int], monkeypatch: pytest.MonkeyPatch, ranks: str, by_line: object
) -> None:
    stream = io.TextIOWrapper(io.BytesIO())
    monkeypatch.setattr(sys, "stdout", stream)
    monkeypatch.setenv("PMI_SIZE", ranks)
    assert status_of(lambda: None) == 0
    assert stream.line_buffering is by_line
    assert aborted == []


def test_in_a_notebook_main_is_only_called(aborted: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "ps1", "In : ", raising=False)
    assert script(lambda: None) is None
    assert script(lambda: 3) == 3
    with pytest.raises(InputError, match=r"^what is wrong$"):
        script(raising(InputError("what is wrong")))
    assert aborted == []


@pytest.mark.parametrize(("returned", "status"), [(None, 0), (0, 0), (3, 3)])
def test_what_main_returns_is_the_status(aborted: list[int], returned: int | None, status: int) -> None:
    assert status_of(lambda: returned) == status
    assert aborted == []


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        (SimsplitError, 1),
        (InputError, 2),
        (LaunchError, 3),
        (KernelError, 4),
        (OutputError, 5),
        (VerificationError, 6),
    ],
)
def test_an_error_on_all_ranks_ends_with_its_status_and_one_message(
    aborted: list[int], capsys: pytest.CaptureFixture[str], kind: type[SimsplitError], status: int
) -> None:
    assert status_of(raising(kind("what is wrong"), is_collective=True)) == status
    assert capsys.readouterr() == ("so far\n", "simsplit: what is wrong\n")
    assert aborted == []


def test_another_rank_than_the_one_that_reports_is_silent(
    aborted: list[int], capsys: pytest.CaptureFixture[str]
) -> None:
    assert status_of(raising(InputError("x"), is_collective=True, is_reporter=False)) == 2
    assert capsys.readouterr().err == ""
    assert aborted == []


def test_an_error_of_this_rank_only_ends_the_others_too(aborted: list[int], capsys: pytest.CaptureFixture[str]) -> None:
    assert status_of(raising(OutputError("only here"))) == 5
    assert capsys.readouterr().err == "simsplit: only here\n"
    assert aborted == [5]


@pytest.mark.parametrize(("marks", "others"), [({}, [130]), ({"is_collective": True}, [])])
def test_ctrl_c_ends_quietly(
    aborted: list[int], capsys: pytest.CaptureFixture[str], marks: dict[str, bool], others: list[int]
) -> None:
    class Interrupt(KeyboardInterrupt):
        pass

    assert status_of(raising(Interrupt(), **marks)) == 130
    assert capsys.readouterr().err == ""
    assert aborted == others


def test_any_other_error_is_shown_and_ends_the_others_too(
    aborted: list[int], capsys: pytest.CaptureFixture[str]
) -> None:
    assert status_of(raising(ZeroDivisionError("division by zero"))) == 1
    message = capsys.readouterr().err
    assert message.startswith("Traceback (most recent call last):\n")
    assert message.endswith("ZeroDivisionError: division by zero\n")
    assert aborted == [1]


@pytest.mark.parametrize(
    ("code", "status", "message", "others"),
    [
        (None, 0, "", []),
        (0, 0, "", []),
        (7, 7, "", [7]),
        ("no such thing", 1, "no such thing\n", [1]),
    ],
)
def test_sys_exit_means_what_it_means_in_any_program(
    aborted: list[int],
    capsys: pytest.CaptureFixture[str],
    code: Any,
    status: int,
    message: str,
    others: list[int],
) -> None:
    assert status_of(raising(SystemExit(code))) == status
    assert capsys.readouterr().err == message
    assert aborted == others


@pytest.mark.usefixtures("aborted")
def test_a_reader_that_had_enough_is_no_news(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    replaced: list[int] = []

    def duplicate(descriptor: int, target: int) -> None:
        os.close(descriptor)
        replaced.append(target)

    with monkeypatch.context() as context:  # pytest needs dup2 again at the end of the test
        context.setattr(os, "dup2", duplicate)
        assert status_of(raising(BrokenPipeError())) == 1
    assert capsys.readouterr().err == ""
    assert replaced == [1]


def test_ctrl_c_is_held_back_while_a_program_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(program, "abort_job", lambda _: None)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        assert status_of(lambda: signal.getsignal(signal.SIGINT) is signal.default_int_handler) == 0
    finally:
        signal.signal(signal.SIGINT, before)


def test_a_process_of_its_own_ends_with_the_status_and_the_message() -> None:
    code = "import simsplit; simsplit.script(lambda: simsplit.Problem([1.0], None, delta_t=1, steps=1))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=LIMIT, check=False)
    assert (found.returncode, found.stdout) == (2, "")
    assert found.stderr.startswith("simsplit: a kernel must be a function, a ufunc or a Kernel, not None")
    assert len(found.stderr.splitlines()) == 1
