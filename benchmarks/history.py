"""A history of 10 steps × 8 million float64: simsplit beside the program that anyone would write first.

    mpiexec -n 2 python benchmarks/history.py [rows [steps [rounds]]]

The plain program scatters once with Scatterv; per step it evaluates one NumPy expression and gathers
with one Gatherv. simsplit does it by messages ("gatherv") and as it does by itself. All run in turn, in the
same processes, each into a history that rank 0 did not have; the ratios are those of the medians.
"""

import sys
from collections.abc import Callable
from statistics import median
from time import perf_counter

import numpy as np
from mpi4py import MPI

import simsplit

OFFSET, MULTIPLIER, DELTA_T = 3.0, 5.0, 0.5


def plain(initial: np.ndarray | None, rows: int, steps: int) -> np.ndarray | None:
    """Scatter, compute and gather as one would write it down."""
    comm = MPI.COMM_WORLD
    counts = [upper - lower for lower, upper in simsplit.bounds.bounds(rows, comm.size)]
    displacements = [lower for lower, _ in simsplit.bounds.bounds(rows, comm.size)]
    part = np.empty(counts[comm.rank])
    comm.Scatterv([initial, counts, displacements, MPI.DOUBLE] if comm.rank == 0 else None, part)
    history = np.empty((steps, rows)) if comm.rank == 0 else None
    for k in range(steps):
        result = (OFFSET + part * MULTIPLIER) * (k * DELTA_T)
        comm.Gatherv(result, [history[k], counts, displacements, MPI.DOUBLE] if history is not None else None)
    return history


def split(transport: str) -> Callable[..., np.ndarray | None]:
    """Return a program that does the same by simsplit."""

    def program(initial: np.ndarray | None, rows: int, steps: int) -> np.ndarray | None:
        del rows
        kernel = simsplit.kernels.affine(offset=OFFSET, multiplier=MULTIPLIER)
        problem = simsplit.Problem(initial, kernel, delta_t=DELTA_T, steps=steps)
        return simsplit.run(problem, comm=MPI.COMM_WORLD, transport=transport).history

    return program


def timed(program: Callable[..., np.ndarray | None], *arguments: object) -> tuple[float, np.ndarray | None]:
    """Return the seconds between two barriers, and the history."""
    MPI.COMM_WORLD.Barrier()
    begun = perf_counter()
    history = program(*arguments)
    MPI.COMM_WORLD.Barrier()
    return perf_counter() - begun, history


def main() -> None:
    """Measure and print."""
    rows, steps, rounds = [int(text) for text in sys.argv[1:4]] + [8_000_000, 10, 7][len(sys.argv) - 1 :]
    root = MPI.COMM_WORLD.rank == 0
    initial = np.arange(float(rows)) if root else None
    programs = {"plain": plain, "gatherv": split("gatherv"), "simsplit": split("auto")}
    seconds: dict[str, list[float]] = {name: [] for name in programs}
    for number in range(rounds + 1):
        expected = None
        for name, program in programs.items():
            once, found = timed(program, initial, rows, steps)
            if number:
                seconds[name].append(once)
            elif expected is None:  # a warm-up, and the proof that all compute the same
                expected = found
            elif root and not np.array_equal(expected, found):
                sys.exit("the histories differ")
            del found
    if root:
        library = MPI.Get_library_version().splitlines()[0]
        print(f"{steps} steps × {rows:,} float64, {MPI.COMM_WORLD.size} ranks, {rounds} rounds, {library}")
        for name, values in seconds.items():
            middle, rate = median(values) * 1e3, rows * steps * 8 / median(values) / 1e9
            print(f"{name:9} median {middle:8.1f} ms  least {min(values) * 1e3:8.1f} ms  {rate:6.1f} GB/s")
        for name in ("gatherv", "simsplit"):
            ratio = median(seconds["plain"]) / median(seconds[name])
            print(f"ratio     {ratio:.2f} × faster than the plain program: {name}")


if __name__ == "__main__":
    main()
