"""show, plot and runs: what a person sees of a run."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from simsplit import InputError, OutputError, StoppedError
from simsplit.cli import main
from simsplit.communicator import launchers
from simsplit.history.stored_array import stored_array
from simsplit.rundir.recorded_run import evenly_spaced, open_run, statistics
from tests.support.environment import forget_launchers

MODEL = """
import simsplit

def lotka(x, a, b):
    return a * x - b

class K(simsplit.kernels.Kernel):
    def evaluate(self, x, block, out):
        out[...] = x
"""


@pytest.fixture(autouse=True)
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Path:
    """Make three runs: one finished, one stopped, one that failed."""
    forget_launchers(monkeypatch)
    monkeypatch.chdir(tmp_path)
    main(
        ["run", "--serial", "--size", "100", "--steps", "30", "--time-unit", "days", "--unit", "people", "-o", "runs/a"]
    )
    with pytest.raises(StoppedError):
        main(["run", "--serial", "--size", "9", "--format", "zarr", "--time-limit", "0", "-o", "runs/b"])
    np.save("x.npy", np.array([[1.0, 2.0], [3.0, np.nan]]))
    with pytest.raises(Exception, match="not a number"):
        main(["run", "--serial", "--input", "x.npy", "--nan", "error", "-o", "runs/c"])
    capsys.readouterr()
    return tmp_path / "runs"


def shown(capsys: pytest.CaptureFixture[str], *arguments: str) -> list[str]:
    assert main(list(arguments)) == 0
    return capsys.readouterr().out.splitlines()


def test_show_says_what_ran_how_it_ended_and_what_came_of_it(capsys: pytest.CaptureFixture[str]) -> None:
    lines = shown(capsys, "show", "runs/a")
    assert lines[0] == "runs/a · finished"
    assert lines[1] == "map kernel affine: (offset + x * multiplier) * t · offset 3.0, multiplier 5.0"
    assert lines[2] == "100 of float64 · 30 steps of 0.5 from 0 · history history.npy, 30 of 30 complete"
    assert "1 rank on " in lines[4]
    assert "no MPI · exit status 0" in lines[4]
    head = next(line for line in lines if line.startswith("step"))
    assert " ".join(head.split()) == "step t (days) min (people) mean (people) max (people) std (people)"
    last = (3 + 5 * np.arange(100.0)) * 14.5
    numbers = ["29", "14.5", "43.5", f"{last.mean():.6g}", f"{last.max():.6g}", f"{last.std():.6g}"]
    assert numbers in [line.split() for line in lines]
    assert "value (people): mean ●, from min to max ·" in lines
    assert any("●" in line for line in lines)


def logged(name: str) -> list[str]:
    """Return the lines of a run's log, without their times."""
    return [line.partition(" ")[2] for line in Path("runs", name, "log.txt").read_text("utf-8").splitlines()]


def test_the_log_says_when_a_run_will_stop_by_itself() -> None:
    assert [line.partition(":")[0] for line in logged("a")] == ["began on 1 rank", "finished"]
    began, ahead, *_ = logged("b")
    assert began.startswith("began on 1 rank: ")
    assert ahead == "stops after 0 s"


def test_show_says_how_to_go_on(capsys: pytest.CaptureFixture[str]) -> None:
    lines = shown(capsys, "show", "runs/b")
    assert lines[0].startswith("runs/b · stopped: stopped by the time limit after ")
    assert f"continue it with: {launchers.command('resume runs/b', 1)}" in lines
    lines = shown(capsys, "show", "runs/c")
    assert lines[0].startswith("runs/c · failed: the kernel affine failed")
    assert "no step is complete yet" in lines
    assert any(" · no steps in " in line for line in lines)
    assert not any("steps 0 to 0" in line for line in lines)


def test_show_names_a_kernel_by_its_signature_and_the_launcher_that_a_run_needs(
    capsys: pytest.CaptureFixture[str],
) -> None:
    Path("lv.py").write_text(MODEL)
    for kernel, more, line in [
        ("lv:lotka", ["--set", "a=1", "--set", "b=2"], "map kernel lv:lotka: lotka(x, a, b) · a 1, b 2"),
        ("lv:K", [], "map kernel K"),
    ]:
        main(
            ["run", "--serial", "--quiet", "--kernel", kernel, "--import-from", ".", *more, "--overwrite", "-o", "l v"]
        )
        assert shown(capsys, "show", "l v")[1] == line
    record = json.loads(Path("l v", "run.json").read_text())
    record["status"], record["attempts"][0]["ranks"] = "stopped", 3
    Path("l v", "run.json").write_text(json.dumps(record))
    assert "continue it with: " + launchers.command("resume 'l v'", 3) in shown(capsys, "show", "l v")


def test_runs_are_listed(capsys: pytest.CaptureFixture[str], runs: Path) -> None:
    (runs / "notes").mkdir()
    (runs / "d").mkdir()
    (runs / "d" / "run.json").write_text("{}")
    lines = shown(capsys, "runs", "runs")
    assert [line.split()[:2] for line in lines[1:]] == [
        ["runs/a", "finished"], ["runs/b", "stopped"], ["runs/c", "failed"]
    ]  # fmt: skip
    assert lines[0].split() == ["run", "status", "kernel", "array", "steps", "ranks", "started", "seconds"]
    found = json.loads(shown(capsys, "runs", "runs", "--json")[0])
    assert [(each["path"], each["status"]) for each in found] == [
        ("runs/a", "finished"), ("runs/b", "stopped"), ("runs/c", "failed")
    ]  # fmt: skip
    assert json.loads(shown(capsys, "show", "runs/b", "--json")[0])["history"]["format"] == "zarr"
    assert shown(capsys, "runs", "runs/notes") == ["no runs in runs/notes"]


def test_a_run_that_was_killed_is_told_from_one_that_runs(runs: Path) -> None:
    from simsplit.rundir.lock import Lock

    record = json.loads((runs / "a" / "run.json").read_text())
    (runs / "a" / "run.json").write_text(json.dumps(record | {"status": "running"}))
    assert open_run(runs / "a").status == "killed"
    lock = Lock(runs / "a")
    assert open_run(runs / "a").status == "running"
    lock.release()


@pytest.mark.parametrize("name", ["p.png", "p.svg", "p.pdf"])
def test_a_picture_is_drawn(capsys: pytest.CaptureFixture[str], name: str) -> None:
    assert shown(capsys, "plot", "runs/a", "-o", name, "--rows", "0,50,99") == [f"written to {name}"]
    assert os.path.getsize(name) > 5000  # noqa: PTH202, a text is at hand


@pytest.mark.parametrize(
    ("arguments", "kind", "words"),
    [
        (["runs/a", "--rows", "0,100"], InputError, "--rows must be from 0 to 99, not 100"),
        (["runs/a", "--component", "1"], InputError, "--component must be from 0 to 0, not 1"),
        (["runs/a", "-o", "p.xyz"], InputError, "cannot draw p.xyz: "),
        (["runs/a", "-o", "nowhere/p.png"], OutputError, "cannot write nowhere/p.png: No such file or directory"),
        (["runs/c"], InputError, "has no complete step yet"),
        (["runs/x"], InputError, "there is no folder runs/x"),
    ],
)
def test_what_cannot_be_drawn_is_told(arguments: list[str], kind: Any, words: str) -> None:
    with pytest.raises(kind) as caught:
        main(["plot", *arguments])
    assert words in str(caught.value)


def test_a_folder_that_is_not_there_and_a_history_that_is_gone_are_told(runs: Path) -> None:
    with pytest.raises(InputError, match="there is no folder nowhere"):
        main(["runs", "nowhere"])
    (runs / "a" / "history.npy").unlink()
    with pytest.raises(InputError, match="cannot read the history"):
        main(["show", "runs/a"])


def test_statistics_leave_out_what_is_no_number_and_stand_great_values(tmp_path: Path) -> None:
    values = np.array([[1e200, 3e200, np.nan, np.inf], [1e9 + 1, 1e9 + 2, 1e9 + 3, 1e9 + 4]])
    np.save(tmp_path / "h.npy", values)
    stored = stored_array(tmp_path / "h.npy")
    assert stored is not None
    great, close = statistics(stored, 0), statistics(stored, 1)
    assert (great.least, great.mean, great.greatest, great.not_numbers) == (1e200, 2e200, 3e200, 2)
    assert great.deviation == pytest.approx(1e200)
    assert close.deviation == pytest.approx(np.sqrt(1.25), rel=1e-12)
    assert [evenly_spaced(count, 3) for count in (0, 2, 3, 9)] == [[], [0, 1], [0, 1, 2], [0, 4, 8]]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("run --serial -o x.txt", "the output must be a file that ends in .npy, .zarr, .h5, .hdf5, or a folder"),
        ("run --serial --overwrite", "--overwrite is for a run in a run directory, but there is no output"),
        ("run --serial --time-limit 5 -o x.npy", "--time-limit is for a run in a run directory, but there is the file"),
        ("run --serial --checkpoint-every soon -o y", "must be a time such as 90, 30s, 5min, 2h or 1d, not 'soon'"),
        ("run --serial --checkpoint-every 0steps -o y", "or steps such as 500steps, not '0steps'"),
        ("run --serial -o runs/a", "is there already. Name another one, continue it ("),
        ("resume --serial nowhere", "is not a run directory: there is no folder nowhere"),
    ],
)
def test_what_is_asked_wrongly_is_told_and_nothing_is_left(arguments: str, words: str, tmp_path: Path) -> None:
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(InputError) as caught:
        main(arguments.split())
    assert words in str(caught.value)
    assert sorted(tmp_path.rglob("*")) == before
