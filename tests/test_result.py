"""Tests of what a result says about how the ranks spent their time; the rest is tested by whole runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import numpy as np
import pytest

from simsplit import Problem, kernels
from simsplit.cli.output.summary import summary
from simsplit.engine import Plan, Timings
from simsplit.result import make_result

if TYPE_CHECKING:
    from collections.abc import Sequence

    from simsplit import Result


class Ranks:
    """A communicator of ranks whose times are known."""

    library = "MPICH"
    host = "n1"

    def __init__(self, seconds: Sequence[Timings]) -> None:
        self.size = len(seconds)
        self._seconds = seconds

    def allgather(self, _mine: object) -> list[tuple[str, Timings]]:
        return [(self.host, each) for each in self._seconds]


PROBLEM = Problem(np.zeros(6), kernels.affine(), delta_t=0.1, steps=2)


def result_of(*seconds: Timings) -> Result:
    plan = Plan((6,), np.dtype(float), np.dtype(float), 2, len(seconds))
    return make_result(PROBLEM, cast("Any", Ranks(seconds)), plan, seconds[0], None, None, "NumPy")


def test_waiting_for_a_slow_rank_is_not_called_communication() -> None:
    root, slow = Timings(compute=2.0, gather=7.0, scatter=1.0), Timings(compute=8.0, gather=0.5)
    result = result_of(root, Timings(compute=3.0, gather=6.0), slow)
    assert result.waited == (2, 6.0)
    assert result.shares == pytest.approx(
        {"compute": 0.2, "waiting for rank 2": 0.6, "communication": 0.2, "output": 0.0}
    )
    assert list(result.shares) == ["compute", "waiting for rank 2", "communication", "output"]
    assert summary(PROBLEM, result, "h.zarr")[1].endswith(
        "input 10 % · compute 80 % · output 10 % · rank 0 waited 60 % of the time for rank 2"
    )


@pytest.mark.parametrize(
    ("compute", "gather", "waited"),
    [
        ((2.0, 2.5), 5.0, None),  # less than is worth telling
        ((5.0, 1.0), 5.0, None),  # the others wait for root
        ((0.0, 9.0), 3.0, (1, 3.0)),  # root did something else for a while
        ((0.0, 9.0), 0.1, None),
    ],
)
def test_what_root_waited_is_no_more_than_it_was_idle(
    compute: tuple[float, float], gather: float, waited: tuple[int, float] | None
) -> None:
    result = result_of(Timings(compute=compute[0], gather=gather), Timings(compute=compute[1]))
    assert result.waited == waited
    assert sum(result.shares.values()) == pytest.approx(1)
    assert ("waited" in summary(PROBLEM, result, "h.npy")[1]) == (waited is not None)


def test_one_rank_waits_for_nobody() -> None:
    result = result_of(Timings(compute=5.0, gather=5.0))
    assert (result.waited, set(result.shares)) == (None, {"compute", "communication", "output"})
