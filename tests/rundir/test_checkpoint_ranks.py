"""Checkpoints of several ranks: committed by all or by none, and damage is known to all."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from simsplit import OutputError
from simsplit.bounds import bounds
from simsplit.communicator import Communicator, connect
from simsplit.rundir.checkpoint import Checkpoints
from simsplit.util import durable as disk

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.mpi

ROWS = 1001


@pytest.fixture
def world() -> Communicator:
    return connect()


@pytest.fixture
def folder(world: Communicator) -> Iterator[Path]:
    """Make a folder that all ranks see."""
    made = tempfile.TemporaryDirectory() if world.rank == 0 else None
    yield Path(world.bcast(None if made is None else made.name)) / "checkpoints"
    world.allreduce_or(0)
    if made is not None:
        made.cleanup()


def whole(position: int) -> Any:
    return np.random.default_rng(position).random((ROWS, 3))


def store(world: Communicator, folder: Path, *positions: int) -> Checkpoints:
    """Let all ranks commit the states of some positions."""
    checkpoints = Checkpoints(world, folder)
    parts = bounds(ROWS, world.size)
    lower, upper = parts[world.rank]
    for position in positions:
        state = whole(position)[lower:upper]
        checkpoints.write(position, state, ((ROWS, 3), state.dtype, parts), {"at": position})
    return checkpoints


def test_what_all_commit_all_read(world: Communicator, folder: Path) -> None:
    checkpoints = store(world, folder, 3, 20, 100)
    span = bounds(ROWS, world.size)[::-1][world.rank]  # any rows may be asked for
    found = checkpoints.latest(span)
    assert found is not None
    assert found.state is not None
    assert (found.position, found.facts) == (100, {"at": 100})
    assert found.state.tobytes() == whole(100)[span[0] : span[1]].tobytes()
    assert len(list(folder.iterdir())) == 2


def test_a_byte_that_one_rank_finds_flipped_is_known_to_all(world: Communicator, folder: Path) -> None:
    checkpoints = store(world, folder, 3, 20)
    last = folder / "step-000000000000020.checkpoint"
    good = last.read_bytes()
    world.allreduce_or(0)
    for place in np.linspace(0, len(good) - 1, 25).astype(int):
        if world.rank == 0:
            bad = bytearray(good)
            bad[place] ^= 16
            last.write_bytes(bad)
        world.allreduce_or(0)
        found = checkpoints.latest(bounds(ROWS, world.size)[world.rank])
        assert found is not None
        assert found.position == 3
        assert len(found.skipped) == 1
        assert found.skipped == world.bcast(found.skipped)


@pytest.mark.parametrize("call", ["write", "fsync", "open_existing"])
def test_a_rank_that_cannot_write_lets_all_fail_and_nothing_is_lost(
    world: Communicator, folder: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    checkpoints = store(world, folder, 3)

    def failing(*_: Any) -> None:
        raise OSError(28, os.strerror(28))

    if world.rank == world.size - 1:
        monkeypatch.setattr(disk, call, failing)
    with pytest.raises(OutputError, match=r"No space left on device\. Make room") as caught:
        store(world, folder, 20)
    monkeypatch.undo()
    assert caught.value.is_collective
    found = checkpoints.latest(bounds(ROWS, world.size)[world.rank])
    assert found is not None
    assert found.position == 3
    assert [entry.name for entry in folder.iterdir()] == ["step-000000000000003.checkpoint"]
