"""The context of a running request: who calls, and its annotations."""

from __future__ import annotations

from contextvars import ContextVar
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from ..wire.frame import Flag

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..link.identity import Connection


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


class Running(Protocol):
    """A request that is carried out: what a `CallContext` is made of, if anybody asks.

    Attributes
    ----------
    connection : Connection
    annotations : mapping of str to object
    nested : int
        How many requests run within each other, down to this one, on this thread.
    """

    object: str
    method: str
    correlation: int
    depth: int
    flags: int
    connection: Connection
    annotations: Mapping[str, Any]
    nested: int


current: ContextVar[Running | None] = ContextVar("simsplit.remote.server.context", default=None)


def context_of(running: Running) -> CallContext:
    """Return what the method that runs may know."""
    caller = running.connection
    return CallContext(
        caller.rank,
        caller.host,
        caller.program,
        running.object,
        running.method,
        running.correlation,
        running.depth,
        bool(running.flags & Flag.ONEWAY),
        dict(running.annotations),
    )


def call_context() -> CallContext | None:
    """Return the call that this code runs for, or None outside of one."""
    running = current.get()
    return None if running is None else context_of(running)
