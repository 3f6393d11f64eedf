"""Set up a run: the common plan, and the rows of each rank."""

from __future__ import annotations

from functools import partial
from time import perf_counter
from typing import TYPE_CHECKING, Any

import numpy as np

from ..communicator import Agreement
from ..engine import LocalPart, Plan, scatter, scatter_by_nodes
from ..errors import InputError, KernelError, SimsplitError
from ..kernels import result_dtype as results
from ..problem import Problem, RowSource
from ..util.dtypes import strip_metadata
from ..util.formatting import format_ranks
from ..util.memory_limits import require_memory

if TYPE_CHECKING:
    import numpy.typing as npt

    from ..communicator import Communicator
    from ..communicator.node import Node, Window
    from ..engine import Timings
    from ..kernels.cells import Reach
    from .options import RunOptions

    Array = npt.NDArray[Any]


def make_plan(problem: Problem, communicator: Communicator, options: RunOptions) -> tuple[Plan, dict[str, Any]]:
    """Return root's plan and parameters, once all ranks are found to have the same problem. Collective.

    A parameter that is an array is given by its shape and dtype.
    """
    facts = None
    settings: dict[str, str] = {}
    with Agreement(communicator):
        if not isinstance(problem, Problem):
            raise InputError(f"problem must be a simsplit.Problem, not {problem!r}")
        settings = problem.settings() | options.fingerprint()
        if communicator.rank == 0:
            if problem.initial is None:
                raise InputError("initial is None on rank 0: rank 0 must have the array that is scattered")
            for name, value in problem.kernel.parameters.items():
                if value is None:
                    raise InputError(f"parameter {name} is None on rank 0: rank 0 must have the array")
            dtype, reach = results_of(problem, problem.initial, problem.initial.shape)
            plan = Plan(
                problem.initial.shape,
                strip_metadata(problem.initial.dtype),
                dtype,
                problem.steps,
                communicator.size,
                keep=problem.keep,
                reach=reach,
                reduced_axes=problem.reduced_axes(problem.initial.shape),
            )
            parameters = {
                name: (value.shape, value.dtype) if isinstance(value, np.ndarray) else value
                for name, value in problem.kernel.parameters.items()
            }
            facts = (plan, parameters, settings)
    plan, parameters, roots = communicator.bcast(facts)
    mine = sorted(name for name in settings.keys() | roots.keys() if settings.get(name) != roots.get(name))
    differing = communicator.allgather(mine)
    wrong = [rank for rank, names in enumerate(differing) if names]
    with Agreement(communicator):
        if wrong:
            names = ", ".join(sorted(set().union(*differing)))
            raise InputError(
                f"the problem is not the same on all ranks: {names} on {format_ranks(wrong)} differ from rank 0. "
                "Give every rank the same options."
            )
    return plan, parameters


def distribute(
    problem: Problem,
    communicator: Communicator,
    plan: Plan,
    parameters: dict[str, Any],
    timings: Timings,
    node: Node | None = None,
    windows: list[Window | None] | None = None,
) -> LocalPart:
    """Return this rank's rows: root's are scattered, those in a file are read by each rank. Collective.

    Where ranks of a node share memory for them, `windows` gets what must be held as long as the rows are used.
    """
    begun = perf_counter()

    def part(plan: Plan, array: Array | None) -> Array:
        if node is None or windows is None:
            return scatter(communicator, plan, array)
        own, window = scatter_by_nodes(communicator, plan, array, node)
        windows.append(window)
        return own

    stored = communicator.bcast((problem.initial if isinstance(problem.initial, RowSource) else None,))[0]
    initial = part(plan, problem.initial) if stored is None else _read(stored, communicator, plan)
    own = {
        name: part(plan.of(*value), problem.kernel.parameters[name]) if isinstance(value, tuple) else value
        for name, value in parameters.items()
    }
    timings.scatter = perf_counter() - begun
    layout = None
    if problem.grid is not None:
        with Agreement(communicator):
            layout = problem.layout(plan.shape)
    return LocalPart(problem, plan.bounds[communicator.rank][0], initial, own, layout)


def _read(stored: RowSource, communicator: Communicator, plan: Plan) -> Array:
    with Agreement(communicator):
        lower, upper = plan.bounds[communicator.rank]
        nbytes = (upper - lower) * plan.row_nbytes
        require_memory(nbytes, f"the part of rank {communicator.rank}", "Use more nodes, or fewer ranks on each.")
        part: Array = stored.rows(lower, upper)
    return part


def results_of(problem: Problem, initial: Array, shape: tuple[int, ...]) -> tuple[np.dtype[Any], Reach]:
    """Return the dtype of the history, without padding, and how far the kernel reads; nothing if it is row-local.

    Parameters
    ----------
    problem : Problem
    initial : ndarray
        The first rows of the initial array are enough.
    shape : tuple of int
        Of the initial array.

    Raises
    ------
    InputError
        If the boundary is missing, or does not go with the reach.
    KernelError
        If the kernel fails for the first rows.
    """
    kernel, layout = problem.kernel, problem.layout(shape)
    reach: Reach = ()
    if layout is not None and kernel.is_on_grid:
        try:
            reach = kernel.reach_on(len(layout.shape), shape[1:], initial.dtype)
        except (SimsplitError, KeyboardInterrupt):
            raise
        except Exception as error:
            raise KernelError(f"the kernel {kernel.name} failed when it was tried for cells of ones") from error
        reach = reach if any(map(any, reach)) else ()
    if reach and layout is not None:
        if problem.grid is not None and problem.grid.boundary is None:
            raise InputError(
                f"the kernel {kernel.name} reads neighbours, but nothing is said of those beyond the edges of the "
                'grid. Give --boundary periodic (boundary="periodic"), or another. See docs/grids.md.'
            )
        layout.require(reach, initial.dtype)
    given = (problem.time(0), problem.delta_t, problem.seed)
    trial = None
    if layout is not None:
        from ..grids.trial import padded_trial

        trial = partial(padded_trial, kernel, initial, layout, reach, *given)
    return results.history_dtype(kernel, initial, *given, trial=trial), reach
