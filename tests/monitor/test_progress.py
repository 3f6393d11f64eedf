"""Progress: lines that can be read alone in a log, a bar on a terminal."""

from __future__ import annotations

import io
import os

import pytest

from simsplit.monitor.progress import Progress
from tests.support.terminal import terminal


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_log_gets_a_plain_line_soon_and_then_now_and_then() -> None:
    out, clock, logged = io.StringIO(), Clock(), []
    progress = Progress(100_000, 0, 17_700_000, stream=out, log=logged.append, clock=clock)
    for second in range(35):
        clock.now = float(second)
        progress.update(second * 1204, second * 0.04)
    progress.close()
    lines = out.getvalue().splitlines()
    assert lines == [
        "simsplit: step 2,408 of 100,000 (2 %) · 1,204 steps/s · 21.3 GB/s · communication 4 % · 1 min 21 s left",
        "simsplit: step 14,448 of 100,000 (14 %) · 1,204 steps/s · 21.3 GB/s · communication 4 % · 1 min 11 s left",
        "simsplit: step 26,488 of 100,000 (26 %) · 1,204 steps/s · 21.3 GB/s · communication 4 % · 1 min 1 s left",
        "simsplit: step 38,528 of 100,000 (38 %) · 1,204 steps/s · 21.3 GB/s · communication 4 % · 51 s left",
    ]
    assert "\r" not in out.getvalue()
    assert [f"simsplit: {line}" for line in logged] == lines


def test_the_interval_can_be_set_and_slow_steps_are_told_as_such() -> None:
    out, clock = io.StringIO(), Clock()
    progress = Progress(10, 4, 8, every=3.0, stream=out, clock=clock)
    clock.now = 1.0
    progress.update(4)
    clock.now = 8.0
    progress.update(5)
    assert out.getvalue() == "simsplit: step 5 of 10 (50 %) · 8 s a step · 1e-09 GB/s · communication 0 % · 40 s left\n"


def test_slow_steps_are_told_one_by_one() -> None:
    out, clock = io.StringIO(), Clock()
    progress = Progress(10, 0, 0, stream=out, clock=clock)
    for step, second in enumerate((6, 12, 18, 20, 22, 24, 26, 28, 34), start=1):
        clock.now = float(second)
        progress.update(step)
    told = [line.partition(" of")[0] for line in out.getvalue().splitlines()]
    assert told == ["simsplit: step 1", "simsplit: step 2", "simsplit: step 3", "simsplit: step 8", "simsplit: step 9"]


def test_a_bar_and_lines_can_be_asked_for() -> None:
    drawn = {}
    for how in ("auto", "lines", "bar"):
        out, clock = io.StringIO(), Clock()
        progress = Progress(10, 0, 0, stream=out, how=how, clock=clock)
        clock.now = 20.0
        progress.update(5)
        progress.close()
        drawn[how] = out.getvalue()
    assert drawn["auto"] == drawn["lines"] == "simsplit: step 5 of 10 (50 %) · 4 s a step · 20 s left\n"
    assert "50 % · 4 s a step · 20 s left" in drawn["bar"]
    assert "step 5 of" not in drawn["bar"]


def test_no_step_and_no_time_are_no_rate() -> None:
    out = io.StringIO()
    Progress(10, 4, 8, every=0.0, stream=out, clock=Clock()).update(4)
    assert out.getvalue() == "simsplit: step 4 of 10 (40 %) · no step since the last look\n"
    Progress(0, 0, 8, every=0.0, stream=out, clock=Clock()).update(0)


def test_quiet_says_nothing_but_to_the_log() -> None:
    out, clock, logged = io.StringIO(), Clock(), []
    progress = Progress(10, 0, 8, stream=out, log=logged.append, how="no", clock=clock)
    clock.now = 20.0
    progress.update(5)
    assert out.getvalue() == ""
    assert len(logged) == 1


def test_the_rate_is_that_of_the_last_while() -> None:
    out, clock = io.StringIO(), Clock()
    progress = Progress(10**6, 0, 1, stream=out, clock=clock)
    for second in range(0, 400, 10):
        clock.now = float(second)
        progress.update(second * 1000 if second < 100 else 100_000 + (second - 100) * 10)
    assert " · 10 steps/s · " in out.getvalue().splitlines()[-1]


@pytest.mark.parametrize("broken", [OSError, ValueError])
def test_a_stream_that_takes_nothing_ends_no_run(broken: type[Exception]) -> None:
    class Closed(io.StringIO):
        def write(self, _: str) -> int:
            raise broken

    Progress(10, 0, 8, every=0.0, stream=Closed()).update(1)


def test_a_terminal_gets_a_bar_that_goes_away() -> None:
    clock = Clock()
    with terminal() as (end, read), os.fdopen(end, "w") as stream:
        progress = Progress(100, 0, 10**9, stream=stream, clock=clock)
        progress.update(1)  # a run of a moment needs none
        for second in range(1, 60):
            clock.now = float(second)
            progress.update(second)
        progress.close()
        progress.close()
    text = b"".join(read).decode()
    assert "59 %" in text
    assert "1 steps/s" in text
    assert "1 GB/s" in text
    assert "step 1 of" not in text
