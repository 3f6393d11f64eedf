"""The contract on MPI: what moves, and where it lands."""

from __future__ import annotations

import numpy as np
import pytest

from simsplit.bounds import bounds
from simsplit.communicator import connect, mpi
from simsplit.communicator.datatypes import exchange
from simsplit.communicator.mpi import MPICommunicator, library
from simsplit.errors import InputError

SIZES = [0, 1, 3, 7, 12]
ROWS = [(), (1,), (3,), (2, 5), (0,), (3, 0)]


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


@pytest.fixture
def world() -> MPICommunicator:
    communicator = connect()
    assert isinstance(communicator, MPICommunicator)
    return communicator


@pytest.mark.mpi
def test_it_knows_its_ranks(world: MPICommunicator) -> None:
    assert world.allgather(world.rank) == list(range(world.size))
    assert world.is_world
    assert world.library is not None
    assert world.library.startswith(("MPICH", "Open MPI"))
    assert world.thread_level == "MULTIPLE"  # what mpi4py asks for, and both wheels give


@pytest.mark.mpi
def test_bcast_gives_everyone_roots_value(world: MPICommunicator) -> None:
    assert world.bcast({"a": 1} if world.rank == 0 else None) == {"a": 1}


@pytest.mark.mpi
def test_a_bit_that_one_rank_sets_is_known_to_all(world: MPICommunicator) -> None:
    assert world.allreduce_or(1 << world.rank) == 2**world.size - 1
    assert [world.allreduce_or(2**30 * (world.rank == rank)) for rank in range(world.size)] == [2**30] * world.size
    assert world.allreduce_or(0) == 0


@pytest.mark.mpi
@pytest.mark.parametrize("row", ROWS)
@pytest.mark.parametrize("size", SIZES)
def test_scatterv_brings_each_rank_its_rows(world: MPICommunicator, size: int, row: tuple[int, ...]) -> None:
    whole = np.arange(float(size * int(np.prod(row)))).reshape(size, *row)
    spans = bounds(size, world.size)
    lower, upper = spans[world.rank]
    part = np.full((upper - lower, *row), -1.0)
    world.scatterv(whole if world.rank == 0 else None, spans, part)
    expected = np.full_like(part, -1.0) if world.rank == 0 else whole[lower:upper]
    assert np.array_equal(part, expected)


@pytest.mark.mpi
@pytest.mark.parametrize("steps", [0, 1, 3])
@pytest.mark.parametrize("row", ROWS)
@pytest.mark.parametrize("size", SIZES)
def test_gatherv_puts_rows_where_the_spans_say(
    world: MPICommunicator, size: int, row: tuple[int, ...], steps: int
) -> None:
    gap = 2  # rows between the spans, which must stay as they are
    spans = [(lower + gap * rank, upper + gap * rank) for rank, (lower, upper) in enumerate(bounds(size, world.size))]
    shape = (steps, size + gap * world.size, *row)
    lower, upper = spans[world.rank]
    buffer = np.full((steps + 1, upper - lower + 1, *row), float(world.rank))
    wholes = np.full(shape, -1.0) if world.rank == 0 else None
    if wholes is not None:
        wholes[:, lower:upper] = 0.0
    world.gatherv(buffer[:steps, : upper - lower], spans, wholes)
    if wholes is not None:
        expected = np.full(shape, -1.0)
        for rank, (first, last) in enumerate(spans):
            expected[:, first:last] = rank
        assert np.array_equal(wholes, expected)


@pytest.mark.mpi(min_size=2)
@pytest.mark.parametrize("dtype", ["?", "<i2", ">i4", "<f4", ">f8", "<c16", "longdouble", "clongdouble"])
def test_every_dtype_travels_as_it_is(world: MPICommunicator, dtype: str) -> None:
    whole = np.arange(11).astype(dtype)
    spans = bounds(11, world.size)
    lower, upper = spans[world.rank]
    part = np.zeros(upper - lower, dtype)
    world.scatterv(whole if world.rank == 0 else None, spans, part)
    if world.rank == 0:
        back = np.zeros((1, 11), dtype)
        back[0, lower:upper] = whole[lower:upper]
    world.gatherv(part[None], spans, back if world.rank == 0 else None)
    if world.rank == 0:
        assert back.tobytes() == whole.tobytes()


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


@pytest.mark.mpi(min_size=2)
def test_several_pieces_to_and_from_several_ranks(world: MPICommunicator) -> None:
    others = [rank for rank in range(world.size) if rank != world.rank]
    sends = {rank: [np.full((2, 3), 10 * world.rank + rank), np.arange(5)[1:3]] for rank in others}
    wide = {rank: np.zeros((2, 5), int) for rank in others}
    flat = {rank: np.zeros(2, int) for rank in others}
    world.exchange(sends, {rank: [wide[rank][:, 1:4], flat[rank]] for rank in others})
    for rank in others:
        assert wide[rank].tolist() == [[0, *[10 * rank + world.rank] * 3, 0]] * 2
        assert flat[rank].tolist() == [1, 2]


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
