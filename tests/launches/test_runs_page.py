"""docs/runs.md: each command and each program in it runs, in the order of the page."""

from __future__ import annotations

import os
import re
import sys
from typing import TYPE_CHECKING

import numpy as np
import pytest

from tests.support.launching import BIN, ROOT, environment, run

if TYPE_CHECKING:
    from pathlib import Path

BOUNDS = [(0, 250), (250, 500), (500, 750), (750, 1000)]

pytestmark = [pytest.mark.launch, pytest.mark.once]

TEXT = (ROOT / "docs" / "runs.md").read_text()
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)


def test_the_page_runs_from_top_to_bottom(tmp_path: Path) -> None:
    variables = environment(PATH=f"{BIN}:{os.environ['PATH']}")
    (tmp_path / "table.csv").write_text(next(block for language, block in BLOCKS if language == "text"))
    commands = [line for language, block in BLOCKS if language == "console" for line in block.splitlines()]
    assert len(commands) == 12
    for command in commands:
        ended = run(["bash", "-c", command.removeprefix("$ ")], cwd=tmp_path, env=variables)
        stops = "--time-limit 0" in command
        assert ended.status == (75 if stops else 0), (command, ended.err)
        assert bool(re.search("Continue with: .*simsplit resume", ended.err)) == stops
    programs = [block for language, block in BLOCKS if language == "python"]
    for program, out in zip(
        programs,
        [
            "60\n",
            f"{BOUNDS}\nresumed at step 10\n50\nfinished (50, 1000) [0.  0.5 1. ]\n",
            "(60, 100000)\n('time', 'row') 1.5\n",
        ],
        strict=True,
    ):
        ended = run([sys.executable, "-c", program], cwd=tmp_path)
        assert (ended.status, ended.err, ended.out) == (0, "", out)
    assert len((tmp_path / "runs" / "table" / "table.csv").read_text().splitlines()) == 4
    assert (tmp_path / "picture.png").read_bytes().startswith(b"\x89PNG")
    one, other = (np.load(tmp_path / "runs" / name / "history.npy", mmap_mode="r") for name in "ac")
    assert one.tobytes() == other.tobytes()
    later = np.load(tmp_path / "runs" / "d" / "history.npy")
    assert later[1].tobytes() == ((3.0 + one[59] * 5.0) * 0.5).tobytes()


def test_every_stop_and_every_name_of_the_folder_is_there() -> None:
    from simsplit.rundir import directory as rundir

    named = set(re.findall(r"^\| `([a-z.]+)/?`", TEXT, re.MULTILINE))
    assert {rundir.PROBLEM, rundir.RECORD, rundir.LOG, rundir.CHECKPOINTS, rundir.STACKS, "lock"} <= named
