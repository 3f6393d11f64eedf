"""Files that all ranks write to at once."""

from __future__ import annotations

import errno
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from simsplit import OutputError
from simsplit.communicator import Agreement, Communicator, connect
from simsplit.communicator.files import open_shared
from simsplit.util import durable as disk

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.mpi


@pytest.fixture
def world() -> Communicator:
    return connect()


@pytest.fixture
def path(world: Communicator) -> Iterator[Path]:
    """Make a file that all ranks see."""
    folder = tempfile.TemporaryDirectory() if world.rank == 0 else None
    name = Path(world.bcast(None if folder is None else folder.name)) / "f"
    if world.rank == 0:
        name.touch()
    world.allreduce_or(0)
    yield name
    world.allreduce_or(0)
    if folder is not None:
        folder.cleanup()


@pytest.mark.parametrize("block_rows", [5, 2**30])
def test_each_rank_writes_in_its_places(
    world: Communicator, path: Path, monkeypatch: pytest.MonkeyPatch, block_rows: int
) -> None:
    monkeypatch.setattr(disk, "MAX_IO_NBYTES", block_rows)
    opened = open_shared(world, str(path))
    for k in range(3):
        opened.write(np.full((1, 4), 10.0 * k + world.rank), 16 + (k * world.size + world.rank) * 32)
    opened.write(np.empty((0, 4)), 0)
    opened.sync()
    opened.close()
    world.allreduce_or(0)
    found: Any = np.fromfile(path, offset=16).reshape(3, world.size, 4)
    assert found.tobytes() == np.fromfunction(lambda k, rank, _: 10.0 * k + rank, found.shape).tobytes()
    assert [entry.name for entry in path.parent.iterdir()] == ["f"]


def test_a_file_that_one_rank_does_not_find_is_an_error_of_all(world: Communicator, path: Path) -> None:
    last = world.rank == world.size - 1
    with pytest.raises(OutputError, match="No such file or directory"), Agreement(world):
        try:
            open_shared(world, str(path) + "x" * last).close()
        except OSError as error:
            raise OutputError(str(error)) from error
    assert world.allgather(world.rank) == list(range(world.size))


@pytest.mark.skipif(not os.access("/dev/full", os.W_OK), reason="no /dev/full here")
def test_a_full_disk_is_told_by_the_rank_that_meets_it(world: Communicator) -> None:
    opened = open_shared(world, "/dev/full")
    with pytest.raises(OutputError, match="full"), Agreement(world):
        if world.rank == world.size - 1:
            try:
                opened.write(np.zeros(10), 0)
            except OSError as error:
                assert error.errno in (errno.ENOSPC, errno.EIO)  # noqa: PT017, raised again
                raise OutputError("full") from error
    opened.close()
