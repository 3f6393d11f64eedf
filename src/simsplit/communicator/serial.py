"""The communicator of a single process, without MPI, so that all code paths are the same."""

from __future__ import annotations

import platform
import sys
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from .interface import Array, Messages
    from .node import Node

T = TypeVar("T")


class _Nothing:
    """Messages of a single rank: none."""

    def start(self) -> None:
        """Do nothing."""

    test = finish = close = start


class SerialCommunicator:
    """One rank that is root. Never imports mpi4py."""

    comm = None
    rank = 0
    size = 1
    library = None
    thread_level = None
    is_world = True
    max_count = sys.maxsize

    def __init__(self) -> None:
        self.host = platform.node()

    def bcast(self, value: T | None) -> T:
        """Return `value`."""
        assert value is not None  # noqa: S101, for the type checker: root always has a value
        return value

    def allgather(self, value: T) -> list[T]:
        """Return `value` in a list."""
        return [value]

    def allreduce_or(self, bits: int) -> int:
        """Return `bits`."""
        return bits

    def exchange(self, sends: Mapping[int, Sequence[Array]], receives: Mapping[int, Sequence[Array]]) -> None:
        """Do nothing: there is nobody else."""

    def scatterv(self, whole: Array | None, spans: Sequence[tuple[int, int]], part: Array) -> None:
        """Do nothing: all rows are root's own."""

    def gatherv(self, parts: Array, spans: Sequence[tuple[int, int]], wholes: Array | None) -> None:
        """Do nothing: all rows are root's own."""

    def persistent(self, sends: Sequence[tuple[int, Array]], receives: Sequence[tuple[int, Array]]) -> Messages:
        """Return no messages: there is nobody else."""
        return _Nothing()

    def node(self) -> Node | None:
        """Return None: there is nobody to share with."""
        return None
