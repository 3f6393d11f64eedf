"""The contract on MPI: what moves, and where it lands."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING

import numpy as np
import pytest

from simsplit.bounds import bounds
from simsplit.communicator import connect, mpi
from simsplit.communicator.datatypes import exchange
from simsplit.communicator.mpi import MPICommunicator, library, wait_until_read
from simsplit.errors import InputError
from tests.support.communicators import CommunicatorSuite

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from simsplit.communicator import Communicator


@pytest.mark.parametrize(
    ("version", "short"),
    [
        ("MPICH Version:      5.0.2\nMPICH Release date: ...", "MPICH 5.0.2"),
        ("Open MPI v5.0.11, package: Open MPI root@x Distribution, ident: 5.0.11, repo", "Open MPI 5.0.11"),
        ("Intel(R) MPI Library 2021.18 for Linux* OS\n\0", "Intel(R) MPI Library 2021.18"),
    ],
)
def test_the_name_of_the_library_is_shortened(version: str, short: str) -> None:
    assert library(version) == short


@pytest.mark.mpi
class TestMPI(CommunicatorSuite):
    def on_all(self, check: Callable[[Communicator], None]) -> None:
        check(connect())


@pytest.fixture
def world() -> MPICommunicator:
    communicator = connect()
    assert isinstance(communicator, MPICommunicator)
    return communicator


@pytest.mark.mpi
def test_it_knows_its_library(world: MPICommunicator) -> None:
    assert world.library is not None
    assert world.library.startswith(("MPICH", "Open MPI"))
    assert world.thread_level == "MULTIPLE"  # what mpi4py asks for, and both wheels give


@pytest.mark.mpi(min_size=2)
def test_displacements_have_64_bits(world: MPICommunicator) -> None:
    far = 2**32 + 7  # bytes; what is not touched takes no memory
    spans = [(0, 0)] * (world.size - 1) + [(far, far + 2)]
    whole = np.empty((1, far + 2), np.int8) if world.rank == 0 else None
    part = np.array([[5, 6] if world.rank == world.size - 1 else []], np.int8)
    world.gatherv(part, spans, whole)
    if whole is not None:
        assert whole[0, far:].tolist() == [5, 6]
    world.scatterv(None if whole is None else whole[0], spans, part[0])
    assert part.tolist() == [[5, 6] if world.rank == world.size - 1 else []]


@pytest.mark.mpi(min_size=2)
@pytest.mark.parametrize("most", [2, 3, 7, 64, 1000])
@pytest.mark.parametrize("rows", [1, 5, 49, 50, 343, 1200])
def test_what_is_longer_than_the_library_counts_is_split(world: MPICommunicator, rows: int, most: int) -> None:
    world.max_count = most
    whole = np.random.default_rng(rows).integers(0, 256, (3, rows * world.size, 2), np.uint8)
    spans = bounds(len(whole[0]), world.size)
    lower, upper = spans[world.rank]
    part = np.zeros((upper - lower, 2), np.uint8)
    world.scatterv(whole[1] if world.rank == 0 else None, spans, part)
    assert world.rank == 0 or np.array_equal(part, whole[1, lower:upper])
    back = np.zeros_like(whole) if world.rank == 0 else None
    if back is not None:
        back[:, lower:upper] = whole[:, lower:upper]
    roomy = np.zeros((3, upper - lower + 1, 2), np.uint8)
    roomy[:, :-1] = whole[:, lower:upper]
    world.gatherv(roomy[:, :-1], spans, back)
    assert back is None or np.array_equal(back, whole)


@pytest.mark.mpi
@pytest.mark.parametrize("small", [0, 2**20])
def test_steps_are_gathered_one_by_one_or_together(
    world: MPICommunicator, small: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mpi, "_SMALL", small)
    used: list[str] = []
    monkeypatch.setattr(mpi, "exchange", lambda *given: (used.append("exchange"), exchange(*given)))
    whole = np.arange(3.0 * (5 * world.size + 1) * 2).reshape(3, -1, 2)
    spans = bounds(len(whole[0]), world.size)
    own = slice(*spans[world.rank])
    back = np.zeros_like(whole) if world.rank == 0 else None
    if back is not None:
        back[:, own] = whole[:, own]
    world.gatherv(whole[:, own], spans, back)
    assert back is None or np.array_equal(back, whole)
    assert used == (["exchange"] if small else [])


@pytest.mark.mpi
@pytest.mark.parametrize("comm", ["MPI.COMM_WORLD", 3])
def test_what_is_no_communicator_is_refused(comm: object) -> None:
    with pytest.raises(InputError, match=r"comm must be an intracommunicator of mpi4py or None, not"):
        connect(comm)  # type: ignore[arg-type]


@pytest.mark.mpi
def test_the_null_communicator_is_refused() -> None:
    from mpi4py import MPI

    with pytest.raises(InputError, match="comm is COMM_NULL: it was freed, or this rank is none of"):
        connect(MPI.COMM_NULL)


@pytest.mark.mpi(min_size=2)
def test_some_ranks_are_not_the_whole_job() -> None:
    from mpi4py import MPI

    half = MPI.COMM_WORLD.Split(MPI.COMM_WORLD.rank % 2)
    communicator = connect(half)
    assert not communicator.is_world
    assert communicator.size == half.size
    half.Free()


def test_what_was_written_to_a_pipe_is_waited_for_until_it_is_read() -> None:
    reader, writer = os.pipe()
    os.write(writer, b"the last words")
    seen: list[bytes] = []
    late = threading.Timer(0.2, lambda: seen.append(os.read(reader, 100)))
    late.start()
    wait_until_read(writer, patience=60)
    assert seen == [b"the last words"]
    wait_until_read(writer, patience=60)
    os.write(writer, b"nobody reads these")
    wait_until_read(writer, patience=0.05)
    os.close(reader)
    wait_until_read(writer, patience=0.05)
    os.close(writer)
    wait_until_read(writer, patience=60)  # it is closed


def test_a_file_has_no_reader_to_wait_for(tmp_path: Path) -> None:
    with (tmp_path / "file").open("w") as file:
        file.write("words")
        wait_until_read(file.fileno(), patience=60)
