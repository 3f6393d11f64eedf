"""Simulations on grids with known results, on MPI's ranks, at any depth; and what makes them hard."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from simsplit import Grid, Problem, kernels, run
from simsplit.communicator import connect
from simsplit.communicator.node import Node
from simsplit.engine import Plan
from simsplit.history.stored_array import stored_array
from tests.support.grid_cases import CASES, Case
from tests.support.nodes import PLACES, placed
from tests.support.runs import execute

pytestmark = pytest.mark.mpi


@pytest.mark.parametrize("depth", [5, "auto"])  # which is 1 for most of these, and threads try others
@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_the_result_is_known(case: Case, depth: Any) -> None:
    result = run(case.problem(), depth=depth, verify=depth == "auto")
    if result.history is not None:
        case.check(result.history)


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("depth", [1, 3])
@pytest.mark.parametrize("kind", ["step", "map"])
def test_halos_come_from_shared_memory_and_by_messages(place: str, depth: int, kind: Any) -> None:
    for rows, boundary in ((23, "periodic"), (5, "anti-periodic"), (3, "wall 1")):
        initial = np.random.default_rng(rows).random((rows, 4))
        kernel = kernels.expression("x + 0.1 * laplace(x) + 0.01 * t * x[-1]", kind=kind)
        problem = Problem(initial, kernel, delta_t=0.5, steps=8, grid=Grid(boundary=boundary))
        with placed(place) as world:
            histories = [
                execute(problem, world, transport=transport, depth=depth, verify=True).history
                for transport in ("auto", "gatherv", "auto")
            ]
        if world.rank == 0:
            assert len({history.tobytes() for history in histories if history is not None}) == 1


@pytest.mark.mpi(min_size=2)
def test_without_shared_memory_halos_go_by_messages(monkeypatch: pytest.MonkeyPatch) -> None:
    case = CASES[0]
    with monkeypatch.context() as patched:
        patched.setattr("simsplit.communicator.node.Node.share", lambda *_: None)
        result = run(case.problem(), depth=2)
    if result.history is not None:
        case.check(result.history)


@pytest.mark.mpi(min_size=2)
@pytest.mark.parametrize("place", ["round robin", "in blocks", "the last alone"])
def test_one_node_may_have_memory_to_share_and_another_none(place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    share = Node.share
    monkeypatch.setattr(Node, "share", lambda self, nbytes: None if self.index else share(self, nbytes))
    case = CASES[0]
    with placed(place) as world:
        result = execute(case.problem(), world, depth=2)
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
