"""Functions that Numba compiles, as kernels: ufuncs and plain functions, map and step, with fields too."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from simsplit import KernelError, Problem, run
from simsplit.kernels import function

if TYPE_CHECKING:
    import numpy.typing as npt

    from simsplit.kernels import Kernel

    Array = npt.NDArray[Any]

numba = pytest.importorskip("numba")


ROWS = 40_001  # more than one block


def history(initial: Any, kernel: Kernel, **changes: Any) -> Array:
    """Run in one process; the history is verified."""
    found = run(Problem(initial, kernel, delta_t=0.25, steps=4, **changes), serial=True, verify=True).history
    assert found is not None
    return found


@pytest.mark.parametrize("signatures", [[], ["float64(float64, float64, float64)"]], ids=["dynamic", "with signatures"])
def test_a_ufunc(signatures: list[str]) -> None:
    @numba.vectorize(signatures)
    def decay(x: Any, t: Any, rate: Any) -> Any:
        return x * (1.0 - rate * t)

    x, rate = np.linspace(1, 2, ROWS), np.linspace(0, 1, ROWS)
    found = history(x, function(decay, rate=rate))
    for k in range(4):
        assert found[k].tobytes() == (x * (1.0 - rate * (k * 0.25))).tobytes()


def test_a_function_that_returns_an_array() -> None:
    @numba.njit
    def grow(x: Any, delta_t: Any, rate: Any) -> Any:
        return x + rate * x * delta_t

    x = np.linspace(1, 2, ROWS)
    found = history(x, function(grow, kind="step", rate=0.5))
    for _ in range(3):
        x = x + 0.5 * x * 0.25
    assert found[3].tobytes() == x.tobytes()


def test_a_function_that_writes_to_out_and_knows_its_rows() -> None:
    @numba.njit
    def fill(x: Any, row: Any, k: Any, out: Any) -> None:
        for i in range(len(x)):
            for j in range(x.shape[1]):
                out[i, j] = x[i, j] * row[i] + k

    x = np.ones((5001, 3))
    found = history(x, function(fill))
    assert (found[2] == np.arange(5001)[:, None] + 2).all()


@pytest.mark.parametrize("align", [False, True])
def test_a_function_over_fields(*, align: bool) -> None:
    @numba.njit
    def moves(x: Any, delta_t: Any, out: Any) -> None:
        for i in range(len(x)):
            out[i].id = x[i].id
            out[i].x = x[i].x + x[i].v * delta_t
            out[i].v = x[i].v

    x = np.zeros(1001, np.dtype([("id", "i2"), ("x", "f8"), ("v", "f4")], align=align))
    x["id"], x["x"], x["v"] = np.arange(1001), 0.1, 1.5
    found = history(x, function(moves, kind="step"))
    assert found.dtype == np.dtype([("id", "i2"), ("x", "f8"), ("v", "f4")])
    assert found[3]["id"].tolist() == list(range(1001))
    assert (found[3]["x"] == 0.1 + 0.375 + 0.375 + 0.375).all()


def test_what_cannot_be_compiled_is_told_once() -> None:
    @numba.njit
    def wrong(x: Any) -> Any:
        return x + "a"

    with pytest.raises(KernelError, match=r"the kernel wrong failed for the first row, of float64(?s:.*)TypingError"):
        history(np.zeros(3), function(wrong))
