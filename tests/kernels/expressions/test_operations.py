"""Operations on cells give what NumPy gives, in memory that is used again, and never in the caller's."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from simsplit import Grid
from simsplit.kernels import expression
from simsplit.kernels.base import Block

LAYOUT = Grid(boundary="periodic").layout((6, 5), {})
RNG = np.random.default_rng(3)


def evaluated(text: str, x: Any, reach: Any, dtype: Any = None, **parameters: Any) -> Any:
    """Evaluate an expression twice, so that memory is used again; return what is written into `out`."""
    kernel = expression(text, kind="step", **parameters)
    low, high = reach
    block = Block(0, 0.5, 0.1, (0, 6), kernel.parameters, 7, grid=LAYOUT, reach=((low, high),) * 2)
    before = x.copy()
    found = []
    for _ in range(2):
        out = np.zeros((6, 5 + 4), dtype or x.dtype)[:, 2:-2]  # as rows with ghosts lie
        kernel.evaluate(x, block, out)
        found.append(out)
        assert (x == before).all()
    assert (found[0] == found[1]).all()
    return found[0]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("x + 0.2 * laplace(x)", lambda c: c() + 0.2 * ((((c(-1) + c(1)) + c(0, -1)) + c(0, 1)) - 4 * c())),
        ("(x[1] + x) * (x[1] - x) / x", lambda c: (c(1) + c()) * (c(1) - c()) / c()),
        ("sqrt(x * x) + (x * 2)[0, 1]", lambda c: np.sqrt(c() * c()) + c(0, 1) * 2),
        ("where(x > x[1], x, -x[1])", lambda c: np.where(c() > c(1), c(), -c(1))),
        ("1 - x[-1]", lambda c: 1 - c(-1)),
        ("-(x[0, 1] ** 2)", lambda c: -(c(0, 1) ** 2)),
        (
            "minimum(x, x[1]) + exp(x * 0) + tanh(0 * x)",
            lambda c: np.minimum(c(), c(1)) + np.exp(c() * 0) + np.tanh(0 * c()),
        ),
        ("real(x[1])", lambda c: c(1)),
        ("x[1] + t + row + column", lambda c: c(1) + 0.5 + np.arange(6)[:, None] + np.arange(5)),
        ("x[1] + row[1] - X[0, 1]", lambda c: c(1) + (np.arange(6)[:, None] + 1) - np.arange(6.0)[:, None]),
        ("3 + 0 * x[1]", lambda c: 3 + 0 * c(1)),
    ],
)
@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_the_bits_are_numpys(text: str, expected: Any, dtype: str) -> None:
    x = RNG.random((8, 7)).astype(dtype)

    def cell(i: int = 0, j: int = 0) -> Any:
        return x[1 + i : 7 + i, 1 + j : 6 + j]

    assert (evaluated(text, x, (1, 1)) == expected(cell).astype(dtype)).all()


def test_cells_of_an_expression_have_neighbours() -> None:
    x = RNG.random((12, 11))
    nested = evaluated("laplace(x ** 3 - x - laplace(x)) + biharmonic(x)[1]", x, (3, 3))
    inner = x[1:-1, 1:-1]

    def laplace(u: Any) -> Any:
        return (((u[:-2, 1:-1] + u[2:, 1:-1]) + u[1:-1, :-2]) + u[1:-1, 2:]) - 4 * u[1:-1, 1:-1]

    once = laplace(inner**3 - inner - laplace(x))
    expected = once[1:-1, 1:-1] + laplace(laplace(x))[2:, 1:-1]
    assert (nested == expected).all()


def test_complex_and_whole_numbers_go_their_way() -> None:
    x = RNG.random((8, 7)) + 1j * RNG.random((8, 7))
    assert (evaluated("1j * x[1] + x", x, (1, 1)) == 1j * x[2:, 1:-1] + x[1:-1, 1:-1]).all()
    whole = RNG.integers(0, 9, (8, 7)).astype("u1")
    assert (evaluated("x[1] * 2 + x", whole, (1, 1)) == whole[2:, 1:-1] * 2 + whole[1:-1, 1:-1]).all()
