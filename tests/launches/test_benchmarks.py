"""The benchmarks run, on sizes that say nothing about speed."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from simsplit.backends.llvm import object_code as machine_code
from tests.support.launching import BIN, ROOT, mpiexec, run

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.launch, pytest.mark.once]

FOLDER = ROOT / "benchmarks"


def test_history() -> None:
    ended = run(mpiexec(2, FOLDER / "history.py", 1000, 3, 2))
    assert ended.status == 0
    ratios = re.findall(r"^ratio +\d+\.\d\d × faster than the plain program: (\w+)$", ended.out, re.MULTILINE)
    assert ratios == ["gatherv", "simsplit"]


def test_steps() -> None:
    ended = run(mpiexec(2, FOLDER / "steps.py", 100, 1000, 1))
    assert ended.status == 0
    assert re.findall(r"× the bare kernel; (\w+):", ended.out) == ["gatherv", "shared"]


def test_grids() -> None:
    ended = run(mpiexec(2, FOLDER / "grids.py", 50, 4, 1))
    assert ended.status == 0, ended.err
    assert re.search(r"^simsplit +\d+\.\d{3} Gupd/s", ended.out, re.MULTILINE)
    assert re.search(r"^ratio +\d+\.\d\d × faster than plain$", ended.out, re.MULTILINE)
    assert ended.out.endswith("the bits are the same\n")


def test_startup() -> None:
    ended = run([str(BIN / "python"), str(FOLDER / "startup.py"), "2", "1"])
    assert ended.status == 0
    assert re.search(r"^ratio +\d+\.\d\d × the time of the bare start, 2 ranks$", ended.out, re.MULTILINE)


def test_peers() -> None:
    ended = run([str(BIN / "python"), str(FOLDER / "peers.py"), "1000", "3", "1"])
    assert ended.status == 0
    assert re.search(r"^simsplit +\d+\.\d +\d+\.\d\d +1\.0   2 ranks: simsplit ", ended.out, re.MULTILINE)
    compiled = [] if machine_code.missing() else ["simsplit, numba"]
    for name in ("mpi4py", "NumPy", "mpi4py.futures", *compiled):
        assert re.search(rf"^{name} +\d+\.\d +\d+\.\d\d +\d+\.\d   ", ended.out, re.MULTILINE)
    for name in ("numexpr", "Heat", "Dask", "Dask, threads", "Pyro5", "Pyro5, serpent"):
        assert re.search(rf"^{name} +–.* not installed$", ended.out, re.MULTILINE)


def test_memory() -> None:
    # Rows enough that a second copy of the history, 92 MiB, would be found out.
    ended = run([str(BIN / "python"), str(FOLDER / "memory.py"), "3000000"])
    assert ended.status == 0
    assert ended.out.count(" MiB beside them: less than 64 MiB") == 6


def test_output(tmp_path: Path) -> None:
    ended = run(mpiexec(2, FOLDER / "output.py", tmp_path, 50_000))
    assert ended.status == 0, ended.err
    assert re.search(r"^history: \d+\.\d\d of the rate of plain writes", ended.out, re.MULTILINE)
    assert re.search(r"^checkpoint: \d+\.\d\d of the time of a plain write", ended.out, re.MULTILINE)
    assert list(tmp_path.iterdir()) == []
