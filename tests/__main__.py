"""Run all tests: ``python -m tests``.

First those of one process, then those that need ranks, at 1, 2, 3 and 4 of them, then those that start
programs of their own. Each run has a time limit; the last lines count the tests of each run. Those that
need Slurm have a runner of their own: ``python -m tests.slurm``.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from tests.support.running import in_one_line, run_counted

RANKS = (1, 2, 3, 4)
LIMIT = 1800  # seconds for each run, which ends one that hangs


def main() -> int:
    """Run, count and report; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests", description=__doc__.partition("\n")[0])
    parser.add_argument("--mpi", default="the MPI library at hand", help="name of the MPI library, for the report")
    parser.add_argument(
        "--with-mpi-only", action="store_true", help="leave out what does not depend on the MPI library"
    )
    parser.add_argument("pytest", nargs="*", help="arguments for pytest, after --")
    options = parser.parse_args()
    # Where nothing may be kept, every process and every rank would compile all tests anew.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    python = [sys.executable, "-m", "pytest", "-q", "--color=no", "--durations=10"]
    mpiexec = str(Path(sys.executable).with_name("mpiexec"))
    runs = {} if options.with_mpi_only else {"one process": [*python, "-m", "not mpi and not launch and not slurm"]}
    for ranks in RANKS:
        name = f"{ranks} rank{'s' if ranks > 1 else ''}"
        runs[name] = [mpiexec, "-n", str(ranks), *python, "--with-mpi", "-m", "mpi"]
    runs["programs started"] = [*python, "-m", "launch and not once" if options.with_mpi_only else "launch"]
    total = {"passed": 0, "failed": 0, "skipped": 0}
    lines = []
    good = True
    for name, command in runs.items():
        print(f"== {options.mpi}: {name}", flush=True)
        status, seconds, counts = run_counted([*command, *options.pytest], LIMIT)
        good &= status == 0
        for kind, number in counts.items():
            total[kind] += number
        verdict = "" if status == 0 else f", exit status {status}"
        lines.append(f"{name:18}{counts['passed']:5} passed{_others(counts)} in {seconds:.0f} s{verdict}")
    print(f"\n{options.mpi}:", *lines, sep="\n")
    if not good and not total["failed"]:
        total["failed"] = 1  # a run that was aborted counts no failure of its own
    print(in_one_line(total), flush=True)
    return 0 if good else 1


def _others(counts: dict[str, int]) -> str:
    return "".join(f", {counts[kind]} {kind}" for kind in ("failed", "skipped") if counts[kind])


if __name__ == "__main__":
    sys.exit(main())
