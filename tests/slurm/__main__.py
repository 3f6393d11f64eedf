"""Run the tests that need Slurm: ``python -m tests.slurm``.

They get throw-away clusters of their own, which are stopped at the end, also after a failure or Ctrl-C.
Where Slurm is missing, its Debian packages are installed if that is allowed; otherwise the tests are skipped.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

from tests.slurm import cluster
from tests.support.running import Stage, in_one_line, run_stages

PACKAGES = ("slurmctld", "slurmd", "slurm-client", "munge")
LIMIT = 1800  # seconds for the tests
INSTALL_LIMIT = 600  # seconds for the packages
CLUSTERS = 4  # each with a worker of the tests, which mostly waits for its jobs to be put back into the queue


def main() -> int:
    """Set up, run, count, report and clean up; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.slurm", description=__doc__.partition("\n")[0])
    parser.add_argument("pytest", nargs="*", help="arguments for pytest, after --")
    options = parser.parse_args()
    if cluster.missing() and not _install():
        print(
            f"SKIPPED: the tests that need Slurm, for {', '.join(cluster.missing())} cannot be found here.\n"
            f"To run them: apt-get install --no-install-recommends {' '.join(PACKAGES)}"
        )
        print(in_one_line({"passed": 0, "failed": 0, "skipped": 1}))
        return 0
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        status, counts = _tests(options.pytest)
    except KeyboardInterrupt:
        print("interrupted: the Slurm clusters are stopped", flush=True)
        return 130
    if status and not counts["failed"]:
        counts["failed"] = 1  # a run that was aborted counts no failure of its own
    print(in_one_line(counts), flush=True)
    return 0 if status == 0 else 1


def _tests(arguments: list[str]) -> tuple[int, dict[str, int]]:
    command = [sys.executable, "-m", "pytest", "-q", "--color=no", "--durations=10", "-m", "slurm"]
    workers = ["-n", str(CLUSTERS), "--dist=worksteal"]
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="simsplit-slurm-")))
        clusters = []
        for number in range(CLUSTERS):
            place = folder / str(number)
            place.mkdir()
            clusters.append(stack.enter_context(cluster.Cluster(place)))
        names = os.pathsep.join(str(each.configuration) for each in clusters)
        environment = {**os.environ, "SIMSPLIT_TEST_CLUSTERS": names}
        stage = Stage("Slurm", [*command, *workers, *(arguments or ["tests/slurm"])], environment=environment)
        try:
            run_stages([stage], 1, LIMIT)
        finally:
            for number in (signal.SIGINT, signal.SIGTERM):  # stopping takes a moment, and must come to its end
                signal.signal(number, signal.SIG_IGN)
        if stage.status:
            for each in clusters:
                print(each.logs(), flush=True)
    return stage.status or 0, stage.counts


def _install() -> bool:
    """Install what is missing, where that needs no password; return whether all is here now."""
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        return False
    install = ["apt-get", "install", "-y", "--no-install-recommends", *PACKAGES]
    for command in (install, ["apt-get", "update"], install):  # the lists of packages may be old, or not there
        print("==", *command, flush=True)
        if not _quietly(command):
            continue
        if not cluster.missing():
            return True
    return False


def _quietly(command: list[str]) -> bool:
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    try:
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=INSTALL_LIMIT, check=False
        )
    except subprocess.TimeoutExpired:
        print(f"not done after {INSTALL_LIMIT} s", flush=True)
        return False
    if done.returncode:
        print(done.stderr.strip(), flush=True)
    return done.returncode == 0


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
