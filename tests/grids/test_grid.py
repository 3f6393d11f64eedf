"""A grid is checked when it is made, and goes with an array or is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from simsplit import Grid, InputError, Problem, kernels


def test_one_number_and_one_boundary_are_for_all_axes() -> None:
    layout = Grid(spacing=0.5, origin=(1, 2), boundary="periodic").layout((3, 4), {})
    assert layout.shape == (3, 4)
    assert layout.spacing == (0.5, 0.5)
    assert layout.origin == (1.0, 2.0)
    assert layout.cyclic == (True, True)
    assert layout.facts() == "3 × 4 cells of 0.5, periodic"


@pytest.mark.parametrize(
    ("boundary", "axes", "expected"),
    [
        (["fixed 0", "no-flux"], 1, "fixed 0 | no-flux"),
        (["fixed 0", "no-flux"], 2, "rows fixed 0, columns no-flux"),
        (["periodic", ["fixed 0", "wall 1"]], 2, "rows periodic, columns fixed 0 | wall 1"),
        ({"columns": "mirror", "rows": "periodic"}, 2, "rows periodic, columns mirror"),
        (
            {"others": ["fixed 0", "mirror"], "layers": "periodic"},
            3,
            "rows fixed 0 | mirror, columns fixed 0 | mirror, ",
        ),
        ({"others": "t", "axis 3": "periodic"}, 4, "rows t, columns t, layers t, axis 3 periodic"),
    ],
)
def test_a_boundary_is_given_for_all_axes_or_each_or_each_side(boundary: Any, axes: int, expected: str) -> None:
    assert Grid(boundary=boundary).layout((5,) * axes, {}).boundary.startswith(expected)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"shape": 5}, "the shape of a grid must be whole numbers, such as [100, 200], not 5"),
        ({"shape": [5, -1]}, "the shape of a grid must be whole numbers"),
        ({"spacing": 0}, "spacing must be greater than 0, not 0"),
        ({"spacing": "small"}, "spacing must be a number, or one for each axis, not 'small'"),
        ({"shape": [3, 3], "origin": [1, 2, 3]}, "origin has 3 numbers, and the grid 2 axes"),
        ({"shape": [3, 3], "boundary": ["periodic"]}, "boundary has 1 entries, and the grid 2 axes"),
        ({"shape": [3, 3], "boundary": {"rows": "periodic"}}, "boundary says nothing of the columns"),
        ({"shape": [3, 3], "boundary": {"row": "periodic"}}, "boundary has the axis 'row'; the grid has rows, columns"),
        (
            {"shape": [3], "boundary": [["a", "b", "c"]]},
            "a boundary of an axis is one for both sides, or a list of two",
        ),
    ],
)
def test_what_is_wrong_with_a_grid_is_named(given: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError) as caught:
        Grid(**given)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("grid", "message"),
    [
        (Grid([3, 5], boundary="periodic"), "the grid has the shape (3, 5), but the array (4, 4)"),
        (Grid(boundary=["periodic", ["periodic", "fixed 0"]]), "periodic must be both"),
        (Grid(boundary="perodic"), "boundary of the rows: the boundary 'perodic'"),
        (Grid(), "nothing is said of those beyond the edges"),
        ("periodic", "grid must be a simsplit.Grid"),
        (Grid(spacing=[1, 2, 3], boundary="periodic"), "spacing has 3 numbers, and the grid 2 axes"),
    ],
)
def test_a_grid_that_does_not_go_with_the_problem_is_refused_before_anything_is_computed(
    grid: Any, message: str
) -> None:
    from simsplit import run

    with pytest.raises(InputError) as caught:
        run(Problem(np.ones((4, 4)), "laplace(x)", delta_t=1, steps=1, grid=grid), serial=True)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("shape", "text", "boundary", "message"),
    [
        ((1, 9), "x[-2]", "no-flux", "rows: the boundary 'no-flux' takes its ghosts from 2 cells within the edge, but"),
        ((9, 1), "x[0, 1]", "mirror", "columns: the boundary 'mirror' takes its ghosts from 2 cells"),
        ((9,), "x[1]", "anti-periodic", None),
        ((3,), "x[9]", "periodic", None),
        ((1,), "x[9]", "fixed 0", None),
    ],
)
def test_a_reach_beyond_the_grid_is_refused_where_it_has_no_meaning(
    shape: tuple[int, ...], text: str, boundary: str, message: str | None
) -> None:
    from simsplit import run

    problem = Problem(
        np.ones(shape), kernels.expression(text, kind="step"), delta_t=1, steps=3, grid=Grid(boundary=boundary)
    )
    if message is None:
        assert run(problem, serial=True, verify=True).history is not None
        return
    with pytest.raises(InputError) as caught:
        run(problem, serial=True)
    assert message in str(caught.value)


@pytest.mark.parametrize(("dtype", "boundary"), [("?", "wall 1"), ("?", "anti-periodic"), ("u1", "anti-periodic")])
def test_a_boundary_of_differences_is_refused_for_what_has_none(dtype: str, boundary: str) -> None:
    layout = Grid(boundary=boundary).layout((4,), {})
    with pytest.raises(InputError, match=rf"the boundary '{boundary}' takes differences, which {np.dtype(dtype)} does"):
        layout.require(((1, 1),), np.dtype(dtype))


def test_a_parameter_may_be_the_boundarys_alone() -> None:
    kernel = kernels.expression("x[1]", kind="step", a=2)
    with pytest.raises(InputError, match=r"the expression 'x\[1\]' does not use the parameter a"):
        Problem([1.0, 2.0], kernel, delta_t=1, steps=2, grid=Grid(boundary="periodic"))
    with pytest.raises(InputError, match="does not use the parameter rate"):
        Problem([1.0, 2.0], kernels.expression("x * t", rate=1), delta_t=1, steps=2)
    problem = Problem([1.0, 2.0], kernel, delta_t=1, steps=2, grid=Grid(boundary="a * inner"))
    from simsplit import run

    assert run(problem, serial=True).history.tolist() == [[1, 2], [2, 4]]


def test_ranks_compare_their_grids() -> None:
    texts = {
        Grid([2], spacing=s, boundary=b).settings() for s in (1, 2) for b in ("periodic", "t", lambda inner: inner)
    }
    assert len(texts) == 6
    assert repr(Grid([2])) == "Grid(shape=(2,), spacing=1.0, origin=0.0, boundary=None)"
