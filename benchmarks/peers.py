"""The same work by other means: NumPy, numexpr, mpi4py, mpi4py.futures, Heat, Dask, Pyro5, and simsplit.

    python benchmarks/peers.py [rows [steps [cycles]]]        (make bench-peers installs them)

The work: an array of float64 in one process, ``(offset + x * multiplier) * t`` for each step by two workers,
the whole history in the first process. What is timed begins with the array and ends with the history in
memory; starting workers and connecting to them is not. Each means takes that memory as it does by itself: new
from the system, but simsplit takes what its last run has given back. Each runs in processes of its own, all in
turn, a few times over; the ratios are those of the medians. A means that is not installed is named, and left out.

None is held back: where its documentation names several ways, the fastest that fits the work is taken, and beside
it, if that is another, the one that it takes by itself.
"""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from functools import partial
from importlib import metadata
from itertools import pairwise
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Literal

import numpy as np

OFFSET, MULTIPLIER, DELTA_T = 3.0, 5.0, 0.5
WORKERS = 2
ROUNDS = 3  # in each process, the first of which is not counted
LIMIT = 900  # seconds for each process

Program = Callable[[np.ndarray | None, int, int], np.ndarray | None]


def formula(part: np.ndarray, t: float) -> np.ndarray:
    """Compute a part as one would write it down."""
    return (OFFSET + part * MULTIPLIER) * t


def halves(rows: int) -> list[tuple[int, int]]:
    """Return the bounds of each worker's rows."""
    edges = [rows * worker // WORKERS for worker in range(WORKERS + 1)]
    return list(pairwise(edges))


# Each of these prepares workers and yields the program that is timed, called on every process of its kind.


@contextmanager
def numpy() -> Iterator[Program]:
    """Use one process and one expression."""

    def program(initial: np.ndarray, rows: int, steps: int) -> np.ndarray:
        history = np.empty((steps, rows))
        for k in range(steps):
            history[k] = formula(initial, k * DELTA_T)
        return history

    yield program


@contextmanager
def numexpr() -> Iterator[Program]:
    """Use one process and two threads."""
    import numexpr as ne

    ne.set_num_threads(WORKERS)

    def program(initial: np.ndarray, rows: int, steps: int) -> np.ndarray:
        history = np.empty((steps, rows))
        for k in range(steps):
            names = {"x": initial, "offset": OFFSET, "multiplier": MULTIPLIER, "t": k * DELTA_T}
            ne.evaluate("(offset + x * multiplier) * t", local_dict=names, out=history[k])
        return history

    yield program


@contextmanager
def mpi4py() -> Iterator[Program]:
    """Write what one would write first: Scatterv, an expression, Gatherv."""
    from mpi4py import MPI

    comm = MPI.COMM_WORLD

    def program(initial: np.ndarray | None, rows: int, steps: int) -> np.ndarray | None:
        bounds = halves(rows)
        counts, displacements = [upper - lower for lower, upper in bounds], [lower for lower, _ in bounds]
        part = np.empty(counts[comm.rank])
        comm.Scatterv([initial, counts, displacements, MPI.DOUBLE] if comm.rank == 0 else None, part)
        history = np.empty((steps, rows)) if comm.rank == 0 else None
        for k in range(steps):
            result = formula(part, k * DELTA_T)
            comm.Gatherv(result, [history[k], counts, displacements, MPI.DOUBLE] if history is not None else None)
        return history

    yield program


@contextmanager
def simsplit(backend: Literal["auto", "numba"]) -> Iterator[Program]:
    """Use this project. By itself ("auto") it compiles where one run alone is worth it, which this one is not yet."""
    from mpi4py import MPI

    from simsplit import Problem, kernels, run

    def program(initial: np.ndarray | None, rows: int, steps: int) -> np.ndarray | None:
        del rows
        kernel = kernels.affine(offset=OFFSET, multiplier=MULTIPLIER)
        problem = Problem(initial, kernel, delta_t=DELTA_T, steps=steps)
        return run(problem, comm=MPI.COMM_WORLD, backend=backend).history

    yield program


@contextmanager
def heat() -> Iterator[Program]:
    """Use a distributed array; each step is collected in every process, for it has no gather to one."""
    import heat as ht
    import torch

    torch.set_num_threads(1)

    def program(initial: np.ndarray | None, rows: int, steps: int) -> np.ndarray | None:
        from mpi4py import MPI

        comm, bounds = MPI.COMM_WORLD, halves(rows)
        part = np.empty(bounds[comm.rank][1] - bounds[comm.rank][0])
        comm.Scatterv([initial, [upper - lower for lower, upper in bounds]] if comm.rank == 0 else None, part)
        x = ht.array(part, is_split=0, copy=None)
        history = np.empty((steps, rows)) if comm.rank == 0 else None
        for k in range(steps):
            step = ((OFFSET + x * MULTIPLIER) * (k * DELTA_T)).numpy()
            if history is not None:
                history[k] = step
        return history

    yield program


@contextmanager
def futures() -> Iterator[Program]:
    """Use a pool of processes over MPI: rank 0 sends parts and collects results, all pickled."""
    from mpi4py import MPI
    from mpi4py.futures import MPICommExecutor

    with MPICommExecutor(MPI.COMM_WORLD, root=0) as executor:
        if executor is None:
            yield _nothing
            return

        def program(initial: np.ndarray, rows: int, steps: int) -> np.ndarray:
            parts = [initial[lower:upper] for lower, upper in halves(rows)]
            history = np.empty((steps, rows))
            for k in range(steps):
                results = executor.map(formula, parts, [k * DELTA_T] * WORKERS)
                for (lower, upper), result in zip(halves(rows), results, strict=True):
                    history[k, lower:upper] = result
            return history

        yield program


def _nothing(initial: None, rows: int, steps: int) -> None:
    """Do nothing: the pool works by itself."""


@contextmanager
def dask() -> Iterator[Program]:
    """Use an array in chunks, on a cluster of two local processes. One graph of all steps is not faster there."""
    import dask.array as da
    from dask.distributed import Client, LocalCluster

    with (
        LocalCluster(n_workers=WORKERS, threads_per_worker=1, dashboard_address=None, silence_logs=50) as cluster,
        Client(cluster),
    ):

        def program(initial: np.ndarray, rows: int, steps: int) -> np.ndarray:
            x = da.from_array(initial, chunks=-(-rows // WORKERS)).persist()
            history = np.empty((steps, rows))
            for k in range(steps):
                history[k] = ((OFFSET + x * MULTIPLIER) * (k * DELTA_T)).compute()
            return history

        yield program


@contextmanager
def dask_threads() -> Iterator[Program]:
    """Use an array in chunks with the scheduler that Dask takes for arrays by itself: threads, in this process.

    All steps are one graph, "lots of computation at once" (docs.dask.org, Delayed, Best Practices), and each result is
    stored where it stays, which is faster than ``compute()``, be it of each step or of ``dask.array.stack([...])``.
    """
    import dask
    import dask.array as da

    def program(initial: np.ndarray, rows: int, steps: int) -> np.ndarray:
        x = da.from_array(initial, chunks=-(-rows // WORKERS))
        history = np.empty((steps, rows))
        results = [(OFFSET + x * MULTIPLIER) * (k * DELTA_T) for k in range(steps)]
        da.store(results, list(history), lock=False)
        return history

    with dask.config.set(num_workers=WORKERS):
        yield program


@contextmanager
def pyro5(serializer: str) -> Iterator[Program]:
    """Use two servers, called by remote method from two threads; the numbers travel as bytes.

    Parameters
    ----------
    serializer : {"msgpack", "serpent"}
        serpent is what Pyro5 takes by itself. It writes text, bytes in base64, and the receiver is to call
        ``serpent.tobytes`` (pyro5.readthedocs.io, Tips & Tricks, "Binary data transfer"). The other way named there,
        ``tolist()`` ("Pyro and Numpy"), takes 20 times as long to write and read, and a kilobyte of memory a number.
        msgpack, which has to be installed and chosen, leaves bytes as they are.
    """
    import Pyro5.api
    import serpent

    Pyro5.config.SERIALIZER = serializer
    with ExitStack() as stack:
        addresses = []
        for _ in range(WORKERS):
            server = subprocess.Popen(
                [sys.executable, __file__, "--pyro5-server", serializer],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            stack.callback(server.wait)
            stack.callback(server.stdin.close)  # which ends it
            addresses.append(server.stdout.readline().strip())
        pool = stack.enter_context(ThreadPoolExecutor(WORKERS))

        def work(address: str, initial: np.ndarray, history: np.ndarray, span: tuple[int, int]) -> None:
            lower, upper = span
            with Pyro5.api.Proxy(address) as calculator:
                calculator.take(initial[lower:upper].tobytes())
                for k in range(len(history)):
                    history[k, lower:upper] = np.frombuffer(serpent.tobytes(calculator.calculate(k * DELTA_T)))

        def program(initial: np.ndarray, rows: int, steps: int) -> np.ndarray:
            history = np.empty((steps, rows))
            everyone = [
                pool.submit(work, address, initial, history, span)
                for address, span in zip(addresses, halves(rows), strict=True)
            ]
            for each in everyone:
                each.result()
            return history

        yield program


def serve_pyro5(serializer: str) -> None:
    """Serve a calculator until stdin is closed."""
    import threading

    import Pyro5.api
    import serpent

    Pyro5.config.SERIALIZER = serializer

    @Pyro5.api.expose
    class Calculator:
        def take(self, part: bytes | dict[str, str]) -> None:
            self.part = np.frombuffer(serpent.tobytes(part))

        def calculate(self, t: float) -> bytes:
            return formula(self.part, t).tobytes()

    with Pyro5.api.Daemon(host="127.0.0.1") as daemon:
        print(daemon.register(Calculator()), flush=True)  # one object for all connections
        threading.Thread(target=lambda: (sys.stdin.read(), daemon.shutdown()), daemon=True).start()
        daemon.requestLoop()


# Name: the program, its ranks (0: no MPI), the packages whose versions are of interest, and what it is.
MEANS: dict[str, tuple[Callable[[], object], int, tuple[str, ...], str]] = {
    "simsplit": (partial(simsplit, "auto"), WORKERS, ("simsplit", "numpy", "mpi4py"), "2 ranks"),
    "simsplit, numba": (partial(simsplit, "numba"), WORKERS, ("llvmlite", "simsplit"), "2 ranks, compiled"),
    "mpi4py": (mpi4py, WORKERS, ("mpi4py",), "2 ranks, Scatterv and Gatherv"),
    "NumPy": (numpy, 0, ("numpy",), "one process"),
    "numexpr": (numexpr, 0, ("numexpr",), "one process, 2 threads"),
    "Heat": (heat, WORKERS, ("heat", "torch"), "2 ranks"),
    "mpi4py.futures": (futures, WORKERS + 1, ("mpi4py",), "3 ranks, of which 2 work"),
    "Dask": (dask, 0, ("dask", "distributed"), "dask.array, 2 processes"),
    "Dask, threads": (dask_threads, 0, ("dask",), "dask.array, one process, 2 threads"),
    "Pyro5": (partial(pyro5, "msgpack"), 0, ("Pyro5", "msgpack"), "2 servers, bytes by msgpack"),
    "Pyro5, serpent": (partial(pyro5, "serpent"), 0, ("Pyro5", "serpent"), "2 servers, its default: bytes in base64"),
}


def measure(name: str, rows: int, steps: int) -> None:
    """Run one means in this process and print its seconds as JSON."""
    prepare, ranks, *_ = MEANS[name]
    world = None
    if ranks:
        from mpi4py import MPI

        world = MPI.COMM_WORLD
    root = world is None or world.rank == 0
    initial = np.arange(float(rows)) if root else None
    seconds = []
    with prepare() as program:
        together = world is not None and name != "mpi4py.futures"  # whose other ranks serve the pool
        for number in range(ROUNDS):
            if together:
                world.Barrier()
            begun = perf_counter()
            history = program(initial, rows, steps)
            if together:
                world.Barrier()
            if number:
                seconds.append(perf_counter() - begun)
            elif root:
                for k in (0, steps - 1):
                    if not np.array_equal(history[k], formula(initial, k * DELTA_T)):
                        sys.exit(f"{name} gives another history")
            del history
    if root:
        print(json.dumps(seconds), flush=True)


def run_apart(name: str, rows: int, steps: int) -> tuple[list[float], str]:
    """Return the seconds of one means, measured in processes of its own, or why there are none."""
    ranks = MEANS[name][1]
    own = [sys.executable, __file__, "--means", name, str(rows), str(steps)]
    if ranks:
        mpiexec = Path(sys.executable).with_name("mpiexec")
        own = [str(mpiexec if mpiexec.exists() else "mpiexec"), "-n", str(ranks), *own]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore"}
    environment["MPI4PY_FUTURES_BACKOFF"] = "0"  # its way to spare a core costs it seconds with large messages
    try:
        done = subprocess.run(own, capture_output=True, text=True, timeout=LIMIT, check=False, env=environment)
    except subprocess.TimeoutExpired:
        return [], f"not done after {LIMIT} s"
    lines = done.stdout.split("\n")
    answer = next((line for line in reversed(lines) if line.startswith("[")), None)
    if done.returncode or answer is None:
        return [], (done.stderr.strip().splitlines() or ["no answer"])[-1]
    return json.loads(answer), ""


def versions(packages: tuple[str, ...]) -> str | None:
    """Return packages with their versions, or None if the first is not there."""
    found = []
    for package in packages:
        try:
            found.append(f"{package} {metadata.version(package)}")
        except metadata.PackageNotFoundError:
            if package == packages[0]:
                return None
    return ", ".join(found)


def main() -> None:
    """Measure all and print the table."""
    if sys.argv[1:2] == ["--pyro5-server"]:
        serve_pyro5(sys.argv[2])
        return
    if sys.argv[1:2] == ["--means"]:
        measure(sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
        return
    rows, steps, cycles = [int(text) for text in sys.argv[1:4]] + [8_000_000, 10, 2][len(sys.argv) - 1 :]
    known = {name: versions(packages) for name, (_, _, packages, _) in MEANS.items()}
    seconds: dict[str, list[float]] = {name: [] for name, found in known.items() if found is not None}
    reasons = {name: "not installed" for name, found in known.items() if found is None}
    for _ in range(cycles):
        for name, times in seconds.items():
            if name not in reasons:
                once, reason = run_apart(name, rows, steps)
                times.extend(once)
                if reason:
                    reasons[name] = reason
    print(f"{steps} steps × {rows:,} float64, medians of {cycles} × {ROUNDS - 1} rounds\n")
    print(f"{'means':16}{'median ms':>11}{'GB/s':>8}{'ratio':>8}   what")
    ours = median(seconds["simsplit"]) if seconds.get("simsplit") else None
    for name, (_, _, _, what) in MEANS.items():
        if name in reasons:
            print(f"{name:16}{'–':>11}{'–':>8}{'–':>8}   {reasons[name]}")
            continue
        middle = median(seconds[name])
        ratio = "–" if ours is None else f"{middle / ours:.1f}"
        rate = rows * steps * 8 / middle / 1e9
        print(f"{name:16}{middle * 1e3:11.1f}{rate:8.2f}{ratio:>8}   {what}: {known[name]}")
    if reasons.get("simsplit"):
        sys.exit("simsplit itself could not be measured")


if __name__ == "__main__":
    main()
