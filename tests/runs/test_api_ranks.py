"""Runs in a run directory from Python, on several ranks."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from mpi4py.MPI import COMM_WORLD as WORLD

import simsplit
from simsplit import InputError, Problem, StoppedError
from simsplit.kernels import affine, expression

if TYPE_CHECKING:
    from collections.abc import Iterator

    from simsplit.runs.observers import Step

pytestmark = [pytest.mark.mpi, pytest.mark.timeout(120)]

ROWS = np.linspace(-1.0, 2.0, 11)


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """Return root's folder, on every rank."""
    yield Path(WORLD.bcast(tmp_path)) / "a"
    WORLD.barrier()


def scaled(rate: float) -> Any:
    return lambda x, t: x * rate + t


def made(kernel: Any, rows: Any = ROWS) -> Problem:
    """Return a problem of which root alone has the arrays."""
    initial = rows if WORLD.rank == 0 else None
    return Problem(initial, kernel, delta_t=0.25, steps=6, reduce="mean")


def stop(step: Step) -> None:
    if step.k == 2 and step.rank == step.ranks - 1:
        step.stop()


def begin(folder: Path, problem: Problem) -> None:
    with pytest.raises(StoppedError, match="after 3 of 6 steps"):
        simsplit.run(problem, output=folder, watch=stop)


def check(folder: Path, kernel: Any) -> None:
    if WORLD.rank == 0:
        whole = simsplit.run(Problem(ROWS, kernel, delta_t=0.25, steps=6, reduce="mean"), serial=True)
        assert whole.history is not None
        assert np.load(folder / "history.npy").tobytes() == whole.history.tobytes()
        assert np.load(folder / "reductions" / "mean.npy").tobytes() == whole.reductions["mean"].tobytes()


@pytest.mark.parametrize("kind", ["map", "step"])
def test_a_run_is_resumed_on_all_ranks(folder: Path, kind: Any) -> None:
    kernel = expression("x * c + t", kind=kind, c=ROWS if WORLD.rank == 0 else None)
    begin(folder, made(kernel))
    result = simsplit.resume(folder)
    assert result is not None
    assert result.note == "resumed at step 3"
    assert result.ranks == WORLD.size
    check(folder, expression("x * c + t", kind=kind, c=ROWS))
    assert simsplit.resume(folder) is None


def test_a_kernel_of_the_program_is_given_again(folder: Path) -> None:
    begin(folder, made(scaled(0.5)))
    with pytest.raises(InputError, match="needs its problem again") as caught:
        simsplit.resume(folder)
    assert caught.value.is_collective
    with pytest.raises(InputError, match="changed since the run began: the file of input"):
        simsplit.resume(folder, problem=made(scaled(0.5), ROWS + 1))
    assert simsplit.resume(folder, problem=made(scaled(0.5))) is not None
    check(folder, scaled(0.5))


def test_a_problem_on_some_ranks_is_refused(folder: Path) -> None:
    begin(folder, made(affine()))
    problem = made(affine()) if WORLD.rank == 0 else None
    if WORLD.size > 1:
        with pytest.raises(InputError, match="given on some ranks"):
            simsplit.resume(folder, problem=problem)


def test_a_file_is_loaded_by_every_rank(folder: Path) -> None:
    saved = folder.parent / "p.toml"
    if WORLD.rank == 0:
        made(affine(offset=ROWS)).save(saved)
    WORLD.barrier()
    problem = simsplit.load(saved)
    assert problem.initial.shape == (11,)
    begin(folder, problem)
    assert simsplit.resume(folder) is not None
    check(folder, affine(offset=ROWS))
