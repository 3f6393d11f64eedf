"""The supervisor of a run directory: an observer that writes checkpoints and handles stop requests."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from ..communicator import Agreement
from ..communicator.flags import CHECKPOINT, STOP
from ..util.formatting import format_duration
from ..util.validation import interval

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..communicator import Communicator
    from ..engine import Plan, ResumePoint
    from ..monitor.stop_requests import StopRequests
    from ..rundir.checkpoint import Checkpoints
    from .journal import RunJournal


class Supervisor:
    """Writes checkpoints when they are due, and stops the run in order when that is asked for.

    Parameters
    ----------
    communicator : Communicator
    plan : Plan
    journal : RunJournal
    stop_requests : StopRequests
    sync : callable
        Makes all results until now durable, before each checkpoint. Collective.
    checkpoints : Checkpoints
    next_step : int
        Where the run begins.
    every : str or float
        Time or steps between two checkpoints; see `run`.
    """

    wants_values = False
    can_stop = True

    def __init__(
        self,
        communicator: Communicator,
        plan: Plan,
        journal: RunJournal,
        stop_requests: StopRequests,
        sync: Callable[[], None],
        checkpoints: Checkpoints,
        next_step: int,
        every: str | float,
    ) -> None:
        self._agreement = Agreement(communicator)
        self._root = communicator.rank == 0
        self._plan = plan
        self._journal = journal
        self._stop_requests = stop_requests
        self._sync = sync
        self._checkpoints = checkpoints
        self._seconds, self._steps = interval("checkpoint_every", every)
        self._due = time.monotonic() + self._seconds if self._seconds else None
        self._last = next_step
        journal.reached = next_step
        journal.safe = next_step or None

    def poll_flags(self) -> int:
        """Return the stop requests of this rank, and on root whether a checkpoint is due."""
        if not self._root:
            return self._stop_requests.bits
        due = self._due is not None and time.monotonic() >= self._due
        return self._stop_requests.poll() | (CHECKPOINT if due else 0)

    def max_steps(self, next_step: int) -> int:
        """Return the steps to the next checkpoint, if it is a number of steps away."""
        return self._plan.steps if self._steps is None else max(1, self._last + self._steps - next_step)

    def on_batch_end(self, position: ResumePoint, flags: int) -> int:
        """Write a checkpoint if it is due, or if the run stops."""
        self._journal.watchdog.reset()
        self._journal.reached = position.next_step
        if position.next_step >= self._plan.steps:
            self._journal.steps_done()
            return 0
        due = flags & CHECKPOINT or (self._steps is not None and position.next_step - self._last >= self._steps)
        if flags & STOP or due:
            self._checkpoint(position)
            self._journal.watchdog.reset()
        return flags & STOP

    def _checkpoint(self, position: ResumePoint) -> None:
        """Make the history durable, then commit the state that belongs to it."""
        begun = time.monotonic()
        self._sync()
        layout = None
        if position.state is not None:
            layout = (self._plan.shape, self._plan.history_dtype, self._plan.bounds)
        record = self._journal.record
        facts = {"run": record.get("run"), "complete": position.kept}
        self._checkpoints.write(position.next_step, position.state, layout, facts)
        self._last = self._journal.safe = position.next_step
        with self._agreement:
            if self._journal.directory is not None:
                record |= {"position": position.next_step, "complete": position.kept}
                self._journal.directory.write_record(record)
                seconds = format_duration(time.monotonic() - begun)
                self._journal.log(f"checkpoint at step {position.next_step:,} in {seconds}")
        if self._seconds:
            self._due = time.monotonic() + self._seconds
