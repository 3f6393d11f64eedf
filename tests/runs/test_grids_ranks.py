"""Simulations on grids with known results, on MPI's ranks, at any depth; and what makes them hard."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from simsplit import Grid, Problem, kernels, run
from simsplit.communicator import connect
from simsplit.engine import Plan
from simsplit.history.stored_array import stored_array
from tests.support.grid_cases import CASES, Case

pytestmark = pytest.mark.mpi


@pytest.mark.parametrize("depth", [5, "auto"])  # which is 1 for most of these, and threads try others
@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_the_result_is_known(case: Case, depth: Any) -> None:
    result = run(case.problem(), depth=depth, verify=depth == "auto")
    if result.history is not None:
        case.check(result.history)


def test_watchers_see_the_rows_of_each_step() -> None:
    world = connect()
    initial = np.random.default_rng(2).random((23, 5))
    kernel = kernels.expression("x + 0.1 * laplace(x)", kind="step")
    seen: list[np.ndarray] = []
    problem = Problem(initial, kernel, delta_t=1.0, steps=9, grid=Grid(boundary="periodic"), reduce="max", keep="all")

    def note(step: Any) -> None:
        seen.append(step.values.copy())

    result = run(problem, watch=note, every=3, depth=4, serial=world.size == 1)
    whole = world.bcast(result.history)
    lower, upper = result.bounds[world.rank]
    assert [values.tolist() for values in seen] == [whole[k, lower:upper].tolist() for k in (0, 3, 6)]


@pytest.mark.parametrize("output", ["a.npy", "a.zarr", "a.h5", "folder"])
@pytest.mark.parametrize("tile", [10**7, 200])
def test_every_output_holds_the_same(
    output: str, tile: int, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = connect()
    monkeypatch.setattr(Plan, "tile_nbytes", tile)
    folder = Path(world.bcast(str(tmp_path_factory.mktemp("grids")) if world.rank == 0 else None))
    initial = np.random.default_rng(2).random((23, 5))
    kernel = kernels.expression("x + 0.1 * laplace(x) + 0.01 * t", kind="step")

    def problem() -> Problem:
        grid = Grid(boundary=["no-flux", "anti-periodic"])
        return Problem(initial, kernel, delta_t=0.5, steps=9, grid=grid, keep="every:2")

    expected = world.bcast(run(problem(), serial=world.size == 1).history)
    run(problem(), serial=world.size == 1, output=folder / output, depth=3, verify=True)
    if world.rank == 0:
        path = folder / "folder" / "history.npy" if output == "folder" else folder / output
        found = np.load(path) if path.suffix == ".npy" else stored_array(str(path)).rows(0, 5)  # type: ignore[union-attr]
        assert np.asarray(found).reshape(expected.shape).tolist() == expected.tolist()
