"""Operators are the sums that their docstrings name, and exact where theory says so."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from simsplit import InputError
from simsplit.kernels import operators
from simsplit.kernels.cells import Cells
from simsplit.kernels.expressions.vocabulary import OPERATORS


def grid(function: Any, n: int = 6, spacing: tuple[float, ...] = (0.5, 0.25, 2.0), margin: int = 2) -> Any:
    """Return cells of a function of the coordinates, and the coordinates of the middle."""
    axes = np.meshgrid(*(s * np.arange(-margin, n + margin) for s in spacing), indexing="ij")
    cells = Cells(function(*axes), ((margin, margin),) * len(spacing), spacing)
    middle = [axis[(slice(margin, -margin),) * len(spacing)] for axis in axes]
    return cells, middle


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("dx", lambda x, y, z: 2 * x + y + 0 * z),
        ("dy", lambda x, y, z: x + 6 * y + 0 * z),
        ("dz", lambda x, y, z: 0 * x + y * 0 + 8 * z),
        ("dxx", lambda x, y, z: 2 + 0 * (x + y + z)),
        ("dyy", lambda x, y, z: 6 + 0 * (x + y + z)),
        ("dzz", lambda x, y, z: 8 + 0 * (x + y + z)),
        ("dx_up", lambda x, y, z: 2 * x + 0.5 + y + 0 * z),
        ("dx_down", lambda x, y, z: 2 * x - 0.5 + y + 0 * z),
        ("dz_up", lambda x, y, z: 8 * (z + 1) + 0 * (x + y)),
        ("laplace", lambda x, y, z: 16 + 0 * (x + y + z)),
        ("biharmonic", lambda x, y, z: 0 * (x + y + z)),
        ("grad2", lambda x, y, z: (2 * x + y) ** 2 + (x + 6 * y) ** 2 + (8 * z) ** 2),
    ],
)
def test_differences_of_a_polynomial_are_exact(name: str, expected: Any) -> None:
    cells, middle = grid(lambda x, y, z: x**2 + 3 * y**2 + x * y + 4 * z**2)
    found = np.asarray(getattr(operators, name)(cells))
    assert np.allclose(found, expected(*middle), rtol=1e-12, atol=1e-9)


def test_the_order_of_operations_is_the_one_that_is_written_down() -> None:
    x = Cells(np.random.default_rng(1).random((7, 7)), ((2, 2),) * 2, (0.1, 0.1))
    around = ((x[-1, 0] + x[1, 0]) + x[0, -1]) + x[0, 1]
    assert (np.asarray(operators.laplace(x)) == (around - 4 * x[0, 0]) * (1 / 0.1**2)).all()
    y = Cells(x.array, x.margins, (0.1, 0.3))
    rows, columns = ((x[-1] + x[1]) - 2 * x[0]) * (1 / 0.1**2), ((x[0, -1] + x[0, 1]) - 2 * x[0]) * (1 / 0.3**2)
    assert (np.asarray(operators.laplace(y)) == rows + columns).all()
    d = Cells(np.random.default_rng(2).random((7, 7)), ((2, 2),) * 2, (0.1, 0.1))
    terms = [
        ((d[0] + d[i, j]) * (x[i, j] - x[0]) - (d[0] + d[-i, -j]) * (x[0] - x[-i, -j])) * (0.5 / 0.1**2)
        for i, j in ((1, 0), (0, 1))
    ]
    assert (np.asarray(operators.div(d, x)) == terms[0] + terms[1]).all()
    assert (np.asarray(operators.div(2.0, x)) == np.asarray(operators.laplace(x)) * 2.0).all()


def test_neighbours_are_counted() -> None:
    life = Cells(np.ones((5, 5), bool), ((1, 1),) * 2, (1.0, 1.0))
    assert np.asarray(operators.neighbours(life)).tolist() == [[8] * 3] * 3
    line = Cells(np.arange(5, dtype="u1"), ((1, 1),), (1.0,))
    found = np.asarray(operators.neighbours(line))
    assert (found.tolist(), found.dtype) == ([2, 4, 6], np.uint8)


def test_whole_numbers_stay_what_they_are() -> None:
    cells = Cells(np.arange(25).reshape(5, 5) ** 2, ((1, 1),) * 2, (1.0, 1.0))
    assert np.asarray(operators.laplace(cells)).dtype == np.int64


def test_an_operator_does_not_write_to_its_argument() -> None:
    cells, _ = grid(lambda x, y: x * y + 0.3, spacing=(1.0, 1.0))
    before = cells.array.copy()
    for name in operators.__all__:
        if name.partition("_")[0].rstrip("z") == name.partition("_")[0]:  # there is no axis z
            getattr(operators, name)(*[cells] * OPERATORS[name])
    assert (cells.array == before).all()


def test_an_operator_wants_cells_and_its_axis() -> None:
    cells, _ = grid(lambda x: x, spacing=(1.0,))
    with pytest.raises(InputError, match="dy is along axis 1, but the grid has 1"):
        operators.dy(cells)
    for wrong in (3, np.ones(3)):
        with pytest.raises(InputError, match="laplace takes cells"):
            operators.laplace(wrong)  # type: ignore[arg-type]
    with pytest.raises(InputError, match=r"div\(d, x\) takes cells"):
        operators.div(cells, 3)  # type: ignore[arg-type]


def test_the_language_knows_all_of_them() -> None:
    assert set(operators.__all__) == set(OPERATORS)
