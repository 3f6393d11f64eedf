"""The endpoint on MPI ranks: arrays of all sizes from everyone to everyone, and what is refused."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from simsplit.communicator import connect
from simsplit.errors import AccessDeniedError
from simsplit.remote.link.endpoint import Endpoint
from simsplit.remote.wire.codec import Hooks, encode
from simsplit.remote.wire.frame import Frame, FrameKind, IncomingFrame
from simsplit.transport import open_port

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = [pytest.mark.mpi]
HOOKS = Hooks(inline=1000)
LIMIT = 6 * 10**7


class Session:
    """An endpoint and what came to it."""

    def __init__(self) -> None:
        self.communicator = connect()
        self.came: list[IncomingFrame] = []
        self.endpoint = Endpoint(open_port(self.communicator), LIMIT, self.came.append)

    def send(self, value: Any, destination: int, *, limit: int = LIMIT) -> Callable[[], bool]:
        encoded = encode(value, HOOKS)
        frame = Frame(FrameKind.REQUEST, body=encoded.body, buffers=encoded.buffers)
        self.endpoint._max_nbytes = limit
        sent = self.endpoint.send(frame, destination)
        self.endpoint._max_nbytes = LIMIT
        return sent

    def wait(self, count: int) -> list[IncomingFrame]:
        while len(self.came) < count or self.endpoint.sending:
            self.endpoint.progress()
            time.sleep(0)
        came = self.came[:]
        self.came.clear()
        return came


@pytest.fixture
def here() -> Iterator[Session]:
    here = Session()
    yield here
    here.communicator.allreduce_or(0)  # nobody gives the port back while another still sends
    here.endpoint.close()


@pytest.mark.parametrize("length", [0, 10, 2000, 3_000_000])
def test_arrays_arrive_whole_from_everyone(here: Session, length: int) -> None:
    rank, size = here.endpoint.rank, here.endpoint.size
    for number in range(3):
        for destination in range(size):
            here.send([number, np.arange(length) + rank, np.full((length, 2), number, ">f4", "F")], destination)
    came = here.wait(3 * size)
    for source in range(size):
        values = [arrived.value(HOOKS) for arrived in came if arrived.source == source]
        assert [value[0] for value in values] == [0, 1, 2]
        for number, array, other in values:
            assert np.array_equal(array, np.arange(length) + source)
            assert other.dtype == ">f4"
            assert (other == number).all()


def test_what_is_over_the_limit_is_let_go_of(here: Session) -> None:
    other = (here.endpoint.rank + 1) % here.endpoint.size
    here.send(np.zeros(10**7), other, limit=10 * LIMIT)
    here.send("next", other)
    refused, following = here.wait(2)
    with pytest.raises(AccessDeniedError, match="at most"):
        refused.value(HOOKS)
    assert following.value(HOOKS) == "next"
