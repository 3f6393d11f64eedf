"""Agreement: what fails on one rank is raised on all, at an agreed place.

A rank that leaves by an exception while the others go on to a collective call leaves them waiting for
ever. So whatever can fail runs inside a ``with agreement:`` block, and at the end of the block, where
every rank arrives whether it failed or not, the ranks ask each other once (one small ``Allreduce``).
Only if one of them failed do they exchange the particulars, and each raises the same error.

The block must not contain a collective call: a rank that fails before it would not take part.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from ..errors import InputError, KernelError, RankFailure, SimsplitError, error_class, public_error_name
from ..util.formatting import format_ranks
from .interrupts import interrupts

if TYPE_CHECKING:
    from types import TracebackType

    from .interface import Communicator

_PACKAGE = __file__.removesuffix("communicator/agreement.py")
_FAILED = 1  # the lowest bit of what the ranks tell each other
_SHOWN = 8  # different tracebacks after the first, before the rest is only counted


class _RankTraceback(Exception):  # noqa: N818, the cause shown under an error, not raised by itself
    """The traceback of another rank."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text

    def __str__(self) -> str:
        return f'\n"""\n{self.text}"""'


class AgreedInterrupt(KeyboardInterrupt):
    """Ctrl-C, raised on every rank.

    Attributes
    ----------
    is_collective : bool
        As of a `SimsplitError`.
    """

    def __init__(self, *, is_collective: bool) -> None:
        super().__init__()
        self.is_collective = is_collective


class Agreement:
    """A block that succeeds on every rank or fails on every rank. Can be entered again and again.

    What the ranks ask of each other travels in the same message: each may set bits by `request` in the
    block, and after it finds in `requested` those of all ranks.

    Parameters
    ----------
    communicator : Communicator
        The ranks that agree; entering and leaving the block is collective among them.

    Raises
    ------
    SimsplitError
        On leaving the block, on every rank, if it raised on any: the type and the message of the lowest
        rank that failed. Errors of other types are wrapped (see `errors`).
    KeyboardInterrupt
        On every rank, if one was interrupted.

    Attributes
    ----------
    requested : int
        The bits that at least one rank set in the block that was left last.
    """

    def __init__(self, communicator: Communicator) -> None:
        self._communicator = communicator
        self._bits = 0
        self.requested = 0

    def request(self, bits: int) -> None:
        """Set bits for all ranks to know, 0 to 2^30 - 1. Not collective; for use in the block."""
        self._bits |= bits << 1

    def __enter__(self) -> None:
        self._bits = 0
        self._held = interrupts.hold(False)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> Literal[False]:
        interrupts.hold(True)
        try:
            failed = error is not None or interrupts.pending
            everyones = self._communicator.allreduce_or(self._bits | failed)
            if everyones & _FAILED:
                self._raise_everywhere(error)
            self.requested = everyones >> 1
        finally:
            interrupts.hold(self._held)
        return False

    def _raise_everywhere(self, error: BaseException | None) -> None:
        if error is None and interrupts.pending:
            error = KeyboardInterrupt()
        interrupts.pending = False
        mine = None if error is None else (_kind(error), _describe(error, self._communicator))
        reports = [report for report in self._communicator.allgather(mine) if report is not None]
        kind, first = reports[0]
        if any(kind == "KeyboardInterrupt" for kind, _ in reports):
            raise AgreedInterrupt(is_collective=self._communicator.is_world)
        failures = tuple(failure for _, failure in reports)
        agreed = _build(kind, failures, self._communicator.size, error)
        agreed.failures = failures
        agreed.is_reporter = self._communicator.rank == 0
        agreed.is_collective = self._communicator.is_world
        from .uncaught import tell_once  # few runs fail

        tell_once()
        if agreed is error:
            raise agreed
        raise agreed from (error or _RankTraceback(first.traceback))


def _kind(error: BaseException) -> str:
    """Name what the error becomes on every rank."""
    if isinstance(error, KeyboardInterrupt):
        return "KeyboardInterrupt"
    if isinstance(error, MemoryError):
        return InputError.__name__
    return public_error_name(error) if isinstance(error, SimsplitError) else SimsplitError.__name__


def _describe(error: BaseException, communicator: Communicator) -> RankFailure:
    import traceback

    message = _text(error)
    if isinstance(error, MemoryError):
        message = f"not enough memory: {message or 'an allocation failed'}. Use more nodes, or a smaller problem."
    of_kernel = isinstance(error, KernelError)
    cause = error.__cause__ if of_kernel and error.__cause__ else error
    trace = _users_part(cause.__traceback__)
    if of_kernel and trace is cause.__traceback__ and trace is not None and _is_ours(trace):
        trace = None  # what simsplit itself found wrong needs no traceback
    try:
        lines = traceback.format_exception(type(cause), cause, trace, chain=False)
    except Exception:  # noqa: BLE001, an error that cannot be written down is still an error
        lines = [f"{type(cause).__name__}: {_text(cause)}\n"]
    return RankFailure(communicator.rank, communicator.host, type(cause).__name__, message, "".join(lines))


def _text(error: BaseException) -> str:
    """Return the text of an error as a plain string, whatever its class makes of it."""
    try:
        return "".join([str(error)])
    except Exception:  # noqa: BLE001, see above
        return f"<a {type(error).__name__} that has no text>"


def _users_part(trace: TracebackType | None) -> TracebackType | None:
    """Drop the frames of simsplit above the user's code; keep all where there is no other code."""
    theirs = trace
    while theirs is not None and _is_ours(theirs):
        theirs = theirs.tb_next
    return theirs or trace


def _is_ours(trace: TracebackType) -> bool:
    return trace.tb_frame.f_code.co_filename.startswith(_PACKAGE)


def _build(kind: str, failures: tuple[RankFailure, ...], size: int, error: BaseException | None) -> SimsplitError:
    """Make the same error on every rank, of the same reports."""
    first = failures[0]
    foreseen = kind not in (KernelError.__name__, SimsplitError.__name__)
    if foreseen:
        if type(error) is error_class(kind) and _text(error) == first.message:
            assert isinstance(error, SimsplitError)  # noqa: S101, for the type checker
            return error
        return error_class(kind)(first.message)
    head = first.message
    if kind == SimsplitError.__name__:
        head = f"an error that simsplit did not foresee, on rank {first.rank} of {size} (host {first.host})"
    return error_class(kind)(f"{head}:\n{_tracebacks(failures)}All ranks stopped.")


def _tracebacks(failures: tuple[RankFailure, ...]) -> str:
    """Write the first rank's traceback, then those of the others, once for all that are alike."""
    groups: dict[str, list[int]] = {}
    for failure in failures:
        groups.setdefault(failure.traceback, []).append(failure.rank)
    (first, alike), *others = groups.items()
    parts = [first]
    if alike[1:]:
        parts.append(f"The same on {format_ranks(alike[1:])}.\n")
    parts.extend(f"On {format_ranks(ranks)}:\n{text}" for text, ranks in others[:_SHOWN])
    if others[_SHOWN:]:
        more = sorted(rank for _, ranks in others[_SHOWN:] for rank in ranks)
        parts.append(f"Other errors on {format_ranks(more)}.\n")
    return "".join(parts)
