"""Runs in run directories in one process: what they read and replace, and histories that are not finished."""

from __future__ import annotations

import fcntl
import json
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from simsplit import InputError, OutputError, StoppedError
from simsplit.cli import main
from simsplit.history.stored_array import stored_array
from simsplit.rundir.recorded_run import open_run
from tests.support.environment import forget_launchers

STEP = ["--kernel", "x + t", "--kind", "step", "--size", "4"]
FORMATS = ["npy", "zarr", "h5"]


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Go into an empty folder, as somebody whose home it is."""
    forget_launchers(monkeypatch)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


def run(*words: str) -> None:
    main(["run", "--serial", "--quiet", *words])


def refusal(*words: str, kind: type[Exception] = InputError) -> str:
    with pytest.raises(kind) as caught:
        main(list(words))
    return str(caught.value)


def begun(folder: str, *words: str) -> None:
    """Begin a run that is out of time after its first step."""
    with pytest.raises(StoppedError):
        run(*STEP, "--steps", "9", "--time-limit", "0", "-o", folder, *words)


def contents(folder: Path) -> dict[str, bytes]:
    """Return the bytes of each file, but for what Python keeps of modules."""
    files = (path for path in sorted(folder.rglob("*")) if path.is_file() and path.parent.name != "__pycache__")
    return {str(path): path.read_bytes() for path in files}


def values(path: str | Path) -> Any:
    found = stored_array(path)
    assert found is not None
    return found.block(slice(None))


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("spelled", ["e/history", "./e/../e/history", "link/history", "other"])
def test_an_input_within_the_run_that_is_to_be_replaced_is_refused(here: Path, form: str, spelled: str) -> None:
    run("--size", "4", "-o", "e", "--format", form)
    (here / "link").symlink_to("e")
    (here / f"other.{form}").symlink_to(f"e/history.{form}")
    before = contents(here)
    for output in ("e", "link", "x/../e"):
        message = refusal("run", "--serial", "--input", f"{spelled}.{form}", "-o", output, "--overwrite")
        assert message == f"--output would replace the input {spelled}.{form}. Name another file or folder."
    assert contents(here) == before


def test_whatever_else_a_run_reads_is_not_replaced_either(here: Path) -> None:
    run("--size", "4", "-o", "e")
    Path("e/checkpoints").mkdir()
    np.save("e/checkpoints/p.npy", np.arange(4.0))
    Path("e/checkpoints/mine.py").write_text("def f(x, t):\n    return x * t\n")
    np.save("p.npy", np.arange(4.0))
    np.save("h.mean.npy", np.arange(4.0))
    Path("q.toml").symlink_to("q.npy")
    Path("q.npy").write_text("steps = 2\n")
    run("--size", "4", "-o", "store.zarr")
    before = contents(here)
    cases = {
        "the input e@2": ["--input", "e@2", "-o", "e", "--overwrite"],
        "the problem e/problem.toml": ["e/problem.toml", "-o", "e", "--overwrite"],
        "the file of offset, e/checkpoints/p.npy": [
            *("--size", "4", "--set", "offset=e/checkpoints/p.npy", "-o", "e", "--overwrite")
        ],
        "the folder of modules e/checkpoints": [
            *("--size", "4", "--kernel", "mine:f", "--import-from", "e/checkpoints", "-o", "e", "--overwrite")
        ],
        "the file of offset, p.npy": ["--size", "4", "--set", "offset=p.npy", "-o", "./p.npy"],
        "the input h.mean.npy": ["--input", "h.mean.npy", "--reduce", "mean", "-o", "h.npy"],
        "the problem q.toml": ["q.toml", "-o", "q.npy"],
        "the input store.zarr": ["--input", "store.zarr", "-o", "store.zarr/run"],
    }
    for what, words in cases.items():
        message = refusal("run", "--serial", *words)
        assert message == f"--output would replace {what}. Name another file or folder."
    assert "would replace the input" in refusal("job", "--ntasks-per-node", "1", "--input", "e/history.npy", "-o", "e")
    assert "is a file of a run" in refusal("collect", ".", "-o", "e/run.json")
    assert contents(here) == before
    sys.modules.pop("mine", None)
    run("--input", "e/history.npy", "-o", "f", "--overwrite")  # what lies apart is read as ever
    run("--input", "h.mean.npy", "-o", "h.npy")


@pytest.mark.parametrize("form", FORMATS)
def test_a_history_is_called_unfinished_until_all_of_it_is_there(form: str) -> None:
    begun("e", "--format", form)
    assert os.path.exists(f"e/history.unfinished.{form}")  # noqa: PTH110, a text is at hand
    assert not os.path.exists(f"e/history.{form}")  # noqa: PTH110, as above
    assert f"history history.unfinished.{form}, 1 of 9 complete" in "\n".join(shown("e"))
    main(["collect", ".", "-o", "table.csv"])
    assert "e,stopped,1," in Path("table.csv").read_text()
    main(["resume", "e", "--serial", "--quiet"])
    assert [path.name for path in Path("e").glob("history.*")] == [f"history.{form}"]
    assert f"history history.{form}, 9 of 9 complete" in "\n".join(shown("e"))
    begun("e", "--format", "npy", "--overwrite")
    assert [path.name for path in Path("e").glob("history.*")] == ["history.unfinished.npy"]


def shown(folder: str) -> list[str]:
    from simsplit.cli.commands.show import lines

    return lines(open_run(folder))


@pytest.mark.parametrize("form", FORMATS)
def test_an_unfinished_history_is_no_input(here: Path, form: str) -> None:
    begun("e", "--format", form)
    name = f"e/history.unfinished.{form}"
    (here / f"link.{form}").symlink_to(name)
    for path in (name, f"./e/../{name}", f"link.{form}"):
        for command in (["run", "--serial"], ["plan", "--ranks", "2"]):
            message = refusal(*command, "--input", path)
            assert message.startswith(f"{path} is the history of a run that is not finished: 1 of 9 steps are complete")
            assert "simsplit resume " in message
            assert "e@K" in message
    if form == "npy":
        for command in (["run", "--serial"], ["plan", "--ranks", "2"]):
            assert "1 of 9 steps are complete" in refusal(*command, "--size", "4", "--set", f"offset=link.{form}")
    (here / "e" / "run.json").unlink()
    assert "of a run that was not finished" in refusal("run", "--serial", "--input", name)
    (here / name).rename(f"mine.{form}")
    run("--input", f"mine.{form}")


@pytest.mark.parametrize("form", FORMATS)
def test_the_folder_of_an_older_simsplit_is_resumed_and_its_unfinished_history_refused(form: str) -> None:
    begun("e", "--format", form)
    run(*STEP, "--steps", "9", "-o", "whole.npy")
    Path(f"e/history.unfinished.{form}").rename(f"e/history.{form}")
    assert "1 of 9 complete" in "\n".join(shown("e"))
    assert "1 of 9 steps are complete" in refusal("run", "--serial", "--input", f"e/history.{form}")
    main(["resume", "e", "--serial", "--quiet"])
    assert [path.name for path in Path("e").glob("history.*")] == [f"history.{form}"]
    assert values(f"e/history.{form}").tobytes() == np.load("whole.npy").tobytes()


@pytest.mark.parametrize("form", FORMATS)
def test_a_step_of_a_run_is_an_input(form: str) -> None:
    run(*STEP, "--steps", "9", "--keep", "every:4", "--format", form, "-o", "e")
    whole = values(f"e/history.{form}")
    for step in (0, 4, 8):
        run("--kernel", "x", "--steps", "1", "--input", f"e@{step}", "-o", "one.npy")
        assert np.load("one.npy").tobytes() == whole[step // 4].tobytes()
    main(["plan", "--ranks", "2", "--input", "e@8"])
    steps = "Steps that are complete: 0, 4, 8."
    assert refusal("run", "--serial", "--input", "e@5") == f"step 5 is not in the history of e. {steps}"
    assert refusal("plan", "--ranks", "2", "--input", "e@12") == f"step 12 is not in the history of e. {steps}"
    assert "nowhere is not a run directory" in refusal("run", "--serial", "--input", "nowhere@5")
    np.save("a@5.npy", np.arange(3.0))
    Path("a@5.npy").rename("a@5")  # a file of that name comes first
    run("--kernel", "x", "--steps", "1", "--input", "a@5", "-o", "one.npy")
    assert np.load("one.npy").tolist() == [[0, 1, 2]]


def test_a_step_of_an_unfinished_run_is_an_input_that_does_not_change_when_the_run_goes_on() -> None:
    begun("e")
    begun("f", "--size", "3", "--keep", "all")
    with pytest.raises(StoppedError):
        main(["run", "--serial", "--quiet", "--input", "e@0", "--steps", "4", "--time-limit", "0", "-o", "g"])
    assert refusal("run", "--serial", "--input", "e@1").endswith("Steps that are complete: 0.")
    main(["resume", "e", "--serial", "--quiet"])
    main(["resume", "g", "--serial", "--quiet"])
    assert np.load("g/history.npy")[1].tobytes() == ((3.0 + np.arange(4.0) * 5.0) * 0.5).tobytes()
    run("--input", "g@1", "--steps", "3", "--time-limit", "1h", "-o", "h")
    run("--size", "4", "--steps", "3", "--offset", "1", "-o", "g", "--overwrite")  # another run of that name
    record = json.loads(Path("h/run.json").read_text())
    Path("h/run.json").write_text(json.dumps(record | {"status": "stopped"}))
    assert "the file of input" in refusal("resume", "h", "--serial")


def test_a_step_whose_values_have_fields_is_an_input() -> None:
    np.save("a.npy", np.array([(1, 2.0), (3, 4.0)], np.dtype([("n", "i4"), ("x", "f8")], align=True)))
    Path("home.py").write_text("def same(x):\n    return x\n")
    words = ["--kernel", "home:same", "--import-from", ".", "--steps", "3"]
    for form in FORMATS:
        run(*words, "--input", "a.npy", "-o", form, "--format", form)
        run(*words, "--input", f"{form}@1", "-o", f"{form}.npy")
        assert np.load(f"{form}.npy").tolist() == [[(1, 2.0), (3, 4.0)]] * 3
    sys.modules.pop("home", None)


def test_a_tilde_is_the_users_home(here: Path) -> None:
    np.save("p.npy", np.arange(4.0))
    Path("home.py").write_text("def f(x, offset):\n    return x + offset\n")
    Path("t.toml").write_text(
        'kernel = "home:f"\nimport_from = "~"\n'
        'input = "~/p.npy"\noutput = "~/t.npy"\n[parameters]\noffset = "~/p.npy"\n'
    )
    away = here / "away"
    away.mkdir()
    os.chdir(away)
    run("~/t.toml")
    assert np.load(here / "t.npy")[0].tolist() == [0, 2, 4, 6]
    run("--input=~/p.npy", "--set", "offset=~/p.npy", "--output=~/runs/a")
    run("--input=~/runs/a@1", "-o~/b.h5")
    run("~/runs/a/problem.toml", "-o", "~/runs/b")
    main(["resume", "~/runs/a", "--serial", "--quiet"])
    main(["collect", "~/runs", "-o", "~/table.csv"])
    names = {"away", "b.h5", "home.py", "p.npy", "runs", "t.npy", "t.toml", "table.csv"}
    assert {path.name for path in here.iterdir()} - {"__pycache__"} == names
    assert list(away.iterdir()) == []
    sys.modules.pop("home", None)


BAD = os.fsdecode(b"b\xff")


@pytest.mark.parametrize("form", FORMATS)
def test_names_that_are_not_utf8_are_as_good_as_others(here: Path, form: str) -> None:
    (here / BAD).mkdir()
    with pytest.raises(StoppedError):
        run(*STEP, "--time-limit", "0", "--format", form, "-o", f"{BAD}/e")
    main(["resume", f"{BAD}/e", "--serial", "--quiet"])
    run("--input", f"{BAD}/e/history.{form}", "-o", f"{BAD}/h.{form}")
    run("--input", f"{BAD}/e@2", "-o", f"{BAD}/h2.{form}")
    assert values(f"{BAD}/h2.{form}").shape == (5, 4)
    record = json.loads((here / BAD / "e" / "run.json").read_text())
    assert record["attempts"][0]["exit"]["status"] == 75
    for words in (["--input", f"{BAD}/h.{form}"], ["--import-from", BAD], ["--time-unit", BAD]):
        message = refusal("run", "--serial", *words, "-o", "new")
        assert "is not UTF-8, so that problem.toml in a run directory cannot hold it" in message
        assert not (here / "new").exists()
    main(["collect", BAD, "-o", f"{BAD}/t.csv", "--plot", f"{BAD}/p.png"])
    assert b"e,finished,5," in (here / BAD / "t.csv").read_bytes()
    (here / "link").symlink_to(BAD)
    run("--input", f"link/h.{form}", "-o", "new")


def test_an_hdf5_file_that_another_program_has_locked_is_told() -> None:
    run("--size", "4", "-o", "a.h5")
    begun("e", "--format", "h5")
    with Path("a.h5").open() as one, Path("e/history.unfinished.h5").open() as other:
        for file in (one, other):
            fcntl.flock(file, fcntl.LOCK_EX)  # as HDF5 does in another program
        for words in (["run", "--serial", "--input", "a.h5"], ["show", "e"], ["run", "--serial", "--input", "e@0"]):
            assert "is locked: another program has it open. Close it there" in refusal(*words)
        message = refusal("resume", "e", "--serial", kind=OutputError)
        assert "is locked: another program has it open" in message
        assert "Make room" not in message
    main(["resume", "e", "--serial", "--quiet"])
    run("--input", "a.h5")


def test_the_name_of_a_folder_that_looks_like_a_file_is_told() -> None:
    assert "a folder for everything about the run, whose name must not end like that of a file, as 'results.final'" in (
        refusal("run", "--serial", "-o", "results.final")
    )


@pytest.mark.parametrize("name", ["a::b", "memory:", "s3:b", "a|b"])
def test_a_path_is_never_a_url(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "fsspec", None)
    run("--size", "4", "-o", f"{name}.zarr")
    run("--input", f"{name}.zarr", "-o", f"{name}.folder1", "--format", "zarr")
    assert values(f"{name}.folder1/history.zarr").shape == (5, 5, 4)
    assert values(f"{name}.zarr").shape == (5, 4)


@pytest.mark.filterwarnings("error")
def test_zarr_does_not_warn_amid_a_quiet_run(capfd: pytest.CaptureFixture[str]) -> None:
    np.save("a.npy", np.zeros(4, [("n", "i4"), ("x", "f8")]))
    Path("home.py").write_text("def same(x):\n    return x\n")
    with pytest.raises(StoppedError):
        run(*("--kernel", "home:same", "--import-from", ".", "--input", "a.npy", "--format", "zarr", "-o", "e"),
            *("--time-limit", "0"))  # fmt: skip
    main(["resume", "e", "--serial", "--quiet"])
    run("--kernel", "home:same", "--import-from", ".", "--input", "e@1", "-o", "b.zarr")
    assert capfd.readouterr() == ("", "")
    sys.modules.pop("home", None)
