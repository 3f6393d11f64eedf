"""Run by remote objects: root drives a calculator on every other rank, step by step.

The pipeline is that of any run, with root as its only rank: only what computes the steps is different.
"""

from __future__ import annotations

from contextlib import contextmanager
from functools import partial
from time import perf_counter
from typing import TYPE_CHECKING

import numpy as np

from ..communicator import Agreement
from ..communicator.flags import STOP
from ..communicator.serial import SerialCommunicator
from ..engine import ResumePoint, Tile
from ..engine.plan import kept_before
from ..errors import SimsplitError
from ..remote import join, local
from ..remote.simulation import Calculators, require_built_in
from ..util.formatting import format_duration
from .pipeline import execute
from .setup import make_plan

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ..communicator import Communicator
    from ..engine import HistorySink, LocalPart, Plan, StepObserver, Timings
    from ..engine.reductions import Reducer
    from ..problem import Problem
    from ..remote import Session
    from ..result import Result
    from .destinations import Destination
    from .options import RunOptions
    from .pipeline import MakeObserver


def execute_remote(
    problem: Problem,
    communicator: Communicator,
    options: RunOptions,
    destination: Destination,
    *,
    observers: Sequence[MakeObserver] = (),
) -> Result:
    """Run a simulation as `pipeline.execute` does, by remote objects. Collective.

    Observers are called on root, which has all rows.
    """
    make_plan(problem, communicator, options)  # compares the problem between the ranks
    with Agreement(communicator):
        require_built_in(problem.kernel.name)
    failure: BaseException | None = None
    result: Result | None = None
    with _session(communicator) as here:
        calculators = Calculators(here)
        if communicator.rank == 0:
            try:
                alone = options.replace(backend="numpy", transport="auto")
                steps = partial(_run_steps, calculators)
                result = execute(problem, SerialCommunicator(), alone, destination, observers=observers, steps=steps)
            except (SimsplitError, KeyboardInterrupt) as error:
                failure = error
    with Agreement(communicator):
        if failure is not None:
            raise failure
    facts = None
    if result is not None:
        seconds = result.timings
        preparing, stepping = format_duration(seconds.scatter), format_duration(seconds.steps)
        cost = f"by remote objects: {calculators} · {preparing} to prepare, {stepping}"
        result = result.replace(
            ranks=communicator.size,
            bounds=[(0, 0)] * (communicator.size - len(calculators.bounds)) + calculators.bounds,
            library=communicator.library,
            transport="remote",
            transport_reason="",
            backend="NumPy, in each calculator",
            note="; ".join(filter(None, [result.note, cost])),
        )
        facts = result.replace(history=None, reductions={})
    facts = communicator.bcast(facts)
    hosts = communicator.allgather(communicator.host)
    return (facts if result is None else result).replace(hosts=hosts)


@contextmanager
def _session(communicator: Communicator) -> Iterator[Session]:
    if communicator.comm is None:
        with local(1) as (alone,):
            yield alone
    else:
        with join(communicator.comm) as here:
            yield here


def _run_steps(
    calculators: Calculators,
    _communicator: Communicator,
    plan: Plan,
    part: LocalPart,
    sink: HistorySink,
    timings: Timings,
    /,
    *,
    block: int,  # noqa: ARG001, the calculators have blocks of their own
    observer: StepObserver | None,
    start: ResumePoint | None,
    reducer: Reducer | None,
    check_rows: bool,  # noqa: ARG001, the kernels are built in
    depth: int,  # noqa: ARG001, which read no neighbours
    share_halos: bool,  # noqa: ARG001
) -> int:
    """Do what `engine.run_steps` does, by calculators. On root alone, which has all rows."""
    start = start or ResumePoint()
    problem, rows = part.problem, plan.shape[0]
    is_step = problem.kernel.kind == "step"
    every = is_step or reducer is not None or (observer is not None and observer.wants_values)
    begun = perf_counter()
    calculators.prepare(problem, part.initial(0, rows), plan.history_dtype, start.state)
    prepared = perf_counter()
    timings.scatter += prepared - begun
    values = None
    if every or observer is not None:
        values = np.empty(plan.shape, plan.history_dtype)
    next_step, stopped = start.next_step, False
    while rows and not stopped and (batch := plan.batch(next_step, 1, every=every)):
        (k,) = batch
        next_step = k + 1
        position = kept_before(plan.kept, k)
        kept = k in plan.kept
        out = values
        if kept:
            tile = Tile(batch, batch, slice(position, position + 1), [(0, rows)])
            out = sink.rows(tile)[0]
        computed = perf_counter()
        calculators.compute(k, out)
        timings.compute += perf_counter() - computed
        if kept:
            if values is not None:
                values[...] = out
            sink.deliver(tile)
        if reducer is not None and values is not None:
            reducer.add(batch, 0, values[None])
            reducer.deliver(batch)
        if observer is not None:
            reached = ResumePoint(next_step, position + kept, values if is_step else None, values)
            stopped = bool(observer.on_batch_end(reached, observer.poll_flags()) & STOP)
            if stopped and plan.keep == "last" and not reached.kept:  # the last step that was computed stands for it
                tile = Tile(batch, batch, slice(0, 1), [(0, rows)])
                sink.rows(tile)[0] = values
                sink.deliver(tile)
    timings.steps += perf_counter() - prepared
    return next_step if stopped else plan.steps
