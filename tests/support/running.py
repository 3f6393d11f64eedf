"""Run pytest in processes of its own, each with a time limit, and count what they say."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Self
from xml.etree import ElementTree as ET

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType

_PAUSE = 0.05  # seconds between two looks at the processes
_CHUNK = 65536


@dataclass
class Stage:
    """One run of pytest.

    Parameters
    ----------
    name : str
    command : list of str
    cores : int
        How many cores it keeps busy.
    environment : mapping, optional
        By default that of this process.

    Attributes
    ----------
    status : int or None
        The exit status, None until it has ended.
    seconds : float
    counts : dict
        How many tests passed, failed and were skipped.
    """

    name: str
    command: list[str]
    cores: int = 1
    environment: Mapping[str, str] | None = None
    status: int | None = None
    seconds: float = 0.0
    counts: dict[str, int] = field(default_factory=lambda: {"passed": 0, "failed": 0, "skipped": 0})

    def __str__(self) -> str:
        """Return the line of the summary."""
        others = "".join(f", {self.counts[kind]} {kind}" for kind in ("failed", "skipped") if self.counts[kind])
        verdict = f", exit status {self.status}" if self.status else ""
        return f"{self.name:18}{self.counts['passed']:5} passed{others} in {self.seconds:.0f} s{verdict}"


def run_stages(stages: list[Stage], cores: int, limit: float) -> None:
    """Run all stages, side by side as long as there are cores, and print what they say one after the other.

    Parameters
    ----------
    stages : list of Stage
        They begin in this order, but where one does not find its cores a later one that does may go first.
    cores : int
        A stage that wants more of them has the machine to itself.
    limit : float
        Seconds for each stage, which is killed then, with all its processes, and has failed.
    """
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        waiting, going, shown = list(stages), list[_Going](), list(stages)
        started: dict[str, _Going] = {}
        while shown:
            for stage in list(waiting):
                busy = sum(each.stage.cores for each in going)
                if not going or busy + stage.cores <= cores:
                    started[stage.name] = stack.enter_context(_Going(stage, folder / stage.name.replace(" ", "-")))
                    going.append(started[stage.name])
                    waiting.remove(stage)
            going = [each for each in going if not each.has_ended(limit)]
            first = started.get(shown[0].name)
            if first is not None:
                ended = first.stage.status is not None  # asked before the output is read, which is then all
                first.show()
                if ended:
                    shown.pop(0)
                    continue
            time.sleep(_PAUSE)


class _Going:
    """A stage that was started: its process is killed at the end of the block, if it is still there."""

    def __init__(self, stage: Stage, place: Path) -> None:
        self.stage = stage
        self._results = place.with_suffix(".xml")
        self._begun = time.monotonic()
        with place.open("wb") as output:
            self._process = subprocess.Popen(
                [*stage.command, f"--junitxml={self._results}"],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                env=stage.environment,
            )
        self._output = place.open("rb")
        self._named = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._output.close()
        if self._process.poll() is None:
            self._kill()

    def _kill(self) -> None:
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def has_ended(self, limit: float) -> bool:
        """Return whether it has ended; end it if it takes longer than `limit` seconds."""
        status = self._process.poll()
        self.stage.seconds = time.monotonic() - self._begun
        if status is None and self.stage.seconds <= limit:
            return False
        if status is None:
            self._kill()
            with Path(self._output.name).open("a") as output:
                output.write(f"\nstopped: not done after {limit} s\n")
            status = 1
        _count(self._results, self.stage.counts)
        self.stage.status = status
        return True

    def show(self) -> None:
        """Print what it has said since the last time."""
        if not self._named:
            print(f"== {self.stage.name}", flush=True)
            self._named = True
        while chunk := self._output.read(_CHUNK):
            sys.stdout.buffer.write(chunk)
        sys.stdout.flush()


def in_one_line(counts: dict[str, int]) -> str:
    """Return the line that ends every run of tests."""
    return f"{counts['passed']} passed, {counts['failed']} failed, {counts['skipped']} skipped"


def _count(results: Path, counts: dict[str, int]) -> None:
    if results.exists() and results.stat().st_size:
        for suite in ET.parse(results).iter("testsuite"):  # noqa: S314, we wrote it
            tests, failed, skipped = (int(suite.get(name, "0")) for name in ("tests", "failures", "skipped"))
            failed += int(suite.get("errors", "0"))
            counts["passed"] += tests - failed - skipped
            counts["failed"] += failed
            counts["skipped"] += skipped
