"""Programs that run side by side: how many, how they end, and what signals do to them."""

from __future__ import annotations

import os
import signal
import sys
import time
from typing import TYPE_CHECKING

import pytest

from simsplit.cli.sweeps import programs
from simsplit.cli.sweeps.programs import Program, run_all
from tests.support.launching import LIMIT

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.launch, pytest.mark.once]

WAITS = """
import pathlib, signal, sys, time
count = 0
def note(number, frame):
    global count
    count += 1
    pathlib.Path(sys.argv[1]).write_text(f"asked {count}")
    if count == int(sys.argv[2]):
        sys.exit(75)
signal.signal(signal.SIGUSR1, note)
if sys.argv[3:]:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
pathlib.Path(sys.argv[1]).write_text("ready")
time.sleep(1000)
"""


def program(text: str, *words: object) -> Program:
    """Return a program in Python."""
    return Program([sys.executable, "-c", text, *map(str, words)], os.environ)


def is_late(begun: float) -> bool:
    return time.monotonic() - begun > LIMIT


def test_they_run_in_their_order_so_many_at_a_time() -> None:
    text = "import sys, time\nprint(sys.argv[1], flush=True)\ntime.sleep(0.2)\nsys.exit(int(sys.argv[1]))"
    every = [program(text, number) for number in range(4)]
    ended: list[Program] = []

    def look(now: list[Program]) -> bool:
        assert sum(each.runs for each in every) <= 2
        ended.extend(now)
        return True

    assert run_all(every, 2, look) == ""
    assert [each.status for each in every] == [0, 1, 2, 3]
    assert sorted(map(every.index, ended)) == [0, 1, 2, 3]
    assert [each.output for each in every] == [f"{number}\n" for number in range(4)]


def test_none_is_begun_when_one_shows_that_it_is_no_use() -> None:
    every = [program("import sys\nsys.exit(3)"), program("pass")]
    assert run_all(every, 1, lambda ended: not ended) == ""
    assert [each.status for each in every] == [3, None]


@pytest.mark.parametrize(("number", "name"), [(signal.SIGTERM, "SIGTERM"), (signal.SIGINT, "Ctrl-C")])
def test_a_signal_stops_what_runs_in_order_and_begins_nothing_more(
    tmp_path: Path, number: signal.Signals, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    before = signal.getsignal(number)
    every = [program(WAITS, tmp_path / "0", 1), program("pass")]
    begun, sent = time.monotonic(), False

    def look(_ended: list[Program]) -> bool:
        nonlocal sent
        assert not is_late(begun)
        if not sent and (tmp_path / "0").exists():
            sent = True
            os.kill(os.getpid(), number)
        return True

    assert run_all(every, 1, look) == name
    assert [each.status for each in every] == [75, None]
    assert (tmp_path / "0").read_text() == "asked 1"
    assert "stopping 1 in order" in capsys.readouterr().err
    assert signal.getsignal(number) == before


@pytest.mark.parametrize("deaf", [False, True])
def test_a_second_signal_ends_them_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, deaf: bool) -> None:
    monkeypatch.setattr(programs, "_SAME", 0.0)
    monkeypatch.setattr(programs, "_AT_ONCE", ((0.0, signal.SIGUSR1), (0.2, signal.SIGTERM), (0.4, signal.SIGKILL)))
    one = program(WAITS, tmp_path / "0", 9 if deaf else 2, *(["deaf"] if deaf else []))
    begun, sent = time.monotonic(), 0

    def look(_ended: list[Program]) -> bool:
        nonlocal sent
        assert not is_late(begun)
        heard = (tmp_path / "0").read_text() if (tmp_path / "0").exists() else ""
        if (sent == 0 and heard == "ready") or (sent == 1 and heard == "asked 1"):
            sent += 1
            os.kill(os.getpid(), signal.SIGTERM)
        return True

    assert run_all([one], 1, look) == "SIGTERM"
    assert one.status == (-signal.SIGKILL if deaf else 75)


def test_nothing_is_left_of_them_if_something_fails_here(tmp_path: Path) -> None:
    one = program(WAITS, tmp_path / "0", 1)

    def look(_ended: list[Program]) -> bool:
        if (tmp_path / "0").exists():
            raise ArithmeticError("it failed")
        return True

    with pytest.raises(ArithmeticError):
        run_all([one], 1, look)
    assert one.status == -signal.SIGTERM
