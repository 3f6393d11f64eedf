"""How long a run would take: by proportion, from a kernel whose speed is known."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from simsplit.cli.commands.plan import estimate
from simsplit.cli.commands.run import run_options_of
from simsplit.cli.parser import parse
from simsplit.cli.slurm import estimate as estimating
from simsplit.cli.slurm.estimate import seconds
from simsplit.problem_file.settings import resolve

if TYPE_CHECKING:
    from pathlib import Path

    from simsplit.problem_file.settings import Settings
    from simsplit.runs.planning import ResourceEstimate

_SLOW = """
def slow(x, t, delay):
    assert len(x) == len(delay)
    return x * t * delay
"""


@pytest.fixture(autouse=True)
def tried(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """Let each row of each step take 0.1 ms; return for how many rows and steps the kernel was tried."""
    real, tried = estimating._try, []

    def trying(settings: Settings, found: ResourceEstimate, rows: int, steps: int) -> float:
        assert real(settings, found, rows, steps) >= 0
        tried.append((rows, steps))
        return 1e-4 * rows * steps

    monkeypatch.setattr(estimating, "_try", trying)
    return tried


def estimated(ranks: int, *arguments: str) -> float:
    """Return the estimate for a run."""
    options = parse(["run", *arguments])
    assert options.error is None
    given = resolve(options, None)
    return seconds(given, estimate(given, run_options_of(options, given), ranks, ranks))


def test_it_follows_from_a_few_rows_and_steps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tried: list[tuple[int, int]]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "slowly.py").write_text(_SLOW)
    np.save("delay.npy", np.ones(10_000))
    kernel = ("--kernel", "slowly:slow", "--import-from", ".", "--set", "delay=delay.npy", "--size", "10000")
    found = estimated(4, *kernel, "--steps", "100")
    delivering = 100 * 8 * 10_000 / 500e6
    assert found == pytest.approx(25 + delivering)  # 2500 rows of the longest part × 100 steps × 0.1 ms
    assert tried == [(64, 4), (512, 4)]
    assert estimated(2, *kernel, "--steps", "100") == pytest.approx(50 + delivering)


def test_delivering_the_history_counts() -> None:
    nbytes = 10**9 * 8 * 100
    assert estimated(10_000, "--size", str(10**9), "--steps", "100") > nbytes / 1e9


@pytest.mark.parametrize("arguments", [("--size", "0"), ("--steps", "0"), ("--size", "1", "--steps", "1")])
def test_little_takes_no_time(arguments: tuple[str, ...]) -> None:
    assert estimated(4, *arguments) < 0.1
