"""docs/performance.md: each program and each command in it runs, and its numbers are those of the code."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

import numpy as np
import pytest

from simsplit import Problem, kernels
from simsplit.backends.llvm import count_operations
from simsplit.backends.llvm import object_code as machine_code
from simsplit.engine import backend_selection as backend
from tests.support.compiling import loop_of
from tests.support.launching import BIN, ROOT, environment, run

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [
    pytest.mark.once,
    pytest.mark.launch,
    pytest.mark.skipif(machine_code.missing() is not None, reason="Numba is not installed"),
]

TEXT = (ROOT / "docs" / "performance.md").read_text()
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)
PROGRAMS = [source for language, source in BLOCKS if language == "python"]
COMMANDS = [line[2:] for language, block in BLOCKS if language == "console" for line in block.splitlines()]
PHASES = next(source for source in PROGRAMS if source.startswith("# phases.py"))


def test_there_are_snippets() -> None:
    assert (len(PROGRAMS), len(COMMANDS)) == (2, 5)


def test_the_program_runs(tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(PROGRAMS[0])
    ended = run([str(BIN / "python"), "program.py"], cwd=tmp_path)
    assert (ended.status, ended.err) == (0, "")
    assert ended.out.startswith("identical: ")


def test_the_phases_of_a_run_are_its_time(tmp_path: Path) -> None:
    (command,) = (each for each in COMMANDS if "phases.py" in each)
    (tmp_path / "phases.py").write_text(PHASES)
    there = environment(PATH=f"{BIN}:{os.environ['PATH']}")
    ended = run(["bash", "-c", f"{command} 20000"], cwd=tmp_path, env=there)
    assert (ended.status, ended.err) == (0, "")
    rows = [line.split() for line in ended.out.splitlines()]
    assert [row[:2] for row in rows] == [[way, what] for way in ("shared", "gatherv") for what in ("numba", "numpy")]
    for _, _, whole, *parts, share, word in rows:
        assert (len(parts), word) == (4, "communication")
        assert float(whole) > 0
        assert all(0 <= float(part) <= float(whole) for part in parts)
        assert 0 <= float(share.rstrip("%")) <= 100


@pytest.mark.parametrize("command", [each for each in COMMANDS if "phases.py" not in each])
def test_the_commands_run(command: str, tmp_path: Path) -> None:
    np.save(tmp_path / "start.npy", np.random.default_rng(1).normal(size=(500, 3)))
    ended = run(["bash", "-c", command], cwd=tmp_path, env=environment(PATH=f"{BIN}:{os.environ['PATH']}"))
    assert (ended.status, ended.err) == (0, "")


@pytest.mark.parametrize("name", ["affine", "logistic", "lorenz"])
def test_what_it_says_of_when_it_pays(name: str) -> None:
    shape = (4, 3) if name == "lorenz" else (4,)
    loop = loop_of(Problem(np.ones(shape), getattr(kernels, name)(), delta_t=0.5, steps=2))
    row = re.search(rf"^\| `{name}` \| (\d+) \| ([\d.]+) MB \| ([\d.]+) MB \|$", TEXT, re.MULTILINE)
    assert row is not None
    assert int(row[1]) == count_operations(loop)
    first, later = (seconds / backend.GAIN / int(row[1]) / 1e6 for seconds in (backend.LOADING, backend.LOADING_AGAIN))
    assert float(row[2]) == pytest.approx(first, rel=0.1)
    assert float(row[3]) == pytest.approx(later, rel=0.1)
