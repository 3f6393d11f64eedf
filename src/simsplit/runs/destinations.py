"""Destinations of results: root's memory, a file that all ranks write, a run directory.

A destination is opened for one run. What is open gives the run its sink, its observers and the step to begin
with, and in the end it commits the result, or nothing of it is left.
"""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol

from ..communicator import Agreement
from ..engine import ResumePoint
from ..errors import VerificationError
from ..history.select import make_sink
from ..util.formatting import pluralize

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager

    import numpy.typing as npt

    from ..communicator import Communicator
    from ..communicator.node import Node
    from ..engine import HistorySink, Plan, StepObserver, Timings
    from ..history.formats.npy import NpyOutput
    from ..history.gathered import GatheredHistory
    from ..history.select import SinkChoice
    from ..history.shared import SharedHistory
    from ..problem import Problem
    from ..result import Result

    Array = npt.NDArray[Any]


class Output:
    """A destination that is open for one run.

    Parameters
    ----------
    sink : HistorySink
    transport, reason : str
        How results come to root, and why so.
    node : Node or None
        The ranks that share memory for their rows.
    start : ResumePoint, optional
        Where the run begins.
    observers : sequence of StepObserver
        What belongs to the destination.
    reductions : mapping of str to ndarray
        Where root keeps reductions, if not in memory of their own; those before `start` are there.
    note : str or None
        What is to be said about the run.
    log : callable or None
        Adds a line to the log of the run, on root.
    refuses_different : bool
        Whether a result that is different from one process's is an error while the destination is open.
    """

    def __init__(
        self,
        sink: HistorySink,
        *,
        transport: str = "gatherv",
        reason: str = "",
        node: Node | None = None,
        start: ResumePoint | None = None,
        observers: Sequence[StepObserver] = (),
        reductions: Mapping[str, Array] | None = None,
        note: str | None = None,
        log: Callable[[str], None] | None = None,
        refuses_different: bool = False,
    ) -> None:
        self.sink = sink
        self.transport = transport
        self.reason = reason
        self.node = node
        self.start = ResumePoint() if start is None else start
        self.observers = observers
        self.reductions = {} if reductions is None else reductions
        self.note = note
        self.log = log
        self.refuses_different = refuses_different

    def stop(self, next_step: int, steps: int, reason: str) -> None:
        """Be told that the run was stopped; raise `StoppedError`, on every rank, if it has no result then."""

    def commit(self, communicator: Communicator, kept: int, reductions: Mapping[str, Array]) -> bool:
        """Let the history and the reductions last; return whether that took writing. Collective.

        Not called if they are different from one process's.

        Parameters
        ----------
        communicator : Communicator
        kept : int
            How many steps the history holds.
        reductions : mapping of str to ndarray, on root
        """
        return False


class Destination(Protocol):
    """Where results go."""

    def plan(self, problem: Problem, communicator: Communicator, plan: Plan) -> Plan:
        """Return the plan with the rows split as the destination wants them.

        Refuses what it cannot hold, before anything is made. Collective.
        """

    def open(
        self, problem: Problem, communicator: Communicator, plan: Plan, timings: Timings
    ) -> AbstractContextManager[Output]:
        """Open it for a run. Collective; what fails in the block leaves nothing half-written."""


class Memory:
    """Root's memory, and at the end an ``.npy`` that root writes, if there is an output.

    Parameters
    ----------
    transport : {"auto", "gatherv", "shared"}
    output : str, optional
    """

    def __init__(self, transport: str, output: str | None = None) -> None:
        self._transport = transport
        self._output = output

    def plan(self, problem: Problem, communicator: Communicator, plan: Plan) -> Plan:
        """Return the plan as it is."""
        return plan

    @contextmanager
    def open(self, problem: Problem, communicator: Communicator, plan: Plan, timings: Timings) -> Iterator[Output]:
        """Look whether the files can be written, and take the memory."""
        files: dict[str, NpyOutput] = {}
        with Agreement(communicator):
            if self._output is not None and communicator.rank == 0:
                from ..history.formats.npy import NpyOutput, require_possible

                require_possible(plan.history_dtype)
                files[""] = NpyOutput(self._output, plan.history_nbytes)
                files |= {name: NpyOutput(reduced_path(self._output, name), 0) for name in problem.reduce}
        sink, choice = make_sink(communicator, plan, self._transport)
        yield _MemoryOutput(sink, choice, files)


class _MemoryOutput(Output):
    def __init__(
        self, sink: GatheredHistory | SharedHistory, choice: SinkChoice, files: Mapping[str, NpyOutput]
    ) -> None:
        super().__init__(sink, transport=choice.name, reason=choice.reason, node=choice.node)
        self._memory = sink
        self._files = files

    def commit(self, communicator: Communicator, kept: int, reductions: Mapping[str, Array]) -> bool:
        with Agreement(communicator):
            if self._files and self._memory.history is not None:
                self._files[""].write(self._memory.history[:kept])
                for name, reduced in reductions.items():
                    self._files[name].write(reduced)
        return bool(self._files)


def is_identical(result: Result) -> bool:
    """Return whether nothing was found that is different from one process."""
    return result.verification is None or result.verification.identical


def require_identical(result: Result, communicator: Communicator) -> None:
    """Raise on every rank if the result was verified and is different. Collective."""
    with Agreement(communicator):
        if not is_identical(result):
            raise VerificationError(
                f"the result of {pluralize(result.ranks, 'rank')} is not that of one process. {result.verification}. "
                f"Nothing was written. {_likely_cause(result)}"
            )


def _likely_cause(result: Result) -> str:
    if "of the C library" in result.backend:
        return f"The backend is {result.backend}; NumPy's own functions may differ in the last bit. Take auto."
    return "A kernel must be row-local, write all of out, and give the same each time."


def reduced_path(output: str | os.PathLike[str] | None, name: str) -> str:
    """Return where a reduction is written, beside the history.

    >>> reduced_path("runs/history.npy", "mean")
    'runs/history.mean.npy'
    """
    return f"{os.fsdecode(output or '').removesuffix('.npy')}.{name}.npy"
