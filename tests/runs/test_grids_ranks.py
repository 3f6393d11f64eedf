"""Simulations on grids with known results, on MPI's ranks, at any depth; and what makes them hard."""

from __future__ import annotations

import pytest

from simsplit import run
from tests.support.grid_cases import CASES, Case

pytestmark = pytest.mark.mpi


@pytest.mark.parametrize("depth", [1, 5, "auto"])
@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_the_result_is_known(case: Case, depth: int | None) -> None:
    result = run(case.problem(), depth=depth, verify=depth == "auto" and case.name != "diehard")
    if result.history is not None:
        case.check(result.history)
