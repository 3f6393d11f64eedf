"""Submit jobs to the cluster that the tests got, and wait for them, always with a time limit."""

from __future__ import annotations

import os
import re
import subprocess
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tests.support.launching import LIMIT, ROOT, VENVS, environment

if TYPE_CHECKING:
    from pathlib import Path

# Each worker of the tests has a cluster of its own.
_CLUSTERS = os.environ.get("SIMSPLIT_TEST_CLUSTERS", "").split(os.pathsep)
CONFIGURATION = _CLUSTERS[int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % len(_CLUSTERS)]
SCRIPTS = ROOT / "jobs"

# What Open MPI's launcher needs where it runs as root, on fewer cores than it is told, without a fast network.
OPEN_MPI = {
    "OMPI_ALLOW_RUN_AS_ROOT": "1",
    "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
    "PRTE_MCA_rmaps_default_mapping_policy": ":oversubscribe",
    "OMPI_MCA_btl": "^ofi",
    "OMPI_MCA_mtl": "^ofi",
    "OMPI_MCA_osc": "^ucx",
    "SIMSPLIT_LAUNCH": "mpiexec --bind-to none",
}
# How srun starts MPICH's ranks. Over UCX its wheel sends what happens to lie in memory behind its address, now and
# then in lines that are too long for Slurm (docs/cluster.md).
BY_SRUN = {"SIMSPLIT_LAUNCH": "srun --mpi=pmi2", "MPIR_CVAR_CH4_NETMOD": "ofi"}
_GOING = ("PENDING", "RUNNING", "COMPLETING", "CONFIGURING", "SUSPENDED", "REQUEUED")


@dataclass(frozen=True)
class Job:
    """A job that was submitted."""

    number: str
    folder: Path

    def record(self) -> dict[str, str]:
        """Return what the controller knows of the job; of an array, of the part with this number."""
        text = slurm("scontrol", "show", "job", "-o", self.number).splitlines()[0]
        return dict(re.findall(r"(\w+(?:/\w+)?)=(\S*)", text))

    def wait(self, timeout: float = LIMIT, *, until: str | None = None) -> dict[str, str]:
        """Wait until the job has ended, or is in the state `until`; return its record."""
        deadline = time.monotonic() + timeout
        while True:
            record = self.record()
            state = record["JobState"]
            if state == until or (until is None and state not in _GOING):
                return record
            assert time.monotonic() < deadline, (
                f"not {until or 'at its end'} after {timeout} s: {record}\n{self.output}"
            )
            time.sleep(0.2)

    def ended(self, timeout: float = LIMIT) -> tuple[str, int]:
        """Wait until the job has ended; return its state and exit status."""
        record = self.wait(timeout)
        return record["JobState"], int(record["ExitCode"].partition(":")[0])

    @property
    def output(self) -> str:
        """What the job has written so far."""
        return "".join(file.read_text() for file in self.folder.glob(f"*-{self.number}.out"))

    def wait_for_output(self, text: str, *, times: int = 1, timeout: float = LIMIT) -> None:
        """Wait until the job has written `text` so many times."""
        deadline = time.monotonic() + timeout
        while self.output.count(text) < times:
            assert time.monotonic() < deadline, f"no {text!r} after {timeout} s: {self.record()}\n{self.output}"
            time.sleep(0.05)


@dataclass(frozen=True)
class Submitter:
    """Submits the project's scripts from a folder, for one MPI library."""

    folder: Path
    mpi: str = "mpich"
    variables: dict[str, str] = field(default_factory=dict)

    def __call__(self, script: str | Path, *arguments: object, options: str = "", **variables: str) -> Job:
        """Submit a script of jobs/, or any other; `options` go to sbatch."""
        given = {"SIMSPLIT_SETUP": str(VENVS[self.mpi]), **(OPEN_MPI if self.mpi == "openmpi" else {}), **variables}
        path = SCRIPTS / script  # which is the script itself, if that is an absolute path
        number = slurm(
            "sbatch", "--parsable", *options.split(), str(path), *map(str, arguments), folder=self.folder, **given
        )
        return Job(number.strip(), self.folder)


def slurm(*command: str, folder: Path | None = None, **variables: str) -> str:
    """Run one of Slurm's commands and return what it prints."""
    done = subprocess.run(
        command,
        env=environment(SLURM_CONF=CONFIGURATION, **variables),
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=LIMIT,
        check=False,
    )
    assert done.returncode == 0, f"{command}: {done.stderr}"
    return done.stdout
