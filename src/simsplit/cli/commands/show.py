"""``simsplit show``: what ran, how it ended, and what the history looks like."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np

from ...rundir.recorded_run import RecordedRun, Statistics, evenly_spaced, open_run, statistics
from ...util.dtypes import dtype_label, from_json
from ...util.formatting import format_duration, pluralize, say
from ..output.report import reductions_table

if TYPE_CHECKING:
    from ..parser import Options

_STEPS = 12  # in the table
_WIDTH, _HEIGHT = 64, 12  # of the plot, in characters


def command(options: Options) -> None:
    """Print it. Not collective.

    Raises
    ------
    InputError
        If there is no such run, or its history cannot be read.
    """
    if options.error is not None:
        raise options.error
    run = open_run(str(options.name))
    if options.json:
        say(json.dumps({**run.record, "status": run.status}))
        return
    say("\n".join(lines(run)))


def lines(run: RecordedRun) -> list[str]:
    """Return what is printed."""
    text = [*_what(run), "", *_attempts(run)]
    if not run.complete:
        return [*text, "", *_without_steps(run)]
    history, times = run.history(), run.times()
    if history.dtype.names is not None:
        return [*text, "", f"values with fields, {dtype_label(history.dtype)}: no statistics"]
    shown = evenly_spaced(run.complete, _STEPS)
    found = {k: statistics(history, k) for k in {*shown, *evenly_spaced(run.complete, _WIDTH)}}
    return [
        *text,
        "",
        *_table(run, {k: found[k] for k in shown}, times),
        "",
        *_plot(run, {k: found[k] for k in evenly_spaced(run.complete, _WIDTH)}, times),
    ]


def _what(run: RecordedRun) -> list[str]:
    record, problem = run.record, run.record["problem"]
    parameters = ", ".join(f"{name} {value}" for name, value in problem["parameters"].items())
    kernel = ": ".join(filter(None, (problem["kernel"], problem["formula"])))
    shape = " × ".join(f"{length:,}" for length in record["history"]["shape"][1:])
    lines = [
        f"{run.path} · {status(run)}",
        f"{problem['kind']} kernel {kernel}" + (f" · {parameters}" if parameters else ""),
        (
            f"{shape} of {dtype_label(from_json(record['history']['dtype']))} · "
            f"{pluralize(problem['steps'], 'step')} of "
            f"{problem['delta_t']:g} from {problem['start_time']:g} · history {run.file.name}, "
            f"{run.complete:,} of {record['history']['shape'][0]:,} complete"
        ),
    ]
    if problem.get("doubt"):
        lines.append(problem["doubt"])
    if run.status in ("stopped", "killed", "failed", "interrupted", "hung"):
        lines.append(f"continue it with: {run.resume}")
    return lines


def _without_steps(run: RecordedRun) -> list[str]:
    """Return what there is of a run that keeps no step, or has none yet."""
    steps = int(run.record["position"])
    if run.record["history"]["shape"][0] or not steps:
        return ["no step is complete yet"]
    return ["over all rows:", *reductions_table(run.reductions(), steps, run.step_times().__getitem__)[:-1]]


def status(run: RecordedRun) -> str:
    """Return how a run ended, with the reason if there is one."""
    attempt = run.record["attempts"][-1] if run.record["attempts"] else {}
    exit_ = attempt.get("exit") or {}
    why = str(exit_.get("reason") or "").partition("\n")[0]
    return run.status + (f": {why}" if why else "")


def _attempts(run: RecordedRun) -> list[str]:
    text = []
    for attempt in run.record["attempts"]:
        begin, end = attempt["from_step"], attempt["to_step"]
        steps = f"steps {begin:,} to {'?' if end is None else f'{end:,}'}" if end is None or end > begin else "no steps"
        seconds = "" if attempt["seconds"] is None else f" in {format_duration(attempt['seconds']['total'])}"
        exit_ = attempt["exit"] or {"status": "?"}
        text.append(
            f"{attempt['started']} · {steps}{seconds} · "
            f"{pluralize(attempt['ranks'], 'rank')} on {', '.join(attempt['hosts'])} · {attempt['mpi'] or 'no MPI'} · "
            f"exit status {exit_['status']}"
        )
    return text


def _table(run: RecordedRun, found: dict[int, Statistics], times: Any) -> list[str]:
    head = [run.label("t", "time_unit"), *(run.label(word, "unit") for word in ("min", "mean", "max", "std"))]
    rows = [["step", *head]]
    for k, each in found.items():
        numbers = (times[k], each.least, each.mean, each.greatest, each.deviation)
        rows.append([str(_step(run, k)), *(f"{number:.6g}" for number in numbers)])
    text = aligned(rows)
    wrong = {k: each.not_numbers for k, each in found.items() if each.not_numbers}
    if wrong:
        first = min(wrong)
        text.append(f"not finite: {pluralize(wrong[first], 'value')} of step {_step(run, first)}, left out above")
    return text


def _step(run: RecordedRun, k: int) -> int:
    """Return which step entry `k` of the history is."""
    start, _, stride = run.record["history"]["steps"]
    return int(start + k * stride)


def aligned(rows: list[list[str]]) -> list[str]:
    """Write columns that are aligned to the right."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return ["  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) for row in rows]


def _plot(run: RecordedRun, found: dict[int, Statistics], times: Any) -> list[str]:
    """Draw the mean over time, between the least and the greatest value."""
    values = [each for each in found.values() if np.isfinite(each.mean)]
    if not values:
        return []
    low, high = min(each.least for each in values), max(each.greatest for each in values)
    scale = (high - low) or 1.0

    def level(value: float) -> int:
        return round((value - low) / scale * (_HEIGHT - 1))

    columns = []
    for each in found.values():
        column = [" "] * _HEIGHT
        if np.isfinite(each.mean):
            column[level(each.least) : level(each.greatest) + 1] = "·" * (level(each.greatest) - level(each.least) + 1)
            column[level(each.mean)] = "●"
        columns.append(column)
    labels = {_HEIGHT - 1: f"{high:.4g}", 0: f"{low:.4g}"}
    width = max(map(len, labels.values()))
    lines = [
        f"{labels.get(height, '').rjust(width)} │{''.join(column[height] for column in columns)}".rstrip()
        for height in reversed(range(_HEIGHT))
    ]
    first, last = (f"{times[k]:g}" for k in (min(found), max(found)))
    axis = f"{' ' * width} └{'─' * len(columns)}"
    name = run.label("t", "time_unit")
    foot = f"{' ' * width}  {first}{f'{name}  {last}'.rjust(max(1, len(columns) - len(first)))}"
    some = (
        "" if len(found) == run.complete else f" at {len(found)} of {run.complete:,} steps: none between them is shown"
    )
    return [f"{run.label('value', 'unit')}: mean ●, from min to max ·{some}", *lines, axis, foot]
