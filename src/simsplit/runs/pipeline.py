"""The one place where problem, communicator, engine and store are put together."""

from __future__ import annotations

import os
import warnings
from time import perf_counter
from typing import TYPE_CHECKING, Any, Literal

from ..communicator import Agreement, Communicator, Turn, connect, interrupts
from ..engine import Plan, Rows, Timings, block_nbytes, run_steps
from ..engine import backend_selection as backends
from ..engine.cache_blocking import FALLBACK
from ..errors import InputError, VerificationError
from ..history.select import receive
from ..result import Result, result_of
from ..util.formatting import counted
from .setup import How, common_plan, distribute

if TYPE_CHECKING:
    import numpy.typing as npt
    from mpi4py.MPI import Intracomm

    from ..communicator.node import Window
    from ..engine import HistoryReceiver, Watcher
    from ..engine.reductions import Reducer
    from ..history.formats.npy import NpyOutput
    from ..problem import Problem
    from ..verification import Verification

    Array = npt.NDArray[Any]


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
    check_rows: bool = True,
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
    check_rows : bool, default True
        Whether to look, in the first step and in some later ones, if a function or a class of your own is
        row-local: some rows are computed again beside others, and must have the same bits. Built-in kernels and
        expressions are.

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
    with Turn(comm, serial=serial) as turn:
        communicator = turn.communicator = connect(comm, serial=serial, expect_ranks=expect_ranks)
        how = How(
            verify=verify,
            output=output,
            transport=transport,
            block_size=block_size,
            backend=backend,
            check_rows=check_rows,
        )
        result = execute(problem, communicator, how)
        require_identical(result, communicator)
    if problem.doubt is not None and communicator.rank == 0:
        warnings.warn(problem.doubt, stacklevel=2)
    return result


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
        file = open_output(how.output, plan) if wanted and how.output is not None else None
        files = {name: open_output(reduced_path(how.output, name)) for name in problem.reduce if file is not None}
    receiver, transport = receive(communicator, plan, how.transport)
    timings = Timings()
    windows: list[Window | None] = []  # held as long as any rank reads its rows there
    try:
        rows = distribute(problem, communicator, plan, parameters, timings, transport.node, windows)
        with Agreement(communicator):
            reducer = _reducer(communicator, plan, problem)
        backend, block = backed(communicator, plan, rows, receiver, how)
        run_steps(
            communicator,
            plan,
            rows,
            receiver,
            timings,
            block=block,
            watcher=watcher,
            reducer=reducer,
            check_rows=how.check_rows,
        )
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
    return result.replace(reductions=reductions, transport=transport.name, transport_reason=transport.why)


def backed(communicator: Communicator, plan: Plan, rows: Rows, receiver: HistoryReceiver, how: How) -> tuple[str, int]:
    """Let what is asked for compute the rows; return what it is, for people, and the bytes of a block. Collective."""
    chosen = backends.choose(communicator, plan, rows, receiver, backends.checked(how.backend))
    rows.advance = chosen.advance or rows.advance
    return chosen.text, how.block_size or (block_nbytes() if chosen.advance is None else backends.BLOCK)


def _reducer(communicator: Communicator, plan: Plan, problem: Problem) -> Reducer | None:
    if not problem.reduce:
        return None
    from ..engine.reductions import Reducer

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
    from ..engine.verify import verify_reductions, verify_steps

    found = verify_steps(communicator, plan, rows, receiver, block)
    return found if reducer is None else verify_reductions(communicator, plan, rows, reducer.results, found)


def open_output(path: str | os.PathLike[str], plan: Plan | None = None) -> NpyOutput:
    """Return the file for a history, or for a reduction of one, after looking whether it can be written."""
    from ..history.formats import npy

    if plan is not None:
        npy.require_possible(plan.history_dtype)
    return npy.NpyOutput(path, 0 if plan is None else plan.history_nbytes)


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
