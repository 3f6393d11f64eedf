"""Start sessions: join the ranks of a job, or several ranks within this process."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from ..communicator import Agreement, connect
from ..errors import InputError
from ..transport import open_port
from ..transport.loopback import loopback
from ..util.validation import integer
from .session import Session
from .settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mpi4py.MPI import Intracomm


def join(
    comm: Intracomm | None = None,
    *,
    settings: Settings | None = None,
    name_server: int = 0,
    expect_ranks: int | None = None,
) -> Session:
    """Join the ranks of a job. Collective.

    Parameters
    ----------
    comm : mpi4py.MPI.Intracomm, optional
        The ranks; it can be used for anything else meanwhile. By default all ranks of the job, or this process
        alone where it was started without a launcher.
    settings : Settings, optional
        By default what the variables ``SIMSPLIT_REMOTE_*`` say.
    name_server : int, default 0
        The rank of the name server; the same on every rank.
    expect_ranks : int, optional
        Any other number of ranks is an error.

    Returns
    -------
    Session
        To be used in a ``with`` statement.

    Raises
    ------
    SimsplitError
        The same on every rank: `InputError` or `LaunchError`.

    Examples
    --------
    ::

        with remote.join() as here:
            if here.rank == 1:
                here.serve(Calculator(), name="calculator_1")
            else:
                calculator = here.proxy("MPINAME:calculator_1")
                print(calculator.add(1, 2))
    """
    communicator = connect(comm, expect_ranks=expect_ranks, joins=True)
    with Agreement(communicator):
        chosen = Settings.from_environment() if settings is None else settings
        if integer("name_server", name_server, least=0) >= communicator.size:
            raise InputError(f"name_server must be a rank from 0 to {communicator.size - 1}, not {name_server}")
    return Session(open_port(communicator), chosen, name_server)


@contextmanager
def local(
    size: int = 1, *, settings: Settings | None = None, name_server: int = 0, threads: bool = False
) -> Iterator[list[Session]]:
    """Return ranks that live in this process, to try out and to test programs without MPI.

    Whichever of them waits makes progress for all, so that one thread is enough.

    Parameters
    ----------
    size : int
        How many.
    settings : Settings, optional
        Of all of them; by default what the variables ``SIMSPLIT_REMOTE_*`` say.
    name_server : int, default 0
        The rank of the name server.
    threads : bool, default False
        Whether each rank carries out its requests in a thread of its own, as ranks of a job do in processes.

    Yields
    ------
    list of Session

    Raises
    ------
    InputError
        If an argument is wrong.

    Examples
    --------
    >>> from simsplit import remote
    >>> @remote.expose
    ... class Calculator:
    ...     def add(self, a, b):
    ...         return a + b
    >>> with remote.local(2) as (here, there):
    ...     uri = there.serve(Calculator(), name="calculator")
    ...     here.proxy("MPINAME:calculator").add(1, 2)
    3
    """
    chosen = Settings.from_environment() if settings is None else settings
    group = [Session(port, chosen, name_server) for port in loopback(integer("size", size, least=1))]
    for here in group:
        if threads:
            here.start_service()
        else:
            here._join_group(group)  # noqa: SLF001, for this module alone
    try:
        yield group
    except BaseException as error:
        _close(group, error)
        raise
    _close(group, None)


def _close(group: list[Session], error: BaseException | None) -> None:
    for here in group:  # one thread closes them all, so none waits for the others by itself
        here._join_group(group)  # noqa: SLF001, as above
        here._leaving.passive = True  # noqa: SLF001, the same
    for here in group:
        here.close(error)
