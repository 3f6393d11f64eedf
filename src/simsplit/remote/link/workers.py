"""The threads of a rank: one that makes progress, and those that execute requests."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from ...errors import InputError
from .backoff import Backoff

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..settings import Settings


class WorkerPool:
    """The threads of one rank. None of them blocks in MPI.

    Parameters
    ----------
    settings : Settings
    allowed : bool
        Whether the MPI library may be used by several threads, one at a time.
    step : callable
        ``step(serve=...)`` makes progress once, and carries out a request if it is to serve; tells whether there
        was anything.
    serve_one : callable
        Carries out a request, if there is one.

    Attributes
    ----------
    wanted, idle_workers : int
        How many workers there are to be, and how many of them wait for a request.
    """

    def __init__(
        self,
        settings: Settings,
        allowed: bool,  # noqa: FBT001, a property of the port
        step: Callable[..., bool],
        serve_one: Callable[[], bool],
    ) -> None:
        self.idle_workers = 0
        self.wanted = settings.workers  # from the start: a request may come before they run
        self._settings = settings
        self._step = step
        self._serve_one = serve_one
        self._allowed = allowed
        self._ready = threading.Semaphore(0)
        self._lock = threading.Lock()
        self._service: threading.Thread | None = None
        self._serves = False
        self._stopped = threading.Event()
        self._workers: list[threading.Thread] = []
        self._closed = False

    def start_service(self, *, serve: bool) -> None:
        """Make progress in a thread of its own, and carry out requests if `serve`."""
        with self._lock:
            self._serves |= serve
            if self._service is not None or self._closed:
                return
            if not self._allowed:
                raise InputError(
                    "no thread can make progress: MPI was started for one thread only (mpi4py.rc.thread_level). Wait "
                    "for futures by their own methods, and serve by request_loop() or poll()."
                )
            self._stopped.clear()
            self._service = threading.Thread(target=self._make_progress, name="simsplit.remote service", daemon=True)
            self._service.start()
            while len(self._workers) < self.wanted:
                name = f"simsplit.remote worker {len(self._workers)}"
                worker = threading.Thread(target=self._carry_out, name=name, daemon=True)
                self._workers.append(worker)
                worker.start()

    def stop_service(self, timeout: float | None = None) -> None:
        """End that thread, if there is one and it is not the one that asks; wait for it at most `timeout` seconds."""
        with self._lock:
            service, self._service, self._serves = self._service, None, False
            self._stopped.set()
        if service is not None and service is not threading.current_thread():
            service.join(timeout)

    def run_this_code(self) -> bool:
        """Return whether one of them asks."""
        thread = threading.current_thread()
        return thread is self._service or thread in self._workers

    def wake(self) -> None:
        """Let a worker see to a request that came."""
        self._ready.release()

    def stop(self, timeout: float | None = None) -> None:
        """End all threads; wait for each at most `timeout` seconds, for it may be at a request that never ends."""
        self._closed = True
        self.stop_service(timeout)
        for _ in self._workers:
            self._ready.release()
        for worker in self._workers:
            if worker is not threading.current_thread():
                worker.join(timeout)

    def _make_progress(self) -> None:
        backoff = Backoff(self._settings)
        while not self._stopped.is_set():
            if self._step(serve=self._serves):
                backoff.reset()
            else:
                backoff.wait()

    def _carry_out(self) -> None:
        while not self._closed:
            with self._lock:
                self.idle_workers += 1
            self._ready.acquire()
            with self._lock:
                self.idle_workers -= 1
            self._serve_one()
