"""A file in a single process: all bytes, in pieces, or an error that says why."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from simsplit.communicator import files
from simsplit.communicator.files import open_shared
from simsplit.communicator.serial import SerialCommunicator
from simsplit.util import durable as disk

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("block_rows", [1, 7, 2**30])
def test_all_bytes_are_written_where_they_belong(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, block_rows: int
) -> None:
    monkeypatch.setattr(disk, "MAX_IO_NBYTES", block_rows)
    path = tmp_path / "f"
    path.write_bytes(b"abc")
    opened = open_shared(SerialCommunicator(), str(path))
    opened.write(np.arange(6, dtype=">i2").reshape(2, 3), 5)
    opened.write(np.empty((0, 3)), 2)
    opened.sync()
    opened.close()
    assert path.read_bytes() == b"abc\0\0" + np.arange(6, dtype=">i2").tobytes()


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No such file or directory"):
        open_shared(SerialCommunicator(), str(tmp_path / "f"))


def test_a_full_disk_is_told() -> None:
    opened = files.PlainFile("/dev/full")
    data: Any = np.arange(10)
    with pytest.raises(OSError, match="No space left on device"):
        opened.write(data, 0)
    opened.close()
