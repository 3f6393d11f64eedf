"""``simsplit job``: a Slurm script for one problem, its memory and time limits taken from the plan.

The script is a header made here, and below it that of ``jobs/run.sbatch``, which comes with the package.
"""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass, replace
from math import ceil
from pathlib import Path
from typing import TYPE_CHECKING

from ..._version import __version__
from ...errors import InputError, SimsplitError
from ...problem_file.settings import resolve
from ...runs.options import kind_of
from ...util import job_script
from ...util.formatting import format_bytes, pluralize, say
from ..commands.plan import estimate
from ..commands.run import read, require_apart, run_options_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ...problem_file.settings import Settings
    from ...runs.planning import ResourceEstimate
    from ..parser import Options

_RUN = Path(__file__).with_name("run.sbatch")
_OF_A_RANK = 256 * 10**6  # bytes of a rank beside its arrays: Python, NumPy, a compiler, the MPI library's buffers
_SPARE = 1.1  # times the bytes of the plan
_CHECKPOINT_RATE = 100 * 10**6  # bytes a second, of a slow shared file system
_WARNING = 120  # seconds before the time limit; Slurm may be a minute late or early
_SAFETY = 3  # times the estimated seconds
_SHORTEST = 10 * 60  # seconds


@dataclass(frozen=True, slots=True)
class Limits:
    """What is asked of Slurm.

    Attributes
    ----------
    memory : int
        Bytes on each node.
    seconds : int
        The time limit.
    estimated : float or None
        Seconds that the run takes at the speed of this machine; None if nobody asked.
    warning : int
        How many seconds before the time limit the run is told to stop.
    """

    memory: int
    seconds: int
    estimated: float | None
    warning: int


def command(options: Options) -> None:
    """Print the script, or submit it and print the number of the job. Not collective: it needs no MPI.

    Raises
    ------
    InputError
        If the problem is wrong, or Slurm does not take the job.
    """
    if options.error is not None:
        raise options.error
    settings = resolve(options, None if options.problem is None else read(options.problem))
    require_apart(settings, options.problem)
    nodes, tasks = options.nodes or 1, options.ntasks_per_node or 1
    if options.serial or options.expect_ranks not in (None, nodes * tasks):
        raise InputError(f"the job starts {pluralize(nodes * tasks, 'rank')}: leave out --serial and --expect-ranks")
    where = options.output or f"runs/{_name(options)}-<number>"
    if kind_of(where) != "directory":
        raise InputError(f"the output of a job is a folder for everything about the run, not {where!r}")
    inside = settings.replace(output=where)
    # The memory and the disks of the nodes count, not those of this host.
    found = replace(estimate(inside, run_options_of(options, inside), nodes * tasks, tasks), left=None, disk=None)
    if found.obstacles:
        raise InputError(f"the plan does not fit: {'; '.join(found.obstacles)}.")
    text = script(options, settings, found)
    if options.submit:
        say(submit(text))
    else:
        say(text, exact=True)


def limits(options: Options, settings: Settings, found: ResourceEstimate) -> Limits:
    """Return the limits for a plan; without ``--time`` the kernel is tried for a moment."""
    tasks = min(found.ranks_per_node, found.plan.ranks)
    plan = found.plan
    state = plan.history_row_nbytes * plan.shape[0] if found.problem.kernel.kind == "step" else 0
    warning = _WARNING + state // _CHECKPOINT_RATE
    estimated = None
    seconds = options.time
    if seconds is None:
        from .estimate import seconds as estimate

        try:
            estimated = estimate(settings, found)
        except SimsplitError as error:
            raise InputError(
                f"how long it takes cannot be tried here: {error}\nGive the limit: --time 2:00:00"
            ) from None
        seconds = _up(max(_SHORTEST, 2 * warning + _SAFETY * estimated), 5 * 60)
    return Limits(
        memory=_up(arrays(found) * _SPARE + tasks * _OF_A_RANK, 10**6),
        seconds=seconds,
        estimated=estimated,
        warning=min(warning, seconds // 3),
    )


def arrays(found: ResourceEstimate) -> int:
    """Return the bytes of arrays on the fullest node."""
    return max(found.node, found.other_node)


def _up(number: float, step: int) -> int:
    return ceil(number / step) * step


def script(options: Options, settings: Settings, found: ResourceEstimate) -> str:
    """Return the text of the script."""
    limit = limits(options, settings, found)
    asked = {
        "job-name": f"={_name(options)}",
        "account": None if options.account is None else f"={options.account}",
        "partition": None if options.partition is None else f"={options.partition}",
        "nodes": f"={options.nodes or 1}",
        "ntasks-per-node": f"={options.ntasks_per_node or 1}",
        "cpus-per-task": f"={options.cpus_per_task or 1}",
        "mem": f"={ceil(limit.memory / 2**20)}M",
        "time": f"={clock(limit.seconds)}",
        "signal": f"=B:USR1@{limit.warning}",
    }
    return job_script.compose(_RUN, _about(options, found, limit), asked, _settings(options), options.words)


def _about(options: Options, found: ResourceEstimate, limit: Limits) -> Iterator[str]:
    """Return what the header says to people."""
    yield (
        f"{options.problem or 'A problem'} on {pluralize(options.nodes or 1, 'node')} × "
        f"{pluralize(options.ntasks_per_node or 1, 'rank')}, made by simsplit {__version__}."
    )
    yield "Submit it in the folder it was made in: paths are relative to that. Arguments of sbatch go before its name,"
    yield "those of `simsplit run` after it."
    yield ""
    yield (
        f"Memory: {format_bytes(arrays(found))} for arrays on the fullest node, "
        f"and {format_bytes(_OF_A_RANK)} for each rank "
        "beside them."
    )
    if limit.estimated is None:
        yield "Time: as given. What is not finished by then goes back into the queue, and resumes."
    else:
        yield (
            f"Time: about {_duration(limit.estimated)} at the speed of the machine this was made on; {_SAFETY} times "
            "that is asked for, at least 10 minutes."
        )


def _settings(options: Options) -> Iterator[str]:
    """Return the variables that the rest of the script reads."""
    if options.launch is not None:
        yield job_script.default("SIMSPLIT_LAUNCH", options.launch)
    if options.output is not None:
        yield job_script.default("SIMSPLIT_RUN", options.output)


def _name(options: Options) -> str:
    return "simsplit" if options.problem is None else job_name(Path(options.problem))


def job_name(file: Path) -> str:
    """Return a name for a job that is about a file, which neither Slurm nor a file system minds."""
    return re.sub(r"[^\w.+-]", "_", file.stem, flags=re.ASCII) or "simsplit"


def clock(seconds: int) -> str:
    """Write a time limit as Slurm reads it.

    >>> clock(7200), clock(90061)
    ('02:00:00', '1-01:01:01')
    """
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    return f"{f'{days}-' if days else ''}{hours:02}:{minutes:02}:{seconds:02}"


def _duration(seconds: float) -> str:
    return f"{seconds:.3g} s" if seconds < 100 else clock(ceil(seconds))  # noqa: PLR2004, three digits


def submit(text: str) -> str:
    """Give a script to Slurm; return the number of the job."""
    try:
        done = subprocess.run(
            ["sbatch", "--parsable"],  # noqa: S607, the one that the site has put on the PATH
            input=text,
            capture_output=True,
            text=True,
            check=False,
        )
    except OSError as error:
        raise InputError(
            f"cannot submit: there is no sbatch here ({error.strerror}). Run this on a login node of the cluster, or "
            "leave out --submit to get the script."
        ) from None
    if done.returncode:
        raise InputError(f"Slurm does not take the job:\n{done.stderr.strip() or f'status {done.returncode}'}")
    return done.stdout.strip().partition(";")[0]  # the name of the cluster may follow
