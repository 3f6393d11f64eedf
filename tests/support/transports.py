"""What every transport keeps: tests that each of them inherits."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from simsplit.transport.interface import Message, Take, Transport

Ports = list["Transport"]  # those of a group that are in this process


class TransportSuite:
    """The contract. A subclass has a fixture `ports`: the ports of a group that are in this process, one or all."""

    @pytest.mark.parametrize("nbytes", [0, 1, 100, 10**5, 3 * 10**7])
    def test_every_rank_gets_a_message_from_every_rank_and_from_itself(self, ports: Ports, nbytes: int) -> None:
        transfers = [
            port.send(bytes([port.rank]) * nbytes, destination, 5) for port in ports for destination in range(port.size)
        ]
        for port in ports:
            came = dict(receive(port, None, 5) for _ in range(port.size))
            assert came == {source: bytes([source]) * nbytes for source in range(port.size)}
        finish(transfers)

    def test_memory_that_can_change_is_the_senders_until_it_is_done(self, ports: Ports) -> None:
        memories = [bytearray([port.rank]) * 10**5 for port in ports]
        transfers = [port.send(memory, after(port), 5) for port, memory in zip(ports, memories, strict=True)]
        for port in ports:
            assert receive(port, before(port), 5) == (before(port), bytes([before(port)]) * 10**5)
        finish(transfers)
        for memory in memories:
            memory[:] = b"\xff" * len(memory)

    def test_tags_and_sources_are_kept_apart_and_order_is_kept(self, ports: Ports) -> None:
        transfers = [
            port.send(bytes([number]), after(port), tag) for port in ports for number in range(5) for tag in (1, 32766)
        ]
        in_order = [bytes([number]) for number in range(5)]
        for port in ports:
            assert port.probe(before(port), 2) is None
            assert [receive(port, before(port), 32766)[1] for _ in range(5)] == in_order
            assert [receive(port, None, 1)[1] for _ in range(5)] == in_order
        finish(transfers)

    def test_heads_are_taken_in_order_and_one_that_is_too_long_is_lost_alone(self, ports: Ports) -> None:
        takes = [port.post_receive(0, 4000) for port in ports]
        datas: list[bytes] = [b"", b"a", b"x" * 4000, b"y" * 4001, b"last"]
        transfers = []
        for port in ports:
            sent = [port.send(data, after(port), 0) for data in datas]
            sent[datas.index(b"y" * 4001)] = None  # which may stay where it is
            transfers += [*sent, port.send(b"under another tag", after(port), 5)]
        for port, take in zip(ports, takes, strict=True):
            for data in datas:
                assert wait_for(take) == (before(port), data if len(data) <= 4000 else None)
            assert take() is None
            assert receive(port, before(port), 5) == (before(port), b"under another tag")
        finish(transfers)

    def test_a_port_that_expects_messages_can_stop_and_be_closed(self, ports: Ports) -> None:
        for port in ports:
            port.stop()
            assert port.post_receive(0, 100)() is None
            port.stop()
            assert port.post_receive(0, 100)() is None  # and is stopped when the port is closed


def after(port: Transport) -> int:
    return (port.rank + 1) % port.size


def before(port: Transport) -> int:
    return (port.rank - 1) % port.size


def receive(port: Transport, source: int | None, tag: int) -> tuple[int, bytes]:
    """Wait for a message, and return where it came from and what it holds."""
    message: Message | None = None
    while message is None:
        message = port.probe(source, tag)
        time.sleep(0)
    memory = bytearray(message.nbytes)
    finish([message.receive(memory)])
    return message.source, bytes(memory)


def wait_for(take: Take) -> tuple[int, bytes | None]:
    """Wait for a head."""
    while (message := take()) is None:
        time.sleep(0)
    return message


def finish(transfers: list[object]) -> None:
    """Wait until all messages are sent, or all there."""
    for transfer in transfers:
        while transfer is not None and not transfer.done():  # type: ignore[attr-defined]
            time.sleep(0)
