"""The ranks that are threads, by which tests of one process stand in for MPI, keep the contract as well."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.communicators import CommunicatorSuite
from tests.support.threads import on_ranks

if TYPE_CHECKING:
    from collections.abc import Callable

    from simsplit.communicator import Communicator


@pytest.mark.parametrize("ranks", [1, 3])
class TestThreads(CommunicatorSuite):
    @pytest.fixture(autouse=True)
    def _count(self, ranks: int) -> None:
        self.ranks = ranks

    def on_all(self, check: Callable[[Communicator], None]) -> None:
        for ended in on_ranks(self.ranks, check):
            if isinstance(ended, BaseException):
                raise ended
