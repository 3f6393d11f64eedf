"""The watcher of a run in a run directory: progress, checkpoints, stops, and a record of how it ended."""

from __future__ import annotations

import os
import sys
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..communicator import Agreement, abort_job
from ..errors import INTERRUPTED, SimsplitError, StoppedError
from ..monitor import stop_requests as stopping
from ..monitor.progress import Progress
from ..monitor.watchdog import Watchdog
from ..rundir.checkpoint import Checkpoints
from ..rundir.directory import CHECKPOINTS, STACKS
from ..rundir.lock import BEAT
from ..rundir.record import now
from ..util import durable as disk
from ..util.formatting import lasting
from ..util.validation import interval

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from ..communicator import Communicator
    from ..engine import Plan, Position, Timings
    from ..history.file import WrittenHistory
    from ..monitor.stop_requests import Stopping
    from ..rundir.directory import RunDirectory

# Bits beside those of the triggers.
_DUE = stopping.ANY + 1  # root finds that it is time for a checkpoint
_LONG = _DUE << 1  # a rank finds that the stretch of steps takes long …
_TOO_LONG = _LONG << 1  # … or too long: a stop, and a sign of progress, wait for its end
_SOON, _LATE = 0.05, 0.2  # seconds of a stretch
_MOST = 2**16  # steps in a stretch
_PATIENCE = 1.0  # seconds for root to write how a run ended that another rank is about to abort
_HUNG = 1  # exit status: not one that says that the run can simply be resumed


@dataclass(frozen=True, slots=True)
class Care:
    """How a run is looked after.

    Attributes
    ----------
    checkpoint_every : str
        A time such as ``"5min"``, or ``"500steps"``; ``"0"`` is only when the run stops.
    time_limit : float or None
        Stop in order after so many seconds since the program began.
    hang_after : float
        End the job after so many seconds without progress; 0 is never.
    progress_every : float
        Seconds between two lines of progress in a log.
    quiet : bool
        No progress on stderr.
    """

    checkpoint_every: str = "5min"
    time_limit: float | None = None
    hang_after: float = 600.0
    progress_every: float = 10.0
    quiet: bool = False


class Keeper:
    """Watches a run, as the engine asks, and keeps its record.

    Parameters
    ----------
    communicator : Communicator
    plan : Plan
    path : Path
        The run directory.
    directory : RunDirectory or None
        On root; None elsewhere.
    record : dict
        What ``run.json`` is to say; its last attempt is this one. Significant on root.
    stopping : Stopping
    care : Care
    """

    def __init__(
        self,
        communicator: Communicator,
        plan: Plan,
        path: Path,
        directory: RunDirectory | None,
        record: dict[str, Any],
        stopping_: Stopping,
        care: Care,
    ) -> None:
        self._communicator = communicator
        self._agreement = Agreement(communicator)
        self._plan = plan
        self._path = path
        self._directory = directory
        self._record = record
        self._stopping = stopping_
        self._care = care
        self._seconds, self._steps = interval("checkpoint_every", care.checkpoint_every)
        self._checkpoints = Checkpoints(communicator, path / CHECKPOINTS)
        self._receiver: WrittenHistory | None = None
        self._timings: Timings | None = None
        self._progress: Progress | None = None
        self._begun = time.monotonic()
        self._due = self._begun + self._seconds if self._seconds else None
        self._last = self._reached = self._stopped_by = 0
        self._most = 1
        self._since = self._begun
        self._safe: int | None = None  # the step of the last checkpoint
        self._root = communicator.rank == 0
        self._watchdog = Watchdog(
            communicator.rank,
            care.hang_after,
            path / STACKS,
            give_up=self._give_up,
            abort=self._abort,
            stopping=stopping_,
            beat=None if directory is None else directory.beat,
            beat_every=BEAT,
        )

    @contextmanager
    def recorded(self) -> Iterator[None]:
        """Write how the run ended to the record, whatever happens in the block, and give the directory back."""
        if self._directory is not None:
            self._stopping.watch(time_limit=self._care.time_limit, asked=self._directory.stop_asked)
        try:
            with (
                self._agreement,
                disk.reported(f"{self._path / STACKS}", "All ranks write there: is it shared by them?"),
            ):
                self._watchdog.start()
            yield
            with self._agreement:
                self._close("finished", 0, None)
        except BaseException as error:
            with suppress(SimsplitError):  # the run has failed, and says why
                self._close(*_ending(error))
            if not self._root and not getattr(error, "on_all_ranks", False):
                time.sleep(_PATIENCE)
            if isinstance(error, SimsplitError) and not isinstance(error, StoppedError):
                self._advise(error)
            raise
        finally:
            self._watchdog.stop()
            self._checkpoints.settle()
            if self._directory is not None:
                self._directory.close()

    def begin(self, start: Position, receiver: WrittenHistory, timings: Timings) -> None:
        """Be told where the run begins, what receives its history, and where the seconds are counted."""
        self._receiver = receiver
        self._timings = timings
        self._since = time.monotonic()
        self._last = self._reached = start.next_step
        self._safe = start.next_step or None
        if self._directory is not None:
            nbytes = self._plan.history_nbytes // max(1, len(self._plan.kept))
            self._progress = Progress(
                self._plan.steps,
                start.next_step,
                nbytes,
                every=self._care.progress_every,
                log=self._directory.log,
                quiet=self._care.quiet,
            )
            if (ahead := stopping.described(self._care.time_limit)) is not None:
                self._directory.log(ahead)

    def requests(self) -> int:
        """Return the triggers that were pulled here, how long the stretch takes, and whether a checkpoint is due."""
        moment = time.monotonic()
        seconds = moment - self._since
        bits = _LONG | _TOO_LONG if seconds > _LATE else _LONG if seconds > _SOON else 0
        if not self._root:
            return bits | self._stopping.bits
        if self._due is not None and moment >= self._due:
            bits |= _DUE
        return bits | self._stopping.poll()

    def most_steps(self) -> int:
        """Return as many as take no longer than a stop may wait: one at first, then what was seen to be right."""
        return self._most

    def boundary(self, position: Position, requested: int) -> bool:
        """Note the progress, write a checkpoint if it is time, and stop if it was asked for."""
        self._watchdog.moved()
        self._reached = position.next_step
        if self._progress is not None and self._timings is not None:
            self._progress.update(position.next_step, self._timings.gather)
        if position.next_step >= self._plan.steps:
            return False
        stop = requested & stopping.ANY
        due = requested & _DUE or (self._steps is not None and position.next_step - self._last >= self._steps)
        if stop or due:
            self._checkpoint(position)
            self._watchdog.moved()
        if requested & _TOO_LONG:
            self._most = max(1, self._most // 2)
        elif not requested & _LONG:
            self._most = min(_MOST, self._most * 2)
        self._since = time.monotonic()
        self._stopped_by = stop
        return bool(stop)

    def finish(self, next_step: int) -> None:
        """Note how far the run came, and watch no more. Collective.

        Raises
        ------
        StoppedError
            On every rank, if that is not the end.
        """
        self._watchdog.stop()
        if self._progress is not None:
            self._progress.close()
        with self._agreement:
            if self._stopped_by:
                raise StoppedError(
                    f"stopped by {stopping.reason(self._stopped_by)} after {next_step:,} of {self._plan.steps:,} "
                    f"steps. Continue with: simsplit resume {self._path}"
                )
        self._record |= {"position": self._plan.steps, "complete": len(self._plan.kept)}

    def _checkpoint(self, position: Position) -> None:
        """Make the history durable, then commit the state that belongs to it."""
        assert self._receiver is not None  # noqa: S101, for the type checker: begin() was called
        begun = time.monotonic()
        self._receiver.sync()
        layout = None
        if position.state is not None:
            layout = (self._plan.shape, self._plan.history_dtype, self._plan.bounds)
        facts = {"run": self._record.get("run"), "complete": position.kept}
        self._checkpoints.write(position.next_step, position.state, layout, facts)
        self._last = self._safe = position.next_step
        with self._agreement:
            if self._directory is not None:
                self._record |= {"position": position.next_step, "complete": position.kept}
                self._directory.write_record(self._record)
                self._directory.log(f"checkpoint at step {position.next_step:,} in {lasting(time.monotonic() - begun)}")
        if self._seconds:
            self._due = time.monotonic() + self._seconds

    def _advise(self, error: SimsplitError) -> None:
        """Say in the message what is not lost."""
        if self._safe is not None and error.args:
            intact = f"The checkpoint at step {self._safe:,} is intact: simsplit resume {self._path}"
            error.args = (f"{error.args[0]}\n{intact}", *error.args[1:])

    def _close(self, status: str, exit_status: int, reason: str | None) -> None:
        if self._progress is not None:
            self._progress.close()
        if self._directory is None:
            return
        attempt = self._record["attempts"][-1]
        seconds: dict[str, float] = {"total": time.monotonic() - self._begun}
        if self._timings is not None:
            seconds |= {name: getattr(self._timings, name) for name in ("scatter", "compute", "gather")}
        attempt |= {
            "ended": now(),
            "to_step": self._reached,
            "seconds": seconds,
            "exit": {"status": exit_status, "reason": reason},
        }
        self._record["status"] = status
        self._directory.log(f"{status}: exit status {exit_status}" + (f": {reason}" if reason else ""))
        self._directory.write_record(self._record)

    def _give_up(self) -> None:
        """Say that the run hangs, and end the job. Called by the thread of the watchdog."""
        text = f"no progress for {lasting(self._care.hang_after)} after step {self._reached:,}"
        resume = "" if self._safe is None else f" The checkpoint at step {self._safe:,} is intact: resume from there."
        with suppress(Exception):  # whatever fails here, the job has to end
            self._close("hung", _HUNG, text)
        _tell(f"simsplit: {text}. The Python stack of each rank is in {self._path / STACKS}.{resume}")
        _end(_HUNG)

    def _abort(self) -> None:
        """End the job at once. Called by the thread of the watchdog."""
        with suppress(Exception):
            self._close("interrupted", INTERRUPTED, "Ctrl-C was pressed twice")
            if not self._root:
                time.sleep(_PATIENCE)
        _end(INTERRUPTED)


def _ending(error: BaseException) -> tuple[str, int, str]:
    """Return status, exit status and reason of a run that ended with an error."""
    if isinstance(error, StoppedError):
        return "stopped", error.exit_status, str(error)
    if isinstance(error, KeyboardInterrupt):
        return "interrupted", INTERRUPTED, "Ctrl-C"
    status = error.exit_status if isinstance(error, SimsplitError) else 1
    return "failed", status, str(error) or type(error).__name__


def _tell(text: str) -> None:
    with suppress(OSError, ValueError, AttributeError):
        print(text, file=sys.stderr, flush=True)


def _end(status: int) -> None:
    """End the job from a thread, whatever the main thread waits for."""
    import threading

    # Should MPI not come back from it, this process ends all the same, and its launcher ends the others.
    threading.Timer(2.0, os._exit, (status,)).start()
    abort_job(status)
    os._exit(status)
