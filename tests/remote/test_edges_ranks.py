"""What goes wrong between ranks, and that nobody waits for ever because of it."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from contextlib import suppress
from typing import Any

import numpy as np
import pytest
from mpi4py import MPI

from simsplit import remote
from simsplit.errors import AccessDeniedError, CallTimeoutError, InputError, PeerGoneError, RemoteError
from simsplit.remote.wire.frame import Flag, Frame, FrameKind
from tests.support.remote_objects import Calculator

RANK, SIZE = MPI.COMM_WORLD.rank, MPI.COMM_WORLD.size
LAST = SIZE - 1

pytestmark = [pytest.mark.mpi(min_size=2), pytest.mark.timeout(60)]


def join(**settings: Any) -> remote.Session:
    return remote.join(settings=remote.Settings(**settings))


@remote.expose
class Relay:
    """Calls others, and waits for them."""

    def __init__(self, here: remote.Session) -> None:
        self.here = here
        self.over = False

    def end(self) -> None:
        self.over = True

    def wait(self) -> bool:
        return self.here.wait_until(lambda: self.over)

    def loop(self) -> None:
        self.here.request_loop()

    def sleep(self, seconds: float) -> float:
        time.sleep(seconds)
        return seconds

    @remote.oneway
    def work(self, seconds: float) -> None:
        time.sleep(seconds)

    def count(self, stop: int) -> Any:
        yield from range(stop)

    def context(self) -> Any:
        for _ in range(2):
            context = remote.call_context()
            assert context is not None
            yield [context.object, context.method, dict(context.annotations), context.rank]


# Exceptions from outside


@pytest.mark.parametrize("kind", ["call", "future", "array", "stream"])
def test_a_recursion_that_python_ends_loses_no_message(kind: str) -> None:
    with join() as here:
        here.serve(Calculator(), object="c", name=f"c{RANK}")
        proxy = here.proxy(f"MPINAME:c{(RANK + 1) % SIZE}")
        array = np.ones(10_000)

        def read(number: int) -> None:
            if kind == "call":
                proxy.add(number)
            elif kind == "future":
                proxy.add.submit(number).result()
            elif kind == "array":
                proxy.echo(array)
            else:
                list(proxy.count(3))
            read(number + 1)

        for _ in range(2):
            with pytest.raises(RecursionError):
                read(0)
            assert proxy.add(1) == 2
    assert here.caller.idle


@pytest.mark.parametrize("raised", [False, True])
def test_calls_nest_as_deep_as_the_settings_say_or_raise_what_python_does(raised: bool) -> None:
    limit = sys.getrecursionlimit()
    try:
        if raised:
            sys.setrecursionlimit(20 * limit)
        with join(max_depth=300) as here:
            mine = here.proxy(here.serve(Calculator(), object="c", name=f"c{RANK}"))
            other = here.proxy(f"MPINAME:c{(RANK + 1) % SIZE}")
            if raised:
                assert other.nest(mine, other, 300) == 300
                with pytest.raises(AccessDeniedError, match="at most 300 may"):
                    other.nest(mine, other, 301)
            else:
                with pytest.raises(RecursionError, match="setrecursionlimit"):
                    other.nest(mine, other, 300)
            assert other.nest(mine, other, 20) == 20
    finally:
        sys.setrecursionlimit(limit)


def test_an_interrupt_ends_the_wait_and_loses_no_message() -> None:
    with join() as here:
        here.serve(Calculator(), object="c", name=f"c{RANK}")
        calculator = here.proxy(f"MPINAME:c{(RANK + 1) % SIZE}")
        if RANK == 0:
            for number in range(60):
                timer = threading.Timer(0.0002 * number, os.kill, (os.getpid(), signal.SIGINT))
                with pytest.raises(KeyboardInterrupt):
                    timer.start()
                    while True:
                        calculator.add(number)
            with pytest.raises(KeyboardInterrupt):
                threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGINT)).start()
                here.wait_until(lambda: False)
        else:
            for number in range(2000):
                with suppress(RemoteError):  # what root carries out is interrupted, too
                    assert calculator.add(number) == number + 1
        assert calculator.add(1) == 2
    assert here.caller.idle


# Waiting for who has failed


@pytest.mark.parametrize("way", ["loop", "wait", "method", "chain", "future", "before"])
def test_who_waits_for_a_callback_of_a_rank_that_failed_gets_an_error(way: str) -> None:
    """The last rank fails; root waits for it; others, if there are any, need nothing more."""

    def program() -> None:
        with join(leave_wait=20.0) as here:
            relay = Relay(here)
            here.serve(relay, object="r", name=f"r{RANK}")
            if RANK == LAST:
                here.proxy("MPINAME:r0")
                here.wait_until(lambda: False, 0.0 if way == "before" else 0.1)
                raise ZeroDivisionError
            if RANK:
                return
            here.proxy(f"MPINAME:r{LAST}") if way != "before" else here.wait_until(lambda: False, 0.3)
            with pytest.raises(PeerGoneError, match=rf"rank {LAST} \(host .*\) ended with ZeroDivisionError"):
                if way == "wait":
                    here.wait_until(lambda: relay.over)
                elif way == "method":  # of a rank that needs nothing more, or of this one
                    here.proxy(f"MPI:r@{SIZE - 2}").wait()
                elif way == "chain":
                    future = here.proxy("MPI:r@0").wait.submit()
                    here.proxy(f"MPI:r@{SIZE - 2}").wait()
                elif way == "future":
                    future = here.proxy(f"MPI:r@{SIZE - 2}").wait.submit()
                    future.result()
                else:
                    here.request_loop(lambda: not relay.over)

    if RANK == LAST:
        with pytest.raises(ZeroDivisionError):
            program()
    else:
        program()
    MPI.COMM_WORLD.Barrier()


def test_who_waits_for_another_than_the_one_that_failed_goes_on() -> None:
    def program() -> str:
        with join(leave_wait=20.0) as here:
            relay = Relay(here)
            here.serve(relay, object="r", name=f"r{RANK}")
            if RANK == LAST:
                here.proxy("MPINAME:r0")
                raise ZeroDivisionError
            if RANK == 1:
                target = here.proxy("MPINAME:r0")
                here.wait_until(lambda: False, 0.5)
                target.end()
            elif RANK == 0:
                here.request_loop(lambda: not relay.over)
            return "fine"

    if RANK == LAST:
        with pytest.raises(ZeroDivisionError):
            program()
    elif SIZE > 2:
        assert program() == "fine"
    else:
        with suppress(PeerGoneError):
            program()
    MPI.COMM_WORLD.Barrier()


def test_a_method_that_would_serve_for_ever_is_refused() -> None:
    with join() as here:
        here.serve(Relay(here), object="r", name=f"r{RANK}")
        proxy = here.proxy(f"MPINAME:r{(RANK + 1) % SIZE}")
        with pytest.raises(InputError, match="cannot serve until no rank needs anything more"):
            proxy.loop()
        assert proxy.sleep(0.0) == 0.0


# What is never finished


@remote.expose
class Circle:
    """Its __init__ calls itself by way of another rank."""

    here: remote.Session

    def __init__(self) -> None:
        other = type(self).here.proxy(f"MPINAME:through{(RANK + 1) % SIZE}")
        other.call_back(RANK)

    def name(self) -> str:
        return "circle"


@remote.expose
class Through:
    def __init__(self, here: remote.Session) -> None:
        self.here = here

    def call_back(self, rank: int) -> str:
        return self.here.proxy(f"MPI:circle@{rank}").name()


@pytest.mark.parametrize("workers", [0, 1, 2])
def test_an_init_that_calls_itself_in_a_circle_is_refused(workers: int) -> None:
    with join(workers=workers, leave_wait=0.5) as here:
        Circle.here = here
        here.serve(Through(here), object="through", name=f"through{RANK}")
        here.serve(Circle, object="circle", name=f"circle{RANK}")
        proxy = here.proxy(f"MPINAME:circle{(RANK + 1) % SIZE}")
        with pytest.raises(AccessDeniedError, match="the instance of Circle is being made"):
            proxy.name()


@pytest.mark.parametrize("faulty", [0, LAST])
@pytest.mark.parametrize("counted", [False, True])
def test_a_head_without_its_arrays_keeps_nobody_from_leaving(faulty: int, counted: bool) -> None:
    with join(leave_wait=0.5) as here:
        calculator = Calculator()
        here.serve(calculator, object="c", name=f"c{RANK}")
        for rank in range(SIZE):
            assert here.proxy(f"MPINAME:c{rank}").add(rank) == rank + 1
        here.proxy(f"MPI:c@{faulty}").note(RANK)
        if faulty == RANK:
            here.wait_until(lambda: len(calculator.seen) == SIZE)  # what it sends from then on may be held up
            frame = Frame(FrameKind.REQUEST, 10**6, "c", "echo", Flag.BODY_APART, 1, b"", [])
            frame.flags, frame.buffers = 0, [memoryview(bytes(50_000))]
            head, _ = frame.pack(32766)
            here._endpoint._port.send(head, (RANK + 1) % SIZE, 0)
            here._endpoint.sent += counted


# Time limits


@pytest.mark.parametrize("kind", ["call", "future", "array"])
def test_an_answer_that_came_in_time_counts_though_its_caller_was_busy(kind: str) -> None:
    with join() as here:
        here.serve(Relay(here), object="r", name=f"r{RANK}")
        here.serve(Calculator(), object="c", name=f"c{RANK}")
        relay = here.proxy(f"MPINAME:r{(RANK + 1) % SIZE}", timeout=0.3)
        calculator = here.proxy(f"MPINAME:c{(RANK + 1) % SIZE}", timeout=0.3)
        here.proxy("MPI:r@0").sleep(0.0)
        calculator.add(1)
        here.wait_until(lambda: False, 0.2)
        if RANK == 0:
            busy = here.proxy("MPI:r@0").sleep.submit(0.8)  # carried out here, while the answer below is waited for
            if kind == "call":
                assert relay.sleep(0.05) == 0.05
            elif kind == "future":
                assert relay.sleep.submit(0.05).result() == 0.05
            else:
                assert calculator.echo(np.arange(300)).sum() == np.arange(300).sum()
            assert busy.result() == 0.8
            with pytest.raises(CallTimeoutError):
                relay.sleep(0.6)


# Oneway and streams


def test_nobody_waits_for_a_oneway_method_of_a_busy_rank() -> None:
    with join() as here:
        relay = Relay(here)
        here.serve(relay, object="r", name=f"r{RANK}")
        if RANK == 0:
            proxy = here.proxy(f"MPINAME:r{LAST}", Relay)
            proxy.sleep(0.0)
            counts = here.caller.peer(LAST)
            for _ in range(3):
                proxy.work(0.1)
                assert not counts.calls  # type: ignore[union-attr]
            assert proxy.work.submit(0.0).result() is None  # type: ignore[attr-defined]


@pytest.mark.parametrize("workers", [0, 2])
def test_streams_that_are_left_early_make_room_for_others(workers: int) -> None:
    with join(workers=workers, max_streams=3) as here:
        here.serve(Relay(here), object="r", name=f"r{RANK}")
        proxy = here.proxy(f"MPINAME:r{(RANK + 1) % SIZE}")
        for _ in range(50):
            for number in proxy.count(100):
                if number == 2:
                    break
            next(iter(proxy.count(100)))
            proxy.count(100)
        with proxy.count(5) as numbers:
            assert next(numbers) == 0
    assert not here._daemon.streams.open


def test_a_generator_runs_within_the_call_that_gave_it() -> None:
    with join() as here:
        here.add_call_validator(lambda call: (call.object, call.method) in {("r", "context"), ("r", "count")})
        here.serve(Relay(here), object="r", name=f"r{RANK}")
        proxy = here.proxy(f"MPINAME:r{(RANK + 1) % SIZE}")
        contexts = list(proxy.context.options(annotations={"trace": 5})())
        assert contexts == [["r", "context", {"trace": 5}, RANK]] * 2
        assert here.ping((RANK + 1) % SIZE) > 0
        with pytest.raises(AccessDeniedError, match=r"refused r\.sleep"):
            proxy.sleep(1)


# One at a time


def test_without_workers_methods_run_one_at_a_time() -> None:
    @remote.expose
    class Alone:
        def __init__(self) -> None:
            self.inside = self.most = 0

        def work(self) -> int:
            self.inside += 1
            self.most = max(self.most, self.inside)
            time.sleep(0.01)
            self.inside -= 1
            return self.most

    with join() as here:
        here.serve(Alone(), object="a", name=f"a{RANK}")
        here.serve(Calculator(), object="c", name=f"c{RANK}")
        here.start_service()
        proxies = [here.proxy(f"MPINAME:a{rank}") for rank in range(SIZE)]
        futures = [proxy.work.submit() for proxy in proxies for _ in range(10)]
        mine, other = here.proxy(f"MPINAME:c{RANK}"), here.proxy(f"MPINAME:c{(RANK + 1) % SIZE}")
        assert other.nest(mine, other, 10) == 10
        assert {future.result() for future in futures} == {1}


# Validators that come late


def test_a_validator_that_is_added_late_is_asked_about_who_is_here() -> None:
    with join() as here:
        if RANK == 0:
            calculator = Calculator()
            here.serve(calculator, object="c", name="c")
            here.wait_until(lambda: len(calculator.seen) == SIZE - 1)
            refused = [LAST]
            here.add_connection_validator(lambda connection: connection.rank not in refused)
            here.wait_until(lambda: False, 0.3)
            refused.clear()
        else:
            proxy = here.proxy("MPINAME:c")
            proxy.note(RANK)
            if RANK == LAST:
                with pytest.raises(AccessDeniedError, match=r"a connection validator refused it|was not welcomed"):
                    while True:
                        proxy.add(1)
                with suppress(AccessDeniedError):  # what came before it was told is refused one by one
                    proxy.add(1)
                time.sleep(0.5)
            assert proxy.add(1) == 2
