"""The transport on MPI ranks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from simsplit.communicator import connect
from simsplit.transport import open_port
from tests.support.transports import TransportSuite

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.transports import Ports

pytestmark = [pytest.mark.mpi]


class TestMPI(TransportSuite):
    @pytest.fixture
    def ports(self) -> Iterator[Ports]:
        port = open_port(connect())
        yield [port]
        port.close()
