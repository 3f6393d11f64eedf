"""Connect to the ranks of a run. Refuse launches that would repeat the work, and overlapping runs."""

from __future__ import annotations

from _thread import allocate_lock, get_ident
from contextlib import nullcontext
from typing import TYPE_CHECKING, Literal, Self

from ..errors import InputError, SimsplitError
from ..util.forks import forked_from_mpi
from . import launchers as launch
from .agreement import AgreedInterrupt, Agreement
from .mpi import MPICommunicator, load

if TYPE_CHECKING:
    from types import TracebackType

    from mpi4py.MPI import Intracomm

    from .interface import Communicator

_keyval: int | None = None
_lock = allocate_lock()
_THREADS = (
    "two runs on one communicator at the same time, of two threads: the ranks would mix them up. Run one after the "
    "other, or give each a communicator of its own (comm=MPI.COMM_WORLD.Dup()), or serial=True to run in this process "
    "alone."
)
_KERNEL = (
    "a kernel cannot start a run on the ranks that compute it: they are not all there at the same time. Give "
    "serial=True to run in this process alone."
)


_RUNS, _JOINS = 1, 2  # bits: what a program of the job is going to do


def connect(
    comm: Intracomm | None = None, *, serial: bool = False, expect_ranks: int | None = None, joins: bool = False
) -> Communicator:
    """Return the communicator of a run. Collective.

    Parameters
    ----------
    comm : mpi4py.MPI.Intracomm, optional
        The ranks that take part. By default all of ``MPI.COMM_WORLD``, or this process alone where MPI
        is missing and no launcher was seen.
    serial : bool
        This process alone, without MPI, whatever the others do.
    expect_ranks : int, optional
        Any other number of ranks is an error. Of the whole job the variable ``SIMSPLIT_EXPECT_RANKS``
        says the same.
    joins : bool
        For remote objects, and not for a run: the programs of a job must all do the one or the other.

    Raises
    ------
    InputError
        If an argument or the variable is wrong, or another program of the job does something else.
    LaunchError
        If the number of ranks is not the expected one, or not the one that the launcher started.
    """
    if comm is not None:
        communicator: Communicator = MPICommunicator(comm)
        with Agreement(communicator):
            if serial:
                raise InputError("comm and serial exclude each other: give one of them")
            _require_expected(launch.expected_ranks(expect_ranks, {}), communicator, None)
        return communicator
    if serial:
        communicator = _this_process()
        _require_expected(launch.expected_ranks(expect_ranks, {}), communicator, None)
        return communicator
    launcher = launch.detect()
    communicator = _world(launcher)
    if communicator.size == 1 and launcher is not None and launcher.count > 1:
        raise launch.alone_error(launcher, communicator.library)
    # Ranks that can talk to each other agree on the error; those that are alone raise it each for itself.
    agreement = Agreement(communicator)
    with agreement if communicator.size > 1 else nullcontext():
        agreement.request(_JOINS if joins else _RUNS)
        _require_expected(launch.expected_ranks(expect_ranks), communicator, launcher)
    if agreement.requested == _RUNS | _JOINS:
        with agreement:
            raise InputError(
                "some programs of this job want to work with remote objects (simsplit remote), others to run a "
                "simulation or another command. Start them as two jobs."
            )
    return communicator


def _require_expected(expected: int | None, communicator: Communicator, launcher: launch.Launcher | None) -> None:
    if expected is not None and communicator.size != expected:
        raise launch.unexpected_error(expected, communicator.size, communicator.library, launcher)


def _world(launcher: launch.Launcher | None) -> Communicator:
    try:
        mpi = load()
    except (ImportError, RuntimeError) as reason:
        if launcher is not None:
            raise launch.missing_error(launcher, reason) from reason
        return _this_process()
    if forked_from_mpi() and mpi.COMM_WORLD.Get_size() == 1:
        return _this_process()
    return MPICommunicator(mpi.COMM_WORLD)


def _this_process() -> Communicator:
    from .serial import SerialCommunicator

    return SerialCommunicator()


class _Turns:
    """What hangs on a communicator: who runs on it.

    Another run at the same time, of a second thread or of a kernel, would mix up the messages of both. The ranks cannot
    agree on this at once, for their communicator is in use. So a rank that refuses a run tells the others at the end of
    the run that goes on, which then fails on all of them. Each counts the runs that it refused meanwhile: the others
    owe as many refusals, for they may be asked for the same runs later.
    """

    def __init__(self) -> None:
        self.thread: int | None = None  # of the run that goes on
        self.refused = 0  # while it went on
        self.owed = 0
        self.ending = False
        self.over = allocate_lock()  # held as long as a run goes on


class Turn:
    """A block in which no other run begins on a communicator. Leaving it is collective, unless it failed here alone.

    Parameters
    ----------
    comm : mpi4py.MPI.Intracomm or None
        None stands for all ranks of the job.
    serial : bool
        There are no other ranks: anything may go on beside it.

    Attributes
    ----------
    communicator : Communicator or None
        To be set in the block.

    Raises
    ------
    InputError
        On entering it, if a run goes on there; on leaving it, on every rank, if another was refused meanwhile.
    """

    def __init__(self, comm: Intracomm | None, *, serial: bool) -> None:
        self._turns = None if serial else _turns_of(comm)
        self.communicator: Communicator | None = None

    def __enter__(self) -> Self:
        if self._turns is not None:
            _begin(self._turns)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> Literal[False]:
        turns, communicator = self._turns, self.communicator
        if turns is None:
            return False
        agreed = isinstance(error, AgreedInterrupt) or (isinstance(error, SimsplitError) and bool(error.failures))
        try:
            if communicator is not None and (error is None or agreed):
                _end(turns, communicator, failed=agreed)
        finally:
            with _lock:
                turns.thread, turns.ending = None, True
                turns.over.release()
        return False


def _begin(turns: _Turns) -> None:
    while True:
        with _lock:
            if turns.thread == get_ident():  # the ranks agree on the failure of the kernel
                raise InputError(_KERNEL)
            if turns.thread is None and turns.owed:
                turns.owed -= 1
                raise InputError(_THREADS)
            if turns.over.acquire(blocking=False):
                turns.thread, turns.refused, turns.ending = get_ident(), 0, False
                return
            if not turns.ending:
                turns.refused += 1
                raise InputError(_THREADS)
        with turns.over:  # the other one is about to end
            pass


def _end(turns: _Turns, communicator: Communicator, *, failed: bool) -> None:
    agreement = Agreement(communicator)
    with agreement:
        with _lock:
            turns.ending = True
        agreement.request(int(turns.refused > 0))
    if agreement.requested:
        turns.owed = max(communicator.allgather(turns.refused)) - turns.refused
        with Agreement(communicator):
            if not failed:
                raise InputError(_THREADS)


def _turns_of(comm: Intracomm | None) -> _Turns | None:
    """Return what hangs on a communicator, None if it has no other ranks; whether it can be used is not looked at."""
    global _keyval  # noqa: PLW0603, one key for all communicators of the process
    try:
        mpi = load()
    except (ImportError, RuntimeError):
        return None
    comm = mpi.COMM_WORLD if comm is None else comm
    if not isinstance(comm, mpi.Intracomm) or comm == mpi.COMM_NULL or not mpi.Is_initialized() or mpi.Is_finalized():
        return None
    if comm.Get_size() == 1:
        return None
    with _lock:
        if _keyval is None:
            _keyval = mpi.Comm.Create_keyval()
        turns: _Turns | None = comm.Get_attr(_keyval)
        if turns is None:
            turns = _Turns()
            comm.Set_attr(_keyval, turns)
    return turns
