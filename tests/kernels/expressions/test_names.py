"""Names in expressions: indices, coordinates and random numbers, of rows and of cells."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from simsplit import Grid, InputError, Problem, kernels, run
from simsplit.kernels.base import Block
from simsplit.kernels.expressions.names import Names, values_along

LAYOUT = Grid([9, 4, 3], spacing=(0.5, 2.0, 1.0), origin=(1.0, 0.0, -1.0)).layout((9, 4, 3), {})


def block(lower: int = 2, upper: int = 5) -> Block:
    """Return a block of the grid."""
    return Block(3, 0.5, 0.1, (lower, upper), {}, 7, grid=LAYOUT)


@pytest.mark.parametrize(
    ("name", "shape", "expected"),
    [
        ("row", (3, 1, 1), [2, 3, 4]),
        ("column", (1, 4, 1), [0, 1, 2, 3]),
        ("layer", (1, 1, 3), [0, 1, 2]),
        ("X", (3, 1, 1), [2.0, 2.5, 3.0]),
        ("Y", (1, 4, 1), [0.0, 2.0, 4.0, 6.0]),
        ("Z", (1, 1, 3), [-1.0, 0.0, 1.0]),
    ],
)
def test_a_name_is_along_its_axis(name: str, shape: tuple[int, ...], expected: list[float]) -> None:
    found = Names(np.zeros((3, 4, 3)), block(), {})[name]
    assert (found.shape, found.ravel().tolist()) == (shape, expected)
    around = values_along(name, block(), 3, (1, 2))
    assert around.size == found.size + 3


def test_an_axis_that_is_not_there_is_told() -> None:
    with pytest.raises(InputError, match="layer is along axis 2, but the grid has 2"):
        run(Problem(np.ones((3, 3)), "x * layer", delta_t=1, steps=1), serial=True)
    with pytest.raises(InputError, match="Y is along axis 1, but there is no grid"):
        values_along("Y", Block(0, 0.0, 1.0, (0, 1), {}), 1)


def test_coordinates_need_no_boundary() -> None:
    history = run(
        Problem(np.ones((3, 2)), "x * X + Y * t", delta_t=1, steps=2, grid=Grid(spacing=0.5)), serial=True
    ).history
    assert history is not None
    assert history[1].tolist() == [[0, 0.5], [0.5, 1], [1, 1.5]]


def test_a_parameter_may_have_the_name_of_a_coordinate() -> None:
    history = run(Problem([1.0, 2.0], kernels.expression("x * X", X=3), delta_t=1, steps=1), serial=True).history
    assert history is not None
    assert history.tolist() == [[3, 6]]


@pytest.mark.parametrize("shape", [(7,), (7, 3)])
def test_random_numbers_are_one_for_each_value_and_others_each_time(shape: tuple[int, ...]) -> None:
    kernel = kernels.expression("x + random + 10 * random.normal() + 100 * random")
    problem = Problem(np.zeros(shape), kernel, delta_t=1, steps=2, seed=5)
    history: Any = run(problem, serial=True, verify=True).history
    for k in (0, 1):
        draws = Block(k, 0.0, 1.0, (0, 7), {}, 5).random
        uniform, normal, again = draws.uniform(*shape[1:]), draws.normal(*shape[1:]), draws.uniform(*shape[1:])
        assert (history[k] == 0.0 + uniform + 10 * normal + 100 * again).all()


def test_random_numbers_and_constants_have_no_neighbours() -> None:
    for text, parameters in (("x[1] + (random * x)[1]", {}), ("x[1] + random[0, 1]", {})):
        kernel = kernels.expression(text, kind="step", **parameters)
        with pytest.raises(InputError, match="the kernel reads neighbours of random numbers"):
            run(Problem(np.ones((3, 3)), kernel, delta_t=1, steps=1, grid=Grid(boundary="periodic")), serial=True)
    kernel = kernels.expression("x[1] * c", kind="step", c=kernels.constant([1.0, 2.0, 3.0]))
    problem = Problem(np.ones((3, 3)), kernel, delta_t=1, steps=2, grid=Grid(boundary="periodic"))
    history: Any = run(problem, serial=True, verify=True).history
    assert history[1].tolist() == [[1, 2, 3]] * 3
