"""Who is calling: what a method that runs for another rank can ask."""

from __future__ import annotations

from contextvars import ContextVar
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping


class CallContext(NamedTuple):
    """The call that is being carried out.

    Attributes
    ----------
    rank : int
        The caller's rank.
    host : str
        The caller's host, as it gave it.
    program : str
        The caller's program, as it gave it.
    object, method : str
        What was called.
    correlation : int
        Number of the call, unique at the caller.
    depth : int
        1 for a call that the caller made by itself, one more for each call within a call.
    oneway : bool
        Whether the caller waits.
    annotations : mapping of str to object
        What the caller added (see `RemoteMethod.options`).
    """

    rank: int
    host: str
    program: str
    object: str
    method: str
    correlation: int
    depth: int
    oneway: bool = False
    annotations: Mapping[str, Any] = MappingProxyType({})


current: ContextVar[CallContext | None] = ContextVar("simsplit.remote.context", default=None)


def call_context() -> CallContext | None:
    """Return the call that this code runs for, or None outside of one."""
    return current.get()
