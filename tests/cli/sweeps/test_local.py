"""``simsplit sweep --run``: all rows here, one after the other or side by side, stopped and begun again."""

from __future__ import annotations

import csv
import json
import os
import re
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from tests.support import sweeps
from tests.support.launching import BIN, LIMIT, SIMSPLIT, environment, finish, run, start

if TYPE_CHECKING:
    from tests.support.launching import Ended

pytestmark = [pytest.mark.launch, pytest.mark.once]

GROW = (*sweeps.GROW, "--check-rows", "no")
SLOW = (*GROW[:1], "kernels:slow", *GROW[2:], "--steps", "400", "--checkpoint-every", "0")


@pytest.fixture(autouse=True)
def table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Write a table of four runs, one of which fails as long as there is a certain file."""
    monkeypatch.chdir(tmp_path)
    sweeps.write_sweep(tmp_path, range(1, 5), seconds=0.1)


def edit(old: str, new: str) -> None:
    """Change the kernels."""
    text = Path("kernels.py").read_text()
    assert old in text
    Path("kernels.py").write_text(text.replace(old, new))


def sweep(*words: str) -> list[str]:
    return [str(BIN / "python"), *SIMSPLIT, "sweep", "table.csv", *words, "--run"]


def starts() -> list[int]:
    """Return how often each run was started."""
    return [len(json.loads(path.read_text())["attempts"]) for path in sorted(Path("runs/table").glob("*/run.json"))]


def collected() -> list[dict[str, str]]:
    with Path("runs/table/table.csv").open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("ranks", ["1", "2"])
def test_what_failed_is_run_again_and_all_are_collected(ranks: str) -> None:
    words = (*GROW, "-j", "2", "-n", ranks)
    first = run(sweep(*words))
    assert first.status == 4
    assert "simsplit: 1 of 4 rows failed.\n\nrun-3 (runs/table/run-3):\nsimsplit: the kernel kernels:grow" in first.err
    assert "ArithmeticError: it broke" in first.err
    assert "4 runs in runs/table, 2 at a time, each " in first.err
    assert [row["status"] for row in collected()] == ["finished", "finished", "failed", "finished"]

    Path("broken").unlink()
    edit("it broke", "it breaks")  # as one does: nothing is lost by it
    second = run(sweep(*words))
    assert second.status == 0, second.err
    assert "1 run in runs/table, 2 at a time" in second.err
    assert "3 finished before" in second.err
    assert re.search(r"^runs/table/run-3 +finished +kernels:grow", second.out, re.MULTILINE)
    assert second.out.endswith("all of them are in runs/table/table.csv and runs/table/picture.png\n")
    assert [float(row["mean"]) for row in collected()] == [2.0 * rate ** (3 + rate % 2) for rate in range(1, 5)]
    assert {row["ranks"] for row in collected()} == {ranks}

    third = run([*sweep(*words), "-q"])
    assert (third.status, third.out, third.err) == (0, "", "")
    assert starts() == [1, 1, 1, 1]


def stopped(process: object, number: signal.Signals, *seen: str) -> Ended:
    """Send a signal once these files are there, and wait for the end."""
    end = time.monotonic() + LIMIT
    while not all(Path(name).exists() for name in seen):
        assert time.monotonic() < end
        assert process.poll() is None, process.communicate()
        time.sleep(0.05)
    os.kill(process.pid, number)
    return finish(process)


@pytest.mark.parametrize("ranks", ["1", "2"])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_stops_in_order_and_goes_on(ranks: str, number: signal.Signals) -> None:
    Path("table.csv").write_text("name,rate\na,1\nb,2\nc,3\n")
    words = (*SLOW, "-j", "2", "-n", ranks)
    ended = stopped(start(sweep(*words)), number, "reached-1", "reached-2")
    assert ended.status == 75, ended.err
    name = "SIGTERM" if number == signal.SIGTERM else "Ctrl-C"
    message = re.search(
        rf"^simsplit: stopped by {name}: 0 of 3 rows finished\. Go on with: (.*)$", ended.err, re.MULTILINE
    )
    assert message, ended.err
    assert message[1].endswith(f"--run --jobs=2 --ranks={ranks}")
    records = [json.loads(Path(f"runs/table/{name}/run.json").read_text()) for name in "ab"]
    assert [record["status"] for record in records] == ["stopped", "stopped"]
    assert not Path("runs/table/c").exists()
    assert not Path("runs/table/table.csv").exists()

    edit("sleep(0.1)", "sleep(0)")
    refused = run(sweep(*words))
    assert refused.status == 2
    assert "--accept-changes" in refused.err
    went_on = run(["bash", "-c", f"{message[1]} --accept-changes"], env=environment(PATH=f"{BIN}:{os.environ['PATH']}"))
    assert went_on.status == 0, went_on.err
    assert starts()[2] == 1
    for rate, name in enumerate("abc", 1):
        history = np.load(f"runs/table/{name}/history.npy")
        assert np.array_equal(history, np.arange(5.0) + rate * np.arange(400.0)[:, None])


def test_a_run_that_goes_on_or_was_made_by_another_row_is_left_alone() -> None:
    Path("table.csv").write_text("name,rate\na,1\n")
    process = start(sweep(*SLOW))
    end = time.monotonic() + LIMIT
    while not Path("reached-1").exists():
        assert time.monotonic() < end
        time.sleep(0.05)
    second = run(sweep(*SLOW))
    assert second.status == 2
    assert "the run in runs/table/a goes on at this moment" in second.err
    ended = stopped(process, signal.SIGTERM)
    assert ended.status == 75, ended.err

    Path("table.csv").write_text("name,rate\nb,1\na,2\n")
    changed = run(sweep(*SLOW))
    assert changed.status == 2
    assert "table.csv: row 2: runs/table/a was made by other arguments" in changed.err
    assert not Path("runs/table/b").exists()
    anew = run(sweep(*GROW, "--overwrite", "-j", "2"))
    assert anew.status == 0, anew.err
    assert starts() == [1, 1]


def test_without_a_launcher_nothing_is_begun(tmp_path: Path) -> None:
    python = tmp_path / "python"
    python.write_text(f'#!/bin/bash\nexec -a "{tmp_path}/python" {BIN}/python "$@"\n')
    python.chmod(0o755)
    program = (
        "import sys\nfrom simsplit.__main__ import main\nsys.executable = sys.argv.pop(1)\n"
        "sys.argv[0] = 'simsplit'\nmain()\n"
    )
    command = [str(BIN / "python"), "-c", program, str(python), "sweep", "table.csv", *GROW, "--run", "-n", "2"]
    ended = run(command, env=environment(PATH="/nowhere"))
    assert ended.status == 3, ended.err
    assert f"-n 2 needs mpiexec, and there is none, neither beside {python} nor on the PATH" in ended.err
    assert not Path("runs").exists()
