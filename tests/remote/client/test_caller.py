"""Calls within one process: results, exceptions, futures, limits; the same code as on ranks."""

from __future__ import annotations

import asyncio
import concurrent.futures
import copy
import logging
import pickle
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from simsplit import remote
from simsplit.errors import (
    AccessDeniedError,
    CallTimeoutError,
    CodecError,
    InputError,
    PeerGoneError,
    RemoteError,
    UnknownNameError,
)
from simsplit.remote.server import daemon
from simsplit.remote.wire.frame import Frame, FrameKind
from simsplit.util.buffer_pool import LARGE
from tests.remote import typed
from tests.remote.test_exposure import Whole
from tests.support.launching import LIMIT
from tests.support.remote_objects import Calculator, CountedBase, Held, StateError, Vector

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def pair() -> Iterator[list[remote.Session]]:
    with remote.local(2) as ranks:
        ranks[1].serve(Calculator(), object="calculator", name="calc", tags=["fast"])
        yield ranks


@pytest.fixture
def calculator(pair: list[remote.Session]) -> Any:
    return pair[0].proxy("MPI:calculator@1")


@pytest.fixture
def apart() -> Iterator[list[remote.Session]]:
    """Two ranks with a thread each, as in two processes."""
    with remote.local(2, settings=remote.Settings(cancel_wait=LIMIT), threads=True) as ranks:
        ranks[1].serve(Calculator(), object="calculator")
        yield ranks


@pytest.fixture
def held(apart: list[remote.Session]) -> Iterator[Held]:
    """Yield what keeps the second rank busy from the call of `hold` until the test lets it go."""
    held = Held()
    apart[1].serve(held, object="held")
    apart[0].ping(1)  # they know each other, so that a short time limit is that of the call alone
    yield held
    held.go.set()


def go_when_cancelling(held: Held, here: remote.Session, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the second rank go on as soon as the first has sent its wish to cancel a call."""
    send = here._endpoint.send

    def sending(frame: Frame, destination: int) -> Any:
        sent = send(frame, destination)
        if frame.kind == FrameKind.CANCEL:
            held.go.set()
        return sent

    monkeypatch.setattr(here._endpoint, "send", sending)


def test_a_call_returns_what_the_method_does(calculator: Any) -> None:
    assert calculator.add(1, 2) == 3
    assert calculator.add(a="x", b="y") == "xy"
    assert calculator.add(5) == 6
    assert calculator.echo((1, {2})) == (1, {2})
    assert calculator.echo(array=1) == {"array": 1}
    assert calculator.echo() is None


def test_a_rank_calls_itself(pair: list[remote.Session]) -> None:
    assert pair[1].proxy("MPI:calculator@1").add(1, 2) == 3


def test_an_array_goes_there_and_back_bit_for_bit(calculator: Any) -> None:
    array = np.random.default_rng(1).random((300, 40))
    result = calculator.echo(array)
    assert np.array_equal(result, array)
    assert result is not array
    result[0, 0] = 5


def test_a_result_is_what_the_array_was_when_the_method_returned(calculator: Any) -> None:
    first = calculator.next_state.submit()
    second = calculator.next_state.submit()
    assert first.result()[0] == 1
    assert second.result()[0] == 2


def test_an_array_that_nobody_else_keeps_is_sent_without_a_copy(
    calculator: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    verdicts: list[bool] = []
    look = daemon._is_nobody_elses

    def note(buffer: memoryview) -> bool:
        verdicts.append(look(buffer))
        return verdicts[-1]

    monkeypatch.setattr(daemon, "_is_nobody_elses", note)
    calculator.echo(np.zeros(100_000))
    calculator.echo(value=np.zeros(100_000))
    calculator.next_state()
    assert verdicts == [True, True, False]


def test_large_arrays_are_each_their_own_though_their_memory_is_used_again(calculator: Any) -> None:
    length = LARGE // 8
    kept = [calculator.echo(np.full(length, number)) for number in range(3)]
    assert [array[0] for array in kept] == [array[-1] for array in kept] == [0, 1, 2]
    assert not any(np.shares_memory(kept[0], other) for other in kept[1:])
    del kept[1]
    assert calculator.echo(np.full(length, 3))[-1] == 3
    assert [array[-1] for array in kept] == [0, 2]


def test_an_exception_has_its_type_arguments_attributes_and_the_remote_traceback(calculator: Any) -> None:
    with pytest.raises(StateError) as caught:
        calculator.fail("state")
    error = caught.value
    assert error.args == ("seven 7",)
    assert error.code == 7
    cause = error.__cause__
    assert isinstance(cause, remote.RemoteTraceback)
    assert cause.text.startswith("On rank 1 (host ")
    assert "calculator.fail:\nTraceback (most recent call last):\n" in cause.text
    assert 'raise StateError(7, "seven")' in cause.text
    assert "simsplit/remote/daemon.py" not in cause.text
    assert "a local variable" not in cause.text.replace('secret = "a local variable"', "")


def test_an_exception_two_calls_deep_shows_both(calculator: Any) -> None:
    with pytest.raises(ZeroDivisionError) as caught:
        calculator.fail("")
    text = str(caught.value.__cause__)
    assert "in fail" in text
    assert "in _divide" in text


def test_an_exception_that_cannot_travel_is_replaced_and_named(calculator: Any) -> None:
    with pytest.raises(RemoteError, match=r"tests\.support\.remote_objects\.UnsendableError: <object object") as caught:
        calculator.fail("unsendable")
    assert "raise UnsendableError" in str(caught.value.__cause__)


def test_a_method_that_exits_ends_neither_program(calculator: Any) -> None:
    with pytest.raises(RemoteError, match="SystemExit: 3"):
        calculator.fail("exit")
    assert calculator.add(1) == 2


def test_a_result_that_cannot_travel_is_an_error_that_says_where(calculator: Any) -> None:
    with pytest.raises(CodecError, match=r"args\[0\]\[1\] cannot travel"):
        calculator.echo([1, lambda: 1])
    with pytest.raises(CodecError, match=r"kwargs\['a'\] cannot travel: it is of type builtins\.type") as caught:
        calculator.echo(a=int)
    assert caught.value.__cause__ is None
    with pytest.raises(CodecError, match=r"value\['f'\] cannot travel: it is of type builtins\.builtin") as caught:
        calculator.unsendable()
    assert isinstance(caught.value.__cause__, remote.RemoteTraceback)


@pytest.mark.parametrize(
    "name", ["constant", "state", "nothing", "fixed.upper", "add.__globals__", "__init__", "_divide"]
)
def test_nothing_but_what_is_exposed_is_reached(calculator: Any, name: str) -> None:
    method = calculator._method(name)  # as a caller would that does not ask for leave
    with pytest.raises(AttributeError, match=r"exposes no .*; it exposes: add, echo"):
        method()


def test_private_names_and_setting_are_refused_at_once(calculator: Any) -> None:
    with pytest.raises(AttributeError, match="private"):
        calculator._divide  # noqa: B018, the point
    with pytest.raises(AttributeError, match="attributes=True"):
        calculator.total = 5


def test_unknown_objects_names_and_ranks_are_named(pair: list[remote.Session]) -> None:
    with pytest.raises(UnknownNameError, match="rank 1 serves no object 'other'"):
        pair[0].proxy("MPI:other@1").add(1)
    with pytest.raises(UnknownNameError, match="there is no rank 2; ranks go to 1"):
        pair[0].proxy("MPI:other@2").add(1)


# Proxies


def test_proxies_are_compared_copied_hashed_and_sent(pair: list[remote.Session], calculator: Any) -> None:
    again = pair[0].proxy("MPINAME:calc")
    assert again == calculator == copy.copy(calculator) == copy.deepcopy(calculator)
    assert len({again, calculator}) == 1
    assert calculator != pair[0].proxy("MPI:other@1")
    assert remote.uri_of(again) == remote.ObjectURI("calculator", 1)
    assert calculator.echo(again) == calculator
    assert "MPI:calculator@1" in repr(again)
    with pytest.raises(TypeError, match="cannot be pickled"):
        pickle.dumps(calculator)
    with pytest.raises(InputError, match="no proxy"):
        remote.uri_of(5)


def test_an_exposed_object_becomes_a_proxy_when_it_is_passed_or_returned(
    pair: list[remote.Session], calculator: Any
) -> None:
    made = calculator.make()
    assert made.add(1, 2) == 3
    assert remote.uri_of(made).rank == 1
    mine = Calculator()
    assert calculator.nest(mine, calculator, 2) == 2
    assert remote.uri_of(calculator.echo(mine)).rank == 0
    pair[1].withdraw(remote.uri_of(made))
    with pytest.raises(UnknownNameError):
        made.add(1)


def test_a_static_proxy_refuses_what_is_wrong_before_it_is_sent(pair: list[remote.Session]) -> None:
    for interface in (Calculator, Vector):
        calculator: Any = pair[0].proxy("MPINAME:calc", interface)
        received = pair[1]._endpoint.received
        with pytest.raises(TypeError, match="too many positional arguments"):
            calculator.add(1, 2, 3)
        with pytest.raises(TypeError, match="missing a required argument: 'a'"):
            calculator.add.submit()
        with pytest.raises(AttributeError, match=r"has no 'adds'"):
            calculator.adds(1)
        assert pair[1]._endpoint.received == received
        assert calculator.add(1, b=2) == 3
        calculator.total = 2.5
        assert calculator.total == 2.5
        with pytest.raises(AttributeError, match="no property 'add'"):
            calculator.add = 5
        assert copy.copy(calculator).add(1) == 2
        assert "add" in dir(calculator)


def test_what_the_type_checker_is_shown_is_true() -> None:
    with remote.local(2) as (here, there):
        uri = there.serve(typed.Calculator())
        typed.use(here, uri)
        assert typed.misuse(here.proxy(uri, typed.Calculator)) == ([TypeError, AttributeError], 2)


def test_a_static_proxy_knows_methods_of_all_kinds() -> None:
    with remote.local(2) as (here, there):
        whole = here.proxy(there.serve(Whole()), Whole)
        assert (whole.method(), whole.static(), whole.of_class(), whole.marked()) == (4, 9, 10, 1)
        with pytest.raises(TypeError):
            whole.static(1)
        with pytest.raises(TypeError):
            whole.of_class(1)


def test_attributes_are_read_and_set(pair: list[remote.Session]) -> None:
    calculator = pair[0].proxy("MPINAME:calc", attributes=True)
    assert calculator.total == 0.0
    calculator.total = 1.5
    assert calculator.total == 1.5
    assert calculator.add(1) == 2
    with pytest.raises(AttributeError, match="'fixed' of the remote Calculator cannot be set"):
        calculator.fixed = "x"
    with pytest.raises(AttributeError, match="exposes no 'state'; it exposes: add"):
        calculator.state  # noqa: B018, the point
    with pytest.raises(AttributeError, match="exposes no 'state'"):
        calculator.state = 5
    with pytest.raises(AttributeError, match="is a method, not a property"):
        calculator.add = 5
    assert {"total", "add"} <= set(dir(calculator))


# Instances


def counted(mode: str) -> type[CountedBase]:
    return remote.expose(instances=mode)(type("Counted", (CountedBase,), {}))


@pytest.mark.parametrize(
    ("mode", "expected"), [("single", [(1, 1), (1, 2), (1, 3)]), ("percall", [(1, 1), (2, 1), (3, 1)])]
)
def test_instances_of_a_class_are_made_as_it_says(mode: str, expected: list[tuple[int, int]]) -> None:
    with remote.local(2) as (here, there):
        proxy = here.proxy(there.serve(counted(mode)))
        assert [proxy.count(), proxy.count(), here.proxy(remote.uri_of(proxy)).count()] == expected


def test_a_session_has_an_instance_for_each_caller() -> None:
    with remote.local(3) as ranks:
        uri = ranks[2].serve(counted("session"))
        counts = [ranks[rank].proxy(uri).count() for rank in (0, 0, 1, 0)]
        assert counts == [(1, 1), (1, 2), (2, 1), (2, 3)]


def test_a_class_that_is_served_anew_gives_no_instance_of_the_one_before() -> None:
    for mode in ("session", "single"):
        with remote.local(2) as (here, there):
            for _ in range(2):
                uri = there.serve(counted(mode), object="c")
                assert here.proxy("MPI:c@1").count() == (1, 1)
                there.withdraw(uri)


# Futures


def test_futures_are_done_in_any_order_and_raise_what_the_call_raised(calculator: Any) -> None:
    futures = [calculator.add.submit(number, 1) for number in range(10)]
    assert isinstance(futures[0], concurrent.futures.Future)
    assert [future.result() for future in reversed(futures)] == list(range(10, 0, -1))
    failed = calculator.fail.submit("state")
    assert isinstance(failed.exception(), StateError)
    with pytest.raises(StateError):
        failed.result()


def test_concurrent_futures_can_wait_for_them(apart: list[remote.Session]) -> None:
    calculator = apart[0].proxy("MPI:calculator@1")
    apart[0].stop_service()
    futures = [calculator.add.submit(number, 1) for number in range(20)]
    done, _ = concurrent.futures.wait(futures, timeout=LIMIT)
    assert sorted(future.result() for future in done) == list(range(1, 21))
    again = [calculator.add.submit(number, 1) for number in range(20)]
    assert sum(future.result() for future in concurrent.futures.as_completed(again, timeout=LIMIT)) == 210


def test_a_callback_is_called_though_nobody_waits(apart: list[remote.Session]) -> None:
    apart[0].stop_service()
    called = threading.Event()
    apart[0].proxy("MPI:calculator@1").sleep.submit(0.05).add_done_callback(lambda _: called.set())
    assert called.wait(LIMIT)


def test_futures_can_be_awaited(calculator: Any, apart: list[remote.Session]) -> None:
    async def program(proxy: Any) -> list[Any]:
        with pytest.raises(StateError):
            await proxy.fail.submit("state")
        first = await proxy.add.submit(1, 2)
        rest = await asyncio.gather(*(asyncio.wrap_future(proxy.add.submit(number)) for number in range(3)))
        return [first, *rest]

    for proxy in (calculator, apart[0].proxy("MPI:calculator@1")):
        assert asyncio.run(program(proxy)) == [3, 1, 2, 3]


def test_ten_thousand_calls_are_in_flight_without_loss_or_growth(pair: list[remote.Session], calculator: Any) -> None:
    futures = [calculator.add.submit(number, 0) for number in range(10_000)]
    assert [future.result() for future in futures] == list(range(10_000))
    assert pair[0].caller.idle
    assert not pair[1]._daemon.queue
    assert not pair[1]._reception.guest(0).active  # type: ignore[union-attr]
    assert not pair[0]._endpoint.sending


def test_more_calls_than_may_be_in_flight_wait_for_their_turn() -> None:
    with remote.local(2, settings=remote.Settings(max_in_flight=3)) as (here, there):
        calculator = here.proxy(there.serve(Calculator()))
        futures = []
        for number in range(50):
            futures.append(calculator.add.submit(number, 0))
            assert len(here.caller.peer(1).calls) <= 3  # type: ignore[union-attr]
        assert [future.result() for future in futures] == list(range(50))


def test_a_call_that_has_not_begun_is_cancelled_and_never_carried_out(
    apart: list[remote.Session], held: Held, monkeypatch: pytest.MonkeyPatch
) -> None:
    calculator = apart[0].proxy("MPI:calculator@1")
    first = apart[0].proxy("MPI:held@1").hold.submit()
    assert held.begun.wait(LIMIT)
    second = calculator.note.submit("cancelled")
    go_when_cancelling(held, apart[0], monkeypatch)
    assert second.cancel()
    assert second.cancelled()
    with pytest.raises(concurrent.futures.CancelledError):
        second.result()
    assert first.result() == "held"
    assert not first.cancel()
    assert calculator.noted() == []


def test_a_cancelled_call_is_said_to_be_though_another_thread_settles_it(
    apart: list[remote.Session], held: Held, monkeypatch: pytest.MonkeyPatch
) -> None:
    settle = remote.RemoteFuture.settle

    def slowly(future: remote.RemoteFuture, **named: Any) -> None:
        time.sleep(0.02)  # which gives the thread that cancels time to look too early
        settle(future, **named)

    proxy, calculator = apart[0].proxy("MPI:held@1"), apart[0].proxy("MPI:calculator@1")
    monkeypatch.setattr(remote.RemoteFuture, "settle", slowly)
    go_when_cancelling(held, apart[0], monkeypatch)
    for _ in range(8):
        held.begun.clear()
        held.go.clear()
        busy = proxy.hold.submit()
        assert held.begun.wait(LIMIT)
        assert calculator.add.submit(1).cancel()
        assert busy.result() == "held"


def test_a_call_that_has_begun_is_not_cancelled(
    apart: list[remote.Session], held: Held, monkeypatch: pytest.MonkeyPatch
) -> None:
    future = apart[0].proxy("MPI:held@1").hold.submit()
    assert held.begun.wait(LIMIT)
    go_when_cancelling(held, apart[0], monkeypatch)
    assert not future.cancel()
    assert future.result() == "held"


# Time limits


def test_a_late_answer_never_reaches_a_later_call(apart: list[remote.Session], held: Held) -> None:
    here = apart[0]
    proxy, calculator = here.proxy("MPI:held@1", timeout=0.1), here.proxy("MPI:calculator@1")
    with pytest.raises(CallTimeoutError, match=r"MPI:held@1\.hold: no answer within 0\.1 s"):
        proxy.hold()
    held.go.set()
    assert calculator.add.submit(1, 2).result() == 3
    late = here.caller.counts["late"]
    assert late == held.begun.is_set()  # a call that had not begun in time has no answer at all
    held.begun.clear()
    held.go.clear()
    with pytest.raises(TimeoutError):
        proxy.hold.submit().result()
    held.go.set()
    assert calculator.sleep(0.01) == 0.01
    assert here.caller.counts["late"] == late + held.begun.is_set()


def test_a_call_that_timed_out_before_it_began_is_not_carried_out(apart: list[remote.Session], held: Held) -> None:
    calculator = apart[0].proxy("MPI:calculator@1")
    busy = apart[0].proxy("MPI:held@1").hold.submit()
    assert held.begun.wait(LIMIT)
    with pytest.raises(CallTimeoutError):
        calculator.note.options(timeout=0.05)("late")
    held.go.set()
    assert busy.result() == "held"
    assert calculator.noted() == []


def test_waiting_for_a_result_does_not_end_the_call(apart: list[remote.Session], held: Held) -> None:
    future = apart[0].proxy("MPI:held@1").hold.submit()
    with pytest.raises(TimeoutError):
        future.result(timeout=0.01)
    held.go.set()
    assert future.result(timeout=LIMIT) == "held"


def test_a_wrong_time_limit_is_refused(pair: list[remote.Session]) -> None:
    calculator = pair[0].proxy("MPI:calculator@1")
    with pytest.raises(InputError, match="greater than 0"):
        calculator.add.options(timeout=0)
    with pytest.raises(InputError, match="greater than 0"):
        pair[0].proxy("MPI:calculator@1", timeout=-1)


def test_time_limits_of_calls_that_were_answered_are_forgotten(pair: list[remote.Session], calculator: Any) -> None:
    add = calculator.add.options(timeout=1000)
    for number in range(5000):
        assert add.submit(number).result() == number + 1
    assert len(pair[0].caller.deadlines) < 2000


# Oneway


def test_oneway_calls_keep_to_the_pace_of_who_serves_them() -> None:
    calculator = Calculator()
    with remote.local(2, settings=remote.Settings(max_in_flight=10)) as (here, there):
        proxy = here.proxy(there.serve(calculator))
        most = 0
        for number in range(200):
            proxy.note.oneway(number)
            guest = there._reception.guest(0)
            most = max(most, 0 if guest is None else guest.oneway)
        assert proxy.noted() == list(range(200))
        assert most <= 20
        assert guest is not None
        assert guest.oneway == 0


def test_oneway_calls_of_who_does_not_keep_to_the_pace_are_dropped(caplog: pytest.LogCaptureFixture) -> None:
    calculator = Calculator()
    with remote.local(2, settings=remote.Settings(max_in_flight=10)) as (here, there):
        proxy = here.proxy(there.serve(calculator))
        proxy.add(1)
        here.caller.peer(1).window = 1000  # type: ignore[union-attr]
        for number in range(50):
            proxy.note.oneway(number)
        assert proxy.add(1) == 2
    assert 20 <= len(calculator.seen) < 30
    assert "dropped a oneway call of rank 0" in caplog.text


def test_oneway_calls_arrive_in_order_and_their_failures_are_logged(
    calculator: Any, caplog: pytest.LogCaptureFixture
) -> None:
    for number in range(5):
        assert calculator.note.oneway(number) is None
    assert calculator.noted() == [0, 1, 2, 3, 4]
    calculator.fail.oneway("state")
    assert calculator.add(1) == 2
    (record,) = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert "a oneway call of rank 0 failed on rank 1" in record.message


def test_a_oneway_array_may_be_changed_after_the_call(apart: list[remote.Session]) -> None:
    calculator = apart[0].proxy("MPI:calculator@1")
    array = np.zeros(100_000)
    calculator.note.oneway(array)
    array[:] = 5
    assert calculator.noted()[0][0] == 0


# Nesting


@pytest.mark.parametrize("threads", [False, True])
def test_ranks_call_each_other_to_depth_50(threads: bool) -> None:
    with remote.local(2, threads=threads) as (here, there):
        one = here.proxy(here.serve(Calculator(), object="one"))
        other = here.proxy(there.serve(Calculator(), object="other"))
        assert other.nest(one, other, 50) == 50


def test_too_deep_a_recursion_is_refused_and_the_next_call_works() -> None:
    with remote.local(2) as (here, there):
        one = here.proxy(here.serve(Calculator(), object="one"))
        other = here.proxy(there.serve(Calculator(), object="other"))
        with pytest.raises(AccessDeniedError, match="65 calls wait for each other, at most 64 may"):
            other.nest(one, other, 70)
        assert other.nest(one, other, 3) == 3


def test_ranks_that_call_each_other_at_the_same_time_do_not_wait_for_ever() -> None:
    with remote.local(2, threads=True) as (here, there):
        uris = [rank.serve(Calculator(), object=f"c{rank.rank}") for rank in (here, there)]
        futures = [
            rank.proxy(uris[1 - rank.rank]).nest.submit(rank.proxy(uris[rank.rank]), rank.proxy(uris[1 - rank.rank]), 6)
            for _ in range(20)
            for rank in (here, there)
        ]
        assert [future.result(timeout=LIMIT) for future in futures] == [6] * 40


# Context


def test_a_method_knows_who_calls_and_what_was_added(pair: list[remote.Session], calculator: Any) -> None:
    context = calculator.context.options(annotations={"trace": [1, "a"]})()
    assert (context["rank"], context["object"], context["method"]) == (0, "calculator", "context")
    assert context["host"] == pair[0].host
    assert context["annotations"] == {"trace": [1, "a"]}
    assert context["depth"] == 1
    assert remote.call_context() is None
    assert calculator.context()["correlation"] > context["correlation"]


# Serving


def test_what_cannot_be_served_is_refused(pair: list[remote.Session]) -> None:
    with pytest.raises(InputError, match="nothing of int is exposed"):
        pair[0].serve(5)
    with pytest.raises(InputError, match="the name calculator is taken"):
        pair[1].serve(Calculator(), object="calculator")
    with pytest.raises(InputError, match="tags are registered with a name"):
        pair[0].serve(Calculator(), tags=["a"])
    with pytest.raises(UnknownNameError, match="serves no object nothing"):
        pair[0].withdraw("MPI:nothing@0")
    with pytest.raises(InputError, match="no object of this rank"):
        pair[0].withdraw("MPI:calculator@1")


def test_an_object_that_is_served_twice_keeps_its_name(pair: list[remote.Session]) -> None:
    thing = Calculator()
    assert pair[0].serve(thing) == pair[0].serve(thing)


def test_a_loop_of_ones_own_serves(apart: list[remote.Session]) -> None:
    calculator = apart[0].proxy("MPI:calculator@1")
    assert calculator.add(1) == 2
    apart[1].stop_service()
    future = calculator.add.submit(1, 2)
    while not future.done():
        apart[1].poll()
    assert future.result() == 3


def test_request_loop_serves_while_its_condition_holds(apart: list[remote.Session]) -> None:
    calculator = apart[0].proxy("MPI:calculator@1")
    assert calculator.add(1) == 2
    apart[1].stop_service()
    future = calculator.add.submit(1, 2)
    apart[1].request_loop(lambda: not future.done())
    assert future.done()


def test_workers_carry_out_requests_side_by_side_and_nest_without_running_out() -> None:
    with remote.local(2, settings=remote.Settings(workers=2), threads=True) as (here, there):
        calculator, held = here.proxy(there.serve(Calculator(), object="c")), here.proxy(there.serve(Held()))
        futures = [held.meet.submit() for _ in range(2)]
        assert [future.result() for future in futures] == [True, True]
        one = here.proxy(here.serve(Calculator(), object="one"))
        nested = [calculator.nest.submit(one, calculator, 10) for _ in range(4)]
        assert [future.result(timeout=LIMIT) for future in nested] == [10] * 4


def test_a_closed_rank_calls_nobody() -> None:
    with remote.local(2) as (here, there):
        calculator = here.proxy(there.serve(Calculator()))
        calculator.add(1)
    with pytest.raises(PeerGoneError, match="the ranks have left"):
        calculator.add(1)


def test_a_method_cannot_leave_while_its_caller_waits() -> None:
    @remote.expose
    class Leaver:
        def leave(self) -> None:
            there.close()

    with remote.local(2) as (here, there), pytest.raises(InputError, match="its caller waits for it"):
        here.proxy(there.serve(Leaver())).leave()


def test_threads_that_call_at_the_same_time_get_their_own_answers() -> None:
    settings = remote.Settings(passphrase="together", workers=2)  # noqa: S106, a test
    with remote.local(2, threads=True, settings=settings) as (here, there):
        there.serve(Calculator(), object="c")
        calculator = here.proxy("MPI:c@1", timeout=LIMIT)
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            sums = pool.map(lambda number: [calculator.add(number, n) for n in range(50)], range(16))
            assert list(sums) == [[number + n for n in range(50)] for number in range(16)]


def test_an_exception_whose_own_code_fails_is_an_error_all_the_same() -> None:
    class BrokenError(Exception):
        @property
        def __dict__(self) -> Any:  # type: ignore[override]
            raise ZeroDivisionError

        def __str__(self) -> str:
            raise ZeroDivisionError

    @remote.expose
    class Breaks:
        def fail(self) -> None:
            raise BrokenError

    with remote.local(2) as (here, there), pytest.raises(RemoteError, match="BrokenError"):
        here.proxy(there.serve(Breaks())).fail()


def test_ping_takes_a_while(pair: list[remote.Session]) -> None:
    assert pair[0].ping(1) > 0


# At the limits


def test_a_recursion_that_python_ends_leaves_all_in_order(pair: list[remote.Session], calculator: Any) -> None:
    def read(number: int) -> None:
        calculator.add(number)
        read(number + 1)

    for _ in range(3):
        with pytest.raises(RecursionError, match="setrecursionlimit"):
            read(0)
        assert calculator.add(1, 2) == 3
    assert pair[0].caller.idle


def test_a_method_that_would_serve_for_ever_is_refused() -> None:
    @remote.expose
    class Loops:
        def loop(self) -> None:
            there.request_loop()

        def while_it_holds(self) -> str:
            there.request_loop(lambda: False)
            return "over"

    with remote.local(2) as (here, there):
        loops = here.proxy(there.serve(Loops()))
        with pytest.raises(InputError, match="cannot serve until no rank needs anything more"):
            loops.loop()
        assert loops.while_it_holds() == "over"


def test_an_init_that_calls_itself_in_a_circle_is_refused_and_may_be_tried_again() -> None:
    makes = []

    @remote.expose
    class Circle:
        def __init__(self) -> None:
            makes.append(self)
            if len(makes) == 1:
                there.proxy("MPI:through@0").call_back()

        def name(self) -> str:
            return "circle"

    @remote.expose
    class Through:
        def call_back(self) -> str:
            return str(here.proxy("MPI:circle@1").name())

    with remote.local(2) as (here, there):
        here.serve(Through(), object="through")
        there.serve(Circle, object="circle")
        circle = here.proxy("MPI:circle@1")
        with pytest.raises(AccessDeniedError, match=r"\.Circle is being made now"):
            circle.name()
        assert circle.name() == "circle"
        assert len(makes) == 2


def test_an_answer_that_lies_there_counts_though_the_time_is_over(apart: list[remote.Session]) -> None:
    calculator = apart[0].proxy("MPI:calculator@1")
    calculator.add(1)
    apart[0].stop_service()

    def is_late() -> bool:
        time.sleep(0.3)  # as if a request were carried out meanwhile
        return False

    futures = [calculator.add.options(timeout=0.1).submit(number) for number in range(3)]
    is_late()
    assert [future.result() for future in futures] == [1, 2, 3]
    assert not apart[0].caller.counts["late"]


@pytest.mark.parametrize("kind", ["add", "fail", "array", "stream", "future", "batch", "oneway", "cancel"])
def test_whatever_is_called_near_the_limit_is_done_or_refused_as_a_whole(
    pair: list[remote.Session], calculator: Any, kind: str
) -> None:
    array = np.ones(5000)

    def fail() -> None:
        with pytest.raises(StateError):
            calculator.fail("state")

    def batch() -> None:
        with remote.Batch(calculator) as calls:
            calls.add(1)

    acts = {
        "add": lambda: calculator.add(1),
        "fail": fail,
        "array": lambda: calculator.echo(array),
        "stream": lambda: next(calculator.count(5)),
        "future": lambda: calculator.add.submit(1).result(),
        "batch": batch,
        "oneway": lambda: calculator.note.oneway(1),
        "cancel": lambda: calculator.add.submit(1).cancel(),
    }

    def at(depth: int) -> None:
        if depth:
            at(depth - 1)
        else:
            acts[kind]()

    at(0)
    limit = sys.getrecursionlimit()
    refused = 0
    for depth in range(limit - 200, limit):
        try:
            at(depth)
        except RecursionError:
            refused += 1
        assert calculator.add(1) == 2
    assert 50 < refused < 200
    assert pair[1]._endpoint.received == pair[0]._endpoint.sent
    assert not pair[1]._daemon.running
