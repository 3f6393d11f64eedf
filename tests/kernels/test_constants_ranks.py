"""Constant arrays on several ranks: root's is taken, and the bits are those of one process."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from mpi4py import MPI

import simsplit
from simsplit import kernels

pytestmark = pytest.mark.mpi


@pytest.mark.parametrize("rows", [0, 1, 2, 7])
@pytest.mark.parametrize("transport", ["gatherv", "shared"])
def test_every_rank_gets_roots_constant_whole(rows: int, transport: Any) -> None:
    matrix = np.arange(9.0).reshape(3, 3) / 8
    is_root = MPI.COMM_WORLD.rank == 0
    initial = np.arange(3.0 * rows).reshape(rows, 3)
    kernel = kernels.function(
        lambda x, matrix: np.einsum("ij,mj->mi", matrix, x),
        kind="step",
        name="mix",
        matrix=kernels.constant(matrix) if is_root else None,
    )
    problem = simsplit.Problem(initial if is_root else None, kernel, delta_t=1.0, steps=4)
    result = simsplit.run(problem, comm=MPI.COMM_WORLD, transport=transport, verify=True)
    assert result.verification is not None
    assert result.verification.identical
    if is_root:
        expected = [initial]
        for _ in range(3):
            expected.append(np.einsum("ij,mj->mi", matrix, expected[-1]))
        np.testing.assert_array_equal(result.history, expected)
