"""Who may call, what may come, and how much of it: what docs/security.md promises."""

from __future__ import annotations

import logging
import sys
import tracemalloc
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simsplit import remote
from simsplit.errors import AccessDeniedError, CodecError
from simsplit.remote.link.identity import Peer
from simsplit.remote.wire.frame import Frame, FrameKind, IncomingFrame
from tests.support.profiles import examples
from tests.support.remote_objects import Calculator

if TYPE_CHECKING:
    from collections.abc import Callable


SECRET = remote.Settings(passphrase="open sesame")  # noqa: S106, a test


def served(ranks: list[remote.Session]) -> Any:
    """Serve a calculator on rank 1, for rank 0."""
    ranks[1].serve(Calculator(), object="calculator")
    return ranks[0].proxy("MPI:calculator@1")


def with_settings(ranks: list[remote.Session], rank: int, chosen: remote.Settings) -> None:
    """Let one rank of a group have other settings than the rest."""
    introduction = ranks[rank]._reception._introduction
    object.__setattr__(introduction, "settings", chosen)
    ranks[rank]._daemon._settings = ranks[rank].caller.settings = chosen


# Who may call


def test_ranks_that_know_the_passphrase_call_each_other() -> None:
    with remote.local(2, settings=SECRET) as ranks:
        assert served(ranks).add(1, 2) == 3


@pytest.mark.parametrize(
    ("caller", "called", "said"),
    [
        ("wrong", "open sesame", "it does not know the passphrase"),
        (None, "open sesame", "it asks for a passphrase, and this rank has none"),
        ("open sesame", None, "it does not prove that it knows the passphrase of this rank"),
    ],
)
def test_who_does_not_know_the_passphrase_is_refused_at_either_end(
    caller: str | None, called: str | None, said: str
) -> None:
    with remote.local(2) as ranks:
        with_settings(ranks, 0, remote.Settings(passphrase=caller))
        with_settings(ranks, 1, remote.Settings(passphrase=called))
        ranks[1]._daemon.objects.add(Calculator(), "calculator")
        proxy = ranks[0].proxy("MPI:calculator@1")
        with pytest.raises(AccessDeniedError, match=said):
            proxy.add(1)
        with pytest.raises(AccessDeniedError, match=said):
            proxy.add(1)


def spy(here: remote.Session, note: Callable[[IncomingFrame], None]) -> None:
    """Look at each frame that comes to a rank."""
    accept = here._endpoint._accept

    def look(arrived: IncomingFrame) -> None:
        note(arrived)
        accept(arrived)

    here._endpoint._accept = look


def test_a_proof_is_good_once_and_the_passphrase_does_not_travel() -> None:
    seen: list[bytes] = []
    with remote.local(3, settings=SECRET) as ranks:
        spy(ranks[1], lambda arrived: seen.append(bytes(arrived.body)))
        assert served(ranks).add(1) == 2
        assert not any(b"sesame" in body for body in seen)
        proof = next(body for body in seen if len(body) < 40 and len(body) > 34)
        hello = seen[0]
        for kind, body in ((FrameKind.HELLO, hello), (FrameKind.PROOF, proof)):
            ranks[2]._endpoint.send(Frame(kind, body=body), 1)
            ranks[1].poll()
        assert ranks[1]._reception.guest(2) is None


def test_a_proof_that_nobody_asked_for_is_refused(caplog: pytest.LogCaptureFixture) -> None:
    with remote.local(2, settings=SECRET) as ranks:
        body = msgspec.msgpack.encode([[], bytes(32)])
        ranks[0]._endpoint.send(Frame(FrameKind.PROOF, body=body), 1)
        ranks[1].poll()
        assert ranks[1]._reception.guest(0) is None
    assert "a proof that nobody asked for" in caplog.text


@pytest.mark.parametrize(
    ("chosen", "said"),
    [
        ({"allowed_ranks": frozenset({1})}, "rank 0 is not in its allowed_ranks"),
        ({"allowed_hosts": frozenset({"elsewhere"})}, "is not in its allowed_hosts"),
    ],
)
def test_only_the_ranks_and_hosts_of_the_lists_may_call(chosen: dict[str, Any], said: str) -> None:
    with remote.local(2) as ranks:
        proxy = served(ranks)
        with_settings(ranks, 1, remote.Settings(**chosen))
        with pytest.raises(AccessDeniedError, match=said):
            proxy.add(1)
        with_settings(ranks, 1, remote.Settings(allowed_ranks=frozenset({0}), allowed_hosts=frozenset({ranks[0].host})))
        assert proxy.add(1) == 2


def test_connection_validators_decide_by_rank_host_and_program(caplog: pytest.LogCaptureFixture) -> None:
    asked: list[remote.Connection] = []

    def validator(connection: remote.Connection) -> bool:
        asked.append(connection)
        return connection.rank != 0

    def broken(_connection: remote.Connection) -> None:
        raise ZeroDivisionError("broken")

    with remote.local(3) as ranks:
        proxy = served(ranks)
        ranks[1].add_connection_validator(validator)
        with pytest.raises(AccessDeniedError, match="a connection validator refused it"):
            proxy.add(1)
        other = ranks[2].proxy("MPI:calculator@1")
        assert other.add(1) == 2
        assert asked[0].host == ranks[0].host
        assert asked[0].program
        ranks[1]._reception.leave(2)
        ranks[1].add_connection_validator(broken)
        with pytest.raises(AccessDeniedError, match="was not welcomed"):
            other.add(1)
        with pytest.raises(AccessDeniedError, match="ZeroDivisionError: broken"):
            ranks[1].proxy("MPI:calculator@1").add(1)
    assert "refused rank 0" in caplog.text


def test_call_validators_decide_by_caller_object_and_method() -> None:
    def validator(call: remote.CallContext) -> bool | None:
        if call.method == "noted":
            raise PermissionError("ask somebody else")
        return not (call.rank == 0 and call.object == "calculator" and call.method == "note")

    with remote.local(2) as ranks:
        proxy = served(ranks)
        ranks[1].add_call_validator(validator)
        assert proxy.add(1) == 2
        with pytest.raises(AccessDeniedError, match=r"a call validator refused calculator\.note"):
            proxy.note(1)
        with pytest.raises(PermissionError, match="ask somebody else"):
            proxy.noted()
        with remote.Batch(proxy) as batch:
            outcomes = [batch.add(1), batch.note(1)]
        assert outcomes[0].result() == 2
        with pytest.raises(AccessDeniedError):
            outcomes[1].result()


# How much


def test_clients_are_limited() -> None:
    with remote.local(4, settings=remote.Settings(max_clients=2), name_server=3) as ranks:
        served(ranks)
        assert [ranks[rank].proxy("MPI:calculator@1").add(rank) for rank in (0, 2)] == [1, 3]
        with pytest.raises(AccessDeniedError, match="it has its max_clients, 2, already"):
            ranks[3].proxy("MPI:calculator@1").add(1)


def test_requests_in_flight_are_limited_though_a_caller_does_not_keep_to_it() -> None:
    with remote.local(2) as ranks:
        proxy = served(ranks)
        proxy.add(1)
        with_settings(ranks, 1, remote.Settings(max_in_flight=3))
        futures = [proxy.add.submit(number) for number in range(10)]
        errors = [future.exception() for future in futures]
        assert (
            sum(isinstance(error, AccessDeniedError) for error in errors) >= 6
        )  # one may be carried out before the rest
        assert set(map(type, errors)) == {type(None), AccessDeniedError}
        assert proxy.add(1) == 2


def test_the_depth_is_limited_though_a_caller_does_not_keep_to_it() -> None:
    with remote.local(2) as ranks:
        proxy = served(ranks)
        proxy.add(1)
        with_settings(ranks, 1, remote.Settings(max_depth=5))
        one = ranks[0].proxy(ranks[0].serve(Calculator()))
        with pytest.raises(AccessDeniedError, match="at most 5 may"):
            proxy.nest(one, proxy, 10)


def test_a_large_message_is_refused_without_memory_for_it_and_the_server_goes_on() -> None:
    with remote.local(2) as ranks:
        proxy = served(ranks)
        proxy.add(1)
        ranks[1]._endpoint._max_nbytes = 10**6
        array = np.zeros(10**7)
        tracemalloc.start()
        try:
            with pytest.raises(AccessDeniedError, match="at most 1,000,000 are accepted"):
                proxy.echo(array)
            assert tracemalloc.get_traced_memory()[1] < 4e7  # a piece at a time
        finally:
            tracemalloc.stop()
        assert proxy.add(1) == 2


def test_an_answer_over_the_limit_is_an_error_at_the_caller() -> None:
    with remote.local(2) as ranks:
        proxy = served(ranks)
        future = proxy.next_state.submit()
        ranks[1]._endpoint._max_nbytes = 1000
        with pytest.raises(AccessDeniedError, match="at most 1,000"):
            future.result()


# What


def test_no_module_is_imported_because_a_message_names_it() -> None:
    assert "antigravity" not in sys.modules
    with remote.local(2) as ranks:
        proxy = served(ranks)
        proxy.add(1)
        body = msgspec.msgpack.encode([[], [[[msgspec.msgpack.Ext(20, b""), "antigravity", "Error", [], {}]], {}]])
        peer = ranks[0].caller.peer(1)
        assert isinstance(peer, Peer)
        ranks[0]._endpoint.send(Frame(FrameKind.REQUEST, 10**6, "calculator", "echo", depth=1, body=body), 1)
        assert proxy.add(1) == 2
    assert "antigravity" not in sys.modules


def test_pickle_needs_both_ends() -> None:
    with remote.local(2) as ranks:
        with_settings(ranks, 0, remote.Settings(pickle=True))
        with pytest.raises(CodecError, match=r"builtins\.slice"):
            served(ranks).echo(slice(1, 2))
    with remote.local(2, settings=remote.Settings(pickle=True)) as ranks:
        assert served(ranks).echo(slice(1, 2)) == slice(1, 2)


def test_requests_of_who_was_not_welcomed_are_not_carried_out() -> None:
    calculator = Calculator()
    with remote.local(2) as ranks:
        ranks[1].serve(calculator, object="calculator")
        body = msgspec.msgpack.encode([[], [[1], {}]])
        ranks[0]._endpoint.send(Frame(FrameKind.REQUEST, 5, "calculator", "note", depth=1, body=body), 1)
        ranks[1].poll()
        assert calculator.seen == []


FRAGMENTS = st.sampled_from(
    [
        b"",
        b"\x92\x90\x92\x91\x01\x80",
        b"\x92\x90\xc0",
        b"\x92\x90\x93\x91\x93\x01\x02\x03\x80\x80",
        b"\xc1",
        b"\xdd\xff\xff",
    ]
)
FRAMES = st.builds(
    lambda kind, correlation, name, method, flags, depth, body, buffers: (
        Frame(kind, correlation, name, method, flags, depth, body, [memoryview(buffer) for buffer in buffers]),
        buffers,
    ),
    st.integers(FrameKind.HELLO, FrameKind.RUNNING),
    st.integers(0, 30),
    st.sampled_from(["", "calculator", "simsplit.names", "simsplit.streams", "simsplit.ping", "x"]),
    st.sampled_from(["", "add", "_divide", "__init__", "fetch", "total", "register"]),
    st.integers(0, 31),
    st.integers(0, 70),
    FRAGMENTS | st.binary(max_size=30),
    st.lists(st.binary(max_size=10), max_size=2),
)


@examples(300)
@given(st.lists(FRAMES | st.binary(max_size=60), max_size=8))
def test_whatever_comes_the_server_goes_on(frames: list[Any]) -> None:
    logging.getLogger("simsplit.remote").setLevel(logging.CRITICAL)
    try:
        with remote.local(2) as ranks:
            proxy = served(ranks)
            proxy.add(1)
            for frame in frames:
                if isinstance(frame, bytes):
                    ranks[0]._endpoint._port.send(frame, 1, 0)
                else:
                    IncomingFrame(frame[0].pack(1)[0], 0)
                    ranks[0]._endpoint.send(frame[0], 1)
            while sum(rank.poll() for rank in ranks):
                pass
            ranks[0].caller._peers.clear()  # a HELLO of ours may have been refused
            assert proxy.add(1, 2) == 3
    finally:
        logging.getLogger("simsplit.remote").setLevel(logging.NOTSET)


def test_a_connection_validator_that_comes_late_is_asked_about_who_is_here(caplog: pytest.LogCaptureFixture) -> None:
    refused = {0}
    with remote.local(3) as ranks:
        proxy = served(ranks)
        other = ranks[2].proxy("MPI:calculator@1")
        assert (proxy.add(1), other.add(2)) == (2, 3)
        ranks[1].add_connection_validator(lambda connection: connection.rank not in refused)
        future = proxy.add.submit(1)  # before it is told
        assert isinstance(future.exception(), AccessDeniedError)
        with pytest.raises(AccessDeniedError, match="a connection validator refused it"):
            proxy.add(1)
        assert other.add(2) == 3
        refused.clear()
        assert proxy.add(1) == 2
    assert "refused rank 0: a connection validator refused it" in caplog.text


def test_a_call_validator_is_not_asked_about_what_the_layer_does_for_itself() -> None:
    asked: list[tuple[str, str]] = []

    def validator(call: remote.CallContext) -> bool:
        asked.append((call.object, call.method))
        return call.method in {"add", "count"}

    with remote.local(2, name_server=1) as ranks:
        ranks[1].add_call_validator(validator)
        ranks[1].serve(Calculator(), object="calculator", name="calc")
        proxy = ranks[0].proxy("MPINAME:calc")
        assert list(proxy.count(40)) == list(range(40))
        assert ranks[0].ping(1) > 0
        with proxy.count(10) as numbers:
            next(numbers)
        with pytest.raises(AccessDeniedError, match=r"refused calculator\.noted"):
            proxy.noted()
    assert set(asked) == {("calculator", "count"), ("calculator", "noted")}
