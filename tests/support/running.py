"""Run pytest in a process of its own, with a time limit, and count what it says."""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

if TYPE_CHECKING:
    from collections.abc import Mapping


def run_counted(
    command: list[str], limit: float, environment: Mapping[str, str] | None = None
) -> tuple[int, float, dict[str, int]]:
    """Run pytest by `command`, for `limit` seconds at most; return exit status, seconds and numbers of tests."""
    begun = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        results = Path(folder) / "results.xml"
        process = subprocess.Popen([*command, f"--junitxml={results}"], start_new_session=True, env=environment)
        try:
            status = process.wait(limit)
        except (subprocess.TimeoutExpired, KeyboardInterrupt) as reason:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            if isinstance(reason, KeyboardInterrupt):
                raise
            print(f"stopped: not done after {limit} s", flush=True)
            status = 1
        return status, time.monotonic() - begun, _counts(results)


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
