"""Find the ranks of a run, and refuse a launch that would do the work several times."""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING

from ..errors import InputError
from . import launchers as launch
from .agreement import Agreement
from .mpi import MPICommunicator, load

if TYPE_CHECKING:
    from mpi4py.MPI import Intracomm

    from .interface import Communicator


def connect(comm: Intracomm | None = None, *, serial: bool = False, expect_ranks: int | None = None) -> Communicator:
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

    Raises
    ------
    InputError
        If an argument or the variable is wrong.
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
        raise launch.alone(launcher, communicator.library)
    # Ranks that can talk to each other agree on the error; those that are alone raise it each for itself.
    with Agreement(communicator) if communicator.size > 1 else nullcontext():
        _require_expected(launch.expected_ranks(expect_ranks), communicator, launcher)
    return communicator


def _require_expected(expected: int | None, communicator: Communicator, launcher: launch.Launcher | None) -> None:
    if expected is not None and communicator.size != expected:
        raise launch.unexpected(expected, communicator.size, communicator.library, launcher)


def _world(launcher: launch.Launcher | None) -> Communicator:
    try:
        mpi = load()
    except (ImportError, RuntimeError) as reason:
        if launcher is not None:
            raise launch.missing(launcher, reason) from reason
        return _this_process()
    return MPICommunicator(mpi.COMM_WORLD)


def _this_process() -> Communicator:
    from .serial import SingleProcess

    return SingleProcess()
