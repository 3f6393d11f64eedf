"""The port on MPI ranks: the contract that `test_endpoint` relies on in one process."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from simsplit.communicator import connect
from simsplit.transport import open_port

if TYPE_CHECKING:
    from collections.abc import Iterator

    from simsplit.transport.interface import Message, Take, Transport

pytestmark = [pytest.mark.mpi]


@pytest.fixture
def port() -> Iterator[Transport]:
    port = open_port(connect())
    yield port
    port.close()


def receive(port: Transport, source: int | None, tag: int) -> tuple[int, bytes]:
    message: Message | None = None
    while message is None:
        message = port.probe(source, tag)
        time.sleep(0)
    memory = bytearray(message.nbytes)
    transfer = message.receive(memory)
    while transfer is not None and not transfer.done():
        time.sleep(0)
    return message.source, bytes(memory)


@pytest.mark.parametrize("nbytes", [0, 1, 100, 10**5, 3 * 10**7])
def test_every_rank_gets_a_message_from_every_rank_and_from_itself(port: Transport, nbytes: int) -> None:
    data = bytes([port.rank]) * nbytes
    transfers = [port.send(data, destination, 5) for destination in range(port.size)]
    came = dict(receive(port, None, 5) for _ in range(port.size))
    assert came == {source: bytes([source]) * nbytes for source in range(port.size)}
    while transfers:
        transfers = [transfer for transfer in transfers if transfer is not None and not transfer.done()]


def test_tags_and_sources_are_kept_apart_and_order_is_kept(port: Transport) -> None:
    other = (port.rank + 1) % port.size
    before = (port.rank - 1) % port.size
    transfers = [port.send(bytes([number]), other, tag) for number in range(5) for tag in (1, 32766)]
    assert port.probe(before, 2) is None
    assert [receive(port, before, 32766)[1] for _ in range(5)] == [bytes([number]) for number in range(5)]
    assert [receive(port, None, 1)[1] for _ in range(5)] == [bytes([number]) for number in range(5)]
    while transfers:
        transfers = [transfer for transfer in transfers if transfer is not None and not transfer.done()]


def wait_for(take: Take) -> tuple[int, bytes | None]:
    while (message := take()) is None:
        time.sleep(0)
    return message


def test_heads_are_taken_in_order_and_one_that_is_too_long_is_lost_alone(port: Transport) -> None:
    take = port.post_receive(0, 4000)
    other, before = (port.rank + 1) % port.size, (port.rank - 1) % port.size
    datas: list[bytes] = [b"", b"a", b"x" * 4000, b"y" * 4001, b"last"]
    transfers = [port.send(data, other, 0) for data in datas]
    apart = port.send(b"under another tag", other, 5)
    for data in datas:
        assert wait_for(take) == (before, data if len(data) <= 4000 else None)
    assert take() is None
    assert receive(port, before, 5) == (before, b"under another tag")
    transfers[datas.index(b"y" * 4001)] = None  # which may stay where it is
    for transfer in (*transfers, apart):
        while transfer is not None and not transfer.done():
            time.sleep(0)


def test_a_port_that_expects_messages_can_stop_and_be_closed(port: Transport) -> None:
    port.stop()
    assert port.post_receive(0, 100)() is None
    port.stop()
    assert port.post_receive(0, 100)() is None  # and is stopped when the port is closed
