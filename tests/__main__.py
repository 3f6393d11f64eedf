"""Run all tests: ``python -m tests``.

Those of one process, those that need ranks, at 1, 2, 3 and 4 of them, and those that start programs of their
own. Two of these runs go on side by side; what each prints stands together. Each has a time limit; the last lines
count the tests of each run. Those that need Slurm have a runner of their own: ``python -m tests.slurm``.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.support.running import in_one_line, run_counted, stop_all

RANKS = (4, 3, 2, 1)
LIMIT = 1800  # seconds for each run, which ends one that hangs


def main() -> int:
    """Run, count and report; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests", description=__doc__.partition("\n")[0])
    parser.add_argument("--mpi", default="the MPI library at hand", help="name of the MPI library, for the report")
    parser.add_argument(
        "--with-mpi-only", action="store_true", help="leave out what does not depend on the MPI library"
    )
    parser.add_argument("--ranks", type=int, nargs="*", default=RANKS, help="how many ranks (4 3 2 1)")
    parser.add_argument("--no-launches", action="store_true", help="leave out the tests that start programs")
    parser.add_argument("pytest", nargs="*", help="arguments for pytest, after --")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    # Where nothing may be kept, every process and every rank would compile all tests anew.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    runs = _runs(options)
    total = {"passed": 0, "failed": 0, "skipped": 0}
    lines = []
    good = True
    # Ranks wait for each other and programs for their start: two runs at once leave no core idle.
    with ThreadPoolExecutor(min(2, os.cpu_count() or 1)) as pool:
        ended = {name: pool.submit(run_counted, [*command, *options.pytest], LIMIT) for name, command in runs.items()}
        try:
            for name, future in ended.items():
                status, seconds, counts, text = future.result()
                print(f"== {options.mpi}: {name}\n{text}", flush=True)
                good &= status == 0
                for kind, number in counts.items():
                    total[kind] += number
                verdict = "" if status == 0 else f", exit status {status}"
                lines.append(f"{name:18}{counts['passed']:5} passed{_others(counts)} in {seconds:.0f} s{verdict}")
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            stop_all()
            raise
    print(f"\n{options.mpi}:", *lines, sep="\n")
    if not good and not total["failed"]:
        total["failed"] = 1  # a run that was aborted counts no failure of its own
    print(in_one_line(total), flush=True)
    return 0 if good else 1


def _runs(options: argparse.Namespace) -> dict[str, list[str]]:
    """Return the commands of all runs by name, the longest first."""
    python = [sys.executable, "-m", "pytest", "-q", "--color=no", "--durations=10"]
    mpiexec = str(Path(sys.executable).with_name("mpiexec"))
    runs = {}
    if not options.no_launches:
        runs["programs started"] = [*python, "-m", "launch and not once" if options.with_mpi_only else "launch"]
    if not options.with_mpi_only:
        runs["one process"] = [*python, "-m", "not mpi and not launch and not slurm"]
    for ranks in options.ranks:
        name = f"{ranks} rank{'s' if ranks > 1 else ''}"
        runs[name] = [mpiexec, "-n", str(ranks), *python, "--with-mpi", "-m", "mpi"]
    return runs


def _others(counts: dict[str, int]) -> str:
    return "".join(f", {counts[kind]} {kind}" for kind in ("failed", "skipped") if counts[kind])


if __name__ == "__main__":
    sys.exit(main())
