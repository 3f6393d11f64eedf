"""``simsplit run --via remote``: the main job, driven object by object."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..communicator import Agreement
from ..communicator.single import SingleProcess
from ..engine import Plan, Rows, Timings
from ..errors import InputError, SimsplitError
from ..remote import join, local, simulate
from ..runner import How, Result, open_output
from ..store.memory import GatheredHistory

if TYPE_CHECKING:
    from ..communicator import Communicator
    from ..problem import Problem
    from ..remote import RemoteResult
    from ..verification import Verification


def execute(problem: Problem, communicator: Communicator, how: How) -> Result:
    """Run a simulation as `runner.execute` does, by remote objects. Collective.

    Every rank but root serves a calculator, and root calls them all for each step.
    """
    with Agreement(communicator):
        if problem.keep != "all" or problem.reduce:
            option = f"keep {problem.keep}" if problem.keep != "all" else f"reduce {','.join(problem.reduce)}"
            raise InputError(f"--{option} is for collective runs. Leave it out, or --via remote.")
    failure: SimsplitError | None = None
    outcome: RemoteResult | None = None
    try:
        if isinstance(communicator, SingleProcess):
            with local(1) as (alone,):
                outcome = simulate(alone, problem)
        else:
            with join() as here:
                outcome = simulate(here, problem)
    except SimsplitError as error:
        failure = error
    with Agreement(communicator):
        if failure is not None:
            raise failure
    verification = None
    with Agreement(communicator):
        if outcome is not None:
            if how.verify:
                verification = _verify(problem, outcome)
            if how.output is not None and (verification is None or verification.identical):
                open_output(how.output, outcome.history.nbytes).write(outcome.history)
    facts = None
    if outcome is not None:
        bounds = [(0, 0)] * (communicator.size - len(outcome.bounds)) + outcome.bounds
        away = communicator.size > 1
        nbytes = {
            "initial": outcome.nbytes - outcome.history.nbytes,
            "history": outcome.history.nbytes,
            "scattered": (outcome.nbytes - outcome.history.nbytes) * away,
            "gathered": outcome.history.nbytes * away,
        }
        timings = Timings(scatter=outcome.seconds_prepare, compute=outcome.seconds_steps)
        facts = (bounds, nbytes, timings, verification, f"by remote objects: {outcome}")
    bounds, nbytes, timings, verification, note = communicator.bcast(facts)
    return Result(
        history=None if outcome is None else outcome.history,
        time_grid=(problem.start_time, problem.delta_t, problem.steps),
        kept=problem.kept,
        ranks=communicator.size,
        bounds=bounds,
        hosts=communicator.allgather(communicator.host),
        library=communicator.library,
        timings=timings,
        nbytes=nbytes,
        verification=verification,
        note=note,
        transport="remote",
        seconds_steps=timings.compute,
    )


def _verify(problem: Problem, outcome: RemoteResult) -> Verification:
    """Compare root's history with what one process computes. Root only."""
    from ..engine.verifying import verify_steps

    initial, history = problem.initial, outcome.history
    assert initial is not None  # noqa: S101, for the type checker: root has the array
    plan = Plan(initial.shape, initial.dtype, history.dtype, problem.steps, 1)
    rows = Rows(problem, 0, initial, problem.kernel.parameters)
    return verify_steps(SingleProcess(), plan, rows, GatheredHistory(SingleProcess(), plan, history))
