"""What touches the disk: all bytes or an error, and small files that appear whole or not at all."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING, Any

import pytest

from simsplit import OutputError
from simsplit.util import durable as disk

if TYPE_CHECKING:
    from pathlib import Path

CALLS = ("create", "write", "fsync", "rename")


def names(folder: Path) -> list[str]:
    return sorted(os.listdir(folder))  # noqa: PTH208, hidden files are the point


@pytest.mark.parametrize("block_rows", [1, 7, 2**30])
def test_what_is_written_in_pieces_is_read_in_pieces(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, block_rows: int
) -> None:
    monkeypatch.setattr(disk, "MAX_IO_NBYTES", block_rows)
    file = disk.create(tmp_path / "f")
    disk.write(file, b"", 50)
    disk.write(file, bytes(range(20)), 3)
    assert disk.read(file, 20, 3) == bytes(range(20))
    assert disk.read(file, 20, 13) == bytes(range(10, 20))  # where it ends
    os.close(file)
    assert (tmp_path / "f").read_bytes() == bytes(3) + bytes(range(20))


def test_short_writes_are_continued_and_none_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = disk.create(tmp_path / "f")
    real = os.pwrite
    monkeypatch.setattr(os, "pwrite", lambda file, data, offset: real(file, data[:3], offset))
    disk.write(file, bytes(range(10)), 0)
    assert (tmp_path / "f").read_bytes() == bytes(range(10))
    monkeypatch.setattr(os, "pwrite", lambda *_: 0)
    with pytest.raises(OSError, match="nothing was written"):
        disk.write(file, b"x", 0)
    os.close(file)


def test_a_file_that_is_there_is_not_created_again_and_one_that_is_not_is_not_opened(tmp_path: Path) -> None:
    os.close(disk.create(tmp_path / "f"))
    with pytest.raises(FileExistsError):
        disk.create(tmp_path / "f")
    with pytest.raises(FileNotFoundError):
        disk.open_existing(tmp_path / "g")


@pytest.mark.parametrize("call", CALLS)
def test_a_replacement_that_fails_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    path = tmp_path / "f"
    disk.atomic_write_bytes(path, b"old")

    def failing(*_: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(disk, call, failing)
    with (
        pytest.raises(OutputError, match=r"cannot write it: No space left on device\. Mend it"),
        disk.as_output_error("it", "Mend it"),
    ):
        disk.atomic_write_bytes(path, b"new")
    monkeypatch.undo()
    assert path.read_bytes() == b"old"
    assert names(tmp_path) == ["f"]
    disk.atomic_write_bytes(path, b"new")
    assert path.read_bytes() == b"new"


def test_a_path_is_within_a_place_by_whatever_spelling_or_link(tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "f").touch()
    (tmp_path / "link").symlink_to("a")
    (tmp_path / "a" / "away").symlink_to("/")
    (tmp_path / "loop").symlink_to("loop")
    inside = ["a", "a/f", "link/f", "a/b/../../a/f", "link/new/file", "a/away/etc", "a/../outside"]
    assert [disk.within(tmp_path / path, tmp_path / "a") for path in inside] == [True] * len(inside)
    outside = [".", "b", "ab", "loop", "link\0", "b/a"]
    assert [disk.within(tmp_path / path, tmp_path / "a") for path in outside] == [False] * len(outside)
    assert disk.within(tmp_path / "link" / "f", tmp_path / "a" / "f")
    assert not disk.within(tmp_path / "a", tmp_path / "a" / "f")
    assert not disk.within(tmp_path / "a", tmp_path / "nothing")
