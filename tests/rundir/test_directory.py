"""The run directory: made once, held by one run at a time, and never emptied by accident."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from simsplit import InputError, OutputError
from simsplit.rundir import directory as rundir
from simsplit.rundir import record as provenance
from simsplit.rundir.directory import RunDirectory, read_record
from simsplit.rundir.lock import is_locked
from simsplit.util import durable as disk

if TYPE_CHECKING:
    from pathlib import Path

HOLD = """
import sys, time
from pathlib import Path
from simsplit.rundir.lock import Lock
lock = Lock(Path(sys.argv[1]))
print("held", flush=True)
time.sleep(3600)
"""


def hold(folder: Path) -> subprocess.Popen[str]:
    """Let another process take the lock."""
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(folder)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def filled(path: Path) -> Path:
    """Make a run directory with a run in it."""
    made = RunDirectory.create(path)
    made.write_problem("steps = 3\n")
    made.write_record(provenance.new_record({}, {}))
    made.log("began")
    (path / "checkpoints").mkdir()
    (path / "checkpoints" / "x").touch()
    (path / "picture.png").touch()
    made.close()
    return path


def test_it_is_made_with_the_folders_above_it(tmp_path: Path) -> None:
    made = RunDirectory.create(tmp_path / "runs" / "a")
    assert made.path == tmp_path / "runs" / "a"
    assert is_locked(made.path)
    made.close()
    assert not is_locked(made.path)


def test_an_empty_folder_is_as_good(tmp_path: Path) -> None:
    RunDirectory.create(tmp_path).close()


def test_one_that_is_there_is_refused_unless_it_is_to_be_replaced(tmp_path: Path) -> None:
    path = filled(tmp_path / "a")
    with pytest.raises(InputError, match=r"simsplit resume .*or replace it \(--overwrite\)"):
        RunDirectory.create(path)
    assert (path / "problem.toml").exists()
    made = RunDirectory.create(path, overwrite=True)
    assert sorted(entry.name for entry in path.iterdir()) == ["lock", "picture.png"]
    made.close()


def test_a_folder_of_something_else_is_never_emptied(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").touch()
    for overwrite in (False, True):
        with pytest.raises(InputError, match=r"empty it|holds something else"):
            RunDirectory.create(tmp_path, overwrite=overwrite)
    assert os.listdir(tmp_path) == ["thesis.tex"]  # noqa: PTH208, hidden files are the point
    with pytest.raises(InputError, match="not a folder"):
        RunDirectory.create(tmp_path / "thesis.tex", overwrite=True)


def test_one_that_cannot_be_made_is_an_output_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="Not a directory"):
        RunDirectory.create(tmp_path / "file" / "a")


def test_two_runs_in_one_are_refused_and_a_killed_one_leaves_no_lock(tmp_path: Path) -> None:
    path = filled(tmp_path / "a")
    other = hold(path)
    try:
        for attempt in (lambda: RunDirectory.open(path), lambda: RunDirectory.create(path, overwrite=True)):
            with pytest.raises(InputError, match=f"in use: process {other.pid} on host .* is writing to it"):
                attempt()
        assert is_locked(path)
        assert (path / "problem.toml").exists()
    finally:
        other.send_signal(signal.SIGKILL)
        other.wait()
        other.communicate()
    assert not is_locked(path)
    RunDirectory.open(path).close()


def test_a_stop_file_is_seen_and_taken_away_at_the_end(tmp_path: Path) -> None:
    made = RunDirectory.create(tmp_path / "a")
    assert not made.stop_requested()
    (tmp_path / "a" / "stop").touch()
    assert made.stop_requested()
    made.close()
    assert not (tmp_path / "a" / "stop").exists()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "not a run directory"),
        ("{", "is not simsplit's"),
        ("[]", "is not simsplit's"),
        ("{}", "is not simsplit's"),
        ('{"format": 99}', "has the format 99; this simsplit knows 1"),
    ],
)
def test_what_is_no_run_directory_is_refused(tmp_path: Path, content: str | None, words: str) -> None:
    if content is not None:
        (tmp_path / "run.json").write_text(content)
    with pytest.raises(InputError, match=words):
        RunDirectory.open(tmp_path)
    assert "lock" not in os.listdir(tmp_path)  # noqa: PTH208, hidden files are the point
    with pytest.raises(InputError, match="there is no folder"):
        read_record(tmp_path / "nowhere")


def test_a_small_file_is_replaced_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "run.json"
    disk.atomic_write_bytes(path, b"old")
    for call in ("create", "write", "fsync", "rename"):

        def failing(*_: Any) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(disk, call, failing)
        with pytest.raises(OSError, match="No space"):
            disk.atomic_write_bytes(path, b"new")
        monkeypatch.undo()
        assert path.read_bytes() == b"old"
        assert os.listdir(tmp_path) == ["run.json"]  # noqa: PTH208, hidden files are the point
    disk.atomic_write_bytes(path, b"new")
    assert path.read_bytes() == b"new"


def test_the_log_says_when(tmp_path: Path) -> None:
    made = RunDirectory.create(tmp_path / "a")
    made.log("began · 4 ranks")
    made.log("ended")
    made.close()
    lines = (tmp_path / "a" / rundir.LOG).read_text("utf-8").splitlines()
    assert [line.partition(" ")[2] for line in lines] == ["began · 4 ranks", "ended"]
    assert lines[0].startswith("20")
