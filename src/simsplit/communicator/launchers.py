"""Detect the launcher of this process from its environment.

A launcher of another MPI library, or a plain ``srun``, starts N processes that each believe they are
alone: the work would be done N times, with exit status 0. Only the launcher's own variables tell.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from ..errors import InputError, LaunchError
from ..util.records import Record
from ..util.validation import integer

if TYPE_CHECKING:
    from collections.abc import Mapping

EXPECTED_RANKS = "SIMSPLIT_EXPECT_RANKS"


class Launcher(Record):
    """Who started this process.

    Attributes
    ----------
    name : str
        For messages.
    variable : str
        Where the number of processes was read.
    count : int
        How many processes it started.
    rank : int
        Which of them this is.
    """

    name: str
    variable: str
    count: int
    rank: int


# The nearest launcher comes first: a rank under mpiexec in a Slurm job also sees the variables of the
# srun that started mpiexec's helpers. SLURM_NTASKS is left out, for it is set in an sbatch body too.
_VARIABLES = (
    ("Open MPI's mpiexec", "OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_RANK"),
    ("mpiexec", "PMI_SIZE", "PMI_RANK"),
    ("mpiexec", "MPI_LOCALNRANKS", "MPI_LOCALRANKID"),
    ("srun", "SLURM_STEP_NUM_TASKS", "SLURM_PROCID"),
)


def detect(environment: Mapping[str, str] = os.environ) -> Launcher | None:
    """Return the launcher that started this process, or None for an ordinary start.

    A Slurm step of one task is an ordinary start: the shell of an interactive allocation is one.
    """
    for name, size, rank in _VARIABLES:
        try:
            count, number = int(environment[size]), int(environment.get(rank, "0"))
        except (KeyError, ValueError):
            continue
        if name == "srun" and count == 1:
            continue
        if size == "PMI_SIZE":
            by_slurm = "SLURM_PROCID" in environment and "HYDI_CONTROL_FD" not in environment
            name = "srun" if by_slurm else "an mpiexec of MPICH's kind"  # noqa: PLW2901
        return Launcher(name, size, count, number)
    return None


def command(words: str, ranks: int | None = None) -> str:
    """Return how simsplit is started on so many ranks, by default as many as there are now, by this launcher.

    Programs that the shell would not find, since their environment is not activated, are named by their paths.

    >>> command("resume runs/a", 4), command("resume runs/a", 1)
    ('mpiexec -n 4 simsplit resume runs/a', 'simsplit resume runs/a')
    """
    launcher = detect()
    if ranks is None:
        ranks = 1 if launcher is None else launcher.count
    name = "srun" if launcher is not None and launcher.name == "srun" else _called("mpiexec")
    program = f"{_called('simsplit')} {words}"
    return f"{name} -n {ranks} {program}" if ranks > 1 else program


def mpiexec() -> str | None:
    """Return the mpiexec that belongs to this Python: the one beside it, else the first on the PATH, if any."""
    beside = _beside("mpiexec")
    return beside if os.path.isfile(beside) else _on_path("mpiexec")  # noqa: PTH113, a text is at hand


def _called(program: str) -> str:
    """Return what to type for a program: its name, or a path where the name finds none, or another one."""
    from shlex import quote

    beside, found = _beside(program), _on_path(program)
    if not os.path.isfile(beside) or (found is not None and os.path.samefile(found, beside)):  # noqa: PTH113, PTH121, as above
        return program
    here = os.path.relpath(beside)
    return quote(beside if here.startswith(os.pardir) else here)


def _beside(program: str) -> str:
    """Return where a program of the environment is: beside Python."""
    return os.path.join(os.path.dirname(sys.executable), program)  # noqa: PTH118, PTH120, pathlib is not worth loading


def _on_path(program: str) -> str | None:
    """Return the program that the shell takes for a name."""
    places = os.environ.get("PATH", "").split(os.pathsep)
    paths = (os.path.join(place, program) for place in places if place)  # noqa: PTH118, as above
    return next((path for path in paths if os.path.isfile(path) and os.access(path, os.X_OK)), None)  # noqa: PTH113


def expected_ranks(given: int | None, environment: Mapping[str, str] = os.environ) -> int | None:
    """Return how many ranks there must be: `given`, else what the environment asks for, else None."""
    if given is not None:
        return integer("expect_ranks", given, least=1)
    text = environment.get(EXPECTED_RANKS, "").strip()
    if not text:
        return None
    if not text.isascii() or not text.isdecimal() or len(text) > 9 or int(text) < 1:  # noqa: PLR2004, digits
        raise InputError(f"{EXPECTED_RANKS} must be an integer of 1 or more, not {text!r}")
    return int(text)


def alone_error(launcher: Launcher, library: str | None) -> LaunchError:
    """Return the error for processes that each believe to be alone."""
    return _mark(
        LaunchError(
            f"wrong launch: {_started(launcher)}, but {library or 'MPI'} sees one rank in each, so the work would be "
            f"done {launcher.count} times.\n{_remedy(launcher, library)}"
        ),
        launcher,
    )


def not_serial_error(launcher: Launcher) -> LaunchError:
    """Return the error for one of many processes that is to run without MPI."""
    return LaunchError(
        f"wrong launch: {_started(launcher)}, but --serial is for one, so the work would be done "
        f"{launcher.count} times.\nStart one process without a launcher, or leave out --serial."
    )


def missing_error(launcher: Launcher, reason: BaseException) -> LaunchError:
    """Return the error for a launcher without an MPI library for its processes."""
    first = (str(reason).strip() or type(reason).__name__).splitlines()[0]
    return _mark(
        LaunchError(
            f"wrong launch: {launcher.name} started this program on {launcher.count} "
            f"rank{'s' if launcher.count > 1 else ''}, but MPI is missing: {first}.\n"
            "Install an MPI library with: pip install 'simsplit[mpich]' (or load the site's MPI), and use its "
            "own mpiexec; or run in one process: python -m simsplit run --serial, without a launcher."
        ),
        launcher,
    )


def unexpected_error(expected: int, size: int, library: str | None, launcher: Launcher | None) -> LaunchError:
    """Return the error for a number of ranks that is not the expected one."""
    seen = f"{launcher.name} ({launcher.variable}={launcher.count})" if launcher else "no launcher"
    return _mark(
        LaunchError(
            f"wrong launch: {expected} rank{'s' if expected > 1 else ''} expected (--expect-ranks or "
            f"{EXPECTED_RANKS}), but there {'are' if size > 1 else 'is'} {size}. Seen: {seen}, "
            f"{library or 'no MPI library'}.\n"
            f"{_mpiexec(library)} -n {expected} starts {expected}."
        ),
        launcher,
    )


def _mark(error: LaunchError, launcher: Launcher | None) -> LaunchError:
    """Let one process speak for all, where each raises the error by itself and none can ask the others."""
    error.is_collective = True
    error.is_reporter = launcher is None or launcher.rank == 0
    from .uncaught import tell_once  # few programs are started so

    tell_once()
    return error


def _started(launcher: Launcher) -> str:
    return f"{launcher.name} started {launcher.count} processes ({launcher.variable}={launcher.count})"


def _remedy(launcher: Launcher, library: str | None) -> str:
    advice = f"Use the launcher of {library or 'your MPI library'}: {_mpiexec(library)} -n {launcher.count}"
    if launcher.name == "srun" and library and "Open MPI" not in library:
        advice += f", or srun --mpi=pmi2 -n {launcher.count}"
    return advice + "."


def _mpiexec(library: str | None) -> str:
    """Return the mpiexec beside this Python, where an MPI library installed as a wheel puts it."""
    beside = _beside("mpiexec")
    return beside if library and os.path.exists(beside) else "mpiexec"  # noqa: PTH110, a text is at hand
