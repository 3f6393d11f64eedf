"""The one place where problem, communicator, engine and store are put together."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from time import perf_counter
from typing import TYPE_CHECKING, Any

import numpy as np

from .communicator import Agreement, Communicator, connect, interrupts
from .engine import Plan, Rows, Timings, run_steps, scatter
from .errors import InputError, KernelError, SimsplitError, VerificationError
from .problem import NUMERIC, Problem
from .store.memory import GatheredHistory
from .text import counted, ranks_in_short

if TYPE_CHECKING:
    import numpy.typing as npt
    from mpi4py.MPI import Intracomm

    from .engine import HistoryReceiver
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
) -> Result:
    """Run a simulation on `communicator`, as `run` does, but leave the verdict to the caller. Collective.

    A history that turns out to be different is not written.
    """
    with interrupts.held():
        return _execute(problem, communicator, verify=verify, output=output)


def _execute(
    problem: Problem, communicator: Communicator, *, verify: bool, output: str | os.PathLike[str] | None
) -> Result:
    root = communicator.rank == 0
    plan, parameters = _common_plan(problem, communicator, verify=verify, output=output)
    with Agreement(communicator):
        file = open_output(output, plan.history_nbytes) if root and output is not None else None
        receiver = GatheredHistory(communicator, plan)
    timings = Timings()
    begun = perf_counter()
    part = scatter(communicator, plan, problem.initial)
    own = {
        name: scatter(communicator, plan.of(*value), problem.kernel.parameters[name])
        if isinstance(value, tuple)
        else value
        for name, value in parameters.items()
    }
    timings.scatter = perf_counter() - begun
    rows = Rows(problem, plan.bounds[communicator.rank][0], part, own)
    try:
        run_steps(communicator, plan, rows, receiver, timings)
        verification = _verify(communicator, plan, rows, receiver) if verify else None
        receiver.finish()
    except BaseException:
        receiver.abort()
        raise
    with Agreement(communicator):
        if file is not None and receiver.history is not None and (verification is None or verification.identical):
            file.write(receiver.history)
    everyone = communicator.allgather((communicator.host, timings))
    return Result(
        history=receiver.history,
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


def _verify(communicator: Communicator, plan: Plan, rows: Rows, receiver: HistoryReceiver) -> Verification:
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


def _common_plan(
    problem: Problem, communicator: Communicator, *, verify: bool, output: str | os.PathLike[str] | None
) -> tuple[Plan, dict[str, Any]]:
    """Return root's plan and parameters, once all ranks are found to have the same problem.

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
                _plain(problem.initial.dtype),
                _plain(history_dtype(problem, problem.initial)),
                problem.steps,
                communicator.size,
                keep=problem.keep,
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
                f"the problem is not the same on all ranks: {names} on {ranks_in_short(wrong)} differ from rank 0. "
                "Give every rank the same options."
            )
    return plan, parameters


def _path(output: Any) -> str:
    try:
        return "none" if output is None else repr(os.fsdecode(output))
    except TypeError:
        raise InputError(f"output must be a path, such as 'history.npy', not {output!r}") from None


def _plain(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """Return the dtype without what users may hang on it, which need not travel."""
    return np.dtype(dtype.str)


def history_dtype(problem: Problem, initial: Array) -> np.dtype[Any]:
    """Return the dtype that the kernel gives, found out with the first row."""
    kernel = problem.kernel
    first = {
        name: _first(value) if isinstance(value, np.ndarray) else value for name, value in kernel.parameters.items()
    }
    rows = Rows(problem, 0, _first(initial), first)
    try:
        with np.errstate(all="ignore"):
            block = rows.block(0, 0, 1, rows.parameters(0, 1))
            given: Any = kernel.result_dtype(rows.initial(0, 1), block)
        if given is None:
            raise TypeError("result_dtype() returned nothing")  # noqa: TRY301, reported like what it raises itself
        result: np.dtype[Any] = np.dtype(given)
    except (SimsplitError, KeyboardInterrupt):
        raise
    except BaseException as error:
        raise KernelError(f"the kernel {kernel.name} failed for the first row, of {initial.dtype}") from error
    if result.kind not in NUMERIC or not result.isnative:
        raise KernelError(
            f"the kernel {kernel.name} gives {result} for an array of {initial.dtype}: "
            "it must be a numeric or complex dtype in the machine's byte order"
        )
    return result


def _first(array: Array) -> Array:
    """Return the first row, or one of zeros if there is none."""
    return array[:1] if len(array) else np.zeros((1, *array.shape[1:]), array.dtype)
