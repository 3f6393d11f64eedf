"""The public functions that run a problem."""

from __future__ import annotations

import os
import warnings
from contextlib import ExitStack, closing
from typing import TYPE_CHECKING, Any, Literal

from ..communicator import Agreement, Turn, connect
from ..errors import InputError
from ..util.validation import integer
from .destinations import Memory, require_identical
from .options import PROGRESS_EVERY, RunOptions, checked_options
from .pipeline import execute

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from mpi4py.MPI import Intracomm

    from ..communicator import Communicator
    from ..monitor.progress import ProgressObserver
    from ..problem import Problem
    from ..result import Result
    from .description import Description
    from .destinations import Destination
    from .observers import Step
    from .pipeline import MakeObserver, RunContext

    Watch = Callable[[Step], object] | Sequence[Callable[[Step], object]]


def run(
    problem: Problem,
    *,
    comm: Intracomm | None = None,
    serial: bool = False,
    expect_ranks: int | None = None,
    verify: bool = False,
    output: str | os.PathLike[str] | None = None,
    format: Literal["npy", "zarr", "h5"] | None = None,  # noqa: A002, it is called so everywhere
    overwrite: bool = False,
    accept_changes: bool = False,
    checkpoint_every: str | float | None = None,
    time_limit: str | float | None = None,
    hang_after: str | float | None = None,
    watch: Watch = (),
    every: int = 1,
    progress: bool | Literal["auto", "bar", "lines", "no"] = False,
    progress_every: str | float | None = None,
    transport: Literal["auto", "gatherv", "shared"] = "auto",
    block_size: int | None = None,
    backend: Literal["auto", "numpy", "numba"] = "auto",
    via: Literal["collective", "remote"] = "collective",
    check_rows: bool = True,
    depth: int | Literal["auto"] | None = None,
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
        Where the history goes beside, or instead of, root's memory. An ``.npy`` is written by root, and reductions
        beside it (``history.npy``, ``history.mean.npy``); a ``.zarr`` or ``.h5`` by all ranks, with reductions as
        variables of their own. Each appears whole or not at all. Any other name is a run directory, which holds
        everything about the run, and from which a run that was stopped or killed is resumed (see `resume`).
    format : {"npy", "zarr", "h5"}, optional
        Of the history in a run directory; by default "npy".
    overwrite : bool, default False
        Replace the run that is in the run directory.
    accept_changes : bool, default False
        Run though a file behind the problem was changed since its digest was written.
    checkpoint_every : str or float, optional
        Time between two checkpoints in a run directory, in seconds or as a text such as "5min", or a number of steps
        such as "500steps"; 0 is only when the run stops. By default "5min".
    time_limit : str or float, optional
        Stop in order after this time. In a run directory only.
    hang_after : str or float, optional
        End the job after so long without progress; 0 is never. In a run directory only; by default "10min".
    watch : callable or sequence of callable, optional
        Each is called on every rank after every step, or every `every`-th, with a `Step`: the step, its time, this
        rank's rows and their values. It may ask for a stop in order, for a checkpoint, or for a number over all
        ranks. What it raises on one rank is raised on all.
    every : int, default 1
        `watch` is called after steps 0, `every`, 2 `every` and so on.
    progress : bool or {"auto", "bar", "lines", "no"}, default False
        Tell on stderr how far the run is: by a bar, or by lines for a log. True is "auto": a bar where stderr, or that
        of mpiexec, is a terminal, else lines.
    progress_every : str or float, optional
        Time between two lines of progress, where stderr is no terminal. By default 10 seconds.
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
    via : {"collective", "remote"}, default "collective"
        How the ranks work together: by collective calls, or by remote objects that root calls for each step.
    check_rows : bool, default True
        Whether to look, in the first step and in some later ones, if a function or a class of your own is
        row-local: some rows are computed again beside others, and must have the same bits. Built-in kernels and
        expressions are.
    depth : int or "auto", optional
        How many steps of a kernel that reads neighbours are computed between two exchanges of rows: more of them take
        fewer messages, and some rows are computed by two ranks. By default as many as the latency of the messages pays.

    Returns
    -------
    Result
        The history is on root, unless all ranks wrote it to a file.

    Raises
    ------
    SimsplitError
        The same on every rank: `InputError`, `LaunchError`, `KernelError`, `OutputError`, `StoppedError` if a run
        in a run directory was stopped in order, or, with `verify`, `VerificationError`.

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
    given = {name: value for name, value in locals().items() if name in RunOptions.fields()}
    with Turn(comm, serial=serial) as turn:
        communicator = turn.communicator = connect(comm, serial=serial, expect_ranks=expect_ranks)
        options = RunOptions()
        with Agreement(communicator):
            options = checked_options(**given)
            functions, every = _checked_functions(watch), integer("every", every, least=1)
        destination = _destination(problem, communicator, options)
        result = run_into(problem, communicator, options, destination, functions, every)
        require_identical(result, communicator)
    if problem.doubt is not None and communicator.rank == 0:
        warnings.warn(problem.doubt, stacklevel=2)
    return result


def resume(
    path: str | os.PathLike[str],
    *,
    comm: Intracomm | None = None,
    serial: bool = False,
    expect_ranks: int | None = None,
    problem: Problem | None = None,
    accept_changes: bool = False,
    checkpoint_every: str | float | None = None,
    time_limit: str | float | None = None,
    hang_after: str | float | None = None,
    watch: Watch = (),
    every: int = 1,
    progress: bool | Literal["auto", "bar", "lines", "no"] = False,
    progress_every: str | float | None = None,
    check_rows: bool | None = None,
    depth: int | Literal["auto"] | None = None,
) -> Result | None:
    """Continue the run in a run directory, on any number of ranks. Collective.

    Parameters
    ----------
    path : path-like
        The run directory.
    comm, serial, expect_ranks, watch, every, progress, progress_every
        As of `run`.
    problem : Problem, optional
        The problem of the run, once more: for a kernel that no file can give again, as a lambda, a closure or an object
        of a class of the program's own. By default the problem is made from the run directory.
    accept_changes : bool, default False
        Go on though the problem, its files or the kernel were changed.
    checkpoint_every, time_limit, hang_after
        As of `run`; by default as when the run began.
    check_rows : bool, optional
        As of `run`; by default as when the run began.
    depth : int or "auto", optional
        As of `run`; by default as when the run began.

    Returns
    -------
    Result or None
        As of `run`, of the whole run; its history is None, for all ranks wrote it to the directory. None if the run was
        finished before: there is nothing to do.

    Raises
    ------
    SimsplitError
        The same on every rank, as of `run`; also if `problem` is needed, or is not that of the run.
    """
    given = {name: value for name, value in locals().items() if name in RunOptions.fields()}
    with Turn(comm, serial=serial) as turn:
        communicator = turn.communicator = connect(comm, serial=serial, expect_ranks=expect_ranks)
        functions: tuple[Callable[[Step], object], ...] = ()
        with Agreement(communicator):
            functions, every = _checked_functions(watch), integer("every", every, least=1)
        found = resume_into(
            path,
            communicator,
            problem,
            str,
            functions,
            every,
            **given,
        )
        return None if found is None else found[1]


def resume_into(
    path: str | os.PathLike[str],
    communicator: Communicator,
    problem: Problem | None,
    spell: Callable[[str], str],
    watch: Sequence[Callable[[Step], object]] = (),
    every: int = 1,
    **given: Any,
) -> tuple[Problem, Result] | None:
    """Continue the run in a run directory; return its problem and result, None if it is finished. Collective.

    Parameters
    ----------
    path, problem, watch, every
        As of `resume`, of which the functions are checked.
    communicator : Communicator
    spell : callable
        As of `checked_options`.
    **given
        The other options of `resume`.
    """
    from ..problem_file.build import make
    from ..problem_file.resolved import digests, require_unchanged
    from ..problem_file.settings import settings_from
    from ..rundir.digest import digest_of_text
    from ..rundir.directory import PROBLEM
    from .description import describe_problem
    from .run_directory import ResumedRunDirectory, read_run

    folder = os.fsdecode(path)
    record, text = read_run(communicator, folder)
    if record["status"] == "finished":
        return None
    everyone = communicator.allgather(problem is None)
    is_given, options, settings = problem is not None, RunOptions(), None
    with Agreement(communicator):
        if len(set(everyone)) > 1:
            raise InputError("problem is given on some ranks and not on others. Give it on all, or on none.")
        settings = settings_from(text, f"{folder}/{PROBLEM}")
        if problem is None:
            if (why := record["problem"].get("own_kernel")) is not None:
                raise InputError(
                    f"the run in {folder} needs its problem again: of the kernel {record['problem']['kernel']}, {why}. "
                    f"Resume it from its program: simsplit.resume({folder!r}, problem=problem)."
                )
            problem = make(settings, root=communicator.rank == 0)
        if given["check_rows"] is None:
            given["check_rows"] = settings.check_rows
        if given.get("depth") is None:
            given["depth"] = settings.depth
        kept = {name: getattr(settings, name) for name in ("transport", "block_size", "backend")}
        options = checked_options(spell, output=folder, **kept, **given)
    assert problem is not None  # noqa: S101, for mypy
    assert settings is not None  # noqa: S101, the same
    if is_given:
        as_begun = options.replace(check_rows=settings.check_rows, depth=settings.depth)
        found = describe_problem(problem, communicator, as_begun).facts["digests"]
    else:
        found = digests(settings, problem, communicator) | {"problem": digest_of_text(text)}
    with Agreement(communicator):
        expected = record["problem"].get("digests", {})
        others = {name: value for name, value in expected.items() if name != "problem"}
        if not options.accept_changes:
            if is_given:  # the text has the other digests in it
                require_unchanged(others, found)
            require_unchanged(expected, found, "the problem that is given" if is_given else PROBLEM)
    destination = ResumedRunDirectory(folder, options, record)
    return problem, run_into(problem, communicator, options, destination, watch, every)


def _checked_functions(watch: Any) -> tuple[Callable[[Step], object], ...]:
    """Return the functions of the argument `watch`, or raise an `InputError`."""
    functions = tuple(watch) if isinstance(watch, list | tuple) else (watch,)
    for function in functions:
        if not callable(function):
            raise InputError(f"watch must be a function of a step, or a list of such functions, not {function!r}")
    return functions


def _destination(problem: Problem, communicator: Communicator, options: RunOptions) -> Destination:
    def describe() -> Description:
        from .description import describe_problem

        return describe_problem(problem, communicator, options)

    return destination_of(options, describe)


def destination_of(options: RunOptions, describe: Callable[[], Description]) -> Destination:
    """Return the destination of a run that begins.

    Parameters
    ----------
    options : RunOptions
    describe : callable
        Returns what a run directory holds of the problem. Collective.
    """
    if options.output is None or options.kind == "npy":
        return Memory(options.transport, options.output)
    if options.kind == "directory":
        from .run_directory import NewRunDirectory

        return NewRunDirectory(options.output, options, describe())
    from .shared_file import SharedFile

    return SharedFile(options.output, options.kind)


def run_into(
    problem: Problem,
    communicator: Communicator,
    options: RunOptions,
    destination: Destination,
    watch: Sequence[Callable[[Step], object]] = (),
    every: int = 1,
) -> Result:
    """Run a problem into a destination, and leave the verdict to the caller. Collective.

    Parameters
    ----------
    problem : Problem
    communicator : Communicator
    options : RunOptions
    destination : Destination
    watch, every
        As of `run`, checked.
    """
    with ExitStack() as stack:
        made: list[MakeObserver] = []
        if watch:
            from .observers import UserObservers

            made.append(lambda run: UserObservers(run.communicator, run.problem, run.plan, watch, every))
        if options.told != "no" or options.kind == "directory":
            made.append(lambda run: stack.enter_context(closing(_progress(run, options))))
        if options.via == "remote":
            from .remote_run import execute_remote

            return execute_remote(problem, communicator, options, destination, observers=made)
        return execute(problem, communicator, options, destination, observers=made)


def _progress(run: RunContext, options: RunOptions) -> ProgressObserver:
    """Return the observer that tells how far the run is: on stderr if that is wanted, and in the log of the run."""
    from ..monitor.progress import Progress, ProgressObserver

    progress = None
    if run.communicator.rank == 0:
        seconds = PROGRESS_EVERY if options.progress_every is None else options.progress_every
        begun, log = run.output.start.next_step, run.output.log
        nbytes = 0 if log is None else run.plan.history_nbytes // max(1, len(run.plan.kept))
        progress = Progress(run.plan.steps, begun, nbytes, every=seconds, log=log, how=options.told)
    return ProgressObserver(progress, run.timings)
