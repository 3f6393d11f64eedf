"""Run all tests: ``python -m tests``.

Those of one process, those that need ranks, at 1, 2, 3 and 4 of them, and those that start programs of their own:
side by side as far as the cores of the machine go. Each run has a time limit; the last lines count the tests of each
run. Those that need Slurm have a runner of their own: ``python -m tests.slurm``.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
from pathlib import Path

from tests.support.running import Stage, in_one_line, run_stages

RANKS = (4, 3, 2, 1)
LIMIT = 1800  # seconds for each run, which ends one that hangs
ONE_PROCESS = "not mpi and not launch and not slurm"
MOST_WORKERS = 8  # each of them collects all tests anew
SHOWN = 15  # of the slowest tests of each run


def main() -> int:
    """Run, count and report; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests", description=__doc__.partition("\n")[0])
    parser.add_argument("--mpi", default="the MPI library at hand", help="name of the MPI library, for the report")
    parser.add_argument(
        "--with-mpi-only", action="store_true", help="leave out what does not depend on the MPI library"
    )
    parser.add_argument("--ranks", type=int, nargs="*", default=RANKS, help="how many ranks (4 3 2 1)")
    parser.add_argument("--no-launches", action="store_true", help="leave out the tests that start programs")
    parser.add_argument("--no-slow", action="store_true", help="leave out the slowest tests")
    parser.add_argument("--cores", type=int, default=len(os.sched_getaffinity(0)), help="default: those of the machine")
    parser.add_argument("pytest", nargs="*", help="arguments for pytest, after --")
    options = parser.parse_args()
    # Where nothing may be kept, every process and every rank would compile all tests anew.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    signal.signal(signal.SIGTERM, _interrupt)  # the runs are in sessions of their own: nobody else would end them
    stages = _stages(options)
    try:
        run_stages(stages, options.cores, LIMIT)
    except KeyboardInterrupt:
        return 130
    total = {kind: sum(stage.counts[kind] for stage in stages) for kind in ("passed", "failed", "skipped")}
    good = not any(stage.status for stage in stages)
    print(f"\n{options.mpi}:", *stages, sep="\n")
    if not good and not total["failed"]:
        total["failed"] = 1  # a run that was aborted counts no failure of its own
    print(in_one_line(total), flush=True)
    return 0 if good else 1


def _stages(options: argparse.Namespace) -> list[Stage]:
    """Return the runs of pytest, the longest first."""
    cores = min(options.cores, MOST_WORKERS)
    python = [sys.executable, "-m", "pytest", "-q", "--color=no", f"--durations={SHOWN}"]
    mpiexec = str(Path(sys.executable).with_name("mpiexec"))
    workers = ["-n", str(cores), "--dist=worksteal"] if cores > 1 else []
    chosen = any(Path(word.partition("::")[0]).exists() for word in options.pytest)
    where = {marker: [] if chosen else _files(marker) for marker in ("launch", "mpi")}
    rest = " and not slow" if options.no_slow else ""
    stages = []
    if not options.with_mpi_only:
        stages.append(Stage("one process", [*python, *workers, "-m", ONE_PROCESS + rest], cores))
    if not options.no_launches:
        launch = "launch and not once" if options.with_mpi_only else "launch"
        stages.append(Stage("programs started", [*python, *workers, "-m", launch + rest, *where["launch"]], cores))
    for ranks in options.ranks:
        name = f"{ranks} rank{'s' if ranks > 1 else ''}"
        command = [mpiexec, "-n", str(ranks), *python, "--with-mpi", "-m", f"mpi{rest}", *where["mpi"]]
        stages.append(Stage(name, command, ranks))
    for stage in stages:
        stage.command.extend(options.pytest)
    return stages


def _files(marker: str) -> list[str]:
    """Return the files that name a marker: to load all the others takes longer than some of the runs, on every rank."""
    folder = Path(__file__).parent
    found = (path for path in folder.rglob("test_*.py") if f"pytest.mark.{marker}" in path.read_text())
    return sorted(str(path.relative_to(folder.parent)) for path in found)


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
