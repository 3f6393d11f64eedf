"""The one place where problem, communicator, engine and store are put together."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from math import prod
from time import perf_counter
from typing import TYPE_CHECKING, Any

import numpy as np

from .communicator import Agreement, Communicator, connect, interrupts
from .dtypes import plain
from .engine import Plan, Rows, Timings, run_steps, scatter
from .errors import InputError, VerificationError
from .kernels import results
from .memory import require
from .problem import Problem, StoredRows
from .store.memory import GatheredHistory
from .text import counted, ranks_in_short, readable

if TYPE_CHECKING:
    import numpy.typing as npt
    from mpi4py.MPI import Intracomm

    from .engine import HistoryReceiver, Watcher
    from .store.npy import NpyOutput
    from .verification import Verification

    Array = npt.NDArray[Any]


@dataclass(frozen=True, eq=False)
class Result:
    """What a run gives, on every rank.

    Attributes
    ----------
    history : ndarray, shape (kept steps, n, ...), or None
        ``history[i]`` is step ``kept[i]`` and belongs to ``times[i]``. On root; None elsewhere.
    time_grid : (float, float, int)
        Start time, time from one step to the next, number of steps.
    kept : range
        The numbers of the steps that the history holds.
    ranks : int
        Number of ranks.
    bounds : list of (int, int)
        The rows ``[lower, upper)`` of each rank.
    hosts : list of str
        The host of each rank.
    library : str or None
        The MPI library; None without MPI.
    timings : Timings
        Seconds: how long the slowest rank waited for its rows and how long the slowest computed, and how
        long root took to gather.
    nbytes : dict of str to int
        Bytes of the ``initial`` array and of the ``history``, and how many of them were ``scattered``
        from root to other ranks and ``gathered`` from them.
    verification : Verification or None
        What comparing with one process found; None if it was not asked for.
    note : str or None
        What else is to be said about the run.
    """

    history: Array | None = field(repr=False)
    time_grid: tuple[float, float, int]
    kept: range
    ranks: int
    bounds: list[tuple[int, int]] = field(repr=False)
    hosts: list[str] = field(repr=False)
    library: str | None
    timings: Timings
    nbytes: dict[str, int]
    verification: Verification | None = None
    note: str | None = None

    @property
    def times(self) -> npt.NDArray[np.float64]:
        """The time of each step of the history, ``start_time + k * delta_t``, shape (kept steps,)."""
        start_time, delta_t, _ = self.time_grid
        kept = self.kept
        return start_time + np.arange(kept.start, kept.stop, kept.step, dtype=np.float64) * delta_t


def run(
    problem: Problem,
    *,
    comm: Intracomm | None = None,
    serial: bool = False,
    expect_ranks: int | None = None,
    verify: bool = False,
    output: str | os.PathLike[str] | None = None,
) -> Result:
    """Run a simulation. Collective: every rank of `comm` calls it with the same arguments.

    Parameters
    ----------
    problem : Problem
        What is simulated. Only root's array is used; all else must be the same on every rank.
    comm : mpi4py.MPI.Intracomm, optional
        The ranks that take part; it can be used again afterwards, whatever happened. By default all
        ranks of the job, or this process alone where it was started without a launcher.
    serial : bool, default False
        Run in this process, without MPI.
    expect_ranks : int, optional
        Any other number of ranks is an error.
    verify : bool, default False
        Recompute on root as one process would, and compare bit for bit.
    output : path-like, optional
        Where root writes the history: a ``.npy`` file, which appears whole or not at all.

    Returns
    -------
    Result
        The history is on root.

    Raises
    ------
    SimsplitError
        The same on every rank: `InputError`, `LaunchError`, `KernelError`, `OutputError`, or, with
        `verify`, `VerificationError`.

    Examples
    --------
    >>> import numpy as np, simsplit
    >>> problem = simsplit.Problem(
    ...     initial=np.arange(3.0), kernel=simsplit.kernels.affine(offset=3, multiplier=5), delta_t=0.5, steps=2
    ... )
    >>> simsplit.run(problem, serial=True).history
    array([[0. , 0. , 0. ],
           [1.5, 4. , 6.5]])
    """
    communicator = connect(comm, serial=serial, expect_ranks=expect_ranks)
    result = execute(problem, communicator, verify=verify, output=output)
    require_identical(result, communicator)
    return result


def execute(
    problem: Problem,
    communicator: Communicator,
    *,
    verify: bool = False,
    output: str | os.PathLike[str] | None = None,
    watcher: Watcher | None = None,
) -> Result:
    """Run a simulation on `communicator`, as `run` does, but leave the verdict to the caller. Collective.

    A watcher, if there is one, must not stop it.
    A history that turns out to be different is not written.
    """
    with interrupts.held():
        return _execute(problem, communicator, verify=verify, output=output, watcher=watcher)


def _execute(
    problem: Problem,
    communicator: Communicator,
    *,
    verify: bool,
    output: str | os.PathLike[str] | None,
    watcher: Watcher | None,
) -> Result:
    root = communicator.rank == 0
    plan, parameters = common_plan(problem, communicator, verify=verify, output=output)
    with Agreement(communicator):
        file = open_output(output, plan.history_nbytes) if root and output is not None else None
        receiver = GatheredHistory(communicator, plan)
    timings = Timings()
    rows = distribute(problem, communicator, plan, parameters, timings)
    try:
        run_steps(communicator, plan, rows, receiver, timings, watcher=watcher)
        verification = verified(communicator, plan, rows, receiver) if verify else None
        receiver.finish()
    except BaseException:
        receiver.abort()
        raise
    with Agreement(communicator):
        if file is not None and receiver.history is not None and (verification is None or verification.identical):
            file.write(receiver.history)
    return result_of(problem, communicator, plan, timings, receiver.history, verification)


def distribute(
    problem: Problem, communicator: Communicator, plan: Plan, parameters: dict[str, Any], timings: Timings
) -> Rows:
    """Return this rank's rows: root's are scattered, those in a file are read by each rank. Collective."""
    begun = perf_counter()
    part = _part(problem.initial, communicator, plan)
    own = {
        name: scatter(communicator, plan.of(*value), problem.kernel.parameters[name])
        if isinstance(value, tuple)
        else value
        for name, value in parameters.items()
    }
    timings.scatter = perf_counter() - begun
    return Rows(problem, plan.bounds[communicator.rank][0], part, own)


def _part(initial: Any, communicator: Communicator, plan: Plan) -> Array:
    stored = communicator.bcast((initial if isinstance(initial, StoredRows) else None,))[0]
    if stored is None:
        return scatter(communicator, plan, initial)
    with Agreement(communicator):
        lower, upper = plan.bounds[communicator.rank]
        nbytes = (upper - lower) * plan.row_nbytes
        require(nbytes, f"the part of rank {communicator.rank}", "Use more nodes, or fewer ranks on each.")
        part: Array = stored.rows(lower, upper)
    return part


def result_of(
    problem: Problem,
    communicator: Communicator,
    plan: Plan,
    timings: Timings,
    history: Array | None,
    verification: Verification | None,
) -> Result:
    """Return what a run gives. Collective."""
    everyone = communicator.allgather((communicator.host, timings))
    return Result(
        history=history,
        time_grid=(problem.start_time, problem.delta_t, problem.steps),
        kept=problem.kept,
        ranks=communicator.size,
        bounds=plan.bounds,
        hosts=[host for host, _ in everyone],
        library=communicator.library,
        timings=Timings(
            scatter=max(each.scatter for _, each in everyone),
            compute=max(each.compute for _, each in everyone),
            gather=everyone[0][1].gather,
        ),
        nbytes={
            "initial": plan.initial_nbytes,
            "history": plan.history_nbytes,
            "scattered": plan.scattered_nbytes,
            "gathered": plan.gathered_nbytes,
        },
        verification=verification,
    )


def verified(communicator: Communicator, plan: Plan, rows: Rows, receiver: HistoryReceiver) -> Verification:
    """Compare a history with what one process computes. Collective."""
    from .engine.verifying import verify_steps

    return verify_steps(communicator, plan, rows, receiver)


def open_output(path: str | os.PathLike[str], nbytes: int) -> NpyOutput:
    """Return the file for a history of so many bytes, after looking whether it can be written."""
    from .store.npy import NpyOutput

    return NpyOutput(path, nbytes)


def require_identical(result: Result, communicator: Communicator) -> None:
    """Raise on every rank if the result was verified and is different. Collective."""
    with Agreement(communicator):
        if result.verification is not None and not result.verification.identical:
            raise VerificationError(
                f"the result of {counted(result.ranks, 'rank')} is not that of one process. {result.verification}. "
                "Nothing was written. A kernel must be row-local, write all of out, and give the same each time."
            )


def common_plan(
    problem: Problem, communicator: Communicator, *, verify: bool, output: str | os.PathLike[str] | None
) -> tuple[Plan, dict[str, Any]]:
    """Return root's plan and parameters, once all ranks are found to have the same problem. Collective.

    A parameter that is an array is given by its shape and dtype.
    """
    facts = None
    settings: dict[str, str] = {}
    with Agreement(communicator):
        if not isinstance(problem, Problem):
            raise InputError(f"problem must be a simsplit.Problem, not {problem!r}")
        settings = problem.settings() | {"verify": repr(bool(verify)), "output": _path(output)}
        if communicator.rank == 0:
            if problem.initial is None:
                raise InputError("initial is None on rank 0: rank 0 must have the array that is scattered")
            for name, value in problem.kernel.parameters.items():
                if value is None:
                    raise InputError(f"parameter {name} is None on rank 0: rank 0 must have the array")
            plan = Plan(
                problem.initial.shape,
                plain(problem.initial.dtype),
                history_dtype(problem, problem.initial),
                problem.steps,
                communicator.size,
                keep=problem.keep,
            )
            _require_countable(plan, communicator)
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
                f"the problem is not the same on all ranks: {names} on {ranks_in_short(wrong)} differ from rank 0. "
                "Give every rank the same options."
            )
    return plan, parameters


def _path(output: Any) -> str:
    try:
        return "none" if output is None else repr(os.fsdecode(output))
    except TypeError:
        raise InputError(f"output must be a path, such as 'history.npy', not {output!r}") from None


def _require_countable(plan: Plan, communicator: Communicator) -> None:
    rows, row = plan.shape[0], prod(plan.shape[1:]) * max(plan.dtype.itemsize, plan.history_dtype.itemsize)
    if max(rows, row) > communicator.largest_count:
        raise InputError(
            f"the array has {rows:,} rows of {readable(row)}, but {communicator.library} counts to "
            f"{communicator.largest_count:,} only. Use an MPI library of version 4 or later of the standard, such as "
            "MPICH, or shape the array into fewer rows."
        )


def history_dtype(problem: Problem, initial: Array) -> np.dtype[Any]:
    """Return the dtype of the history, without padding: what the kernel gives for the first row."""
    return results.history_dtype(problem.kernel, initial, problem.time(0), problem.delta_t, problem.seed)
