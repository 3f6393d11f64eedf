"""The one place where problem, communicator, engine and store are put together."""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace
from time import perf_counter
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from .checks import integer
from .communicator import Agreement, Communicator, connect, interrupts
from .dtypes import plain
from .engine import Plan, Rows, Timings, block_nbytes, run_steps, scatter, scatter_by_nodes
from .engine import backend as backends
from .engine.blocks import FALLBACK
from .errors import InputError, VerificationError
from .kernels import results
from .memory import require
from .problem import Problem, StoredRows
from .store.transport import TRANSPORTS, receive
from .text import counted, ranks_in_short

if TYPE_CHECKING:
    import numpy.typing as npt
    from mpi4py.MPI import Intracomm

    from .communicator.node import Node, Window
    from .engine import HistoryReceiver, Watcher
    from .engine.reducing import Reducer
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
        long root took to gather, to write, and for all steps.
    nbytes : dict of str to int
        Bytes of the ``initial`` array and of the ``history``, and how many of them were ``scattered``
        from root to other ranks and ``gathered`` from them.
    verification : Verification or None
        What comparing with one process found; None if it was not asked for.
    note : str or None
        What else is to be said about the run.
    reductions : dict of str to ndarray, shape (steps, ...)
        ``reductions["mean"][k]`` is the mean over all rows of step k, kept or not; see `Problem`. On root;
        empty elsewhere.
    transport : {"gatherv", "shared"}
        How the results came to root: by messages, or through memory that ranks of a node share.
    transport_reason : str
        Why that way.
    shares : dict of str to float
        How root spent its time, as parts of 1: on ``compute``, on ``communication`` (scattering, gathering and
        waiting for other ranks) and on ``output``.
    backend : str
        What did the arithmetic, and why: "numba (affine, 640 MB)", or "NumPy: …".
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
    reductions: dict[str, Array] = field(default_factory=dict, repr=False)
    transport: str = "gatherv"
    transport_reason: str = ""
    shares: dict[str, float] = field(default_factory=dict)
    backend: str = "NumPy"

    @property
    def rate(self) -> float:
        """Bytes of the history computed and brought to root in a second, by root's clock; 0 if it is empty."""
        seconds = self.timings.steps
        return self.nbytes["history"] / seconds if seconds else 0.0

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
    transport: Literal["auto", "gatherv", "shared"] = "auto",
    block_size: int | None = None,
    backend: Literal["auto", "numpy", "numba"] = "auto",
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
        Where root writes the history: a ``.npy`` file, which appears whole or not at all. Reductions go
        beside it: ``history.npy``, ``history.mean.npy``.
    transport : {"auto", "gatherv", "shared"}, default "auto"
        How the results come to root: by messages, or through memory that the ranks of a node share. "auto"
        takes the shared memory where there is some, unless the history is small. Between nodes one rank of
        each sends its node's rows. Where there is no shared memory they are gathered in any case, and
        `Result.transport_reason` says so.
    block_size : int, optional
        How many bytes of the result of a step are computed at a time; at least one row is. By default a
        share of the processor's cache.
    backend : {"auto", "numpy", "numba"}, default "auto"
        What does the arithmetic. "auto" takes compiled code where it gives NumPy's bits and saves time, else
        NumPy; "numba" takes compiled code even where the last bit of a function may differ.

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
    how = How(verify=verify, output=output, transport=transport, block_size=block_size, backend=backend)
    result = execute(problem, communicator, how)
    require_identical(result, communicator)
    return result


@dataclass(frozen=True, slots=True)
class How:
    """How a problem is run; what it is does not depend on it. The arguments of `run` of these names."""

    verify: bool = False
    output: str | os.PathLike[str] | None = None
    transport: str = "auto"
    block_size: int | None = None
    backend: str = "auto"

    def settings(self) -> dict[str, str]:
        """Return all of it as texts: what every rank must have the same of.

        Raises
        ------
        InputError
            If a value is wrong.
        """
        if self.transport not in TRANSPORTS:
            raise InputError(f'transport must be "auto", "gatherv" or "shared", not {self.transport!r}')
        if self.block_size is not None:
            integer("block_size", self.block_size, least=1)
        return {
            "verify": repr(bool(self.verify)),
            "output": _path(self.output),
            "transport": self.transport,
            "block_size": repr(self.block_size),
            "backend": backends.checked(self.backend),
        }


def execute(
    problem: Problem, communicator: Communicator, how: How | None = None, *, watcher: Watcher | None = None
) -> Result:
    """Run a simulation on `communicator`, as `run` does, but leave the verdict to the caller. Collective.

    A watcher, if there is one, must not stop it.
    A history that turns out to be different is not written.
    """
    with interrupts.held():
        return _execute(problem, communicator, How() if how is None else how, watcher)


def _execute(problem: Problem, communicator: Communicator, how: How, watcher: Watcher | None) -> Result:
    plan, parameters = common_plan(problem, communicator, how)
    with Agreement(communicator):
        wanted = how.output is not None and communicator.rank == 0
        file = open_output(how.output, plan.history_nbytes) if wanted and how.output is not None else None
        files = {name: open_output(reduced_path(how.output, name), 0) for name in problem.reduce if file is not None}
    receiver, transport = receive(communicator, plan, how.transport)
    timings = Timings()
    windows: list[Window | None] = []  # held as long as any rank reads its rows there
    try:
        rows = distribute(problem, communicator, plan, parameters, timings, transport.node, windows)
        with Agreement(communicator):
            reducer = _reducer(communicator, plan, problem)
        backend, block = backed(communicator, plan, rows, receiver, how)
        run_steps(communicator, plan, rows, receiver, timings, block=block, watcher=watcher, reducer=reducer)
        verification = verified(communicator, plan, rows, receiver, block, reducer) if how.verify else None
        receiver.finish()
    except BaseException:
        receiver.abort()
        raise
    begun = perf_counter()
    reductions = {} if reducer is None else reducer.results
    with Agreement(communicator):
        if file is not None and receiver.history is not None and (verification is None or verification.identical):
            file.write(receiver.history)
            for name, reduced in reductions.items():
                files[name].write(reduced)
    if how.output is not None:
        timings.output = perf_counter() - begun
    result = result_of(problem, communicator, plan, timings, receiver.history, verification, backend)
    return replace(result, reductions=reductions, transport=transport.name, transport_reason=transport.why)


def backed(communicator: Communicator, plan: Plan, rows: Rows, receiver: HistoryReceiver, how: How) -> tuple[str, int]:
    """Let what is asked for compute the rows; return what it is, for people, and the bytes of a block. Collective."""
    chosen = backends.choose(communicator, plan, rows, receiver, backends.checked(how.backend))
    rows.advance = chosen.advance or rows.advance
    return chosen.text, how.block_size or (block_nbytes() if chosen.advance is None else backends.BLOCK)


def distribute(
    problem: Problem,
    communicator: Communicator,
    plan: Plan,
    parameters: dict[str, Any],
    timings: Timings,
    node: Node | None = None,
    windows: list[Window | None] | None = None,
) -> Rows:
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

    stored = communicator.bcast((problem.initial if isinstance(problem.initial, StoredRows) else None,))[0]
    initial = part(plan, problem.initial) if stored is None else _read(stored, communicator, plan)
    own = {
        name: part(plan.of(*value), problem.kernel.parameters[name]) if isinstance(value, tuple) else value
        for name, value in parameters.items()
    }
    timings.scatter = perf_counter() - begun
    return Rows(problem, plan.bounds[communicator.rank][0], initial, own)


def _read(stored: StoredRows, communicator: Communicator, plan: Plan) -> Array:
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
    backend: str,
) -> Result:
    """Return what a run gives. Collective."""
    everyone = communicator.allgather((communicator.host, timings))
    roots = everyone[0][1]
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
            gather=roots.gather,
            output=roots.output,
            steps=roots.steps,
        ),
        nbytes={
            "initial": plan.initial_nbytes,
            "history": plan.history_nbytes,
            "scattered": plan.scattered_nbytes,
            "gathered": plan.gathered_nbytes,
        },
        verification=verification,
        shares=_shares(roots),
        backend=backend,
    )


def _shares(seconds: Timings) -> dict[str, float]:
    """Return how a rank spent its time, as parts of 1."""
    spent = {
        "compute": seconds.compute,
        "communication": seconds.scatter + seconds.gather,
        "output": seconds.output,
    }
    total = sum(spent.values()) or 1.0
    return {name: value / total for name, value in spent.items()}


def _reducer(communicator: Communicator, plan: Plan, problem: Problem) -> Reducer | None:
    if not problem.reduce:
        return None
    from .engine.reducing import Reducer

    if not plan.shape[0]:
        raise InputError(f"the array has no rows, which have no {problem.reduce[0]}. Leave out reduce.")
    if plan.history_dtype.names:
        raise InputError(f"values with fields ({plan.history_dtype}) have no {problem.reduce[0]}. Leave out reduce.")
    return Reducer(communicator, plan, problem.reduce)


def reduced_path(output: str | os.PathLike[str] | None, name: str) -> str:
    """Return where a reduction is written, beside the history.

    >>> reduced_path("runs/history.npy", "mean")
    'runs/history.mean.npy'
    """
    return f"{os.fsdecode(output or '').removesuffix('.npy')}.{name}.npy"


def verified(
    communicator: Communicator,
    plan: Plan,
    rows: Rows,
    receiver: HistoryReceiver,
    block: int = FALLBACK,
    reducer: Reducer | None = None,
) -> Verification:
    """Compare a history, and reductions, with what one process computes. Collective."""
    from .engine.verifying import verify_reductions, verify_steps

    found = verify_steps(communicator, plan, rows, receiver, block)
    return found if reducer is None else verify_reductions(communicator, plan, rows, reducer.results, found)


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
                f"Nothing was written. {_reason(result)}"
            )


def _reason(result: Result) -> str:
    """Return what may be behind a result that is not that of one process."""
    if "of the C library" in result.backend:
        return f"The backend is {result.backend}; NumPy's own functions may differ in the last bit. Take auto."
    return "A kernel must be row-local, write all of out, and give the same each time."


def common_plan(problem: Problem, communicator: Communicator, how: How) -> tuple[Plan, dict[str, Any]]:
    """Return root's plan and parameters, once all ranks are found to have the same problem. Collective.

    A parameter that is an array is given by its shape and dtype.
    """
    facts = None
    settings: dict[str, str] = {}
    with Agreement(communicator):
        if not isinstance(problem, Problem):
            raise InputError(f"problem must be a simsplit.Problem, not {problem!r}")
        settings = problem.settings() | how.settings()
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


def history_dtype(problem: Problem, initial: Array) -> np.dtype[Any]:
    """Return the dtype of the history, without padding: what the kernel gives for the first row."""
    return results.history_dtype(problem.kernel, initial, problem.time(0), problem.delta_t, problem.seed)
