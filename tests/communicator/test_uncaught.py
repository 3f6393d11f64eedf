"""Errors that nobody catches, in programs without `simsplit.script`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from simsplit import InputError
from simsplit.communicator import uncaught
from tests.support.launching import BIN, Ended, mpiexec, run

if TYPE_CHECKING:
    from pathlib import Path

PROGRAM = """
import sys
import numpy as np, simsplit

def fails(x, k):
    if k == 2:
        raise ValueError("no")
    return x * 1.0

def main(kernel):
    simsplit.run(simsplit.Problem(np.arange(9.0), kernel, delta_t=1, steps=5))

try:
    main(fails)
except simsplit.KernelError:
    print("caught", flush=True)
"""
TRACEBACK = """\
Traceback (most recent call last):
  File "{file}", line 17, in <module>
    main(fails)
  File "{file}", line 11, in main
    simsplit.run(simsplit.Problem(np.arange(9.0), kernel, delta_t=1, steps=5))
"""


def ended(folder: Path, ranks: int, text: str) -> Ended:
    """Run a program."""
    (folder / "program.py").write_text(PROGRAM + text)
    command = mpiexec(ranks, folder / "program.py") if ranks > 1 else [str(BIN / "python"), folder / "program.py"]
    return run(command, timeout=120)


@pytest.mark.launch
@pytest.mark.parametrize("ranks", [1, 3])
def test_an_error_of_all_ranks_is_told_once_with_the_program_s_own_lines(tmp_path: Path, ranks: int) -> None:
    found = ended(tmp_path, ranks, "main(fails)\n")
    assert found.status == 4, found.err
    assert found.out == "caught\n" * ranks
    lines = found.err.partition("Traceback")
    text = "".join(lines[1:])
    expected = TRACEBACK.format(file=tmp_path / "program.py")
    assert [line for line in text.splitlines() if "^^^" not in line][:5] == expected.splitlines()
    assert f"simsplit.errors.KernelError: the kernel fails failed on rank 0 of {ranks}" in text
    assert text.count("Traceback") == 2  # of the program, and of the kernel in it
    assert ("The same on ranks 1–2." in text) == (ranks == 3)


@pytest.mark.launch
@pytest.mark.parametrize(
    "text", ["raise ArithmeticError('mine')\n", "sys.excepthook = lambda *_: print('hook')\nmain(fails)\n"]
)
def test_what_is_not_simsplit_s_is_left_alone(tmp_path: Path, text: str) -> None:
    found = ended(tmp_path, 1, text)
    assert found.status == 1
    assert found.err.endswith("ArithmeticError: mine\n") or found.out.endswith("hook\n")


def test_the_rank_that_does_not_tell_says_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "excepthook", sys.__excepthook__)
    uncaught.tell_once()
    error = InputError("wrong")
    error.is_collective, error.is_reporter = True, False
    with pytest.raises(SystemExit) as caught:
        sys.excepthook(InputError, error, None)
    assert caught.value.code == 2
    assert capsys.readouterr().err == ""
    error.is_reporter = True
    with pytest.raises(SystemExit):
        sys.excepthook(InputError, error, None)
    assert capsys.readouterr().err == "simsplit.errors.InputError: wrong\n"
    error.is_collective = False
    sys.excepthook(InputError, error, None)
    assert capsys.readouterr().err == "simsplit.errors.InputError: wrong\n"


def test_where_python_is_typed_in_nothing_is_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "excepthook", sys.__excepthook__)
    monkeypatch.setattr(sys, "ps1", ">>> ", raising=False)
    uncaught.tell_once()
    assert sys.excepthook is sys.__excepthook__
