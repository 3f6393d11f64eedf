"""User observers: functions that are called after steps and can stop the run, checkpoint or reduce."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from ..communicator import Agreement
from ..communicator.flags import CHECKPOINT, OBSERVER, REDUCING, RETURNED
from ..errors import InputError, KernelError, SimsplitError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy.typing as npt

    from ..communicator import Communicator
    from ..engine import Plan, ResumePoint
    from ..problem import Problem

    Array = npt.NDArray[Any]

Operation = Literal["sum", "min", "max"]
_OPERATIONS: dict[str, Callable[[list[float]], float]] = {"sum": sum, "min": min, "max": max}


class Step:
    """What an observer of the user's own is given: a step, and what may be asked for.

    Attributes
    ----------
    k : int
        The number of the step.
    t : float
        Its time.
    rows : (int, int)
        The rows ``[lower, upper)`` of this rank.
    values : ndarray, shape (upper - lower, ...), read-only
        These rows of the step. Valid until the observer returns: copy what is to stay.
    rank, ranks : int
        Of this process, and how many there are.
    """

    __slots__ = ("_communicator", "agreed", "flags", "k", "rank", "ranks", "rows", "t", "values")

    def __init__(self, communicator: Communicator, k: int, t: float, rows: tuple[int, int], values: Array) -> None:
        self._communicator = communicator
        self.flags = 0  # what was asked for
        self.agreed: BaseException | None = None  # what `reduce` raised on every rank
        self.k = k
        self.t = t
        self.rows = rows
        self.values = values
        self.rank = communicator.rank
        self.ranks = communicator.size

    def stop(self) -> None:
        """Let the run stop in order after this step. One rank may ask for all. Not collective."""
        self.flags |= OBSERVER

    def checkpoint(self) -> None:
        """Let a checkpoint be written after this step, if the run has a run directory. Not collective."""
        self.flags |= CHECKPOINT

    def reduce(self, value: float, operation: Operation = "sum") -> float:
        """Return the sum, the least or the greatest of a number of each rank. Collective.

        The sum depends on the split in its last bits; `Problem.reduce` has reductions that do not.

        Parameters
        ----------
        value : float
        operation : {"sum", "min", "max"}

        Raises
        ------
        InputError
            On every rank, if a value is wrong, or if an observer of some rank returned instead.
        SimsplitError
            On every rank, if an observer of some rank raised meanwhile.
        """
        agreement, number = Agreement(self._communicator), 0.0
        try:
            with agreement:
                _require_known(operation)
                number = float(value)
                agreement.request(REDUCING)
            _require_in_step(agreement)
        except BaseException as error:
            self.agreed = error
            raise
        return _OPERATIONS[operation](self._communicator.allgather(number))


class UserObservers:
    """Functions of the user's own, called by every rank after every step, or after every K-th.

    Parameters
    ----------
    communicator : Communicator
    problem : Problem
    plan : Plan
    functions : sequence of callable
        Each takes a `Step`. What one raises on any rank is raised on all.
    every : int
        Steps 0, K, 2K and so on are shown.
    """

    wants_values = True
    can_stop = True

    def __init__(
        self,
        communicator: Communicator,
        problem: Problem,
        plan: Plan,
        functions: Sequence[Callable[[Step], object]],
        every: int,
    ) -> None:
        self._communicator = communicator
        self._agreement = Agreement(communicator)
        self._problem = problem
        self._bounds = plan.bounds[communicator.rank]
        self._functions = functions
        self._every = every

    def poll_flags(self) -> int:
        """Return no flag."""
        return 0

    def max_steps(self, next_step: int) -> int:
        """Return the steps to the next one that is shown, itself included."""
        return -next_step % self._every + 1

    def on_batch_end(self, position: ResumePoint, flags: int) -> int:
        """Call the functions, if the last step of the batch is one that is shown."""
        k = position.next_step - 1
        if k % self._every or position.values is None:
            return 0
        step = Step(self._communicator, k, self._problem.time(k), self._bounds, position.values)
        for function in self._functions:
            failure = self._call(function, step)
            if step.agreed is not None:  # every rank is told already, also if the function caught it
                raise step.agreed
            with self._agreement:
                if failure is not None:
                    raise failure
                self._agreement.request(RETURNED | step.flags)
            _require_in_step(self._agreement)
            flags |= self._agreement.requested & (OBSERVER | CHECKPOINT)
        return flags

    def _call(self, function: Callable[[Step], object], step: Step) -> BaseException | None:
        """Call a function; return what it raised."""
        try:
            function(step)
        except SimsplitError as error:
            return error
        except Exception as error:  # noqa: BLE001, whatever it is: the other ranks are to know
            communicator, name = self._communicator, getattr(function, "__name__", type(function).__name__)
            failure = KernelError(
                f"the observer {name} failed on rank {communicator.rank} of {communicator.size} (host "
                f"{communicator.host}) at step {step.k}, t = {step.t}"
            )
            failure.__cause__ = error
            return failure
        return None


def _require_known(operation: str) -> None:
    if operation not in _OPERATIONS:
        raise InputError(f'the operation must be "sum", "min" or "max", not {operation!r}')


def _require_in_step(agreement: Agreement) -> None:
    """Refuse that some ranks wait for a number of all while others have returned. On every rank alike."""
    both = REDUCING | RETURNED
    if agreement.requested & both == both:
        raise InputError(
            "an observer called step.reduce() on some ranks and not on others. Call it on every rank, equally often."
        )
