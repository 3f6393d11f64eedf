"""Observers of the user's own, on all ranks: what one asks for or raises holds for all."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import simsplit
from simsplit import InputError, KernelError, Problem
from simsplit.communicator import connect
from simsplit.kernels import expression

if TYPE_CHECKING:
    from simsplit.runs.observers import Step

pytestmark = [pytest.mark.mpi, pytest.mark.timeout(120)]


def problem(rows: int = 10, keep: str = "all") -> Problem:
    return Problem(np.arange(float(rows)), expression("x * 0.5 + t", kind="step"), delta_t=0.5, steps=9, keep=keep)


@pytest.mark.parametrize("rows", [1, 3, 10])
def test_every_rank_is_shown_its_rows(rows: int) -> None:
    seen: list[Any] = []
    result = simsplit.run(
        problem(rows, "last"), watch=lambda step: seen.append((step.k, step.rows, step.values.copy()))
    )
    whole = simsplit.run(problem(rows), serial=True).history if connect().size == 1 else None
    bounds = result.bounds[connect().rank]
    assert [k for k, *_ in seen] == list(range(9))
    assert {own for _, own, _ in seen} == {bounds}
    if whole is not None:
        assert all(values.tobytes() == whole[k].tobytes() for k, _, values in seen)
    assert all(len(values) == bounds[1] - bounds[0] for *_, values in seen)


def test_one_rank_stops_all_at_the_same_step() -> None:
    last = connect().size - 1

    def stop(step: Step) -> None:
        if step.rank == last and step.k == 3:
            step.stop()

    result = simsplit.run(problem(), watch=stop)
    assert list(result.kept) == [0, 1, 2, 3]
    if result.history is not None:
        assert result.history.shape == (4, 10)


def test_numbers_are_those_of_all_ranks() -> None:
    found: list[tuple[float, float, float]] = []

    def reduce(step: Step) -> None:
        own = float(step.values.sum())
        least = float(step.values.min()) if len(step.values) else np.inf
        found.append((step.reduce(own), step.reduce(least, "min"), step.reduce(step.rank, "max")))

    simsplit.run(problem(), watch=reduce, every=4)
    assert len(found) == 3
    everyone = connect().allgather(found)
    assert all(each == found for each in everyone)
    assert found[0] == (45.0, 0.0, connect().size - 1)


def test_what_one_raises_is_raised_on_all_also_while_others_reduce() -> None:
    last = connect().size - 1

    def fails(step: Step) -> None:
        if step.rank == last and step.k == 2:
            raise LookupError("only here")
        step.reduce(1.0)

    with pytest.raises(KernelError, match=f"the observer fails failed on rank {last} of") as caught:
        simsplit.run(problem(), watch=fails)
    assert [failure.rank for failure in caught.value.failures] == [last]
    assert simsplit.run(problem()).ranks == last + 1  # the ranks are in step


def test_an_error_that_an_observer_catches_is_raised_all_the_same() -> None:
    last = connect().size - 1

    def catches(step: Step) -> None:
        if step.rank == last:
            raise LookupError("only here")
        with suppress(KernelError):
            step.reduce(1.0)

    with pytest.raises(KernelError, match="only here"):
        simsplit.run(problem(), watch=catches)
    assert simsplit.run(problem()).ranks == last + 1


def test_a_number_that_is_wanted_on_some_ranks_alone_is_an_error_on_all() -> None:
    size = connect().size

    def uneven(step: Step) -> None:
        if step.rank == 0:
            step.reduce(1.0)

    if size == 1:
        simsplit.run(problem(), watch=uneven)
        return
    with pytest.raises(InputError, match=r"called step.reduce\(\) on some ranks and not on others"):
        simsplit.run(problem(), watch=uneven)
    assert simsplit.run(problem()).ranks == size
