"""Communicators: one interface, implemented with MPI and for a single process."""

from .agreement import Agreement
from .connect import Turn, connect
from .interface import Communicator, SharedFile
from .interrupts import interrupts
from .mpi import abort_job

__all__ = [
    "Agreement",
    "Communicator",
    "SharedFile",
    "Turn",
    "abort_job",
    "connect",
    "interrupts",
]
