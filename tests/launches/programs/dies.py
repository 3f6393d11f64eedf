"""Rank 1 leaves between two agreements, as the argument says, while the others wait for it."""

import os
import signal
import sys

import simsplit


class CarelessError(simsplit.InputError):
    """Does not call the __init__ of its base."""

    def __init__(self) -> None:
        pass

    def __str__(self) -> str:
        return "no init"


def main() -> None:
    """Wait for each other, but for rank 1."""
    from mpi4py import MPI

    if MPI.COMM_WORLD.rank == 1:
        how = sys.argv[1]
        if how == "raise":
            raise LookupError("nobody foresaw this")
        if how == "exit":
            sys.exit(7)
        if how == "error":
            raise simsplit.InputError("wrong on rank 1 alone")
        if how == "pipe":
            raise BrokenPipeError
        if how == "mute":
            os.dup2(os.open("/dev/full", os.O_WRONLY), 2)
            raise simsplit.OutputError("nobody can read this")
        if how == "careless":
            raise CarelessError
        if how == "full":
            os.dup2(os.open("/dev/full", os.O_WRONLY), 1)
            print("what nobody can write", end="")
            raise simsplit.OutputError("the disk is full")
        os.kill(os.getpid(), signal.SIGKILL)
    MPI.COMM_WORLD.Barrier()


if __name__ == "__main__":
    simsplit.script(main)
