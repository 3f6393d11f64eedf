"""The pipeline of a run: one order of stages, whatever starts it and wherever its history goes."""

from __future__ import annotations

from math import prod
from time import perf_counter
from typing import TYPE_CHECKING, Any, Protocol

from ..communicator import Agreement, interrupts
from ..communicator.flags import STOP, stop_reason
from ..engine import Timings, block_nbytes, run_steps
from ..engine import backend_selection as backends
from ..errors import InputError
from ..result import make_result
from ..util.records import Record
from .destinations import require_identical
from .setup import distribute, make_plan

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import numpy.typing as npt

    from ..communicator import Communicator
    from ..communicator.node import Window
    from ..engine import HistorySink, LocalPart, Plan, ResumePoint, StepObserver
    from ..engine.reductions import Reducer
    from ..problem import Problem
    from ..result import Result
    from ..verification import Verification
    from .destinations import Destination, Output
    from .options import RunOptions

    Array = npt.NDArray[Any]
    MakeObserver = Callable[["RunContext"], StepObserver]


class RunContext(Record):
    """What an observer is made from."""

    problem: Problem
    communicator: Communicator
    plan: Plan
    output: Output
    timings: Timings


class Steps(Protocol):
    """What computes the steps: `engine.run_steps`, or what does the same by other means."""

    def __call__(
        self,
        communicator: Communicator,
        plan: Plan,
        rows: LocalPart,
        receiver: HistorySink,
        timings: Timings,
        /,
        *,
        block: int,
        observer: StepObserver | None,
        start: ResumePoint | None,
        reducer: Reducer | None,
        check_rows: bool,
        depth: int,
        share_halos: bool,
    ) -> int:
        """Compute the steps from `start` on; return the step that comes next. Collective."""


def execute(
    problem: Problem,
    communicator: Communicator,
    options: RunOptions,
    destination: Destination,
    *,
    observers: Sequence[MakeObserver] = (),
    steps: Steps = run_steps,
) -> Result:
    """Run a simulation. Collective.

    A history that turns out to be different from one process's is not committed, and the result says so.

    Parameters
    ----------
    problem : Problem
    communicator : Communicator
    options : RunOptions
        As `checked_options` returns them.
    destination : Destination
    observers : sequence of callable
        Each makes an observer, called before those of the destination.
    steps : Steps
        What computes the steps.

    Raises
    ------
    StoppedError
        On every rank, if the run was stopped and its destination holds whole runs alone.
    SimsplitError
        On every rank.
    """
    with interrupts.held():
        plan, parameters = make_plan(problem, communicator, options)
        plan = destination.plan(problem, communicator, plan)
        timings = Timings()
        with destination.open(problem, communicator, plan, timings) as output:
            windows: list[Window | None] = []  # held as long as any rank reads its rows there
            sink = output.sink
            try:
                part = distribute(problem, communicator, plan, parameters, timings, output.node, windows)
                reducer = _reducer(communicator, plan, problem, output)
                backend, block = _select_backend(communicator, plan, part, sink, options)
                depth = 1
                if plan.reach and part.layout is not None:
                    from ..engine.grid_loop import BLOCKS, choose_depth

                    block = options.block_size or block * BLOCKS
                    depth = choose_depth(communicator, plan, part.layout, options.depth)
                    backend += f"; {reach_and_depth(plan.reach, depth)}"
                context = RunContext(problem, communicator, plan, output, timings)
                made = [make(context) for make in observers]
                watching = _Observers([*made, *output.observers]) if made or output.observers else None
                reached = steps(
                    communicator,
                    plan,
                    part,
                    sink,
                    timings,
                    block=block,
                    observer=watching,
                    start=output.start,
                    reducer=reducer,
                    check_rows=options.check_rows,
                    depth=depth,
                    share_halos=options.transport != "gatherv",
                )
                stopped = None
                if watching is not None and reached < plan.steps:
                    with Agreement(communicator):  # so that the error says that it is raised on all ranks
                        output.stop(reached, plan.steps, watching.reason)
                    stopped = f"stopped by {watching.reason} after {reached:,} of {plan.steps:,} steps"
                    plan = plan.replace(steps=reached)
                verification = verify(communicator, plan, part, sink, block, reducer) if options.verify else None
                sink.finish()
            except BaseException:
                sink.abort()
                raise
            reductions = {} if reducer is None else _until(plan.steps, reducer.results)
            begun = perf_counter()
            if (verification is None or verification.identical) and output.commit(
                communicator, len(plan.kept), reductions
            ):
                timings.output = perf_counter() - begun
            history = getattr(sink, "history", None)
            result = make_result(problem, communicator, plan, timings, history, verification, backend).replace(
                reductions=reductions, transport=output.transport, transport_reason=output.reason
            )
            notes = [note for note in (output.note, stopped, result.note) if note]
            result = result.replace(note="; ".join(notes) or None)
            if output.refuses_different:
                require_identical(result, communicator)
            return result


def reach_and_depth(reach: tuple[tuple[int, int], ...], depth: int) -> str:
    """Say how far a kernel reads, and how many steps are computed between two exchanges."""
    sides = [str(low) if low == high else f"{low}|{high}" for low, high in reach]
    return f"reach {' × '.join(sides)}, depth {depth}"


class _Observers:
    """All observers of a run as one, called in their order. Flags that one returns are seen by those after it.

    Attributes
    ----------
    reason : str
        Why the run was stopped; empty if it was not.
    """

    def __init__(self, observers: Sequence[StepObserver]) -> None:
        self._observers = observers
        self.wants_values = any(each.wants_values for each in observers)
        self.can_stop = any(each.can_stop for each in observers)
        self.reason = ""

    def poll_flags(self) -> int:
        """Return the flags of all of them."""
        flags = 0
        for each in self._observers:
            flags |= each.poll_flags()
        return flags

    def max_steps(self, next_step: int) -> int:
        """Return the least that one of them allows."""
        return min(each.max_steps(next_step) for each in self._observers)

    def on_batch_end(self, position: ResumePoint, flags: int) -> int:
        """Call each of them, and note what stops the run."""
        stops = 0
        for each in self._observers:
            found = each.on_batch_end(position, flags)
            flags |= found
            stops |= found & STOP
        self.reason = stop_reason(stops)
        return stops


def _reducer(communicator: Communicator, plan: Plan, problem: Problem, output: Output) -> Reducer | None:
    if not problem.reduce:
        return None
    with Agreement(communicator):
        from ..engine.reductions import Reducer

        if not plan.shape[0]:
            raise InputError(f"the array has no rows, which have no {problem.reduce[0]}. Leave out reduce.")
        if not prod(plan.shape[: plan.reduced_axes]):
            raise InputError(f"the grid has no cells, which have no {problem.reduce[0]}. Leave out reduce.")
        if plan.history_dtype.names:
            dtype = plan.history_dtype
            raise InputError(f"values with fields ({dtype}) have no {problem.reduce[0]}. Leave out reduce.")
        return Reducer(communicator, plan, problem.reduce, output.reductions)


def _select_backend(
    communicator: Communicator, plan: Plan, part: LocalPart, sink: HistorySink, options: RunOptions
) -> tuple[str, int]:
    """Select the backend, install it on `part`, and return its description and the bytes of a block. Collective."""
    chosen = backends.select_backend(communicator, plan, part, sink, backends.validate_name(options.backend))
    part.advance = chosen.advance or part.advance
    return chosen.text, options.block_size or (block_nbytes() if chosen.advance is None else backends.BLOCK)


def verify(
    communicator: Communicator,
    plan: Plan,
    part: LocalPart,
    sink: HistorySink,
    block: int,
    reducer: Reducer | None = None,
) -> Verification:
    """Compare a history, and reductions, with what one process computes. Collective."""
    from ..engine.verify import verify_reductions, verify_steps

    found = verify_steps(communicator, plan, part, sink, block)
    if reducer is None:
        return found
    return verify_reductions(communicator, plan, part, _until(plan.steps, reducer.results), found)


def _until(steps: int, reductions: Mapping[str, Array]) -> dict[str, Array]:
    """Return the first steps of reductions."""
    return {name: each[:steps] for name, each in reductions.items()}
