"""More than 2^31 elements: an int8 array of 2^31 + 1000 rows, scattered and gathered.

    mpiexec -n 2 python benchmarks/large.py [gatherv|shared]

Takes about 6 GB. Libraries whose counts have 32 bits get what is longer in pieces; the result is compared.
"""

import sys
from time import perf_counter

import numpy as np
from mpi4py import MPI

import simsplit

ROWS = 2**31 + 1000


def main() -> None:
    """Run, compare and print."""
    comm = MPI.COMM_WORLD
    transport = sys.argv[1] if sys.argv[1:] else "gatherv"
    initial = None
    if comm.rank == 0:
        initial = np.zeros(ROWS, np.int8)
        initial[:: 2**20] = np.arange(len(initial[:: 2**20])) % 100
        initial[-1] = 77
    kernel = simsplit.kernels.function(lambda x: x + x.dtype.type(1), name="one more")
    problem = simsplit.Problem(initial, kernel, delta_t=1.0, steps=1)
    begun = perf_counter()
    result = simsplit.run(problem, comm=comm, transport=transport)
    seconds = perf_counter() - begun
    if initial is not None and result.history is not None:
        for lower in range(0, ROWS, 2**26):
            if not np.array_equal(
                result.history[0, lower : lower + 2**26], initial[lower : lower + 2**26] + np.int8(1)
            ):
                sys.exit(f"rows from {lower:,} on differ")
        library = MPI.Get_library_version().splitlines()[0].partition(",")[0]
        print(f"{ROWS:,} rows of int8 on {comm.size} ranks by {result.transport}, {library}: right, {seconds:.1f} s")


if __name__ == "__main__":
    main()
