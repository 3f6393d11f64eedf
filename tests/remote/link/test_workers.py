"""The threads of a rank: nothing that came is left lying."""

from __future__ import annotations

import signal
import sys
import threading
from typing import Any

import pytest

from simsplit import remote
from simsplit.communicator import interrupts
from simsplit.errors import InputError, RemoteError
from simsplit.remote.link.backoff import wait_until
from simsplit.remote.link.workers import WorkerPool
from tests.support.launching import LIMIT


def test_a_request_that_came_before_its_worker_is_carried_out() -> None:
    served = threading.Event()

    def serve_one() -> bool:
        served.set()
        return True

    threads = WorkerPool(remote.Settings(workers=1), True, lambda **_: False, serve_one)
    assert threads.wanted
    threads.wake()
    threads.start_service(serve=False)
    assert served.wait(LIMIT)
    threads.stop()


def test_no_thread_is_started_where_mpi_has_none() -> None:
    threads = WorkerPool(remote.Settings(), False, lambda **_: False, lambda: False)
    with pytest.raises(InputError, match="MPI was started for one thread only"):
        threads.start_service(serve=True)


def test_an_interrupt_in_a_worker_ends_neither_it_nor_the_program() -> None:
    @remote.expose
    class Rude:
        def interrupt(self) -> None:
            raise KeyboardInterrupt

        def add(self, a: int, b: int) -> int:
            return a + b

    with remote.local(2, settings=remote.Settings(workers=1), threads=True) as (here, there):
        rude = here.proxy(there.serve(Rude()), timeout=LIMIT)
        for _ in range(3):
            with pytest.raises(RemoteError, match="KeyboardInterrupt"):
                rude.interrupt()
        assert rude.add(1, 2) == 3


def test_an_interrupt_is_raised_in_the_main_thread_only() -> None:
    settings = remote.Settings()
    outcome: list[bool] = []
    worker = threading.Thread(
        target=lambda: outcome.append(wait_until(lambda: False, lambda: False, settings, timeout=0.05))
    )
    try:
        interrupts.pending = True
        worker.start()
        worker.join(LIMIT)
        assert outcome == [False]
        with pytest.raises(KeyboardInterrupt):
            wait_until(lambda: False, lambda: False, settings, timeout=LIMIT)
        assert not interrupts.pending
    finally:
        interrupts.pending = False


def test_an_interrupt_amid_what_moves_messages_waits_for_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    @remote.expose
    class Interrupted:
        def whole(self) -> None:
            signal.raise_signal(signal.SIGINT)

    assert signal.getsignal(signal.SIGINT) in (signal.default_int_handler, interrupts._handle)
    with remote.local(2) as (here, there):
        proxy = here.proxy(there.serve(Interrupted()))
        here.ping(1)
        with pytest.raises(KeyboardInterrupt):  # in code of the user's at once
            proxy.whole()
        accept, seen = there._endpoint._accept, []

        def note(arrived: Any) -> None:
            seen.append(arrived)
            frame = there._endpoint._take_in.__code__
            assert interrupts._is_guarded(sys._getframe(1))
            assert sys._getframe(1).f_code is frame
            if len(seen) == 1:  # a second one would raise at once
                interrupts._handle(signal.SIGINT, sys._getframe(1))  # as if it came there
            accept(arrived)

        monkeypatch.setattr(there._endpoint, "_accept", note)
        with pytest.raises(KeyboardInterrupt):
            here.ping(1)
        monkeypatch.undo()
        assert seen
        assert here.ping(1) > 0
        assert here.caller.idle


@pytest.mark.parametrize("workers", [0, 2])
def test_methods_run_one_at_a_time_unless_there_are_workers(workers: int) -> None:
    inside = threading.Semaphore(0)
    together = threading.Event()

    @remote.expose
    class Meets:
        def work(self) -> bool:
            if inside.acquire(blocking=False):
                together.set()
            inside.release()
            met = together.wait(10 if workers else 0.05)
            inside.acquire(blocking=False)
            return met

    with remote.local(2, settings=remote.Settings(workers=workers), threads=True) as (here, there):
        meets = here.proxy(there.serve(Meets()))
        futures = [meets.work.submit() for _ in range(4)]
        there.ping(0)
        there.wait_until(lambda: all(future.done() for future in futures), 20)
        assert any(future.result() for future in futures) == bool(workers)
