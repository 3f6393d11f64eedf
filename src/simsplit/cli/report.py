"""What ``simsplit run`` prints: a table for people, JSON for programs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TextIO

import numpy as np

from .. import __version__
from ..text import counted, readable

if TYPE_CHECKING:
    import numpy.typing as npt

    from ..problem import Problem
    from ..runner import Result

    Array = npt.NDArray[Any]

_VALUES = 10  # an array of more is abbreviated, as NumPy does beyond its threshold
_EDGE = 3  # rows at either end of an abbreviated list of steps or ranks
_STEPS = 20  # more steps are abbreviated
_RANKS = 8  # more ranks are abbreviated


def as_json(problem: Problem, result: Result, output: str | None, out: TextIO) -> None:
    """Write one JSON object on one line. Root only."""
    import json

    initial = problem.initial
    assert initial is not None  # noqa: S101, for the type checker: root has the array
    found = result.verification
    report = {
        "simsplit": __version__,
        "problem": {
            "kernel": problem.kernel.name,
            "parameters": dict(problem.kernel.parameters),
            "shape": list(initial.shape),
            "dtype": initial.dtype.name,
            "delta_t": problem.delta_t,
            "start_time": problem.start_time,
            "steps": problem.steps,
        },
        "ranks": result.ranks,
        "nodes": len(set(result.hosts)),
        "bounds": [list(pair) for pair in result.bounds],
        "mpi": result.library,
        "bytes": result.nbytes,
        "seconds": {
            "scatter": result.timings.scatter,
            "compute": result.timings.compute,
            "gather": result.timings.gather,
        },
        "identical": None if found is None else found.identical,
        "verification": None if found is None else str(found),
        "output": output if found is None or found.identical else None,
    }
    out.write(json.dumps(report) + "\n")


def as_table(problem: Problem, result: Result, output: str | None, out: TextIO) -> None:
    """Write who computed what, the steps, the times and the verdict. Root only."""
    assert problem.initial is not None  # noqa: S101, for the type checker: root has the array
    assert result.history is not None  # noqa: S101, the same
    nodes = len(set(result.hosts))
    ranks = counted(result.ranks, "rank")
    parameters = ", ".join(f"{name} {value:g}" for name, value in problem.kernel.parameters.items())
    head = (
        f"simsplit {__version__} · {ranks} on {counted(nodes, 'node')} · "
        f"{result.library or 'no MPI'} · kernel {problem.kernel.name}: {problem.kernel.formula}, {parameters}"
    )
    lines = [
        head,
        f"{_array(problem.initial)} · {counted(problem.steps, 'step')} · {_who(result.bounds)}",
        "",
        *_steps(problem, result, ranks),
        "",
        _summary(result, output),
    ]
    if result.verification is not None:
        lines.append(str(result.verification))
    out.write("\n".join(lines) + "\n")


def _array(array: Array) -> str:
    row = " × ".join(str(length) for length in array.shape[1:])
    return f"{counted(len(array), 'row')} of {row + ' ' if row else ''}{array.dtype.name}"


def _who(bounds: list[tuple[int, int]]) -> str:
    words = [f"{rank}: {_rows(lower, upper)}" for rank, (lower, upper) in enumerate(bounds)]
    if len(words) > _RANKS:
        words[_EDGE:-_EDGE] = ["…"]
    return "rank " + " · ".join(words)


def _rows(lower: int, upper: int) -> str:
    if upper - lower > 1:
        return f"rows {lower}–{upper - 1}"
    return f"row {lower}" if upper > lower else "no rows"


def _steps(problem: Problem, result: Result, ranks: str) -> list[str]:
    """Return the table: step, time, the ranks' result, and, if it was compared, one process's."""
    history, initial = result.history, problem.initial
    assert history is not None  # noqa: S101, for the type checker
    assert initial is not None  # noqa: S101, the same
    every = range(len(history))
    shown = [*every] if len(every) <= _STEPS else [*every[:_EDGE], *every[-_EDGE:]]
    columns = [[_lines(history[k]) for k in shown]]
    titles = [ranks]
    if result.verification is not None:
        columns.append([_lines(_one_process(problem, k, history[k])) for k in shown])
        titles.append("one process")
    times = [f"{problem.time(k):.12g}" for k in shown]
    time_width = max(4, *map(len, times)) if times else 4
    widths = [
        max(map(len, [title, *(line for cell in column for line in cell)]))
        for title, column in zip(titles, columns, strict=True)
    ]
    table = ["  ".join([" step", "t".rjust(time_width), *_padded(titles, widths)]).rstrip()]
    for position, k in enumerate(shown):
        if position == _EDGE and len(shown) < len(history):
            table.append(f"    …  {len(history) - len(shown):,} steps are not shown")
        cells = [column[position] for column in columns]
        for number in range(max(map(len, cells))):
            head = [f"{k:5d}", times[position].rjust(time_width)] if number == 0 else [" " * 5, " " * time_width]
            texts = [cell[number] if number < len(cell) else "" for cell in cells]
            table.append("  ".join([*head, *_padded(texts, widths)]).rstrip())
    return table


def _padded(texts: list[str], widths: list[int]) -> list[str]:
    return [text.ljust(width) for text, width in zip(texts, widths, strict=True)]


def _lines(array: Array) -> list[str]:
    text = np.array2string(array, threshold=_VALUES, edgeitems=_EDGE, max_line_width=10**6)
    return text.splitlines()


def _one_process(problem: Problem, k: int, like: Array) -> Array:
    """Compute what is shown of a step: of a large array the rows at either end; the rest is not touched."""
    initial = problem.initial
    assert initial is not None  # noqa: S101, for the type checker
    result = np.empty_like(like)
    ends = [slice(None)] if like.size <= _VALUES else [slice(_EDGE), slice(-_EDGE, None)]
    for rows in ends:
        x = np.ascontiguousarray(initial[rows], initial.dtype.newbyteorder("="))
        with np.errstate(all="ignore"):
            result[rows] = problem.kernel.reference(x, problem.time(k))
    return result


def _summary(result: Result, output: str | None) -> str:
    seconds = result.timings
    parts = [f"{name} {_seconds(getattr(seconds, name))}" for name in ("scatter", "compute", "gather")]
    parts.append(f"history {readable(result.nbytes['history'])}")
    if output is not None and (result.verification is None or result.verification.identical):
        parts.append(f"written to {output}")
    return " · ".join(parts)


def _seconds(seconds: float) -> str:
    return f"{seconds:.3g} s" if seconds >= 1 else f"{seconds * 1000:.3g} ms"
