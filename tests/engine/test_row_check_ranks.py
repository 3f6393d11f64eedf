"""Kernels that mix rows are found on ranks: all of them raise the same error, whatever the history goes to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import simsplit
from simsplit import InputError, KernelError, Problem, kernels
from simsplit.communicator import connect
from tests.mixing import LOCAL, MIXING, grid
from tests.support.runs import execute, resume

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.mpi


def problem_of(kernel: Any, initial: Any, **changes: Any) -> Problem:
    """Return a problem; its array is on root."""
    made = kernels.function(kernel, kind="step", name="mine")
    return Problem(initial if connect().rank == 0 else None, made, **{"delta_t": 0.1, "steps": 6, **changes})


def failure(function: Any, *arguments: Any, **options: Any) -> str:
    """Return the message of the error that all ranks raise."""
    world = connect()
    with pytest.raises(KernelError) as caught:
        function(*arguments, **options)
    assert caught.value.exit_status == 4
    assert len(set(world.allgather(str(caught.value)))) == 1
    return str(caught.value)


@pytest.mark.parametrize("rows", [7, 100, 40_000])
@pytest.mark.parametrize("name", MIXING)
def test_all_ranks_raise_the_same(name: str, rows: int) -> None:
    kernel, likely = MIXING[name]
    assert likely in failure(execute, problem_of(kernel, grid(rows)), connect())


@pytest.mark.mpi(min_size=2)
@pytest.mark.parametrize("name", ["roll", "upwind", "mean", "maximum", "Kuramoto"])
def test_it_is_found_where_the_rows_of_each_rank_are_alike(name: str) -> None:
    world = connect()
    initial = np.repeat(np.arange(1.0, world.size + 1), 5)
    assert "beside other rows" in failure(execute, problem_of(MIXING[name][0], initial), world)


@pytest.mark.mpi(min_size=2)
@pytest.mark.parametrize("name", ["roll", "mean", "random", "forgets"])
def test_it_is_found_with_a_row_on_each_rank_and_with_ranks_without_rows(name: str) -> None:
    world = connect()
    for rows in range(2, world.size + 1):
        assert MIXING[name][1] in failure(execute, problem_of(MIXING[name][0], grid(rows)), world)


def test_it_is_found_on_the_last_rank_alone() -> None:
    world = connect()
    last = simsplit.bounds.part(60, world.size, world.size - 1)[0]

    def there(x: Any, row: Any) -> Any:
        return np.where(row >= last, x - x.mean(), x)

    text = failure(execute, problem_of(there, grid(60)), world)
    assert text.startswith(f"the kernel mine failed on rank {world.size - 1} of {world.size} (host ")


@pytest.mark.parametrize("name", LOCAL)
def test_a_row_local_kernel_passes_with_the_bits_of_one_process(name: str) -> None:
    for rows in (1, 2, 30):
        result = execute(problem_of(LOCAL[name], grid(rows)), connect(), verify=True)
        assert result.verification is not None
        assert result.verification.identical


@pytest.mark.parametrize("format", ["npy", "zarr", "h5"])
def test_it_is_found_in_a_file_and_in_a_run_directory_and_again_when_that_is_resumed(
    mpi_tmp_path: Path,
    format: Any,  # noqa: A002, it is called so everywhere
) -> None:
    pytest.importorskip({"npy": "numpy", "zarr": "zarr", "h5": "h5py"}[format])
    world = connect()
    problem = problem_of(MIXING["roll"][0], grid(50))
    file, folder = mpi_tmp_path / f"history.{format}", mpi_tmp_path / "run"
    assert "reads neighbours" in failure(execute, problem, world, output=str(file))
    assert "reads neighbours" in failure(execute, problem, world, output=str(folder), format=format)
    assert "reads neighbours" in failure(resume, problem, world, folder)
    assert resume(problem, world, folder, check_rows=False).ranks == world.size
    assert not file.exists()


@pytest.mark.mpi(min_size=2)
def test_ranks_must_agree_on_whether_to_check() -> None:
    world = connect()
    with pytest.raises(InputError, match="not the same on all ranks: check_rows on rank"):
        execute(problem_of(MIXING["roll"][0], grid(9)), world, check_rows=world.rank > 0)
