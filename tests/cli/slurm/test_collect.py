"""``simsplit collect``: a table and a picture of many runs."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from simsplit import InputError, KernelError, OutputError
from simsplit.cli import main
from simsplit.cli.slurm import collect
from simsplit.rundir.recorded_run import runs_in, statistics


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(name: str, *arguments: str) -> None:
    """Run in one process, into a run directory."""
    assert main(["run", "--serial", "--quiet", "-o", f"runs/{name}", *arguments]) == 0


def table(capsys: pytest.CaptureFixture[str]) -> list[dict[str, str]]:
    """Return the printed table."""
    capsys.readouterr()
    assert main(["collect", "runs"]) == 0
    return list(csv.DictReader(io.StringIO(capsys.readouterr().out)))


def test_a_row_says_what_ran_how_it_ended_and_what_came_out(capsys: pytest.CaptureFixture[str]) -> None:
    run("b", "--offset", "1", "--size", "5", "--steps", "3")
    run(
        "a",
        "--kernel",
        "x * rate",
        "--kind",
        "step",
        "--set",
        "rate=2",
        "--size",
        "4",
        "--steps",
        "4",
        "--delta-t",
        "2",
    )
    first, second = table(capsys)
    assert [first[name] for name in ("run", "status", "steps_done", "formula", "rate", "offset")] == [
        *("a", "finished", "4", "x * rate"),
        *("2", ""),
    ]
    last = 8.0 * np.arange(4)
    expected: dict[str, Any] = {
        "last_time": 6.0,
        "least": last.min(),
        "mean": last.mean(),
        "greatest": last.max(),
        "deviation": last.std(),
        "not_numbers": 0,
    }
    assert {name: float(first[name]) for name in expected} == pytest.approx(expected)
    assert [second[name] for name in ("run", "steps", "rate", "offset", "multiplier", "last_time", "least")] == [
        *("b", "3", "", "1.0"),
        *("5.0", "1.0", "1.0"),
    ]
    assert (second["ranks"], second["starts"]) == ("1", "1")


def test_a_run_that_keeps_no_step_is_told_by_its_reductions(capsys: pytest.CaptureFixture[str], folder: Path) -> None:
    words = ["--keep", "none", "--reduce", "min,mean,max", "--size", "5", "--steps", "4"]
    assert main(["run", "--serial", "-o", "runs/a", *words]) == 0
    assert "everything about it is in runs/a" in capsys.readouterr().out
    run("b", *words[2:])
    run("c", *words, "--kernel", "x * t * 1j", "--reduce", "mean")
    first, second, third = table(capsys)
    names = ("steps_done", "last_time", "least", "mean", "greatest")
    for each in (first, second):
        assert [float(each[name]) for name in names] == [4, 1.5, 4.5, 19.5, 34.5]
    assert (third["steps_done"], third["mean"]) == ("4", "")
    assert main(["collect", "runs", "-o", "table.csv", "--plot", "picture.svg"]) == 0
    assert "<!-- 2 of 3 runs in runs -->" in (folder / "picture.svg").read_text()

    assert main(["show", "runs/a"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[-6] == "over all rows:"
    assert lines[-5].split() == ["step", "t", "max", "mean", "min"]
    assert lines[-1].split() == ["3", "1.5", "34.5", "19.5", "4.5"]


def test_what_failed_is_in_the_table_too(capsys: pytest.CaptureFixture[str], folder: Path) -> None:
    run("a")
    (folder / "breaking.py").write_text("def at_two(x, k):\n    return x * 1.0 if k != 2 else 1 / 0\n")
    with pytest.raises(KernelError):
        run("b", "--kernel", "breaking:at_two", "--import-from", ".", "--kind", "step")
    assert [row["status"] for row in table(capsys)] == ["finished", "failed"]


@pytest.mark.parametrize("count", [2, 12])
def test_the_picture_has_a_curve_for_each_run(count: int, folder: Path) -> None:
    for number in range(count):
        run(f"{number:02}", "--offset", str(number), "--steps", "4", "--size", "3")
    assert main(["collect", "runs", "-o", "table.csv", "--plot", "picture.svg"]) == 0
    assert len((folder / "table.csv").read_text().splitlines()) == count + 1
    picture = (folder / "picture.svg").read_text()
    assert picture.count("<!-- 0") + picture.count("<!-- 1") >= min(count, 5)  # names in the legend
    assert f"<!-- {count} of {count} runs in runs -->" in picture


def test_the_curve_is_the_mean_of_every_step() -> None:
    run("a", "--kernel", "log(x - 2 + 0j*t)", "--steps", "300", "--size", "9", "--format", "zarr")
    (found,) = runs_in(Path("runs"))
    expected = [statistics(found.history(), k).mean for k in range(300)]
    np.testing.assert_allclose(collect._means(found), expected, rtol=1e-12)


def test_nothing_is_half_written(folder: Path) -> None:
    run("a")
    with pytest.raises(OutputError, match=r"the table nowhere/table\.csv"):
        main(["collect", "runs", "-o", "nowhere/table.csv"])
    with pytest.raises(OutputError, match=r"cannot write nowhere/picture\.png"):
        main(["collect", "runs", "-o", "table.csv", "--plot", "nowhere/picture.png"])
    with pytest.raises(InputError, match=r"cannot draw picture\.nope"):
        main(["collect", "runs", "--plot", "picture.nope"])
    assert sorted(path.name for path in folder.iterdir()) == ["runs", "table.csv"]


def test_a_folder_without_runs_is_refused(folder: Path) -> None:
    (folder / "empty").mkdir()
    with pytest.raises(InputError, match="there are no runs in empty"):
        main(["collect", "empty"])
    with pytest.raises(InputError, match="there is no folder missing"):
        main(["collect", "missing"])
