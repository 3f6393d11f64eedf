"""Reductions on several ranks, by messages and by shared memory."""

from __future__ import annotations

import numpy as np
import pytest

from simsplit import Problem, kernels, run
from simsplit.communicator import connect
from simsplit.problem import REDUCTIONS
from simsplit.verification import bit_mismatch

pytestmark = pytest.mark.mpi


@pytest.mark.parametrize("keep", ["all", "none"])
@pytest.mark.parametrize("transport", ["gatherv", "shared"])
@pytest.mark.parametrize("shape", [(1,), (3,), (1001,), (13, 3)])
def test_any_number_of_ranks_gives_the_bits_of_one(shape: tuple[int, ...], transport: str, keep: str) -> None:
    initial = np.random.default_rng(3).normal(size=shape)
    problem = Problem(initial, kernels.logistic(rate=0.3), delta_t=0.1, steps=40, keep=keep, reduce=REDUCTIONS)
    result = run(problem, verify=True, transport=transport, serial=connect().size == 1)  # type: ignore[arg-type]
    assert result.verification is not None
    assert result.verification.identical
    alone = run(problem, serial=True)
    if result.history is not None:
        assert list(result.reductions) == list(REDUCTIONS)
        for name, values in alone.reductions.items():
            assert values.shape == (40, *shape[1:])
            assert not bit_mismatch(values, result.reductions[name]).any()
