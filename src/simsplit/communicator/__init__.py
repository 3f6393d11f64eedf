"""How ranks talk: one contract, with MPI behind it or with a single process."""

from .agreement import Agreement, interrupts
from .connect import connect
from .contract import Communicator
from .mpi import abort_job
from .single import nothing

__all__ = ["Agreement", "Communicator", "abort_job", "connect", "interrupts", "nothing"]
