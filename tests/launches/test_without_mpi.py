"""The same program in one process, and where there is no MPI library at all."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.support.launching import BIN, SIMSPLIT, VENVS, mpiexec, run

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.launch]

BARE = VENVS[None] / "bin" / "python"
WAYS = {
    "no MPI library": [str(BARE)],
    "no launcher": [str(BIN / "python")],
    "--serial": [str(BIN / "python")],
}


def table(text: str) -> list[str]:
    """Return what does not depend on the MPI library and the clock."""
    return [line for line in text.splitlines() if not line.startswith(("simsplit ", "scatter ", "transport "))]


def test_there_is_no_mpi_library() -> None:
    ended = run([str(BARE), "-c", "from mpi4py import MPI"])
    assert ended.status == 1
    assert "RuntimeError: cannot load MPI library" in ended.err


def test_mpi4py_may_be_missing_too(tmp_path: Path) -> None:
    (tmp_path / "mpi4py.py").write_text("raise ModuleNotFoundError(\"No module named 'mpi4py'\")\n")
    ended = run([str(BARE), *SIMSPLIT, "run", "--json"], cwd=tmp_path)
    assert (ended.status, json.loads(ended.out)["mpi"]) == (0, None)


@pytest.mark.parametrize("way", WAYS)
def test_one_process_prints_what_one_rank_does(way: str) -> None:
    options = ["run", "--verify", *(["--serial"] if way == "--serial" else [])]
    ended = run([*WAYS[way], *SIMSPLIT, *options])
    one = run(mpiexec(1, *SIMSPLIT))
    assert (ended.status, ended.err) == (0, "")
    assert table(ended.out) == table(one.out)
    assert ended.out.endswith("identical: 5 of 5 steps, 35 of 35 values, bit for bit\n")


def test_without_an_mpi_library_the_bits_are_those_of_four_ranks(tmp_path: Path) -> None:
    options = ["run", "--quiet", "--size", "1003", "--offset", "0.1", "--delta-t", "0.3", "--output"]
    assert run([str(BARE), *SIMSPLIT, *options, str(tmp_path / "bare.npy")]).status == 0
    assert run(mpiexec(4, *SIMSPLIT, *options, tmp_path / "four.npy")).status == 0
    assert (tmp_path / "bare.npy").read_bytes() == (tmp_path / "four.npy").read_bytes()


def test_serial_does_not_touch_mpi() -> None:
    program = (
        "import sys, numpy, simsplit\n"
        "problem = simsplit.Problem(numpy.arange(7.0), simsplit.kernels.affine(), delta_t=0.5, steps=5)\n"
        "print(simsplit.run(problem, serial=True).history[1].tolist(), 'mpi4py' in sys.modules)\n"
    )
    ended = run([str(BIN / "python"), "-c", program])
    assert ended.out == "[1.5, 4.0, 6.5, 9.0, 11.5, 14.0, 16.5] False\n"


def test_without_numba_all_is_there_but_compiled_kernels() -> None:
    options = ["run", "--size", "400000", "--quiet", "--json", "--verify"]
    ended = run([str(BARE), *SIMSPLIT, *options])
    assert ended.status == 0
    assert (json.loads(ended.out)["backend"], json.loads(ended.out)["identical"]) == (
        "NumPy: numba is not installed",
        True,
    )
    ended = run([str(BARE), *SIMSPLIT, *options, "--backend", "numba"])
    assert (ended.status, ended.out) == (2, "")
    assert ended.err == (
        "simsplit: the backend numba cannot be used: numba is not installed. "
        "Install it with: pip install 'simsplit[fast]'\n"
    )
