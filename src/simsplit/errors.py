"""Every error that simsplit raises on purpose, with the exit status that it ends a program with.

::

    SimsplitError             1   a fault that no rank could foresee
    ├── InputError            2   a wrong option, value, file or problem (also a ValueError)
    ├── LaunchError           3   started in a way that would do the work several times, or not at all
    ├── KernelError           4   the kernel failed on at least one rank
    ├── OutputError           5   a result cannot be written where it was asked for
    ├── VerificationError     6   splitting changed the result
    ├── StoppedError         75   stopped in order before the end; the run can be resumed
    └── RemoteError           7   a call of a remote object could not be made, or has no answer
        ├── CodecError            a value cannot travel (also a TypeError)
        ├── UnknownNameError      no such name, object or rank (also a LookupError)
        ├── AccessDeniedError     the other rank does not accept it (also a PermissionError)
        ├── CallTimeoutError      no answer in time (also a TimeoutError)
        └── PeerGoneError         the other rank serves no more (also a ConnectionError)

An error of any rank is raised on *all* of them, at an agreed place: the same type, the same message,
with the particulars of each rank that failed in `SimsplitError.failures`.
"""

from __future__ import annotations

from typing import ClassVar, NamedTuple

INTERRUPTED = 130  # 128 + SIGINT, what a shell reports for a program that Ctrl-C ended


class RankFailure(NamedTuple):
    """What went wrong on one rank.

    Attributes
    ----------
    rank : int
        The rank, in the communicator of the run.
    host : str
        The name of its host.
    error : str
        Name of the exception's type on that rank, such as ``"ZeroDivisionError"``.
    message : str
        The exception as text.
    traceback : str
        The formatted traceback; it begins with the user's code where there is any.
    """

    rank: int
    host: str
    error: str
    message: str
    traceback: str


class SimsplitError(Exception):
    """The root of the tree: catch this to catch them all.

    Parameters
    ----------
    message : str
        What is wrong, why, and what to do about it.

    Attributes
    ----------
    exit_status : int
        What the program ends with if nobody catches the error.
    failures : tuple of RankFailure
        The ranks that failed, in order. Empty as long as the error is known on one rank only.
    is_reporter : bool
        Whether this rank is the one that tells the user.
    is_collective : bool
        Whether every process of the job raises this error, so that all can end in good order.
    """

    exit_status: ClassVar[int] = 1
    # On the class, for a class derived from it may forget to call its __init__.
    failures: tuple[RankFailure, ...] = ()
    is_reporter: bool = True
    is_collective: bool = False


class InputError(SimsplitError, ValueError):
    """A wrong option, value, file or problem."""

    exit_status = 2


class LaunchError(SimsplitError):
    """Started in a way that would do the work several times, or not at all."""

    exit_status = 3


class KernelError(SimsplitError):
    """The kernel failed on at least one rank."""

    exit_status = 4


class OutputError(SimsplitError):
    """A result cannot be written where it was asked for."""

    exit_status = 5


class VerificationError(SimsplitError):
    """The result of the ranks differs from that of one process."""

    exit_status = 6


class StoppedError(SimsplitError):
    """The run was stopped in order before its end, and can be resumed."""

    exit_status = 75  # EX_TEMPFAIL: try again later


class RemoteError(SimsplitError):
    """A call of a remote object could not be made, or there is no answer to it."""

    exit_status = 7


class CodecError(RemoteError, TypeError):
    """A value cannot travel between ranks, or what came is not a value."""


class UnknownNameError(RemoteError, LookupError):
    """There is no such name, object or rank."""


class AccessDeniedError(RemoteError, PermissionError):
    """The other rank does not accept the call: a limit, a validator, or a list of what is allowed."""


class CallTimeoutError(RemoteError, TimeoutError):
    """No answer within the time limit. Whether the call was carried out is not known."""


class PeerGoneError(RemoteError, ConnectionError):
    """The other rank serves no more. Whether a call that was on its way was carried out is not known."""


# The names that these two had at first; deprecated.
GoneError = PeerGoneError
RefusedError = AccessDeniedError


def error_class(name: str) -> type[SimsplitError]:
    """Return the class of the tree that is called `name`, or its root."""
    tree = (
        InputError,
        LaunchError,
        KernelError,
        OutputError,
        VerificationError,
        StoppedError,
        RemoteError,
        CodecError,
        UnknownNameError,
        AccessDeniedError,
        CallTimeoutError,
        PeerGoneError,
    )
    return next((kind for kind in tree if kind.__name__ == name), SimsplitError)


def public_error_name(error: SimsplitError) -> str:
    """Return the name of the class of the tree that `error` is, or that it was derived from."""
    return next(kind.__name__ for kind in type(error).__mro__ if kind.__module__ == __name__)
