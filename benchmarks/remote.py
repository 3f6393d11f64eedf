"""Remote objects beside bare messages, and beside Pyro5 where it is installed.

    mpiexec -n 2 python benchmarks/remote.py [calls [rounds]]

Rank 0 calls, rank 1 serves; all in the same run, medians. "Bare" is the least that MPI can do for the same: a
pickled ``send`` and ``recv`` there and back for a call, ``Send`` and ``Recv`` for an array.

An echo gives a new array at either end, and the first touch of new memory costs more than the copy. So it is set
beside a bare one into new memory at either end, which is the same work, and also beside one into memory that is
used again, which spares that; how long the first touch of both arrays takes is said too.
"""

import importlib.util
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import numpy as np
from mpi4py import MPI

from simsplit import remote

COMM = MPI.COMM_WORLD
LENGTH = 12_500_000  # float64: 100 MB


@remote.expose
class Thing:
    """What is called."""

    def add(self, a: int, b: int) -> int:
        """Return the sum."""
        return a + b

    def echo(self, array: np.ndarray) -> np.ndarray:
        """Return the array."""
        return array

    def memory(self, word: str) -> float:
        """Return the memory of this rank in MB: that of now (VmRSS), or the most since it was last asked (VmHWM)."""
        return memory(word)

    def processor_time(self) -> float:
        """Return the seconds of processor time that this rank has used."""
        return time.process_time()


def timed(call: Callable[[], object], count: int) -> float:
    """Return the median time of a call, in seconds."""
    seconds = []
    for _ in range(count):
        begun = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - begun)
    return median(seconds)


def bare_call() -> None:
    """Send a pickled message there and back."""
    if COMM.rank == 0:
        COMM.send(("add", 1, 2), 1)
        COMM.recv(source=1)
    else:
        COMM.recv(source=0)
        COMM.send(3, 0)


def bare_echo(array: np.ndarray, target: np.ndarray | None) -> None:
    """Send an array there and back, into memory that is used again, or into new memory."""
    received = np.empty_like(array) if target is None else target
    if COMM.rank == 0:
        COMM.Send(array, 1)
        COMM.Recv(received, 1)
    else:
        COMM.Recv(received, 0)
        COMM.Send(received, 0)


def memory(word: str) -> float:
    """Return the memory of this rank in MB: that of now (VmRSS), or the most since it was last asked (VmHWM)."""
    lines = Path("/proc/self/status").read_text().splitlines()
    kilobytes = next(line for line in lines if line.startswith(word)).split()[1]
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
    return int(kilobytes) / 1024


def compute() -> float:
    """Return the seconds that a fixed amount of NumPy work takes."""
    x = np.arange(50_000.0)
    begun = time.perf_counter()
    for _ in range(2000):
        np.add(x, 1.0, out=x)
    return time.perf_counter() - begun


def row(what: str, value: str, beside: str = "") -> None:
    """Print one line of the report."""
    print(f"{what:46} {value:>14}   {beside}", flush=True)


def bare_part(calls: int, rounds: int) -> dict[str, float]:
    """Measure bare messages."""
    array, again = np.ones(LENGTH), np.empty(LENGTH)
    return {
        "call": timed(bare_call, calls),
        "again": timed(lambda: bare_echo(array, again), rounds),
        "new": timed(lambda: bare_echo(array, None), rounds),
        "touch": timed(lambda: np.empty(LENGTH).fill(1), rounds) - timed(lambda: again.fill(1), rounds),
    }


def remote_part(calls: int, rounds: int, bare: dict[str, float]) -> float | None:
    """Measure remote objects; return the seconds of a small call on rank 0."""
    with remote.join() as here:
        if here.rank == 1:
            here.serve(Thing(), name="thing")
            return None
        thing = here.proxy("MPINAME:thing")
        small = timed(lambda: thing.add(1, 2), calls)
        row("small call and answer", f"{small * 1e6:.1f} µs", f"{small / bare['call']:.1f} × bare pickled send/recv")
        begun = time.perf_counter()
        futures = [thing.add.submit(number, 1) for number in range(10_000)]
        right = [future.result() for future in futures] == list(range(1, 10_001))
        seconds = time.perf_counter() - begun
        row("10,000 calls in flight", f"{seconds * 1e3:.0f} ms", "every answer right" if right else "WRONG ANSWERS")
        array = np.ones(LENGTH)
        size, here_before, there_before = array.nbytes / 2**20, memory("VmRSS"), thing.memory("VmRSS")
        thing.echo(array)  # the first, for which neither end has memory yet
        caller, server = memory("VmHWM") - here_before - size, thing.memory("VmHWM") - there_before - size
        row(
            "peak memory beyond the arrays, caller and server",
            f"{caller:.1f}, {server:.1f} MB",
            f"arrays of {size:.1f} MB",
        )
        echo = timed(lambda: thing.echo(array), rounds)
        ratios = f"{echo / bare['new']:.2f} × bare into new memory, {echo / bare['again']:.2f} × into the same again"
        row("echo of 100 MB", f"{echo * 1e3:.1f} ms", ratios)
        used, begun = thing.processor_time(), time.perf_counter()
        time.sleep(2)
        share = (thing.processor_time() - used) / (time.perf_counter() - begun)
        row("processor time of an idle server", f"{share:.1%}", "of a core")
        alone = median(compute() for _ in range(rounds))
        here.start_service()
        served = median(compute() for _ in range(rounds))
        here.stop_service()
        row("computation beside an idle background service", f"{served / alone - 1:+.1%}", "time")
        return small


def pyro_part(calls: int, small: float | None) -> None:
    """Measure Pyro5 on loopback, where it is installed."""
    if importlib.util.find_spec("Pyro5") is None:
        if COMM.rank == 0:
            row("Pyro5", "not installed", "make bench-peers")
        return
    import Pyro5
    import Pyro5.api

    if COMM.rank == 1:
        with Pyro5.api.Daemon() as daemon:
            COMM.send(str(daemon.register(Pyro5.api.expose(Thing))), 0)
            daemon.requestLoop(lambda: not COMM.iprobe(source=0))
        COMM.recv(source=0)
    elif small is not None:
        with Pyro5.api.Proxy(COMM.recv(source=1)) as thing:
            pyro = timed(lambda: thing.add(1, 2), calls)
            COMM.send(None, 1)
            thing.add(1, 2)  # lets the loop look at its condition
        row(
            f"small call and answer by Pyro5 {Pyro5.__version__} on loopback",
            f"{pyro * 1e6:.1f} µs",
            f"{pyro / small:.1f} × simsplit.remote",
        )


def main() -> None:
    """Measure and print."""
    calls, rounds = [int(text) for text in sys.argv[1:3]] + [3000, 7][len(sys.argv) - 1 :]
    if COMM.size != 2:  # noqa: PLR2004, who calls and who serves
        sys.exit("start it on 2 ranks: mpiexec -n 2 python benchmarks/remote.py")
    bare = bare_part(calls, rounds)
    if COMM.rank == 0:
        print(f"medians of {calls} calls, {rounds} arrays · {MPI.Get_library_version().splitlines()[0].strip(chr(0))}")
        row("bare pickled send/recv, there and back", f"{bare['call'] * 1e6:.1f} µs")
        row("bare Send/Recv of 100 MB, there and back", f"{bare['new'] * 1e3:.1f} ms", "into new memory at either end")
        row("the same into memory that is used again", f"{bare['again'] * 1e3:.1f} ms")
        row("first touch of two arrays of 100 MB", f"{2 * bare['touch'] * 1e3:.1f} ms", "more than touching them again")
    small = remote_part(calls, rounds, bare)
    pyro_part(min(calls, 1000), small)


if __name__ == "__main__":
    main()
