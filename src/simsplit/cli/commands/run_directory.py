"""``simsplit run -o FOLDER``: a run in a run directory, and what is printed of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..._version import __version__
from ...communicator import Agreement
from ...rundir.digest import digest_of_text
from ...runs.directory_run import begin
from ...runs.supervisor import Care
from ...util.formatting import counted, lasting, readable, say
from ..problem_file.resolved import as_toml, complete, digests, require_unchanged
from .run import how_of, report

if TYPE_CHECKING:
    from ...communicator import Communicator
    from ...monitor.stop_requests import Stopping
    from ...problem import Problem
    from ...result import Result
    from ..parser import Options
    from ..problem_file.settings import Settings


def run(options: Options, settings: Settings, problem: Problem, communicator: Communicator, stopping: Stopping) -> None:
    """Run a simulation in a run directory, and print a summary. Collective."""
    with Agreement(communicator):
        whole = complete(settings, problem)
    found = digests(whole, problem, communicator)
    with Agreement(communicator):
        if not options.accept_changes:
            require_unchanged(settings.digests, found)
        text = as_toml(whole.replace(digests=found))
    care = care_of(options)
    result = begin(
        problem,
        communicator,
        how_of(options, settings),
        text=text,
        stopping=stopping,
        facts={
            "digests": {**found, "problem": digest_of_text(text)},
            "units": {name: value for name in ("time_unit", "unit") if (value := getattr(settings, name)) is not None},
            "care": {"checkpoint_every": care.checkpoint_every, "hang_after": care.hang_after},
        },
        format=settings.format or "npy",
        overwrite=options.overwrite,
        care=care,
    )
    summarize(options, problem, result, str(settings.output), communicator)


def care_of(options: Options, known: dict[str, Any] | None = None) -> Care:
    """Return how the run is to be looked after: as the options say, else as it was before, else the default."""
    given = {
        "checkpoint_every": options.checkpoint_every,
        "time_limit": options.time_limit,
        "hang_after": options.hang_after,
        "progress_every": options.progress_every,
    }
    changes: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    return Care(**{**(known or {}), **changes, "quiet": options.quiet})


def summarize(options: Options, problem: Problem, result: Result, where: str, communicator: Communicator) -> None:
    """Print what was computed, how fast, and where it is. Collective."""
    with Agreement(communicator):
        if communicator.rank == 0 and (options.json or not options.quiet):
            if options.json:
                report(options, problem, result, where)
            else:
                say("\n".join(summary(problem, result, f"everything about it is in {where}: simsplit show {where}")))


def summary(problem: Problem, result: Result, where: str) -> list[str]:
    """Return three lines or a little more: what was computed, how fast, and where it is."""
    seconds = result.timings
    total = max(1e-9, seconds.scatter + seconds.compute + seconds.gather)
    shares = " · ".join(
        f"{name} {100 * getattr(seconds, part) / total:.0f} %"
        for name, part in (("input", "scatter"), ("compute", "compute"), ("output", "gather"))
    )
    nbytes = result.nbytes["history"]
    kernel = ": ".join(filter(None, (problem.kernel.name, problem.kernel.formula)))
    what = f"{kernel} · {counted(problem.steps, 'step')}"
    where_from = f"{counted(result.ranks, 'rank')} on {counted(len(set(result.hosts)), 'node')}"
    lines = [
        f"simsplit {__version__} · {where_from} · {result.library or 'no MPI'} · {problem.kernel.kind} kernel {what}",
        f"{lasting(total)} · history {readable(nbytes)} at {readable(round(nbytes / total))}/s · {shares}",
        where,
    ]
    if result.note is not None:
        lines.insert(0, result.note)
    if result.verification is not None:
        lines.append(str(result.verification))
    return lines
