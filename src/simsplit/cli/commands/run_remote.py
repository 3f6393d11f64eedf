"""``simsplit run --via remote``: the main job, driven object by object."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...communicator import Agreement
from ...communicator.serial import SingleProcess
from ...engine import Rows, Timings
from ...errors import InputError, SimsplitError
from ...history.gathered import GatheredHistory
from ...remote import join, local, simulate
from ...remote.simulation import require_built_in
from ...result import Result
from ...runs.pipeline import open_output
from ...runs.setup import How, common_plan

if TYPE_CHECKING:
    from ...communicator import Communicator
    from ...engine import Plan
    from ...problem import Problem
    from ...remote import RemoteResult
    from ...verification import Verification


def execute(problem: Problem, communicator: Communicator, how: How) -> Result:
    """Run a simulation as `runner.execute` does, by remote objects. Collective.

    Every rank but root serves a calculator, and root calls them all for each step.
    """
    plan, _ = common_plan(problem, communicator, how)
    receiver = file = None
    with Agreement(communicator):
        _require_possible(problem, how)
        if communicator.rank == 0:
            file = None if how.output is None else open_output(how.output, plan)
            receiver = GatheredHistory(SingleProcess(), plan.replace(ranks=1))  # refuses what does not fit in memory
    failure: SimsplitError | None = None
    outcome: RemoteResult | None = None
    history = None if receiver is None else receiver.history
    try:
        if isinstance(communicator, SingleProcess):
            with local(1) as (alone,):
                outcome = simulate(alone, problem, history)
        else:
            with join() as here:
                outcome = simulate(here, problem, history)
    except SimsplitError as error:
        failure = error
    with Agreement(communicator):
        if failure is not None:
            raise failure
    verification = None
    with Agreement(communicator):
        if outcome is not None and receiver is not None:
            if how.verify:
                verification = _verify(problem, receiver, plan.replace(ranks=1))
            if file is not None and (verification is None or verification.identical):
                file.write(outcome.history)
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
        timings = Timings(scatter=outcome.seconds_prepare, compute=outcome.seconds_steps, steps=outcome.seconds_steps)
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
    )


def _require_possible(problem: Problem, how: How) -> None:
    if how.backend == "numba":
        raise InputError("--backend numba does not go with --via remote, whose calculators use NumPy")
    if problem.reduce:
        raise InputError("--reduce is for collective runs. Leave it out, or --via remote.")
    require_built_in(problem.kernel.name)


def _verify(problem: Problem, receiver: GatheredHistory, plan: Plan) -> Verification:
    """Compare root's history with what one process computes. Root only."""
    from ...engine.verify import verify_steps

    assert problem.initial is not None  # noqa: S101, for the type checker: root has the array
    rows = Rows(problem, 0, problem.initial[: plan.shape[0]], problem.kernel.parameters)
    return verify_steps(SingleProcess(), plan, rows, receiver)
