"""The threads of a rank: nothing that came is left lying."""

from __future__ import annotations

import threading

import pytest

from simsplit import remote
from simsplit.errors import InputError
from simsplit.remote.threads import Threads


def test_a_request_that_came_before_its_worker_is_carried_out() -> None:
    served = threading.Event()

    def serve_one() -> bool:
        served.set()
        return True

    threads = Threads(remote.Settings(workers=1), True, lambda **_: False, serve_one)
    assert threads.wanted
    threads.wake()
    threads.start_service(serve=False)
    assert served.wait(10)
    threads.stop()


def test_no_thread_is_started_where_mpi_has_none() -> None:
    threads = Threads(remote.Settings(), False, lambda **_: False, lambda: False)
    with pytest.raises(InputError, match="MPI was started for one thread only"):
        threads.start_service(serve=True)
