"""Point-to-point messages between ranks, which `remote` stands on."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..communicator import Communicator
    from .interface import Transport

__all__ = ["open_port"]


def open_port(communicator: Communicator) -> Transport:
    """Return this rank's end of messages between the ranks of `communicator`. Collective.

    Nobody else sends to it.
    """
    if communicator.comm is None:
        from .loopback import loopback

        return loopback(1)[0]
    from .mpi import MPIPort

    return MPIPort(communicator.comm, communicator.host)
