"""Exceptions between ranks. They are raised again with the remote traceback as their cause."""

from __future__ import annotations

import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...errors import CodecError
from .codec import Encoded, Hooks, encode
from .values import stand_in, text_of

if TYPE_CHECKING:
    from types import TracebackType

_PLAIN = Hooks()
_PACKAGE = str(Path(__file__).parent)


class RemoteTraceback(Exception):  # noqa: N818, the cause shown under an error, never raised by itself
    """The traceback of another rank, as text: the cause of an exception that came from there.

    Attributes
    ----------
    text : str
        Rank, host, object and method, and the traceback from the user's code on. No local variables.
    """

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text

    def __str__(self) -> str:
        return f'\n"""\n{self.text}"""'


def encode_failure(error: BaseException, where: str, hooks: Hooks) -> Encoded:
    """Return an exception as the body of an answer."""
    return encode(failure(error, where, hooks), hooks)


def failure(error: BaseException, where: str, hooks: Hooks | None) -> list[Any]:
    """Return an exception, and its traceback as text, as they travel.

    One that cannot travel, or that would end the caller's program, is replaced by a `RemoteError` that
    names it.

    Parameters
    ----------
    error : BaseException
    where : str
        Rank, host, object and method.
    hooks : Hooks or None
        None: those without a remote object.
    """
    shown = traceback.TracebackException(type(error), error, _users_part(error.__traceback__), compact=True)
    text = f"On {where}:\n{''.join(shown.format())}"
    reason = "it ends a program"
    if isinstance(error, Exception):
        try:
            encode(error, _PLAIN if hooks is None else hooks)
        except CodecError as refusal:
            reason = str(refusal)
        else:
            return [error, text]
    cls = type(error)
    return [stand_in(cls.__module__, cls.__qualname__, text_of(error), f"{where} raised this; {reason}"), text]


def _users_part(trace: TracebackType | None) -> TracebackType | None:
    """Drop the frames of this package above the user's code; keep all where there is no other code."""
    theirs = trace
    while theirs is not None and theirs.tb_frame.f_code.co_filename.startswith(_PACKAGE):
        theirs = theirs.tb_next
    return theirs or trace


def decode_failure(value: Any) -> BaseException:
    """Return the exception of an answer, ready to be raised."""
    if type(value) is not list or len(value) != 2 or not isinstance(value[0], Exception):  # noqa: PLR2004, a pair
        return CodecError("an answer came that is neither a result nor an exception")
    error: Exception = value[0]
    error.__cause__ = RemoteTraceback(str(value[1]))
    return error
