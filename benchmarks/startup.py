"""Start-up: `simsplit run --quiet` beside the least that a program with NumPy and MPI takes.

    python benchmarks/startup.py [ranks [rounds]]

Whole processes, in turn; the ratio is that of the medians. Both programs find their modules compiled: simsplit's are
compiled here first, as pip compiles what it installs, but not what it installs as editable.
"""

import compileall
import subprocess
import sys
from pathlib import Path
from statistics import median
from time import perf_counter

import simsplit


def timed(command: list[str]) -> float:
    """Return the seconds that a command takes from start to end."""
    begun = perf_counter()
    subprocess.run(command, check=True, timeout=120)
    return perf_counter() - begun


def main() -> None:
    """Measure and print."""
    compileall.compile_dir(Path(simsplit.__file__).parent, quiet=1)
    ranks, rounds = [int(text) for text in sys.argv[1:3]] + [4, 15][len(sys.argv) - 1 :]
    mpiexec = Path(sys.executable).with_name("mpiexec")
    launch = [str(mpiexec if mpiexec.exists() else "mpiexec"), "-n", str(ranks), sys.executable]
    commands = {
        "bare": [*launch, "-c", "import numpy; from mpi4py import MPI"],
        "simsplit": [*launch, "-m", "simsplit", "run", "--quiet"],
    }
    seconds: dict[str, list[float]] = {name: [] for name in commands}
    for number in range(rounds + 1):
        for name, command in commands.items():
            once = timed(command)
            if number:  # the first fills the disk cache
                seconds[name].append(once)
    for name, values in seconds.items():
        print(f"{name:9} median {median(values):.3f} s  least {min(values):.3f} s  ({' '.join(commands[name][1:])})")
    ratio = median(seconds["simsplit"]) / median(seconds["bare"])
    print(f"ratio     {ratio:.2f} × the time of the bare start, {ranks} ranks")


if __name__ == "__main__":
    main()
