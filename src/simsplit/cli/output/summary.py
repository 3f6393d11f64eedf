"""The summary of a run whose history is in a file."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..._version import __version__
from ...runs.options import kind_of
from ...util.formatting import format_bytes, format_duration, pluralize

if TYPE_CHECKING:
    from ...problem import Problem
    from ...result import Result


def summary(problem: Problem, result: Result, output: str) -> list[str]:
    """Return three lines or a little more: what was computed, how fast, and where it is."""
    where = f"everything about it is in {output}: simsplit show {output}"
    if kind_of(output) != "directory":
        where = f"written to {output}"
    seconds = result.timings
    rank, waited = result.waited or (0, 0.0)
    output_seconds = seconds.gather - waited  # while root waited, the slowest rank computed
    total = max(1e-9, seconds.scatter + seconds.compute + output_seconds)
    spent = {"input": seconds.scatter, "compute": seconds.compute, "output": output_seconds}
    shares = " · ".join(f"{name} {100 * part / total:.0f} %" for name, part in spent.items())
    if waited:
        shares += f" · rank 0 waited {100 * waited / total:.0f} % of the time for rank {rank}"
    nbytes = result.nbytes["history"]
    kernel = ": ".join(filter(None, (problem.kernel.name, problem.kernel.formula)))
    what = f"{kernel} · {pluralize(problem.steps, 'step')}"
    where_from = f"{pluralize(result.ranks, 'rank')} on {pluralize(len(set(result.hosts)), 'node')}"
    lines = [
        f"simsplit {__version__} · {where_from} · {result.library or 'no MPI'} · {problem.kernel.kind} kernel {what}",
        (
            f"{format_duration(total)} · history {format_bytes(nbytes)} "
            f"at {format_bytes(round(nbytes / total))}/s · {shares}"
        ),
        where,
    ]
    if result.cells is not None and problem.initial is not None:
        layout = problem.layout(problem.initial.shape)
        grid = "" if layout is None else f"grid of {layout.facts()}"
        _, reads, halo = result.backend.rpartition("; reach ")
        lines.insert(1, f"{grid} · reach {halo}" if reads else grid)
    if result.note is not None:
        lines.insert(0, result.note)
    if result.verification is not None:
        lines.append(str(result.verification))
    return lines
