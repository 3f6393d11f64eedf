"""Many small steps: 100,000 steps of 1,000 float64 by simsplit, beside the bare kernel in one process.

    mpiexec -n 2 python benchmarks/steps.py [rows [steps [rounds]]]

The bare kernel is a loop of one NumPy expression over as many rows as rank 0 has, written into a history
of its own; both run in turn, in the same process.
"""

import sys
from statistics import median
from time import perf_counter

import numpy as np
from mpi4py import MPI

import simsplit

OFFSET, MULTIPLIER, DELTA_T = 3.0, 5.0, 1e-4


def bare(part: np.ndarray, steps: int) -> float:
    """Return the seconds that the loop takes."""
    begun = perf_counter()
    history = np.empty((steps, len(part)))
    for k in range(steps):
        history[k] = (OFFSET + part * MULTIPLIER) * (k * DELTA_T)
    return perf_counter() - begun


def split(initial: np.ndarray | None, steps: int, transport: str) -> tuple[float, str]:
    """Return the seconds that a run takes, and where they went."""
    kernel = simsplit.kernels.affine(offset=OFFSET, multiplier=MULTIPLIER)
    problem = simsplit.Problem(initial, kernel, delta_t=DELTA_T, steps=steps)
    MPI.COMM_WORLD.Barrier()
    begun = perf_counter()
    result = simsplit.run(problem, comm=MPI.COMM_WORLD, transport=transport)
    seconds = perf_counter() - begun
    return seconds, f"{result.transport}: " + ", ".join(f"{name} {part:.0%}" for name, part in result.shares.items())


def main() -> None:
    """Measure and print."""
    rows, steps, rounds = [int(text) for text in sys.argv[1:4]] + [1000, 100_000, 3][len(sys.argv) - 1 :]
    comm = MPI.COMM_WORLD
    initial = np.arange(float(rows)) if comm.rank == 0 else None
    part = np.arange(float(simsplit.bounds.part(rows, comm.size, 0)[1]))
    alone, ways = [], {"gatherv": [], "shared": []}
    for _ in range(rounds):
        comm.Barrier()
        if comm.rank == 0:
            alone.append(bare(part, steps))
        for way, seconds in ways.items():
            seconds.append(split(initial, steps, way))
    if comm.rank == 0:
        print(f"{steps:,} steps × {rows:,} float64, {comm.size} ranks, {rounds} rounds")
        print(f"bare kernel, {len(part):,} rows in one process: {median(alone) * 1e6 / steps:6.2f} µs a step")
        for results in ways.values():
            seconds = median(second for second, _ in results)
            share = results[-1][1]
            print(f"{seconds * 1e6 / steps:6.2f} µs a step, {seconds / median(alone):.2f} × the bare kernel; {share}")


if __name__ == "__main__":
    main()
