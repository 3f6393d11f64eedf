"""Leaving: nobody goes while another waits, nothing is lost, and who fails holds nobody up for ever."""

from __future__ import annotations

import math
import threading
import time
from dataclasses import replace
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import pytest

from simsplit import remote
from simsplit.errors import PeerGoneError
from simsplit.remote.link import endpoint
from simsplit.remote.link import termination as leaving
from simsplit.remote.wire.codec import Hooks, encode
from simsplit.remote.wire.frame import Frame, FrameKind, IncomingFrame
from simsplit.transport.loopback import loopback
from tests.support.launching import LIMIT
from tests.support.remote_objects import Calculator

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

PATIENT = remote.Settings(lookup_wait=LIMIT, leave_wait=LIMIT)
HASTY = remote.Settings(lookup_wait=LIMIT, leave_wait=0.5)  # for a rank that will wait in vain


def run_ranks(
    *programs: Any, settings: remote.Settings = PATIENT, ended: Callable[[int], object] = lambda _: None
) -> list[Any]:
    """Run a program for each rank in a thread of its own; return what each returned or raised.

    `ended` is called with the number of each rank that has left.
    """
    ports = loopback(len(programs))
    outcomes: list[Any] = [None] * len(programs)

    def run(rank: int) -> None:
        try:
            with remote.Session(ports[rank], settings) as here:
                outcomes[rank] = programs[rank](here)
        except BaseException as error:  # noqa: BLE001, returned
            outcomes[rank] = error
        ended(rank)

    threads = [threading.Thread(target=run, args=(rank,)) for rank in range(len(programs))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(LIMIT)
        assert not thread.is_alive(), "a rank does not leave"
    return outcomes


def hurry(monkeypatch: pytest.MonkeyPatch, module: ModuleType) -> list[float]:
    """Let the clock of a module go on by a tenth of a second with each look; return what it showed."""
    looks: list[float] = []

    def clock() -> float:
        looks.append(0.1 * len(looks))
        return looks[-1]

    monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=clock, perf_counter=time.perf_counter))
    return looks


def server(here: remote.Session) -> None:
    here.serve(Calculator(), object="c", name=f"c{here.rank}")


def test_a_rank_serves_until_nobody_needs_it() -> None:
    def client(here: remote.Session) -> list[int]:
        calculator = here.proxy("MPINAME:c1")
        results = []
        for number in range(5):
            time.sleep(0.02)
            results.append(calculator.add(number))
        return results

    assert run_ranks(client, server, client) == [[1, 2, 3, 4, 5], None, [1, 2, 3, 4, 5]]


def test_oneway_calls_that_are_on_their_way_are_carried_out() -> None:
    served = Calculator()

    def client(here: remote.Session) -> None:
        calculator = here.proxy("MPINAME:c1")
        for number in range(100):
            calculator.note.oneway(number)

    run_ranks(client, lambda here: here.serve(served, object="c", name="c1"))
    assert served.seen == list(range(100))


def test_a_chain_of_oneway_calls_ends_before_anyone_leaves() -> None:
    reached = []

    @remote.expose
    class Relay:
        def __init__(self, here: remote.Session) -> None:
            self.here = here

        def pass_on(self, left: int) -> None:
            reached.append(left)
            if left:
                time.sleep(0.001)
                other = (self.here.rank + 1) % self.here.size
                self.here.proxy(f"MPI:relay@{other}").pass_on.oneway(left - 1)

    def program(here: remote.Session) -> None:
        here.serve(Relay(here), object="relay", name=f"r{here.rank}")
        if here.rank == 2:
            for rank in range(3):
                here.resolve(f"MPINAME:r{rank}")
            here.proxy("MPI:relay@0").pass_on.oneway(50)

    assert run_ranks(program, program, program)[0] is None
    assert reached == list(range(50, -1, -1))


def test_request_loop_ends_when_all_are_done() -> None:
    def loop(here: remote.Session) -> str:
        server(here)
        here.request_loop()
        return "over"

    assert run_ranks(lambda here: here.proxy("MPINAME:c1").add(1), loop, loop) == [2, "over", "over"]


@pytest.mark.parametrize("failing", [0, 1])
def test_a_rank_that_fails_gives_an_error_to_its_callers(failing: int) -> None:
    def fail(here: remote.Session) -> None:
        served = Calculator()
        here.serve(served, object="c")
        here.wait_until(lambda: len(served.seen) == 2)
        raise ZeroDivisionError

    def client(here: remote.Session) -> str:
        calculator = here.proxy(f"MPI:c@{failing}")
        calculator.note(1)
        with pytest.raises(PeerGoneError, match=rf"rank {failing} \(host .*\) ended with ZeroDivisionError"):
            [calculator.add(1) for _ in range(10**6)]
        with pytest.raises(PeerGoneError, match="ended with"):
            calculator.add(1)
        return "fine"

    programs = [client, client]
    programs.insert(failing, fail)
    outcomes = run_ranks(*programs)
    assert isinstance(outcomes.pop(failing), ZeroDivisionError)
    assert outcomes == ["fine", "fine"]


def test_a_call_that_waits_when_its_server_fails_gets_an_error() -> None:
    asked = threading.Event()

    def fail(here: remote.Session) -> None:
        served = Calculator()
        here.serve(served, object="c")
        here.wait_until(lambda: bool(served.seen))
        assert asked.wait(LIMIT)
        raise ZeroDivisionError

    def client(here: remote.Session) -> list[Any]:
        calculator = here.proxy("MPI:c@1")
        calculator.note(1)
        futures = [calculator.add.submit(1), calculator.add.submit(2)]
        asked.set()
        return [type(future.exception()) for future in futures]

    outcomes = run_ranks(client, fail)
    assert outcomes[0] == [PeerGoneError, PeerGoneError]


@pytest.mark.parametrize("failing", [0, 1])
def test_a_rank_that_fails_waits_for_the_others_for_a_while_only(failing: int) -> None:
    left = threading.Event()

    def fail(_here: remote.Session) -> None:
        raise ZeroDivisionError

    def busy(_here: remote.Session) -> str:
        assert left.wait(LIMIT)  # neither calls nor serves until the other has left
        return "done"

    programs = [busy]
    programs.insert(failing, fail)
    outcomes = run_ranks(*programs, settings=HASTY, ended=lambda rank: rank == failing and left.set())
    assert isinstance(outcomes[failing], ZeroDivisionError)
    assert outcomes[1 - failing] == "done"


def test_the_names_of_a_rank_that_is_gone_are_forgotten() -> None:
    def fail(here: remote.Session) -> None:
        served = Calculator()
        here.serve(served, name="c1")
        here.wait_until(lambda: bool(served.seen))
        raise ZeroDivisionError

    def client(here: remote.Session) -> list[str]:
        here.proxy("MPINAME:c1").note(1)
        here.wait_until(lambda: not here.names.list_names(), LIMIT)
        return list(here.names.list_names())

    assert run_ranks(lambda _here: None, fail, client)[2] == []


def test_a_message_that_was_lost_holds_nobody_up_for_ever(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = hurry(monkeypatch, leaving)

    def lossy(here: remote.Session) -> int:
        here._endpoint.sent += 1  # as if the other rank had dropped one
        return here.rank

    assert run_ranks(lossy, lambda here: here.rank, settings=HASTY) == [0, 1]
    assert len(looks) > 5
    assert "left with 1 messages that were sent and did not arrive" in caplog.text


def test_messages_of_the_agreement_that_are_none_do_no_harm() -> None:
    def mischief(here: remote.Session) -> str:
        calculator = here.proxy("MPINAME:c0")
        for kind in (FrameKind.IDLE, FrameKind.CONFIRMED, FrameKind.CONFIRM, FrameKind.END):
            for value in (None, 5, [1], ["a", "b"], [1, 2, 3], [math.inf, 1], [3, math.inf, 1]):
                body = msgspec.msgpack.encode([[], value])
                here._endpoint.send(Frame(kind, 3, body=body), 0)
        for kind in (FrameKind.HELLO, FrameKind.PROOF, FrameKind.WELCOME, FrameKind.CHALLENGE, FrameKind.CANCEL):
            here._endpoint.send(Frame(kind, 3, body=b"\x92\x90\xc0"), 0)
        return str(calculator.add("a", "b"))

    outcomes = run_ranks(lambda here: server(here), mischief)  # noqa: PLW0108, the thread wants a function
    assert outcomes == [None, "ab"]


def test_a_rank_that_fails_does_not_wait_for_a_request_that_never_ends() -> None:
    never = threading.Event()

    @remote.expose
    class Stuck:
        def wait(self) -> None:
            begun.set()
            never.wait()

    begun = threading.Event()

    def fail(here: remote.Session) -> None:
        here.serve(Stuck(), object="stuck")
        assert begun.wait(LIMIT)
        raise ZeroDivisionError

    def client(here: remote.Session) -> str:
        with pytest.raises(PeerGoneError, match="ended with ZeroDivisionError"):
            here.proxy("MPI:stuck@1").wait()
        return "fine"

    outcomes = run_ranks(client, fail, settings=replace(HASTY, workers=1))
    never.set()
    assert outcomes[0] == "fine"
    assert isinstance(outcomes[1], ZeroDivisionError)


def test_an_array_on_its_way_to_a_rank_that_left_holds_nobody_up() -> None:
    def fail(here: remote.Session) -> None:
        served = Calculator()
        here.serve(served, object="c")
        here.wait_until(lambda: bool(served.seen))
        here._endpoint.progress = lambda: False  # type: ignore[method-assign]  # from now on it takes nothing
        assert sent.wait(LIMIT)
        raise ZeroDivisionError

    sent = threading.Event()

    def client(here: remote.Session) -> str:
        calculator = here.proxy("MPI:c@1")
        calculator.note(1)
        future = calculator.echo.submit(np.ones(100_000))
        sent.set()
        assert isinstance(future.exception(), PeerGoneError)
        return "fine"

    outcomes = run_ranks(client, fail, settings=HASTY)
    assert outcomes[0] == "fine"
    assert isinstance(outcomes[1], ZeroDivisionError)


def test_an_answer_that_nobody_fetches_any_more_holds_nobody_up() -> None:
    begun = threading.Event()

    def serving(here: remote.Session) -> str:
        @remote.expose
        class Slow:
            def large(self) -> np.ndarray:
                begun.set()
                assert here.wait_until(lambda: here._leaving.incomplete, LIMIT)  # who asked has left
                return np.ones(100_000)

        here.serve(Slow(), object="slow")
        here.wait_until(begun.is_set)
        return "fine"

    def fail(here: remote.Session) -> None:
        here.proxy("MPI:slow@0").large.submit()
        here._endpoint.progress = lambda: False  # type: ignore[method-assign]  # from now on it takes nothing
        assert begun.wait(LIMIT)
        raise ZeroDivisionError

    outcomes = run_ranks(serving, fail, settings=HASTY)
    assert outcomes[0] == "fine"
    assert isinstance(outcomes[1], ZeroDivisionError)


def test_a_call_after_all_have_agreed_to_leave_is_an_error() -> None:
    def late(here: remote.Session) -> str:
        calculator = here.proxy("MPINAME:c1")
        calculator.add(1)
        here.request_loop()
        for call in (calculator.add, here.proxy("MPI:c@2").add):
            with pytest.raises(PeerGoneError, match="the ranks have left"):
                call(1)
        return "fine"

    assert run_ranks(late, server, server) == ["fine", None, None]


def test_a_message_counts_as_received_only_once_it_is_sorted() -> None:
    with remote.local(2) as (here, there):
        calculator = here.proxy(there.serve(Calculator()))
        calculator.add(1)
        accept, counted = there._endpoint._accept, []

        def note(arrived: IncomingFrame) -> None:
            counted.append(there._endpoint.received)
            accept(arrived)

        there._endpoint._accept = note
        before = there._endpoint.received
        calculator.add(1)
        assert counted == [before]
        assert there._endpoint.received == before + 1


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("way", ["loop", "wait", "method", "future"])
def test_who_waits_for_a_rank_that_failed_gets_an_error(way: str, workers: int) -> None:
    def fail(here: remote.Session) -> None:
        here.wait_until(lambda: False, 0.1)
        raise ZeroDivisionError

    def wait(here: remote.Session) -> str:
        @remote.expose
        class Waits:
            def wait(self) -> None:
                here.wait_until(lambda: False)

        here.serve(Waits(), object="w")
        with pytest.raises(PeerGoneError, match=r"rank 1 \(host .*\) ended with ZeroDivisionError"):
            if way == "loop":
                here.request_loop(lambda: True)
            elif way == "wait":
                here.wait_until(lambda: False)
            elif way == "method":
                here.proxy("MPI:w@0").wait()
            else:
                here.proxy(f"MPI:w@{2 - here.rank}").wait.submit().result()
        return "told"

    outcomes = run_ranks(wait, fail, wait, settings=remote.Settings(leave_wait=15, workers=workers))
    assert isinstance(outcomes.pop(1), ZeroDivisionError)
    assert outcomes == ["told", "told"]


def test_a_head_without_its_arrays_holds_nobody_up(monkeypatch: pytest.MonkeyPatch) -> None:
    looks = hurry(monkeypatch, endpoint)

    def faulty(here: remote.Session) -> int:
        frame = Frame(FrameKind.REQUEST, 10**6, "c", "echo", buffers=[memoryview(bytes(50_000))])
        for rank in range(3):
            here._endpoint._port.send(frame.pack(32766)[0], rank, 0)
        return here.rank

    assert run_ranks(lambda here: here.rank, faulty, lambda here: here.rank, settings=HASTY) == [0, 1, 2]
    assert len(looks) > 5


@pytest.mark.parametrize("active", [0, 1, 2])
def test_root_lets_nobody_go_while_a_rank_that_had_reported_is_at_work_again(active: int) -> None:
    sent: list[tuple[int, int]] = []
    own: list[tuple[int, int] | None] = [(2, 2)]
    root = leaving.TerminationDetector(
        0, 3, lambda frame, rank: sent.append((frame.kind, rank)), lambda: own[0], lambda *_: None, LIMIT
    )
    root.passive = True

    def take(kind: FrameKind, rank: int, *value: int) -> None:
        frame = Frame(kind, body=encode(list(value), Hooks()).body)
        root.accept(IncomingFrame(frame.pack(1)[0], rank))
        root.work()

    def confirm(wave: int) -> None:
        assert sent == [(FrameKind.CONFIRM, 1), (FrameKind.CONFIRM, 2)]
        sent.clear()
        for rank in (1, 2):
            if rank == 2 and active == 0:
                own[0] = None
            take(FrameKind.CONFIRMED, rank, wave, *(() if active == rank else (rank, rank)))

    root.work()
    for rank in (1, 2):
        take(FrameKind.IDLE, rank, rank, rank)
    for _ in range(3):
        root.work()
    confirm(1)
    assert not root.ended
    assert not sent
    own[0] = (2, 2)
    for _ in range(3):
        root.work()
    if active:
        assert not sent
        take(FrameKind.IDLE, active, active, active)
    active = -1
    confirm(2)
    assert root.ended
    assert sent == [(FrameKind.END, 1), (FrameKind.END, 2)]


def test_root_lets_nobody_go_by_a_report_that_came_amid_a_round() -> None:
    sent: list[tuple[int, int]] = []
    root = leaving.TerminationDetector(
        0, 3, lambda frame, rank: sent.append((frame.kind, rank)), lambda: (2, 2), lambda *_: None, LIMIT
    )
    root.passive = True

    def take(kind: FrameKind, rank: int, *value: int) -> None:
        frame = Frame(kind, body=encode(list(value), Hooks()).body)
        root.accept(IncomingFrame(frame.pack(1)[0], rank))
        root.work()

    for _ in range(3):
        root.work()
    take(FrameKind.IDLE, 1, 5, 5)
    take(FrameKind.IDLE, 2, 5, 5)
    assert sent == [(FrameKind.CONFIRM, 1), (FrameKind.CONFIRM, 2)]
    sent.clear()
    take(FrameKind.IDLE, 1, 6, 5)  # rank 1 was at work meanwhile, and what it sent to rank 2 is on its way
    take(FrameKind.CONFIRMED, 1, 1, 6, 5)
    take(FrameKind.CONFIRMED, 2, 1, 5, 5)
    for _ in range(3):
        root.work()
    assert not root.ended
    assert not sent
    take(FrameKind.IDLE, 2, 5, 6)
    assert sent == [(FrameKind.CONFIRM, 1), (FrameKind.CONFIRM, 2)]
    take(FrameKind.CONFIRMED, 1, 2, 6, 5)
    take(FrameKind.CONFIRMED, 2, 2, 5, 6)
    assert root.ended
