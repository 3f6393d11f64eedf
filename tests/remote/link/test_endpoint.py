"""The endpoint: frames arrive whole, in order, within the limits, or not at all."""

from __future__ import annotations

from collections import deque
from typing import Any

import msgspec
import numpy as np
import pytest

from simsplit.errors import AccessDeniedError, CodecError
from simsplit.remote.link import endpoint as module
from simsplit.remote.link.endpoint import Endpoint
from simsplit.remote.wire.codec import Hooks, encode
from simsplit.remote.wire.frame import LONGEST_HEAD, SMALL, Flag, Frame, FrameKind, IncomingFrame
from simsplit.transport.loopback import Loopback, loopback

HOOKS = Hooks(inline=100)
LIMIT = 10**6


class Slow(Loopback):
    """A port whose messages under tags other than 0 come one by one, when they are let go."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.open = 10**9

    def probe(self, source: int | None, tag: int) -> Any:
        if tag and not self.open:
            return None
        message = super().probe(source, tag)
        if tag and message:
            self.open -= 1
        return message


class Pair:
    """Two endpoints in one process, and what came to the second of them."""

    def __init__(self, limit: int = LIMIT) -> None:
        one, other = loopback(2)
        self.slow = Slow(1, one._boxes)
        del other
        self.port = one
        self.came: deque[IncomingFrame] = deque()
        self.sender = Endpoint(one, LIMIT, self.came.append)
        self.receiver = Endpoint(self.slow, limit, self.came.append)

    def send(self, value: Any, **particulars: Any) -> Any:
        encoded = encode(value, HOOKS)
        frame = Frame(FrameKind.REQUEST, body=encoded.body, buffers=encoded.buffers, **particulars)
        return self.sender.send(frame, 1)

    def values(self) -> list[Any]:
        while self.receiver.progress():
            pass
        result = [arrived.value(HOOKS) for arrived in self.came]
        self.came.clear()
        return result


@pytest.fixture
def pair() -> Pair:
    return Pair()


@pytest.fixture
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CHUNK", 1000)


def test_a_frame_arrives_with_its_head(pair: Pair) -> None:
    pair.send([1, "a"], correlation=5, object="o", method="m", depth=2, flags=Flag.ONEWAY)
    pair.receiver.progress()
    (arrived,) = pair.came
    head = arrived
    assert (head.correlation, head.object, head.method, head.depth, head.source) == (5, "o", "m", 2, 0)
    assert arrived.value(HOOKS) == [1, "a"]


@pytest.mark.usefixtures("small_chunks")
def test_arrays_arrive_in_pieces_and_small_frames_do_not_overtake_them(pair: Pair) -> None:
    arrays = [np.arange(500.0), np.arange(77, dtype=">i4")]
    pair.slow.open = 2
    pair.send(arrays)
    pair.send("after")
    assert pair.values() == []
    assert pair.receiver.is_receiving()
    pair.slow.open = 99
    first, second = pair.values()
    assert second == "after"
    assert all(map(np.array_equal, first, arrays))
    assert not pair.receiver.is_receiving()


def test_an_array_is_received_into_the_memory_it_stays_in(pair: Pair) -> None:
    pair.send(np.arange(100.0))
    pair.receiver.progress()
    (arrived,) = pair.came
    assert arrived.decoding is not None
    assert arrived.value(HOOKS) is arrived.decoding.buffers[0]


def test_the_sender_knows_when_its_memory_is_free(pair: Pair) -> None:
    sent = pair.send(np.arange(100.0))
    assert not sent()
    assert pair.sender.sending
    pair.values()
    pair.sender.progress()
    assert sent()
    assert not pair.sender.sending


def test_a_long_body_arrives(pair: Pair) -> None:
    value = ["x" * 100_000, np.arange(1000)]
    pair.send(value)
    (result,) = pair.values()
    assert result[0] == value[0]
    assert np.array_equal(result[1], value[1])


@pytest.mark.usefixtures("small_chunks")
def test_what_is_over_the_limit_is_let_go_of_and_the_next_frame_arrives() -> None:
    pair = Pair(limit=20_000)
    sent = pair.send([np.zeros(2500), "x" * 100])
    pair.send("next")
    while pair.receiver.progress() | pair.sender.progress():
        pass
    refused, following = pair.came
    with pytest.raises(AccessDeniedError, match=r"20,1\d\d bytes; at most 20,000 are accepted.*MAX_MESSAGE_NBYTES"):
        refused.value(HOOKS)
    assert following.value(HOOKS) == "next"
    assert sent()
    assert pair.receiver.counts["refused"] == 1


def test_the_sender_keeps_to_its_own_limit(pair: Pair) -> None:
    with pytest.raises(AccessDeniedError, match="at most 1,000,000"):
        pair.send(np.zeros(10**6))


@pytest.mark.parametrize("data", [b"", b"nonsense", b"SSRO\1\6" + bytes(60), b"x" * 2**17])
def test_what_is_no_frame_is_counted_logged_and_dropped(
    pair: Pair, data: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    pair.port.send(data, 1, 0)
    pair.send("next")
    assert pair.values() == ["next"]
    assert pair.receiver.counts["malformed"] == 1
    assert "dropped a message from rank 0" in caplog.text


def test_a_head_that_is_too_long_is_dropped(pair: Pair, caplog: pytest.LogCaptureFixture) -> None:
    pair.port.send(bytes(LONGEST_HEAD + 1), 1, 0)
    pair.send("next")
    assert pair.values() == ["next"]
    assert pair.receiver.counts["malformed"] == 1
    assert "dropped a message from rank 0: a head of more than 4,000 bytes" in caplog.text


def test_no_head_is_longer_than_a_receiver_takes(pair: Pair) -> None:
    name = "n" * 255
    arrays = [np.full(50, number) for number in range(256)]
    pair.send(arrays, object=name, method=name)
    pair.send("x" * SMALL, object=name, method=name)
    came, small = pair.values()
    assert all(map(np.array_equal, came, arrays))
    assert small == "x" * SMALL
    with pytest.raises(CodecError, match="more than 255 bytes"):
        pair.send(1, object=name + "n")


def test_any_number_of_arrays_arrives(pair: Pair) -> None:
    arrays = [np.full(50, number) for number in range(1000)]
    pair.send(arrays)
    (came,) = pair.values()
    assert all(map(np.array_equal, came, arrays))


def test_a_body_that_is_no_value_is_handed_on_as_an_error(pair: Pair) -> None:
    pair.sender.send(Frame(FrameKind.REQUEST, body=b"\xc1", buffers=[memoryview(b"12345")]), 1)
    pair.send("next")
    while pair.receiver.progress():
        pass
    wrong, following = pair.came
    with pytest.raises(CodecError, match="not a message"):
        wrong.value(HOOKS)
    assert following.value(HOOKS) == "next"


def test_a_piece_of_another_size_spoils_its_frame_only(pair: Pair) -> None:
    body = msgspec.msgpack.encode([[["<f8", [2], "C"]], [msgspec.msgpack.Ext(19, b""), 0]])
    head, _ = Frame(FrameKind.REQUEST, body=body, buffers=[memoryview(bytes(16))]).pack(9)
    pair.port.send(head, 1, 0)
    pair.port.send(bytes(17), 1, 9)
    pair.send("next")
    while pair.receiver.progress():
        pass
    wrong, following = pair.came
    with pytest.raises(CodecError, match="a piece of 17 bytes, not 16"):
        wrong.value(HOOKS)
    assert following.value(HOOKS) == "next"


def test_only_one_thread_moves_messages_at_a_time(pair: Pair) -> None:
    pair.send("a")
    with pair.receiver._lock:
        assert not pair.receiver.progress()
    assert pair.receiver.progress()


def test_memory_is_free_only_when_all_pieces_are_sent(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    class Under:
        over = False

        def done(self) -> bool:
            return self.over

    first, outcomes = Under(), deque([None])
    outcomes.append(first)  # type: ignore[arg-type]
    outcomes.append(None)
    monkeypatch.setattr(module, "CHUNK", 500)
    monkeypatch.setattr(pair.sender, "_send_now", lambda *_: outcomes.popleft())
    sent = pair.send(np.arange(100.0))
    assert not sent()
    first.over = True
    pair.sender.progress()
    assert sent()


def test_buffers_that_are_not_wanted_are_let_go_of_without_memory_for_them() -> None:
    pair = Pair()
    pair.receiver._refusal = lambda _: AccessDeniedError("not wanted")
    pair.send(np.arange(100.0))
    pair.send("next")
    while pair.receiver.progress():
        pass
    refused, following = pair.came
    assert refused.decoding is None
    with pytest.raises(AccessDeniedError, match="not wanted"):
        refused.value(HOOKS)
    assert following.value(HOOKS) == "next"


@pytest.mark.parametrize("name", ["x" * 10_000, "\ud800"])
def test_a_name_that_fits_no_head_is_refused_and_not_counted(pair: Pair, name: str) -> None:
    with pytest.raises(CodecError, match="cannot travel"):
        pair.send(1, method=name)
    assert pair.sender.sent == 0
