"""How ranks talk: one contract, with MPI behind it or with a single process."""

from .agreement import Agreement
from .connect import connect
from .contract import Communicator, SharedFile
from .interrupts import interrupts
from .mpi import abort_job
from .port import Message, Port, Transfer, loopback

__all__ = [
    "Agreement",
    "Communicator",
    "Message",
    "Port",
    "SharedFile",
    "Transfer",
    "abort_job",
    "connect",
    "interrupts",
    "loopback",
]
