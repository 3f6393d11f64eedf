"""Memory on root beside the array and the history, for each kind of input.

    python benchmarks/memory.py [rows]

Starts 2 ranks for each case and compares root's peak (its ``VmHWM``) with the one of a run of 2 rows,
so that the interpreter, NumPy and the MPI library do not count.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

STEPS = 4
CHILD = """
import sys
from simsplit.cli import main
main(sys.argv[1:])
from mpi4py import MPI
if MPI.COMM_WORLD.rank == 0:
    with open("/proc/self/status") as status:
        print(next(line.split()[1] for line in status if line.startswith("VmHWM")))
"""


def peak(*options: str) -> int:
    """Return root's peak in bytes."""
    mpiexec = Path(sys.executable).with_name("mpiexec")
    launch = [str(mpiexec if mpiexec.exists() else "mpiexec"), "-n", "2", sys.executable, "-c", CHILD]
    run = ["run", "--quiet", "--steps", str(STEPS), *options]
    done = subprocess.run([*launch, *run], check=True, timeout=300, capture_output=True, text=True)
    return int(done.stdout) * 1024


def main() -> None:
    """Measure and print."""
    rows = int(sys.argv[1]) if sys.argv[1:] else 12_000_000
    least = peak("--size", "2")
    with tempfile.TemporaryDirectory() as folder:
        values = np.arange(float(rows))
        inputs = {
            "C order": values,
            "Fortran order": np.asfortranarray(values.reshape(-1, 3)),
            "big-endian": values.astype(">f8"),
        }
        cases = {"--size": ["--size", str(rows)], "--size, --verify": ["--size", str(rows), "--verify"]}
        for name, array in inputs.items():
            file = Path(folder) / f"{name.replace(' ', '-')}.npy"
            np.save(file, array)
            cases[f"--input, {name}"] = ["--input", str(file)]
        cases["--output"] = ["--size", str(rows), "--output", str(Path(folder) / "history.npy")]
        needed = rows * 8 * (1 + STEPS)
        print(f"array and history {needed / 2**20:.0f} MiB; a run of 2 rows peaks at {least / 2**20:.0f} MiB")
        for name, options in cases.items():
            beside = peak(*options) - least - needed
            verdict = "less" if beside < 64 * 2**20 else "MORE"
            print(f"{name:24} {beside / 2**20:6.1f} MiB beside them: {verdict} than 64 MiB")


if __name__ == "__main__":
    main()
