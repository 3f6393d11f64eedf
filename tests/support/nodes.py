"""Ranks on one node that take themselves for ranks on several."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from simsplit.communicator import connect

if TYPE_CHECKING:
    from collections.abc import Iterator

    from simsplit.communicator.mpi import MPICommunicator

PLACES: dict[str, Any] = {
    "one node": lambda _: 0,
    "round robin": lambda rank: rank % 2,
    "in blocks": lambda rank: rank // 2,
    "the first alone": lambda rank: int(rank > 0),
    "the last alone": lambda rank: int(rank == 3),
    "backwards": lambda rank: (3, 2, 2, 3)[rank],
}


@contextmanager
def placed(place: str) -> Iterator[MPICommunicator]:
    """Connect the ranks, placed on nodes in one of these ways."""
    from mpi4py import MPI

    communicator: Any = connect()
    node, made = communicator.node_of(MPI.COMM_WORLD.Split(PLACES[place](communicator.rank)))
    communicator._node = node
    yield communicator
    for each in made:
        each.Free()
