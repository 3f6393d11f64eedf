"""Calls between MPI ranks: what differs from one process is the wire, so that is what is tried here."""

from __future__ import annotations

import concurrent.futures
import itertools
import os
import random
import threading
import time
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from mpi4py import MPI

from simsplit import remote
from simsplit.errors import AccessDeniedError, CallTimeoutError, PeerGoneError, RemoteError
from simsplit.remote.link import backoff as waiting
from simsplit.remote.wire.frame import Frame, FrameKind
from tests.support.launching import LIMIT
from tests.support.profiles import CI
from tests.support.remote_objects import Calculator, Changing, StateError, state_of

RANK, SIZE = MPI.COMM_WORLD.rank, MPI.COMM_WORLD.size
# Seconds for each of six modes.
SOAK = float(os.environ.get("TESTS_SOAK_SECONDS") or (10 if CI else 2) / (1 if SIZE == 4 else 10))

pytestmark = [pytest.mark.mpi, pytest.mark.timeout(600 + 2 * SOAK)]


def join(**settings: Any) -> remote.Session:
    """Join; a machine that is busy has time for everything but the limits that a test is about."""
    return remote.join(
        settings=remote.Settings(**{"lookup_wait": LIMIT, "leave_wait": LIMIT, "cancel_wait": LIMIT, **settings})
    )


def test_every_rank_calls_every_rank() -> None:
    with join() as here:
        here.serve(Calculator(), name=f"c{here.rank}")
        proxies = [here.proxy(f"MPINAME:c{rank}", Calculator) for rank in range(here.size)]
        assert [proxy.add(number, here.rank) for number, proxy in enumerate(proxies)] == [
            number + here.rank for number in range(here.size)
        ]
        for proxy in proxies:
            with pytest.raises(StateError) as caught:
                proxy.fail("state")
            assert f"On rank {remote.uri_of(proxy).rank} (host " in str(caught.value.__cause__)


@pytest.mark.parametrize("length", [0, 1, 3000, 2_000_000])
def test_arrays_go_there_and_back_bit_for_bit(length: int) -> None:
    with join() as here:
        here.serve(Calculator(), name=f"c{here.rank}")
        proxy = here.proxy(f"MPINAME:c{(here.rank + 1) % here.size}")
        array = np.random.default_rng(here.rank).random((length, 3)).astype(">f8")
        futures = [proxy.echo.submit(array) for _ in range(3)]
        for future in futures:
            result = future.result()
            assert result.dtype == array.dtype
            assert np.array_equal(result, array)


def test_a_result_is_what_the_array_was_when_the_method_returned() -> None:
    with join() as here:
        if here.rank == here.size - 1:
            here.serve(Calculator(), name="c")
        else:
            here.serve(Calculator(), name=f"own{here.rank}")
        proxy = here.proxy("MPINAME:c")
        futures = [proxy.next_state.submit() for _ in range(10)]
        values = [future.result() for future in futures]
        assert all((value == value[0]).all() for value in values)
        assert [value[0] for value in values] == sorted(value[0] for value in values)


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("length", [6, 500_000])
def test_values_are_what_they_were_when_they_were_given(length: int, workers: int) -> None:
    with join(workers=workers, stream_window=4) as here:
        here.serve(Changing(length), name=f"c{here.rank}")
        proxy = here.proxy(f"MPINAME:c{(here.rank + 1) % here.size}", attributes=True)
        assert [state_of(item) for item in proxy.steps(6)] == [(n, n) for n in range(1, 7)]
        with remote.Batch(proxy) as batch:
            outcomes = [batch.step() for _ in range(3)]
            failed = batch.fail()
        assert [state_of(outcome.result()) for outcome in outcomes] == [(n, n) for n in range(7, 10)]
        assert state_of(failed.exception().args) == (10, 10)
        with pytest.raises(ValueError, match="n") as caught:
            proxy.fail()
        assert state_of(caught.value.args) == (11, 11)
        futures = []
        for _ in range(3):
            futures.append(proxy.step.submit())
            if workers:  # side by side they would change the state while the other returns it
                futures[-1].result()
        assert [state_of(future.result()) for future in futures] == [(n, n) for n in range(12, 15)]
        items = proxy.steps_then_fail()
        assert state_of(next(items))[0] == 15
        with pytest.raises(ValueError, match="n") as caught:
            next(items)
        assert state_of(caught.value.args) == (16, 16)


def test_what_is_passed_on_is_what_it_was_then() -> None:
    """By submit, oneway and in calls that a method makes, in every direction at once."""
    with join() as here:
        mine = here.serve(Changing(300_000), name=f"c{here.rank}")
        proxy = here.proxy(f"MPINAME:c{(here.rank + 1) % here.size}")
        proxy.call_back(here.proxy(mine), 3)
        assert here.proxy(mine).kept() == sorted(([n, n, {"n": [n]}] for n in range(1, 10)), key=repr)
        given, numbers = np.zeros(300_000), [0]
        futures = []
        with remote.Batch(proxy) as batch:
            for number in range(1, 6):
                given += 1
                numbers[0] = number
                futures.append(proxy.echo.submit(given, numbers))
                batch.echo(given, numbers)
                given[0] = given[-1] = number
            futures += batch._futures
        given[:] = 0
        results = [future.result() for future in futures]
        assert [(array[5], array[-1], word) for array, word in results] == [(n, n, [n]) for n in range(1, 6)] * 2


def test_an_object_that_is_given_twice_is_one_at_the_other_rank() -> None:
    with join() as here:
        here.serve(Changing(3), name=f"c{here.rank}")
        proxy = here.proxy(f"MPINAME:c{(here.rank + 1) % here.size}")
        for one in (np.zeros(5), np.zeros(100_000), [[0] * 2] * 2, {"a": [1]}, (1, [2]), {1}):
            assert proxy.is_one(one, one)
            assert proxy.is_one.submit(one, other=one).result()
            with remote.Batch(proxy) as batch:
                batch.is_one(one, one)
                again = batch.is_one(one, one)
            assert again.result()
        assert proxy.is_one(proxy, proxy)
        assert not proxy.is_one([1], [1])


def test_an_exception_of_a_class_that_is_not_known_has_its_text_and_traceback() -> None:
    with join() as here:
        here.serve(Changing(3), name=f"c{here.rank}")
        proxy = here.proxy(f"MPINAME:c{(here.rank + 1) % here.size}")
        calls = [proxy.unknown, proxy.unknown.submit().result, lambda: next(proxy.unknown_later())]
        for call in calls:
            with pytest.raises(RemoteError, match=r"no_such_module.UnknownHereError: went \('wrong',\)") as caught:
                call()
            assert type(caught.value) is RemoteError
            assert caught.value.code == 7
            assert "in unknown" in str(caught.value.__cause__)


def test_ranks_call_each_other_to_depth_50() -> None:
    with join() as here:
        mine = here.proxy(here.serve(Calculator(), object="c", name=f"c{here.rank}"))
        other = here.proxy(f"MPINAME:c{(here.rank + 1) % here.size}")
        assert other.nest(mine, other, 50) == 50


def test_ten_thousand_calls_in_flight() -> None:
    with join() as here:
        here.serve(Calculator(), name=f"c{here.rank}")
        proxy = here.proxy(f"MPINAME:c{(here.rank + 1) % here.size}")
        futures = [proxy.add.submit(number, 0) for number in range(10_000)]
        assert [future.result() for future in futures] == list(range(10_000))
        assert here.caller.idle


class Held(Calculator):
    """Has a method that goes on when there is a certain file: it serves nobody meanwhile."""

    @remote.expose
    def hold(self, begun: str, go: str) -> str:
        Path(begun).touch()
        while not Path(go).exists():
            time.sleep(0.01)
        return "held"


def test_a_late_answer_never_reaches_a_later_call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    begun, go = tmp_path / "begun", tmp_path / "go"
    with join() as here:
        here.serve(Held(), name=f"c{here.rank}")
        if here.rank == 0 and here.size > 1:
            proxy = here.proxy("MPINAME:c1")
            here.ping(1)  # they know each other, so that the time limit is that of the call alone
            with pytest.raises(CallTimeoutError):
                proxy.hold.options(timeout=0.05)(str(begun), str(go))
            go.touch()
            assert proxy.add(1, 2) == 3
            assert here.caller.counts["late"] == begun.exists()  # a call that had not begun in time has no answer
            begun.unlink(missing_ok=True)
            go.unlink()
            busy = proxy.hold.submit(str(begun), str(go))
            here.wait_until(begun.exists, LIMIT)
            never = proxy.note.submit("never")
            send = here._endpoint.send

            def sending(frame: Frame, destination: int) -> Any:
                sent = send(frame, destination)
                if frame.kind == FrameKind.CANCEL:
                    here.wait_until(sent, LIMIT)
                    go.touch()
                return sent

            monkeypatch.setattr(here._endpoint, "send", sending)
            assert never.cancel()
            assert busy.result() == "held"
            assert proxy.noted() == []


def test_a_service_thread_and_workers_serve_while_the_main_thread_computes() -> None:
    with join(workers=2) as here:
        served = Calculator()
        here.serve(served, name=f"c{here.rank}")
        proxy = here.proxy(f"MPINAME:c{(here.rank + 1) % here.size}")
        futures = [proxy.note.submit(number) for number in range(100)]
        total = 0
        while len(served.seen) < 100:  # this thread computes until the others have served all calls
            total += 1
        assert [f.result() for f in concurrent.futures.as_completed(futures, LIMIT)] == [None] * 100
        assert sorted(served.seen) == list(range(100))


def test_a_service_that_has_nothing_to_do_rests_after_each_look(monkeypatch: pytest.MonkeyPatch) -> None:
    log: list[float | None] = []  # since something moved: the pauses of the service, and None for each look
    idle = threading.Event()

    def sleep(seconds: float) -> None:
        if threading.current_thread().name == "simsplit.remote service":
            log.append(seconds)
            if log.count(longest) == 20:
                idle.set()
        time.sleep(seconds)

    monkeypatch.setattr(waiting, "time", SimpleNamespace(perf_counter=time.perf_counter, sleep=sleep))
    with join() as here:
        longest = here.settings.longest_pause
        poll = here._traffic.poll

        def look(floor: int = 0, *, serve: bool = True) -> bool:
            moved = poll(floor, serve=serve)
            if threading.current_thread().name == "simsplit.remote service":
                log[:] = [] if moved else [*log[-100:], None]
            return moved

        monkeypatch.setattr(here._traffic, "poll", look)
        here.serve(Calculator(), name=f"c{here.rank}")
        here.start_service()
        here.proxy(f"MPINAME:c{(here.rank + 1) % here.size}").add(1)
        assert idle.wait(LIMIT)
        seen = log[:]
    pauses = [each for each in seen if each is not None]
    assert all(later == min(2 * pause, longest) for pause, later in itertools.pairwise(pauses))
    begun = seen.index(pauses[0])
    assert seen[begun + 1 :: 2] == [None] * len(seen[begun + 1 :: 2])  # one look after each pause


def test_the_passphrase_must_be_known() -> None:
    known = "open sesame" if MPI.COMM_WORLD.rank % 2 == 0 else "something else"
    with join(passphrase=known, lookup_wait=0.1) as here:
        here.serve(Calculator(), object="c")
        for rank in range(here.size):
            proxy = here.proxy(f"MPI:c@{rank}")
            if rank % 2 == here.rank % 2:
                assert proxy.add(1) == 2
            else:
                with pytest.raises(AccessDeniedError, match="passphrase"):
                    proxy.add(1)


def test_a_rank_that_fails_gives_an_error_and_all_leave() -> None:
    def program() -> None:
        with join() as here:
            here.serve(Calculator(), object="c")
            if here.rank == here.size - 1:
                here.wait_until(lambda: False, 0.2)
                raise ZeroDivisionError
            proxy = here.proxy(f"MPI:c@{here.size - 1}")
            with pytest.raises(PeerGoneError, match="ended with ZeroDivisionError"):
                [proxy.add(1) for _ in range(10**6)]

    if MPI.COMM_WORLD.rank == MPI.COMM_WORLD.size - 1:
        with pytest.raises(ZeroDivisionError):
            program()
    else:
        program()
    MPI.COMM_WORLD.Barrier()


class RandomCalls:
    """All kinds of calls, of which each checks its answer."""

    def __init__(self, here: remote.Session, seed: int) -> None:
        self.pick = random.Random(seed)
        self.rank = here.rank
        self.calculator = Calculator()
        self.mine = here.proxy(here.serve(self.calculator, object="c"))
        MPI.COMM_WORLD.Barrier()  # all are served
        self.proxies = [here.proxy(f"MPI:c@{rank}") for rank in range(here.size)]
        self.made = 0
        self.noted = [0] * here.size  # by rank

    def make(self) -> None:
        """Make one of them."""
        kinds = (
            "plain",
            "array",
            "failing",
            "nested",
            "futures",
            "cancelled",
            "timed_out",
            "batch",
            "stream",
            "left_stream",
            "oneway",
        )
        self.made += 1
        getattr(self, self.pick.choice(kinds))(self.pick.choice(self.proxies))

    def plain(self, proxy: Any) -> None:
        assert proxy.add(self.made, 1) == self.made + 1

    def array(self, proxy: Any) -> None:
        array = np.arange(self.pick.choice([0, 10, 5000, 200_000])) + self.made
        assert np.array_equal(proxy.echo(array), array)

    def failing(self, proxy: Any) -> None:
        with pytest.raises(StateError):
            proxy.fail("state")

    def nested(self, proxy: Any) -> None:
        depth = self.pick.randrange(1, 10)
        assert proxy.nest(self.mine, proxy, depth) == depth

    def futures(self, _proxy: Any) -> None:
        futures = [other.add.submit(self.made, number) for number, other in enumerate(self.proxies)]
        assert [future.result() for future in futures] == [self.made + n for n in range(len(self.proxies))]

    def cancelled(self, proxy: Any) -> None:
        futures = [proxy.add.submit(self.made, 0) for _ in range(5)]
        cancelled = [future.cancel() for future in futures]
        for future, gone in zip(futures, cancelled, strict=True):
            assert future.cancelled() if gone else future.result() == self.made

    def timed_out(self, proxy: Any) -> None:
        with suppress(CallTimeoutError):
            assert proxy.sleep.options(timeout=0.002)(0.003) == 0.003

    def batch(self, proxy: Any) -> None:
        with remote.Batch(proxy) as batch:
            outcomes = [batch.add(self.made, number) for number in range(3)]
        assert [outcome.result() for outcome in outcomes] == [self.made, self.made + 1, self.made + 2]

    def stream(self, proxy: Any) -> None:
        stop = self.pick.randrange(40)
        assert list(proxy.count(stop)) == list(range(stop))

    def left_stream(self, proxy: Any) -> None:
        assert next(proxy.count(100)) == 0

    def oneway(self, proxy: Any) -> None:
        proxy.note_only(self.rank)
        proxy.note.oneway(self.rank)
        self.noted[remote.uri_of(proxy).rank] += 2

    def check_notes(self, failed: int | None = None) -> None:
        """Compare what each rank noted at each other with what is there; a rank that failed has not seen all."""
        noted = MPI.COMM_WORLD.allgather(self.noted)
        for rank in range(len(noted)):
            if failed not in (rank, self.rank):
                assert self.calculator.seen.count(rank) == noted[rank][self.rank]


def memory() -> float:
    """Return the memory of this rank in MB."""
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) / 1024


@pytest.mark.parametrize("workers", [0, 2, 3])
def test_ranks_that_call_each_other_at_random_get_every_answer_right(workers: int) -> None:
    with join(workers=workers) as here:
        calls = RandomCalls(here, seed=here.rank + 10 * workers)
        begun = time.monotonic()
        while time.monotonic() < begun + SOAK / 4:
            calls.make()
        warm = memory()
        while time.monotonic() < begun + SOAK or calls.made < 20:
            calls.make()
        grown = memory() - warm
    assert grown < 50, f"{grown:.0f} MB more after {calls.made} calls"
    assert here.caller.idle
    assert not here._endpoint.counts
    assert not here._daemon.streams.open
    calls.check_notes()
    made, most = MPI.COMM_WORLD.allreduce(calls.made), MPI.COMM_WORLD.allreduce(grown, MPI.MAX)
    if here.rank == 0:
        print(f"{made:,} calls by {here.size} ranks; memory grew by at most {most:.1f} MB")


@pytest.mark.parametrize("workers", [0, 2, 3])
def test_ranks_that_call_each_other_at_random_go_on_when_one_fails(workers: int) -> None:
    begun, rounds, made, gone = time.monotonic(), 0, 0, 0
    while MPI.COMM_WORLD.allreduce(time.monotonic() - begun < SOAK, MPI.LAND):
        failing = rounds % SIZE
        waiting = (failing + 1) % SIZE if rounds % 2 else None  # for what will not come
        rounds += 1
        with (
            suppress(ZeroDivisionError, PeerGoneError),
            join(workers=workers, cancel_wait=60.0, leave_wait=60.0) as here,
        ):
            calls = RandomCalls(here, seed=here.rank + 10 * rounds)
            end = time.monotonic() + calls.pick.uniform(0.0, 0.2)
            while time.monotonic() < end:
                try:
                    calls.make()
                except PeerGoneError:
                    gone += 1
            if here.rank == failing:
                raise ZeroDivisionError
            if here.rank == waiting:
                with pytest.raises(PeerGoneError, match="ended with ZeroDivisionError"):
                    here.request_loop(lambda: True)
        made += calls.made
        assert here.caller.idle
        assert not here._endpoint.counts["malformed"]  # refused: an array of the rank that failed, to a call given up
        calls.check_notes(failing if SIZE > 1 else 0)
    if RANK == 0:
        print(f"{made:,} calls by root in {rounds} rounds, in each of which a rank failed; {gone} to one that had")
