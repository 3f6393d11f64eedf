"""``simsplit runs``: the runs in a folder, as a table."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from ...rundir.recorded_run import PastRun, runs_in
from ...util.dtypes import from_json, spelled

if TYPE_CHECKING:
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
        print(json.dumps([{"path": str(run.path), **run.record, "status": run.status} for run in found]))
        return
    if not found:
        print(f"no runs in {options.name or 'this folder'}")
        return
    rows = [_HEAD, *(_row(run) for run in found)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEAD))]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def _row(run: PastRun) -> list[str]:
    record = run.record
    attempts = record["attempts"]
    seconds = sum(each["seconds"]["total"] for each in attempts if each["seconds"] is not None)
    return [
        str(run.path),
        run.status,
        record["problem"]["kernel"],
        "×".join(map(str, record["history"]["shape"][1:])) + f" {spelled(from_json(record['history']['dtype']))}",
        f"{record['position']}/{record['problem']['steps']}",
        str(attempts[-1]["ranks"]) if attempts else "",
        attempts[0]["started"][:19] if attempts else "",
        f"{seconds:.4g}",
    ]
