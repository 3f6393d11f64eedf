"""Simulations on grids with known results, on ranks that are threads: parts thinner than the halo, more than rows."""

from __future__ import annotations

import pytest

from tests.support.grid_cases import CASES, Case
from tests.support.grids import on_threads


@pytest.mark.parametrize(("ranks", "depth"), [(1, None), (2, 5), (5, 2), (7, 1)])
@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_the_result_is_known(case: Case, ranks: int, depth: int | None) -> None:
    result = on_threads(case.problem(), ranks, depth=depth)
    assert result.history is not None
    case.check(result.history)
