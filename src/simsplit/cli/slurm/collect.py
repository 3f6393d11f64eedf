"""``simsplit collect``: one table and one picture of all runs in a folder."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ...display import figure as picture
from ...errors import InputError
from ...rundir.directory import OURS
from ...rundir.recorded_run import RecordedRun, evenly_spaced, runs_in, statistics
from ...util import durable as disk
from ...util.formatting import say

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt

    from ..parser import Options

_TELLABLE = 10  # curves with a colour of their own
_LAST = ("last_time", "least", "mean", "greatest", "deviation", "not_numbers")  # of the last step


# Which reduction of the last step says what the history would say, and how to make one number of it.
_REDUCED: dict[str, tuple[str, Callable[[Any], Any]]] = {
    "min": ("least", np.min),
    "mean": ("mean", np.mean),
    "max": ("greatest", np.max),
}


def command(options: Options) -> None:
    """Write them. Not collective.

    Raises
    ------
    InputError
        If there are no runs, or the picture cannot be drawn.
    OutputError
        If a file cannot be written.
    """
    if options.error is not None:
        raise options.error
    found = runs_in(Path(str(options.name)))
    if not found:
        raise InputError(f"there are no runs in {options.name}. Give the folder that holds run directories.")
    for output in filter(None, (options.output, options.plot)):
        if any(disk.within(Path(output), run.path / name) for run in found for name in OURS):
            raise InputError(f"{output} is a file of a run, which would be lost. Name another one.")
    text = as_csv([row(run) for run in found])
    if options.output is None:
        say(text, exact=True)
    else:
        with disk.as_output_error(f"the table {options.output}", "Name a file in a writable folder (-o table.csv)."):
            disk.atomic_write_bytes(Path(options.output).absolute(), text.encode("utf-8", "surrogateescape"))
    if options.plot is not None:
        draw(found, options.plot)


def row(run: RecordedRun) -> dict[str, Any]:
    """Return what the table says of a run: how it ended, the problem, and statistics of its last step."""
    record, attempts = run.record, run.record["attempts"]
    problem = {name: value for name, value in record["problem"].items() if name != "parameters"}
    seconds = sum(each["seconds"]["total"] for each in attempts if each["seconds"] is not None)
    cells = {
        "run": run.path.name,
        "status": run.status,
        "steps_done": record["position"],
        **{name: value for name, value in problem.items() if _is_scalar_cell(value)},
        **{name: value for name, value in record["problem"]["parameters"].items() if _is_scalar_cell(value)},
        "ranks": attempts[-1]["ranks"] if attempts else None,
        "starts": len(attempts),
        "seconds": f"{seconds:.6g}",
    }
    if run.complete:
        last = statistics(run.history(), run.complete - 1)
        numbers = (last.least, last.mean, last.greatest, last.deviation, last.not_numbers)
        cells |= dict(zip(_LAST, (float(run.times()[run.complete - 1]), *numbers), strict=True))
    elif record["position"] and (found := _reductions(run)):  # of a run that keeps no step
        cells["last_time"] = float(run.step_times()[-1])
        cells |= {name: float(take(found[of][-1])) for of, (name, take) in _REDUCED.items() if of in found}
    return cells


def _reductions(run: RecordedRun) -> dict[str, npt.NDArray[Any]]:
    """Return the reductions whose values can be put in an order."""
    return {name: values for name, values in run.reductions().items() if values.dtype.kind != "c" and len(values)}


def _is_scalar_cell(value: Any) -> bool:
    return isinstance(value, (bool, int, float, str))


def _drawable(name: str) -> str:
    """Return a name as matplotlib can draw it: one that is not UTF-8 has question marks."""
    return name.encode(errors="replace").decode()


def as_csv(rows: list[dict[str, Any]]) -> str:
    """Return a table with a column for whatever any of the rows has."""
    columns = dict.fromkeys(name for each in rows for name in each if name not in _LAST)
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, [*columns, *_LAST], restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def draw(runs: list[RecordedRun], output: str) -> None:
    """Draw the mean over all rows against the time, a curve of all steps for each run that has one.

    Raises
    ------
    InputError
        If no run has one, or matplotlib is missing.
    OutputError
        If the picture cannot be written.
    """
    figure = picture.figure(10, 6)
    drawn = [run for run in runs if run.complete or "mean" in _reductions(run)]
    if not drawn:
        raise InputError("no run has a complete step yet: there is nothing to draw.")
    from matplotlib import colormaps

    axes = figure.subplots()
    for number, run in enumerate(drawn):
        times = run.times()[: run.complete] if run.complete else run.step_times()
        colour = f"C{number}" if len(drawn) <= _TELLABLE else colormaps["viridis"](number / (len(drawn) - 1))
        marker = "." if len(times) == 1 else None
        axes.plot(times, _means(run), color=colour, label=_drawable(run.path.name), marker=marker)
    axes.set_title(f"{len(drawn)} of {len(runs)} runs in {_drawable(str(runs[0].path.parent))}")
    axes.set_xlabel(drawn[0].label("time", "time_unit"))
    axes.set_ylabel(drawn[0].label("mean over all rows", "unit"))
    axes.grid(visible=True, alpha=0.3)
    shown = axes.get_lines() if len(drawn) <= _TELLABLE else [axes.get_lines()[k] for k in evenly_spaced(len(drawn), 5)]
    axes.legend(handles=shown, loc="center left", bbox_to_anchor=(1.0, 0.5))
    picture.save(figure, output)


@np.errstate(over="ignore", invalid="ignore")  # of great values, and of steps without a number
def _means(run: RecordedRun) -> npt.NDArray[np.float64]:
    """Return the mean of each step of a run, of the values that are numbers; of complex ones the absolute values."""
    if not run.complete:
        means = run.reductions()["mean"]
        return np.asarray(means.mean(axis=tuple(range(1, means.ndim))), np.float64)
    history = run.history()
    sums, counts = np.zeros(run.complete), np.zeros(run.complete, np.int64)
    for steps, within in history.pieces(run.complete):
        block = history.block(steps, within)
        values = np.abs(block) if np.iscomplexobj(block) else block.astype(np.float64)
        numbers, axes = np.isfinite(values), tuple(range(1, values.ndim))
        sums[steps] += np.where(numbers, values, 0).sum(axis=axes, dtype=np.float64)
        counts[steps] += numbers.sum(axis=axes)
    return sums / counts
