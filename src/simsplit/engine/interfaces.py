"""The interfaces of history sinks and observers, and the data the engine reports."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from ..util.records import Record

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from .plan import Tile

    Array = npt.NDArray[Any]


class HistorySink(Protocol):
    """Receives the results of the steps.

    It provides the memory that a rank computes its rows into, so that they are computed in their final place
    (root's rows of a gathered history, memory shared by a node, the buffer that a file is written from).

    Of a run that succeeds all ranks call `rows` and `deliver` for each tile that holds kept steps, in the
    order of the plan, then, if they like, `fetch`, and at the end `finish`. Of a run that fails they call
    `abort` instead of what was left.

    Attributes
    ----------
    in_place : bool
        Whether this rank computes its results where they stay, in memory that was touched before: then they are
        best written past the cache. Fresh memory is in the cache anyway, since the system has just cleared it.
    """

    in_place: bool

    def rows(self, tile: Tile) -> Array:
        """Return the array that this rank computes its results of `tile` into. Not collective.

        An array of shape ``(len(tile.steps), rows, *shape of a row)``, each step's rows C-contiguous.
        """

    def deliver(self, tile: Tile) -> None:
        """Deliver the results of `tile`, which are complete. Collective."""

    def fetch(self, position: int, spans: Sequence[tuple[int, int]]) -> Array:
        """Read rows of the history back, for verification. Collective.

        Parameters
        ----------
        position : int
            Which of the kept steps, by its place in the history.
        spans : sequence of (int, int)
            The rows ``[lower, upper)`` of each rank, not overlapping.

        Returns
        -------
        ndarray, shape (upper - lower, ...), C-contiguous
            This rank's; not to be written to, and valid until the next call.
        """

    def finish(self) -> None:
        """Commit the history; everything was delivered. Collective.

        A run that was stopped before its end has delivered some of the kept steps only.

        Raises
        ------
        OutputError
            On every rank, if it cannot be made to last.
        """

    def abort(self) -> None:
        """Discard the history after a failure. Not collective, and does not raise."""


class ResumePoint(Record):
    """How far a run is, at the end of a batch of steps.

    Attributes
    ----------
    next_step : int
        The step that comes next: those before it are computed.
    kept : int
        How many steps of the history are delivered.
    state : ndarray, shape (m, ...), or None
        This rank's rows of the state of step ``next_step - 1``, of the history's dtype, which a step kernel
        goes on from; None for a map kernel, which needs none, and before step 0.
    values : ndarray, shape (m, ...), or None
        This rank's rows of step ``next_step - 1``, of any kernel, if an observer wants them.
    """

    next_step: int = 0
    kept: int = 0
    state: Array | None = None
    values: Array | None = None


class StepObserver(Protocol):
    """Called at the end of every batch of steps: shows progress, writes checkpoints, stops the run.

    Attributes
    ----------
    wants_values : bool
        Whether `ResumePoint.values` is to be there. Then every step is computed, kept or not. The same on every rank.
    can_stop : bool
        Whether it may stop the run. Then a batch of slow steps shrinks to a single one, so that a stop does not wait
        for others. The same on every rank.
    """

    wants_values: bool
    can_stop: bool

    def poll_flags(self) -> int:
        """Return the flags that this rank raises now (see `communicator.flags`). Not collective; called often."""

    def max_steps(self, next_step: int) -> int:
        """Return how many steps the batch from `next_step` on may have, 1 or more. The same on every rank."""

    def on_batch_end(self, position: ResumePoint, flags: int) -> int:
        """React to the end of a batch. Collective.

        Parameters
        ----------
        position : ResumePoint
            Its arrays must not be written to, and are valid until this returns.
        flags : int
            The flags that any rank raised since the last batch.

        Returns
        -------
        int
            The flags that were raised here, the same on every rank. One of `flags.STOP` ends the run.
        """


class Timings(Record, frozen=False):
    """Seconds of wall time.

    Attributes
    ----------
    scatter : float
        Waiting for the rows of the initial array.
    compute : float
        The kernel.
    gather : float
        Bringing the results together, waiting for other ranks included.
    output : float
        Writing the history to a file, after the steps.
    steps : float
        All steps.
    """

    scatter: float = 0.0
    compute: float = 0.0
    gather: float = 0.0
    output: float = 0.0
    steps: float = 0.0
