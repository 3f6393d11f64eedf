"""A single process keeps the contract by doing next to nothing."""

from __future__ import annotations

import platform
from typing import TYPE_CHECKING

import numpy as np

from simsplit.communicator.serial import SerialCommunicator
from tests.support.communicators import CommunicatorSuite

if TYPE_CHECKING:
    from collections.abc import Callable

    from simsplit.communicator import Communicator


def test_one_process_is_root_of_one_rank_without_mpi() -> None:
    alone = SerialCommunicator()
    assert (alone.rank, alone.size, alone.library, alone.is_world) == (0, 1, None, True)
    assert alone.host == platform.node()
    assert alone.max_count == 2**63 - 1


class TestSerial(CommunicatorSuite):
    def on_all(self, check: Callable[[Communicator], None]) -> None:
        check(SerialCommunicator())


def test_objects_come_back_as_they_are() -> None:
    alone = SerialCommunicator()
    value = {"rows": 7}
    assert alone.bcast(value) is value
    (same,) = alone.allgather(value)
    assert same is value


def test_rows_stay_where_they_are() -> None:
    alone = SerialCommunicator()
    whole = np.arange(6.0)
    part = np.full(6, 9.0)
    alone.scatterv(whole, [(0, 6)], part)
    alone.gatherv(part[None], [(0, 6)], whole[None])
    np.testing.assert_array_equal(part, np.full(6, 9.0))
    np.testing.assert_array_equal(whole, np.arange(6.0))
