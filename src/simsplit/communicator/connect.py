"""Find the ranks of a run, and refuse a launch that would do the work several times."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from ..errors import InputError
from . import launch
from .mpi import MPICommunicator, load
from .single import SingleProcess

if TYPE_CHECKING:
    from mpi4py.MPI import Intracomm

    from .contract import Communicator


def connect(comm: Intracomm | None = None, *, serial: bool = False, expect_ranks: int | None = None) -> Communicator:
    """Return the communicator of a run. Collective.

    Parameters
    ----------
    comm : mpi4py.MPI.Intracomm, optional
        The ranks that take part. By default all of ``MPI.COMM_WORLD``, or this process alone where MPI
        is missing and no launcher was seen.
    serial : bool
        Do without MPI.
    expect_ranks : int, optional
        Any other number of ranks is an error. Without `comm`, the variable ``SIMSPLIT_EXPECT_RANKS``
        says the same.

    Raises
    ------
    InputError
        If an argument or the variable is wrong.
    LaunchError
        If the number of ranks is not the expected one, or not the one that the launcher started.
    """
    if comm is not None and serial:
        raise InputError("comm and serial exclude each other: give one of them")
    launcher = launch.detect()
    expected = launch.expected_ranks(expect_ranks, {} if comm is not None else os.environ)
    communicator = MPICommunicator(comm) if comm is not None else _world(launcher, serial=serial)
    if comm is None and communicator.size == 1 and launcher is not None and launcher.count > 1:
        raise launch.alone(launcher, communicator.library)
    if expected is not None and communicator.size != expected:
        error = launch.unexpected(expected, communicator.size, communicator.library, launcher)
        if communicator.size > 1:
            error.reports_here = communicator.rank == 0
            error.on_all_ranks = communicator.whole_job
        raise error
    return communicator


def _world(launcher: launch.Launcher | None, *, serial: bool) -> Communicator:
    if serial:
        return SingleProcess()
    try:
        mpi = load()
    except (ImportError, RuntimeError) as reason:
        if launcher is not None:
            raise launch.missing(launcher, reason) from reason
        return SingleProcess()
    return MPICommunicator(mpi.COMM_WORLD)
