"""What fails on one rank is raised on all of them."""

from __future__ import annotations

import pytest

from simsplit.communicator import Agreement, Communicator, connect
from simsplit.errors import InputError, KernelError, OutputError, SimsplitError, VerificationError

pytestmark = pytest.mark.mpi


@pytest.fixture
def world() -> Communicator:
    return connect()


def still_usable(world: Communicator) -> bool:
    """Return whether the ranks are still in step."""
    with Agreement(world):
        pass
    return world.allgather(world.rank) == list(range(world.size))


@pytest.mark.parametrize("kind", [InputError, OutputError, VerificationError])
def test_an_error_of_the_last_rank_is_raised_on_all(world: Communicator, kind: type[SimsplitError]) -> None:
    last = world.size - 1
    with pytest.raises(kind) as caught, Agreement(world):
        if world.rank == last:
            raise kind("out of order")
    error = caught.value
    assert type(error) is kind
    assert str(error) == "out of order"
    assert [(failure.rank, failure.error) for failure in error.failures] == [(last, kind.__name__)]
    assert "out of order" in error.failures[0].traceback
    assert error.is_collective
    assert error.is_reporter == (world.rank == 0)
    assert still_usable(world)


@pytest.mark.mpi(min_size=2)
def test_the_lowest_rank_that_failed_is_the_one_that_is_told(world: Communicator) -> None:
    with pytest.raises(OutputError, match="rank 1 is full") as caught, Agreement(world):
        if world.rank == 1:
            raise OutputError("rank 1 is full")
        if world.rank > 1:
            raise InputError(f"rank {world.rank} is wrong")
    assert [failure.rank for failure in caught.value.failures] == list(range(1, world.size))


def test_an_error_of_another_kind_comes_with_its_traceback(world: Communicator) -> None:
    last = world.size - 1
    with pytest.raises(SimsplitError) as caught, Agreement(world):
        if world.rank == last:
            _ = [][last]
    text = str(caught.value)
    assert type(caught.value) is SimsplitError
    assert f"did not foresee, on rank {last} of {world.size}" in text
    assert "IndexError: list index out of range" in text
    assert "_ = [][last]" in text
    cause = str(caught.value.__cause__)
    assert "list index out of range" in cause
    assert still_usable(world)


def test_tracebacks_that_are_alike_are_shown_once(world: Communicator) -> None:
    with pytest.raises(KernelError) as caught, Agreement(world):
        try:
            _ = 1 / 0
        except ZeroDivisionError as error:
            raise KernelError(f"the kernel failed on rank {world.rank}") from error
    text = str(caught.value)
    assert text.startswith("the kernel failed on rank 0:\n")
    assert text.count("ZeroDivisionError: division by zero") == 1
    more = {1: "", 2: "The same on rank 1.\n", 3: "The same on ranks 1–2.\n", 4: "The same on ranks 1–3.\n"}
    assert more[world.size] in text


def test_running_out_of_memory_is_bad_input_everywhere(world: Communicator) -> None:
    with pytest.raises(InputError, match="not enough memory: 9 TB"), Agreement(world):
        if world.rank == world.size - 1:
            raise MemoryError("9 TB")
    assert still_usable(world)


def test_an_interrupt_of_one_rank_interrupts_all(world: Communicator) -> None:
    with pytest.raises(KeyboardInterrupt), Agreement(world):
        if world.rank == world.size - 1:
            raise KeyboardInterrupt
    assert still_usable(world)


@pytest.mark.mpi(min_size=3)
def test_ranks_of_a_subcommunicator_agree_among_themselves() -> None:
    from mpi4py import MPI

    odd = MPI.COMM_WORLD.rank % 2
    part = MPI.COMM_WORLD.Split(odd)
    communicator = connect(part)
    if odd:
        with Agreement(communicator):
            pass
    else:
        with pytest.raises(InputError) as caught, Agreement(communicator):
            if communicator.rank == 1:
                raise InputError("only here")
        assert not caught.value.is_collective
    assert still_usable(communicator)
    part.Free()
