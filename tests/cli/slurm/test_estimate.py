"""How long a run would take: by proportion, from a kernel whose speed is known."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import numpy as np
import pytest

from simsplit.cli.commands.plan import look
from simsplit.cli.parser import parse
from simsplit.cli.problem_file.settings import resolve
from simsplit.cli.slurm.estimate import seconds

if TYPE_CHECKING:
    from pathlib import Path

_SLOW = """
import time

def slow(x, t, delay):
    time.sleep(1e-4 * len(x))
    assert len(x) == len(delay)
    return x * t * delay
"""


def estimate(ranks: int, *arguments: str) -> float:
    """Return the estimate for a run."""
    options = parse(["run", *arguments])
    assert options.error is None
    given = resolve(options, None)
    return seconds(given, look(given, ranks, ranks))


def test_it_follows_from_a_few_rows_and_steps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "slowly.py").write_text(_SLOW)
    np.save("delay.npy", np.ones(10_000))
    kernel = ("--kernel", "slowly:slow", "--import-from", ".", "--set", "delay=delay.npy", "--size", "10000")
    begun = time.monotonic()
    found = estimate(4, *kernel, "--steps", "100")
    assert 25 <= found < 100  # 2500 rows of the longest part × 100 steps × 0.1 ms, and what sleeping takes longer
    assert time.monotonic() - begun < 10
    assert 1.3 < estimate(2, *kernel, "--steps", "100") / found < 3


def test_delivering_the_history_counts() -> None:
    nbytes = 10**9 * 8 * 100
    assert estimate(10_000, "--size", str(10**9), "--steps", "100") > nbytes / 1e9


@pytest.mark.parametrize("arguments", [("--size", "0"), ("--steps", "0"), ("--size", "1", "--steps", "1")])
def test_little_takes_no_time(arguments: tuple[str, ...]) -> None:
    assert estimate(4, *arguments) < 0.1
