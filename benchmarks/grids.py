"""Heat on a grid: steps of a stencil of five points by simsplit, beside the plain program of mpi4py and NumPy.

    mpiexec -n 2 python benchmarks/grids.py [cells along an axis [steps [rounds]]]

The plain program holds its rows with one more on both sides, sends its edges by ``Sendrecv`` before each step, and
computes the step by one NumPy expression of slices. It is what a textbook gives. Both keep the last step alone, both
run in turn, in the same processes, and both give the same bits, which is checked. Where they are installed, py-pde and
Dask's ``map_overlap`` compute the same grid on rank 0 alone. Gupd/s are 10⁹ updates of a cell a second.
"""

import sys
from statistics import median
from time import perf_counter

import numpy as np
from mpi4py import MPI

import simsplit

R = 0.2


def start(rows: range, n: int) -> np.ndarray:
    """Return rows to start from."""
    return np.sin(np.arange(rows.start, rows.stop) * 0.1)[:, None] * np.cos(np.arange(n) * 0.2)


def plain(comm: MPI.Intracomm, n: int, steps: int) -> tuple[float, np.ndarray | None]:
    """Return the seconds of the steps by the plain program, and the last step on root."""
    lower, upper = simsplit.bounds.part(n, comm.size, comm.rank)
    before, after = (comm.rank - 1) % comm.size, (comm.rank + 1) % comm.size
    x = np.empty((upper - lower + 2, n + 2))
    x[1:-1, 1:-1] = start(range(lower, upper), n)
    comm.Barrier()
    begun = perf_counter()
    for _ in range(steps):
        comm.Sendrecv(x[1], before, recvbuf=x[-1], source=after)
        comm.Sendrecv(x[-2], after, recvbuf=x[0], source=before)
        x[:, 0], x[:, -1] = x[:, -2], x[:, 1]
        around = x[:-2, 1:-1] + x[2:, 1:-1] + x[1:-1, :-2] + x[1:-1, 2:]
        x[1:-1, 1:-1] = x[1:-1, 1:-1] + R * (around - 4 * x[1:-1, 1:-1])
    comm.Barrier()
    seconds = perf_counter() - begun
    parts = comm.gather(x[1:-1, 1:-1])
    return seconds, None if parts is None else np.concatenate(parts)


def ours(comm: MPI.Intracomm, n: int, steps: int) -> tuple[float, np.ndarray | None, str]:
    """Return the seconds of the steps by simsplit, the last step on root, and how they were computed."""
    kernel = simsplit.kernels.expression("x + r * laplace(x)", kind="step", r=R)
    initial = start(range(n), n) if comm.rank == 0 else None
    grid = simsplit.Grid(boundary="periodic")
    problem = simsplit.Problem(initial, kernel, delta_t=1.0, steps=steps + 1, keep="last", grid=grid)
    result = simsplit.run(problem, comm=comm)
    last = None if result.history is None else result.history[0]
    return result.timings.steps, last, result.backend.rpartition("; ")[2]


def py_pde(n: int, steps: int) -> float:
    """Return the seconds of the steps by py-pde, without those to compile them, which it takes each time."""
    import pde

    grid = pde.CartesianGrid([[0, n], [0, n]], [n, n], periodic=True)
    field = pde.ScalarField(grid, start(range(n), n))
    equation = pde.PDE({"c": f"{R} * laplace(c)"})
    seconds = []
    for count in (steps, 11 * steps):
        begun = perf_counter()
        equation.solve(field, t_range=count, dt=1, tracker=None)
        seconds.append(perf_counter() - begun)
    return max(1e-9, seconds[1] - seconds[0]) / 10


def dask(n: int, steps: int) -> float:
    """Return the seconds of the steps by Dask, by two threads."""
    import dask.array

    def step(x: np.ndarray) -> np.ndarray:
        y = x.copy()
        around = x[:-2, 1:-1] + x[2:, 1:-1] + x[1:-1, :-2] + x[1:-1, 2:]
        y[1:-1, 1:-1] = x[1:-1, 1:-1] + R * (around - 4 * x[1:-1, 1:-1])
        return y

    x = dask.array.from_array(start(range(n), n), chunks=(max(1, n // 2), n))
    begun = perf_counter()
    for _ in range(steps):  # each by itself: a graph of all of them takes longer to make than to compute
        x = dask.array.from_array(
            x.map_overlap(step, depth=1, boundary="periodic").compute(scheduler="threads", num_workers=2),
            chunks=(max(1, n // 2), n),
        )
    return perf_counter() - begun


def main() -> None:
    """Measure and print."""
    n, steps, rounds = [int(text) for text in sys.argv[1:4]] + [4096, 40, 3][len(sys.argv) - 1 :]
    comm = MPI.COMM_WORLD
    alone = comm.Split(comm.rank, 0)
    seconds: dict[str, list[float]] = {}
    how = same = None
    for _ in range(rounds):
        found, expected = plain(comm, n, steps)
        seconds.setdefault("plain", []).append(found)
        found, last, how = ours(comm, n, steps)
        seconds.setdefault("simsplit", []).append(found)
        if last is not None and expected is not None:
            same = bool((last == expected).all()) and same is not False
        if comm.rank == 0:
            seconds.setdefault("one rank", []).append(ours(alone, n, steps)[0])
        comm.Barrier()
    if comm.rank == 0:
        peers = {"py-pde": py_pde, "Dask": dask}
        for name, measure in peers.items():
            try:
                seconds[name] = [measure(n, max(1, steps // 4)) * 4 for _ in range(rounds)]
            except ImportError:
                print(f"{name} is not installed")
        print(f"{n} × {n} float64, {steps} steps, {comm.size} ranks, {rounds} rounds, medians; {how}")
        for name, values in seconds.items():
            print(
                f"{name:10}{n * n * steps / median(values) / 1e9:8.3f} Gupd/s ({min(values):.2f}–{max(values):.2f} s)"
            )
        ours_median = median(seconds["simsplit"])
        for name in seconds.keys() - {"simsplit", "one rank"}:
            print(f"ratio     {median(seconds[name]) / ours_median:8.2f} × faster than {name}")
        efficiency = median(seconds["one rank"]) / ours_median / comm.size
        print(f"ratio     {efficiency:8.2f} of {comm.size} times one rank")
        print(f"the bits are {'the same' if same else 'DIFFERENT'}")
    comm.Barrier()


if __name__ == "__main__":
    main()
