"""The transport between ranks that live in one process."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from simsplit.transport.loopback import loopback
from tests.support.transports import TransportSuite

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.transports import Ports


class TestLoopback(TransportSuite):
    @pytest.fixture(params=[1, 2, 4])
    def ports(self, request: pytest.FixtureRequest) -> Iterator[Ports]:
        ports: Ports = [*loopback(request.param)]
        yield ports
        for port in ports:
            port.close()


def test_bytes_are_sent_at_once_and_other_memory_when_it_was_received() -> None:
    here, there = loopback(2)
    assert here.send(b"cannot change", 1, 0) is None
    transfer = here.send(bytearray(b"can"), 1, 0)
    assert transfer is not None
    for _ in range(2):
        assert not transfer.done()
        message = there.probe(0, 0)
        assert message is not None
        message.receive(bytearray(message.nbytes))
    assert transfer.done()
