"""How far the rows of a sweep are: lines in a log, a table on a terminal."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from simsplit.cli.sweeps.progress import RowState, SweepProgress, counts, last_step

if TYPE_CHECKING:
    from pathlib import Path

STATES = [
    RowState("a", "finished", "in 3 s"),
    RowState("b", "running", "step 3 of 9 (33 %) · 1 steps/s"),
    RowState("c", "running"),
    RowState("d", "waiting"),
]


class Clock:
    """Shows what it is set to."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


class Terminal(io.StringIO):
    """Says that it is a terminal."""

    def isatty(self) -> bool:
        return True


def test_a_log_gets_a_line_now_and_then() -> None:
    stream, clock = io.StringIO(), Clock()
    progress = SweepProgress(10.0, stream=stream, clock=clock)
    progress.update(STATES)
    clock.now = 10.0
    assert progress.is_due
    progress.update(STATES)
    progress.update(STATES)
    progress.tell("b failed exit status 4")
    progress.close()
    assert stream.getvalue() == (
        "simsplit: 1 of 4 rows finished, 2 running, 1 waiting · b: step 3 of 9 (33 %) · 1 steps/s; c: begins\n"
        "simsplit: b failed exit status 4\n"
    )


def test_a_terminal_gets_one_table() -> None:
    stream, clock = Terminal(), Clock()
    progress = SweepProgress(10.0, stream=stream, clock=clock)
    clock.now = 1.0
    progress.update(STATES)
    shown = stream.getvalue()
    for words in ("finished", "step 3 of 9 (33 %)", "1 of 4 rows finished, 2 running, 1 waiting"):
        assert words in shown
    progress.tell("a [b] finished")
    clock.now = 2.0
    progress.update([*STATES, *(RowState(f"row-{number}", "waiting") for number in range(99))])
    progress.close()
    more = stream.getvalue()[len(shown) :]
    assert "a [b] finished" in more
    assert "1 of 103 rows finished, 2 running, 100 waiting" in more
    assert "row-5" not in more


def test_who_wants_no_news_gets_none() -> None:
    stream, clock = io.StringIO(), Clock()
    progress = SweepProgress(0.0, quiet=True, stream=stream, clock=clock)
    clock.now = 5.0
    assert not progress.is_due
    progress.update(STATES)
    progress.tell("a finished")
    assert stream.getvalue() == ""


def test_a_stream_that_is_closed_ends_nothing() -> None:
    stream, clock = io.StringIO(), Clock()
    progress = SweepProgress(0.0, stream=stream, clock=clock)
    stream.close()
    progress.tell("a finished")
    progress.close()
    assert counts(STATES[:1]) == "1 of 1 rows finished"


def test_how_far_a_run_is_stands_in_its_log(tmp_path: Path) -> None:
    assert last_step(tmp_path) == ""
    log = tmp_path / "log.txt"
    log.write_text("2026-01-01T00:00:00+00:00 began on 1 rank: simsplit run\n")
    assert last_step(tmp_path) == ""
    with log.open("a") as file:
        file.write("2026-01-01T00:00:02+00:00 step 3 of 1,000 (0 %) · 2 steps/s · 3 min left\n")
        file.write(
            "2026-01-01T00:00:12+00:00 step 30 of 1,000 (3 %) · 3 steps/s · 2 min left\nx checkpoint at step 5\n"
        )
    assert last_step(tmp_path) == "step 30 of 1,000 (3 %) · 3 steps/s · 2 min left"
