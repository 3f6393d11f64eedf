"""Each rank gets its rows, root's own stay where they are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simsplit import InputError
from simsplit.communicator.serial import SerialCommunicator
from simsplit.engine import Plan, scatter
from simsplit.util import memory_limits as memory
from tests.support.arrays import NUMERIC, random_array
from tests.support.profiles import examples
from tests.support.threads import ThreadRank, on_ranks

if TYPE_CHECKING:
    import numpy.typing as npt

    Array = npt.NDArray[Any]

LAYOUTS = ["C", "Fortran", "every second row", "backwards"]


def laid_out(array: Array, layout: str) -> Array:
    """Return the same values in another order in memory."""
    if layout == "Fortran":
        return np.asfortranarray(array)
    if layout == "every second row":
        return np.repeat(array, 2, axis=0)[::2]
    if layout == "backwards":
        return array[::-1].copy()[::-1]
    return array


def plan_of(initial: Array, ranks: int) -> Plan:
    """Return the plan for an array."""
    return Plan(initial.shape, initial.dtype, np.dtype(np.float64), 3, ranks)


def scattered(initial: Array, ranks: int, **staging: int) -> list[Any]:
    """Return the part of each of several ranks, or the error that it raised."""
    plan = plan_of(initial, ranks)

    def parts(rank: ThreadRank) -> Array:
        mine = initial if rank.rank == 0 else None
        return scatter(rank, plan, mine, **staging)

    return on_ranks(ranks, parts)


def same_bytes(one: Array, other: Array) -> bool:
    """Return whether shape, dtype with its byte order, and every byte are the same."""
    return one.shape == other.shape and one.dtype == other.dtype and one.tobytes() == other.tobytes()


@pytest.mark.parametrize("layout", LAYOUTS)
def test_one_process_gets_a_view_of_the_whole_array_whatever_its_layout(layout: str) -> None:
    initial = laid_out(np.arange(24.0).reshape(6, 4), layout)
    part = scatter(SerialCommunicator(), plan_of(initial, 1), initial, staging=1)
    assert part.base is not None
    assert np.shares_memory(part, initial)
    assert part.strides == initial.strides
    assert same_bytes(part, initial)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", NUMERIC)
def test_each_rank_gets_the_bytes_of_its_rows(dtype: str, layout: str) -> None:
    initial = laid_out(random_array(dtype, 11 * 3, 1).reshape(11, 3), layout)
    parts = scattered(initial, 4)
    for part, (lower, upper) in zip(parts, plan_of(initial, 4).bounds, strict=True):
        assert same_bytes(part, initial[lower:upper])
    assert np.shares_memory(parts[0], initial)
    assert all(part.flags.c_contiguous for part in parts[1:])


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", [">f8", ">i2", ">c8"])
def test_a_byte_order_that_is_not_the_machines_is_kept(dtype: str, layout: str) -> None:
    initial = laid_out(np.arange(33).reshape(11, 3).astype(dtype), layout)
    for part, (lower, upper) in zip(scattered(initial, 3), plan_of(initial, 3).bounds, strict=True):
        assert same_bytes(part, initial[lower:upper])


@examples(40)
@given(
    rows=st.integers(0, 20),
    width=st.integers(0, 3),
    ranks=st.integers(1, 5),
    layout=st.sampled_from(LAYOUTS),
    staging=st.integers(0, 300),
)
def test_rows_arrive_for_any_number_of_ranks_however_few_are_packed_at_a_time(
    rows: int, width: int, ranks: int, layout: str, staging: int
) -> None:
    initial = laid_out(np.arange(rows * width, dtype=np.int32).reshape(rows, width), layout)
    parts = scattered(initial, ranks, staging=staging)
    for part, (lower, upper) in zip(parts, plan_of(initial, ranks).bounds, strict=True):
        assert same_bytes(part, initial[lower:upper])


def test_root_packs_no_more_than_its_staging_at_a_time() -> None:
    initial = np.asfortranarray(np.arange(400.0).reshape(100, 4))
    packed: list[int] = []

    class Watched(ThreadRank):
        def scatterv(self, whole: Array | None, *others: Any) -> None:
            if whole is not None:
                packed.append(whole.nbytes)
            super().scatterv(whole, *others)

    def parts(rank: ThreadRank) -> None:
        rank.__class__ = Watched
        scatter(rank, plan_of(initial, 5), initial if rank.rank == 0 else None, staging=1000)

    assert on_ranks(5, parts) == [None] * 5
    assert max(packed) <= 1000
    assert sum(packed) == 80 * 4 * 8


def test_a_part_that_does_not_fit_on_one_rank_is_refused_on_all(monkeypatch: pytest.MonkeyPatch) -> None:
    initial = np.zeros((7, 100))
    monkeypatch.setattr(memory, "available", lambda **_: 1599)
    errors = scattered(initial, 4)
    assert [type(error) for error in errors] == [InputError] * 4
    messages = {str(error) for error in errors}
    assert len(messages) == 1
    assert messages.pop() == (
        "the part of rank 1, 2 rows, takes 1.6 kB, but 1.6 kB of memory are left. "
        "Use more nodes, or fewer ranks on each."
    )
    assert [failure.rank for failure in errors[0].failures] == [1, 2]  # rank 3 has one row only
    monkeypatch.setattr(memory, "available", lambda **_: 1600)
    assert [len(part) for part in scattered(initial, 4)] == [2, 2, 2, 1]
