"""A single process keeps the contract by doing next to nothing."""

from __future__ import annotations

import platform

import numpy as np
import pytest

from simsplit.communicator.serial import SerialCommunicator


def test_one_process_is_root_of_one_rank_without_mpi() -> None:
    alone = SerialCommunicator()
    assert (alone.rank, alone.size, alone.library, alone.is_world) == (0, 1, None, True)
    assert alone.host == platform.node()
    assert alone.max_count == 2**63 - 1


def test_objects_come_back_as_they_are() -> None:
    alone = SerialCommunicator()
    value = {"rows": 7}
    assert alone.bcast(value) is value
    (same,) = alone.allgather(value)
    assert same is value
    assert alone.allgather(None) == [None]


@pytest.mark.parametrize("value", [0, "", [], False])
def test_bcast_takes_values_that_count_as_false(value: object) -> None:
    assert SerialCommunicator().bcast(value) is value


def test_the_bits_of_all_are_its_own() -> None:
    assert [SerialCommunicator().allreduce_or(bits) for bits in (0, 1, 6)] == [0, 1, 6]


def test_rows_stay_where_they_are() -> None:
    alone = SerialCommunicator()
    whole = np.arange(6.0)
    part = np.full(6, 9.0)
    alone.scatterv(whole, [(0, 6)], part)
    alone.gatherv(part[None], [(0, 6)], whole[None])
    np.testing.assert_array_equal(part, np.full(6, 9.0))
    np.testing.assert_array_equal(whole, np.arange(6.0))
