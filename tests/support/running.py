"""Run pytest in a process of its own, with a time limit, and count what it says."""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

if TYPE_CHECKING:
    from collections.abc import Mapping

_RUNNING: set[int] = set()  # process groups


def run_counted(
    command: list[str], limit: float, environment: Mapping[str, str] | None = None
) -> tuple[int, float, dict[str, int], str]:
    """Run pytest by `command` for `limit` seconds at most: its exit status, seconds, numbers of tests and output."""
    begun = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        results, output = Path(folder) / "results.xml", Path(folder) / "output"
        with output.open("wb") as file:
            process = subprocess.Popen(
                [*command, f"--junitxml={results}"],
                start_new_session=True,
                env=environment,
                stdout=file,
                stderr=subprocess.STDOUT,
            )
            _RUNNING.add(process.pid)
        try:
            status = process.wait(limit)
            end = ""
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            status, end = 1, f"stopped: not done after {limit} s"
        except KeyboardInterrupt:
            stop_all()
            raise
        _RUNNING.discard(process.pid)
        text = output.read_text(errors="replace") + end
        return status, time.monotonic() - begun, _counts(results), text


def stop_all() -> None:
    """Kill what still runs."""
    for pid in list(_RUNNING):
        with suppress(ProcessLookupError):
            os.killpg(pid, signal.SIGKILL)


def in_one_line(counts: dict[str, int]) -> str:
    """Return the line that ends every run of tests."""
    return f"{counts['passed']} passed, {counts['failed']} failed, {counts['skipped']} skipped"


def _counts(results: Path) -> dict[str, int]:
    counts = {"passed": 0, "failed": 0, "skipped": 0}
    if results.exists():
        for suite in ET.parse(results).iter("testsuite"):  # noqa: S314, we wrote it
            tests, failed, skipped = (int(suite.get(name, "0")) for name in ("tests", "failures", "skipped"))
            failed += int(suite.get("errors", "0"))
            counts["passed"] += tests - failed - skipped
            counts["failed"] += failed
            counts["skipped"] += skipped
    return counts
