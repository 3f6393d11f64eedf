"""A picture appears whole or not at all."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from simsplit import InputError, OutputError
from simsplit.display import figure as picture
from simsplit.util import durable as disk

if TYPE_CHECKING:
    from pathlib import Path

pytest.importorskip("matplotlib")


@pytest.mark.parametrize(
    ("name", "begins"),
    [("a.png", b"\x89PNG"), ("a.PNG", b"\x89PNG"), ("a.pdf", b"%PDF"), ("a.svg", b"<?xml"), ("a", b"\x89PNG")],
)
def test_the_name_tells_the_format_and_is_kept(name: str, begins: bytes, tmp_path: Path) -> None:
    picture.save(picture.figure(2, 1), str(tmp_path / name))
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert (tmp_path / name).read_bytes().startswith(begins)


def test_what_was_there_stays_where_the_new_picture_cannot_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "a.png"
    target.write_bytes(b"the last one")
    with pytest.raises(InputError, match=r"^cannot draw .*a\.nope: "):
        picture.save(picture.figure(2, 1), str(tmp_path / "a.nope"))
    write = disk.write

    def full(file: int, data: memoryview | bytes, offset: int) -> None:
        write(file, data[:10], offset)
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(disk, "write", full)
    with pytest.raises(OutputError, match=r"^cannot write .*a\.png: No space left on device\. Name a file in "):
        picture.save(picture.figure(2, 1), str(target))
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]
    assert target.read_bytes() == b"the last one"
