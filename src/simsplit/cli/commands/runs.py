"""``simsplit runs``: the runs in a folder, as a table."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from ...rundir.recorded_run import RecordedRun, runs_in
from ...util.dtypes import dtype_label, from_json
from ...util.formatting import say

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..parser import Options

_HEAD = ["run", "status", "kernel", "array", "steps", "ranks", "started", "seconds"]


def command(options: Options) -> None:
    """Print the table. Not collective.

    Raises
    ------
    InputError
        If there is no such folder.
    """
    if options.error is not None:
        raise options.error
    found = runs_in(Path(options.name or "."))
    if options.json:
        say(json.dumps([{"path": str(run.path), **run.record, "status": run.status} for run in found]))
        return
    if not found:
        say(f"no runs in {options.name or 'this folder'}")
        return
    say("\n".join(table_of(found)))


def table_of(runs: Sequence[RecordedRun]) -> list[str]:
    """Return the lines of a table, one for each run below a head."""
    rows = [_HEAD, *(_row(run) for run in runs)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEAD))]
    return ["  ".join(map(str.ljust, row, widths)).rstrip() for row in rows]


def _row(run: RecordedRun) -> list[str]:
    record = run.record
    attempts = record["attempts"]
    seconds = sum(each["seconds"]["total"] for each in attempts if each["seconds"] is not None)
    return [
        str(run.path),
        run.status,
        record["problem"]["kernel"],
        "×".join(map(str, record["history"]["shape"][1:])) + f" {dtype_label(from_json(record['history']['dtype']))}",
        f"{record['position']}/{record['problem']['steps']}",
        str(attempts[-1]["ranks"]) if attempts else "",
        attempts[0]["started"][:19] if attempts else "",
        f"{seconds:.4g}",
    ]
