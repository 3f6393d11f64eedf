"""The journal of a run directory: record, log, lock and watchdog."""

from __future__ import annotations

import sys
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from ..communicator import Agreement, abort_job
from ..communicator.flags import stop_reason
from ..errors import INTERRUPTED, SimsplitError, StoppedError
from ..monitor.stop_requests import BITS
from ..monitor.watchdog import Watchdog
from ..rundir.directory import STACKS
from ..rundir.lock import HEARTBEAT_INTERVAL
from ..rundir.record import now
from ..rundir.recorded_run import RecordedRun
from ..util import durable as disk
from ..util.formatting import format_duration

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from signal import Signals

    from ..communicator import Communicator
    from ..engine import Timings
    from ..monitor.stop_requests import StopRequests
    from ..rundir.directory import RunDirectory

_PATIENCE = 1.0  # seconds for root to record the end of a run that another rank is about to abort
_HUNG = 1  # exit status: not one that says that the run can simply be resumed


class RunJournal:
    """Records how a run ends, whatever happens.

    Parameters
    ----------
    communicator : Communicator
    path : Path
        The run directory.
    directory : RunDirectory or None
        On root; None elsewhere.
    record : dict
        What ``run.json`` is to say; its last attempt is this one. Significant on root.
    stop_requests : StopRequests
    timings : Timings
        Of this rank, for the record.
    time_limit, hang_after : float
        See `run`.

    Attributes
    ----------
    resume : str
        The command that resumes the run.
    reached : int
        The step that comes next.
    safe : int or None
        The step of the last checkpoint.
    """

    def __init__(
        self,
        communicator: Communicator,
        path: Path,
        directory: RunDirectory | None,
        record: dict[str, Any],
        stop_requests: StopRequests,
        timings: Timings,
        *,
        time_limit: float | None,
        hang_after: float,
    ) -> None:
        self._root = communicator.rank == 0
        self._agreement = Agreement(communicator)
        self._stop_requests = stop_requests
        self._timings = timings
        self._time_limit = time_limit
        self._hang_after = hang_after
        self._begun = time.monotonic()
        self.path = path
        self.directory = directory
        self.record = record
        self.reached = 0
        self.safe: int | None = None
        self.watchdog = Watchdog(
            communicator.rank,
            hang_after,
            path / STACKS,
            on_hang=self._on_hang,
            abort=self._on_second_signal,
            stopping=stop_requests,
            heartbeat=None if directory is None else directory.heartbeat,
            beat_every=HEARTBEAT_INTERVAL,
        )

    @property
    def resume(self) -> str:
        """The command that continues the run."""
        return RecordedRun(self.path, self.record).resume

    def steps_done(self) -> None:
        """Watch for hangs and requests to stop no more. Not collective."""
        self.watchdog.stop()
        self._stop_requests.uninstall()

    def log(self, text: str) -> None:
        """Add a line to the log. Root only; nothing elsewhere."""
        if self.directory is not None:
            self.directory.log(text)

    @contextmanager
    def recording(self) -> Iterator[None]:
        """Record how the block ended, and give the directory back. Collective."""
        if self.directory is not None:
            self._stop_requests.watch(time_limit=self._time_limit, asked=self.directory.stop_requested)
        try:
            stacks = f"{self.path / STACKS}"
            with self._agreement, disk.as_output_error(stacks, "All ranks write there: is it shared by them?"):
                self.watchdog.start()
            yield
            with self._agreement:
                self._close("finished", 0, None)
        except BaseException as error:
            with suppress(SimsplitError):  # the run has failed, and says why
                self._close(*_outcome(error))
            if not self._root and not getattr(error, "is_collective", False):
                time.sleep(_PATIENCE)
            if isinstance(error, SimsplitError) and not isinstance(error, StoppedError):
                self._add_resume_hint(error)
            raise
        finally:
            self.steps_done()
            if self.directory is not None:
                self.directory.close()

    def _add_resume_hint(self, error: SimsplitError) -> None:
        """Say in the message what is not lost."""
        if self.safe is not None and error.args:
            intact = f"The checkpoint at step {self.safe:,} is intact: {self.resume}"
            error.args = (f"{error.args[0]}\n{intact}", *error.args[1:])

    def _close(self, status: str, exit_status: int, reason: str | None) -> None:
        if self.directory is None:
            return
        timings = self._timings
        seconds = {name: getattr(timings, name) for name in ("scatter", "compute", "gather")}
        attempt = self.record["attempts"][-1]
        attempt |= {
            "ended": now(),
            "to_step": max(self.reached, attempt["from_step"]),
            "seconds": {"total": time.monotonic() - self._begun, **seconds},
            "exit": {"status": exit_status, "reason": reason},
        }
        self.record["status"] = status
        self.directory.log(f"{status}: exit status {exit_status}" + (f": {reason}" if reason else ""))
        self.directory.write_record(self.record)

    def _on_hang(self) -> None:
        """Say that the run hangs, and end the job. Called by the thread of the watchdog."""
        text = f"no progress for {format_duration(self._hang_after)} after step {self.reached:,}"
        resume = "" if self.safe is None else f" The checkpoint at step {self.safe:,} is intact: {self.resume}"
        with suppress(Exception):  # whatever fails here, the job has to end
            self._close("hung", _HUNG, text)
        with suppress(OSError, ValueError, AttributeError):
            stacks = self.path / STACKS
            print(
                f"simsplit: {text}. The Python stack of each rank is in {stacks}.{resume}", file=sys.stderr, flush=True
            )
        _abort(_HUNG)

    def _on_second_signal(self, number: Signals) -> None:
        """End the job at once: a signal came twice. Called by the thread of the watchdog."""
        status = 128 + number  # what a shell reports for it
        with suppress(Exception):
            self._close("interrupted", status, f"{stop_reason(BITS[number])} came twice")
            if not self._root:
                time.sleep(_PATIENCE)
        _abort(status)


def _outcome(error: BaseException) -> tuple[str, int, str]:
    """Return status, exit status and reason of a run that ended with an error."""
    if isinstance(error, StoppedError):
        return "stopped", error.exit_status, str(error)
    if isinstance(error, KeyboardInterrupt):
        return "interrupted", INTERRUPTED, "Ctrl-C"
    status = error.exit_status if isinstance(error, SimsplitError) else 1
    return "failed", status, str(error) or type(error).__name__


def _abort(status: int) -> None:
    """End the job from a thread, whatever the main thread waits for."""
    import os
    import threading

    # Should MPI not come back from it, this process ends all the same, and its launcher ends the others.
    threading.Timer(2.0, os._exit, (status,)).start()
    abort_job(status)
    os._exit(status)
