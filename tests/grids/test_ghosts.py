"""Ghosts of rows, corners and coordinates, beside NumPy's pad."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simsplit import Grid
from simsplit.grids.ghosts import Ghosts
from tests.support.profiles import examples


def padded(values: Any, layout: Any, reach: Any, numbers: dict[str, Any], at: tuple[int, float, float]) -> Any:
    """Return values with all their ghosts."""
    k, t, delta_t = at
    return Ghosts(layout, reach, numbers, delta_t).pad(values, 0, *reach[0], k, t)


MODES = {"periodic": "wrap", "no-flux": "symmetric", "mirror": "reflect", "fixed 7": "constant"}


@examples(300)
@given(
    st.lists(
        st.tuples(st.integers(4, 6), st.integers(0, 3), st.integers(0, 3), st.sampled_from([*MODES])),
        min_size=1,
        max_size=3,
    )
)
def test_ghosts_are_what_numpy_pads(axes: list[tuple[int, int, int, str]]) -> None:
    values = np.random.default_rng(len(axes)).random([n for n, *_ in axes])
    reach = tuple((low, high) for _, low, high, _ in axes)
    layout = Grid(boundary=[text for *_, text in axes]).layout(values.shape, {})
    expected = values
    for axis, (_, low, high, text) in enumerate(axes):
        width = [(low, high) if each == axis else (0, 0) for each in range(len(axes))]
        options: Any = {"constant_values": 7} if text == "fixed 7" else {}
        expected = np.pad(expected, width, MODES[text], **options)
    assert padded(values, layout, reach, {}, (0, 0.0, 1.0)).tolist() == expected.tolist()


def test_more_ghosts_than_cells_go_round_and_round() -> None:
    layout = Grid(boundary=["anti-periodic", "periodic"]).layout((2, 1), {})
    found = padded(np.array([[1.0], [2.0]]), layout, ((3, 3), (2, 0)), {}, (0, 0.0, 1.0))
    assert found[:, 0].tolist() == [2, -1, -2, 1, 2, -1, -2, 1]
    assert (found == found[:, :1]).all()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("100 * X + Y", [[-10, -9], [0, 1]]),
        ("row", [[-2, -2], [-1, -1]]),
        ("column + 0.5 * k", [[1.5, 2.5], [1.5, 2.5]]),
    ],
)
def test_an_expression_knows_where_the_ghost_is(text: str, expected: Any) -> None:
    grid = Grid(spacing=(0.1, 1.0), origin=(0.0, 10.0), boundary={"rows": [text, "fixed 0"], "columns": "periodic"})
    found = padded(np.zeros((3, 2)), grid.layout((3, 2), {}), ((2, 0), (0, 0)), {}, (3, 0.0, 1.0))
    assert np.allclose(found[:2], expected, rtol=0, atol=1e-12)


def test_corners_take_the_ghosts_that_are_there() -> None:
    grid = Grid(boundary={"rows": "fixed 1", "columns": "a * inner"})
    found = padded(np.full((2, 2), 3.0), grid.layout((2, 2), {"a": 10}), ((1, 1), (1, 1)), {"a": 10}, (0, 0.0, 1.0))
    assert found.tolist() == [[10, 1, 1, 10], [30, 3, 3, 30], [30, 3, 3, 30], [10, 1, 1, 10]]
