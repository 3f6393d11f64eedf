"""How ranks talk: one contract, with MPI behind it or with a single process."""

from .agreement import Agreement
from .connect import connect
from .interface import Communicator, SharedFile
from .interrupts import interrupts
from .mpi import abort_job

__all__ = [
    "Agreement",
    "Communicator",
    "SharedFile",
    "abort_job",
    "connect",
    "interrupts",
]
