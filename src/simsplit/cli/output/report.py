"""What ``simsplit run`` prints: a table for people, JSON for programs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TextIO

import numpy as np

from ..._version import __version__
from ...engine import LocalPart
from ...engine.verify import ReferenceSolution
from ...util.dtypes import dtype_label
from ...util.formatting import format_bytes, format_rows, pluralize

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import numpy.typing as npt

    from ...problem import Problem
    from ...result import Result

    Array = npt.NDArray[Any]

_VALUES = 10  # an array of more is abbreviated, as NumPy does beyond its threshold
_EDGE = 3  # rows at either end of an abbreviated list of steps or ranks
_NUMBERS = 1000  # of a reduction; more are not written into JSON
_STEPS = 20  # more steps are abbreviated
_MOST_LINES = 40  # of all steps together, where there are more of them than are shown of many
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
            "kind": problem.kernel.kind,
            "parameters": {name: _as_json(value) for name, value in problem.kernel.parameters.items()},
            "shape": list(initial.shape),
            "dtype": dtype_label(initial.dtype),
            "delta_t": problem.delta_t,
            "start_time": problem.start_time,
            "steps": problem.steps,
            "seed": problem.seed,
            "keep": problem.keep,
            "reduce": list(problem.reduce),
            "reduce_over": problem.reduce_over,
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
            "output": result.timings.output,
            "steps": result.timings.steps,
        },
        "bytes_per_second": result.rate,
        "shares": result.shares,
        "waited": None if result.waited is None else {"rank": result.waited[0], "seconds": result.waited[1]},
        "transport": result.transport,
        "transport_reason": result.transport_reason,
        "reductions": {name: _reduced(values) for name, values in result.reductions.items()},
        "backend": result.backend,
        "note": result.note,
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
    ranks = pluralize(result.ranks, "rank")
    kernel = problem.kernel
    words = [f"{kernel.name}: {kernel.formula}" if kernel.formula else kernel.name, *_parameters(problem)]
    head = (
        f"simsplit {__version__} · {ranks} on {pluralize(nodes, 'node')} · {result.library or 'no MPI'} · "
        f"{kernel.kind} kernel {', '.join(words)}"
    )
    lines = [
        head,
        f"{_array(problem.initial)} · {_count_text(problem)} · {_who(result.bounds)}",
        "",
        *_steps(problem, result, ranks),
        *reductions_table(result.reductions, problem.steps, problem.time),
        _summary(result, output),
        _way(result),
        f"backend {result.backend}",
        *([] if result.note is None else [result.note]),
    ]
    if result.verification is not None:
        lines.append(str(result.verification))
    out.write("\n".join(lines) + "\n")


def _parameters(problem: Problem) -> list[str]:
    """Write each parameter."""
    parameters = problem.kernel.parameters.items()
    return [f"{name} {'by row' if isinstance(value, np.ndarray) else f'{value:g}'}" for name, value in parameters]


def _as_json(value: Any) -> Any:
    """Return a number, or the words that stand for one that JSON does not have."""
    if isinstance(value, np.ndarray):
        return f"array of {value.dtype.name}, shape {value.shape}"
    return value if isinstance(value, (int, float)) else str(value)


def _array(array: Array) -> str:
    row = " × ".join(str(length) for length in array.shape[1:])
    return f"{pluralize(len(array), 'row')} of {row + ' ' if row else ''}{dtype_label(array.dtype)}"


def _count_text(problem: Problem) -> str:
    steps, kept = pluralize(problem.steps, "step"), problem.keep
    if kept == "all":
        return steps
    return f"{steps}, of which {len(problem.kept):,} kept ({kept})"


def _who(bounds: list[tuple[int, int]]) -> str:
    words = [f"{rank}: {format_rows(lower, upper)}" for rank, (lower, upper) in enumerate(bounds)]
    if len(words) > _RANKS:
        words[_EDGE:-_EDGE] = ["…"]
    return "rank " + " · ".join(words)


def _steps(problem: Problem, result: Result, ranks: str) -> list[str]:
    """Return the table: step, time, the ranks' result, and, if it was compared, one process's."""
    history = result.history
    assert history is not None  # noqa: S101, for the type checker
    every = range(len(history))
    if not every:
        return []
    lines = len(every) * len(_lines(history[0]))
    few = len(every) <= _STEPS and (lines <= _MOST_LINES or len(every) <= 2 * _EDGE)
    positions = [*every] if few else [*every[:_EDGE], *every[-_EDGE:]]
    shown = [result.kept[position] for position in positions]
    columns = [[_lines(history[position]) for position in positions]]
    titles = [ranks]
    if result.verification is not None and not problem.kernel.is_on_grid:  # of a grid ends alone cannot be computed
        columns.append([_lines(result) for result in _one_process(problem, shown, history)])
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
    if history.ndim > 3:  # noqa: PLR2004, steps, rows, and what is shown as a line
        table.append(f"a line is a row of {' × '.join(map(str, history.shape[2:]))} values")
    return [*table, ""]


def reductions_table(reductions: Mapping[str, Array], steps: int, time: Callable[[int], float]) -> list[str]:
    """Return the table of what was computed over all rows, and an empty line; nothing if there is nothing.

    Parameters
    ----------
    reductions : mapping of str to ndarray, shape (steps, ...)
    steps : int
        How many are there.
    time : callable
        Gives the time of a step.
    """
    if not reductions or not steps:
        return []
    every = range(steps)
    shown = [*every] if len(every) <= _STEPS else [*every[:_EDGE], *every[-_EDGE:]]
    columns = {name: [" ".join(_lines(values[k])) for k in shown] for name, values in reductions.items()}
    widths = [max(map(len, [name, *cells])) for name, cells in columns.items()]
    times = [f"{time(k):.12g}" for k in shown]
    time_width = max([4, *map(len, times)])
    lines = ["  ".join([" step", "t".rjust(time_width), *_padded(list(columns), widths)]).rstrip()]
    for position, k in enumerate(shown):
        if position == _EDGE and len(shown) < steps:
            lines.append(f"    …  {steps - len(shown):,} steps are not shown")
        cells = [column[position] for column in columns.values()]
        lines.append("  ".join([f"{k:5d}", times[position].rjust(time_width), *_padded(cells, widths)]).rstrip())
    return [*lines, ""]


def _reduced(values: Array) -> Any:
    """Return a reduction as numbers, or of a long one what it is; what JSON has no number for becomes a text."""
    if values.size > _NUMBERS:
        return f"array of {values.dtype.name}, shape {values.shape}"
    plain = values.astype(object).ravel()
    finite = np.isfinite(values).ravel()
    texts = [
        value if good and not isinstance(value, complex) else str(value)
        for value, good in zip(plain, finite, strict=True)
    ]
    return np.array(texts, object).reshape(values.shape).tolist()


def _padded(texts: list[str], widths: list[int]) -> list[str]:
    return [text.ljust(width) for text, width in zip(texts, widths, strict=True)]


def _lines(array: Array) -> list[str]:
    """Write an array, a line for each row; rows of several axes are written as they lie in memory."""
    if array.ndim > 2:  # noqa: PLR2004, rows of one axis
        array = array.reshape(len(array), -1)
    text = np.array2string(array, threshold=_VALUES, edgeitems=_EDGE, max_line_width=10**6)
    return text.splitlines()


def _one_process(problem: Problem, shown: list[int], history: Array) -> list[Array]:
    """Compute what is shown of some steps: of large ones the rows at either end; the rest is not touched."""
    assert problem.initial is not None  # noqa: S101, for the type checker
    size, length = history[:1].size, len(problem.initial)
    ends = [(0, length)] if size <= _VALUES or length <= 2 * _EDGE else [(0, _EDGE), (length - _EDGE, length)]
    results = [np.empty(history.shape[1:], history.dtype) for _ in shown]
    for lower, upper in ends:
        own = {name: _rows(value, lower, upper) for name, value in problem.kernel.parameters.items()}
        rows = LocalPart(problem, lower, problem.initial[lower:upper], own, problem.layout(problem.initial.shape))
        trajectory = ReferenceSolution(rows, lower, upper, history.dtype)
        for k, result in zip(shown, results, strict=True):
            result[lower:upper] = trajectory.at(k)
    return results


def _rows(parameter: Any, lower: int, upper: int) -> Any:
    return parameter[lower:upper] if isinstance(parameter, np.ndarray) else parameter


def _summary(result: Result, output: str | None) -> str:
    seconds = result.timings
    parts = [f"{name} {_seconds(getattr(seconds, name))}" for name in ("scatter", "compute", "gather")]
    history = f"history {format_bytes(result.nbytes['history'])}"
    if result.rate:
        history += f", {result.rate / 1e9:.3g} GB/s"
    parts.append(history)
    if output is not None and (result.verification is None or result.verification.identical):
        parts.append(f"written to {output}")
    return " · ".join(parts)


def _way(result: Result) -> str:
    """Say how the results came to root, and how root spent its time."""
    reason = f" ({result.transport_reason})" if result.transport_reason else ""
    shares = [f"{name} {share:.0%}" for name, share in result.shares.items()]
    return " · ".join([f"transport {result.transport}{reason}", *shares])


def _seconds(seconds: float) -> str:
    return f"{seconds:.3g} s" if seconds >= 1 else f"{seconds * 1000:.3g} ms"
