"""The grid in problem files and options."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import simsplit
from simsplit import Grid, InputError, Problem, kernels
from simsplit.cli.parser import parse
from simsplit.problem_file.grids import grid_of
from simsplit.problem_file.settings import resolve, settings_from

if TYPE_CHECKING:
    from pathlib import Path


def of_options(*words: str, file: str | None = None) -> Any:
    """Return the settings that options give over a file."""
    options = parse(["run", *([] if file is None else ["p.toml"]), *words])
    if options.error is not None:
        raise options.error
    return resolve(options, file)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--grid", "1e3x20"], {"shape": [1000, 20]}),
        (["--grid", "7", "--spacing", "0.1", "--origin", "-1"], {"shape": [7], "spacing": 0.1, "origin": -1.0}),
        (["--grid", "3 × 4", "--spacing", "0.1,2"], {"shape": [3, 4], "spacing": [0.1, 2.0]}),
        (["--boundary", "periodic"], {"boundary": "periodic"}),
        (["--boundary", "fixed 0|no-flux"], {"boundary": {"others": ["fixed 0", "no-flux"]}}),
        (
            ["--boundary", "rows=periodic", "--boundary", "columns = fixed 0 | t == 1"],
            {"boundary": {"rows": "periodic", "columns": ["fixed 0", "t == 1"]}},
        ),
        (["--boundary", "t == 1"], {"boundary": "t == 1"}),
        (["--boundary", "rows=mirror", "--boundary", "wall 1"], {"boundary": {"rows": "mirror", "others": "wall 1"}}),
    ],
)
def test_options_describe_a_grid(words: list[str], expected: dict[str, Any]) -> None:
    found = of_options(*words)
    assert found.grid == expected
    assert isinstance(grid_of(found.grid), Grid)


def test_options_override_the_file_one_by_one() -> None:
    file = '[grid]\nshape = [4, 5]\nspacing = 0.5\nboundary = "periodic"\n'
    assert of_options("--spacing", "2", file=file).grid == {"shape": [4, 5], "spacing": 2.0, "boundary": "periodic"}
    assert of_options("--grid", "6", file=file).grid["shape"] == [6]
    assert "shape" not in of_options("--size", "9", file=file).grid
    assert grid_of({}) is None


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--grid", "axb"], "--grid must be a number of cells for each axis, such as 1000x1000, not 'axb'"),
        (["--grid", "3x-1"], "--grid must be a number of cells"),
        (["--grid", "3x1.5"], "--grid must be a number of cells"),
        (["--grid", "3", "--size", "4"], "--grid: not allowed with argument --size"),
        (["--grid", "3", "--input", "a.npy"], "--grid: not allowed with argument --input"),
        (["--spacing", "wide"], "--spacing must be a number, or one for each axis, such as 0.1,0.2, not 'wide'"),
        (["--grid", "3", "--spacing", "-1"], "--grid: spacing must be greater than 0"),
        (["--boundary", "row=periodic"], "there is no axis 'row'. Did you mean rows? Give rows=, columns=, layers=."),
        (["--boundary", "a|b|c"], "an axis has two sides"),
        (["--boundary", "t", "--boundary", "k"], "--boundary is given twice for others"),
        (["--grid", "3x3", "--boundary", "rows=t"], "--boundary: boundary says nothing of the columns"),
    ],
)
def test_what_is_wrong_in_an_option_is_named(words: list[str], message: str) -> None:
    with pytest.raises(InputError) as caught:
        of_options(*words)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("grid = 3", "p.toml: `grid`: expected `object`, got `int`. A table of shape, spacing, origin and boundary"),
        (
            "[grid]\nshpae = [3]",
            "p.toml: `grid` has no key `shpae`. Did you mean `shape`? Known: shape, spacing, origin",
        ),
        ("[grid]\nshape = 3", "p.toml: `grid`: the shape of a grid must be whole numbers"),
        ("size = 3\n[grid]\nshape = [3]", "p.toml: `size` and `grid.shape` exclude each other"),
        ("[grid]\nspacing = 0", "p.toml: `grid`: spacing must be greater than 0"),
    ],
)
def test_what_is_wrong_in_a_file_is_named(text: str, message: str) -> None:
    with pytest.raises(InputError) as caught:
        settings_from(text, "p.toml")
    assert str(caught.value).startswith(message)


def test_a_problem_with_a_grid_is_saved_and_loaded(tmp_path: Path) -> None:
    grid = Grid(spacing=(0.5, 2.0), boundary={"rows": "periodic", "columns": ["fixed 0", "a * inner"]})
    kernel = kernels.expression("x + 0.1 * laplace(x)", kind="step", a=0.5)
    problem = Problem(np.arange(12.0).reshape(4, 3), kernel, delta_t=1, steps=3, grid=grid)
    problem.save(tmp_path / "p.toml")
    again = simsplit.load(tmp_path / "p.toml")
    assert again.grid is not None
    assert again.layout((4, 3)).facts() == problem.layout((4, 3)).facts()  # type: ignore[union-attr]
    found = [simsplit.run(each, serial=True).history for each in (problem, again)]
    assert (found[0] == found[1]).all()


def test_a_computed_array_is_saved_with_its_shape(tmp_path: Path) -> None:
    (tmp_path / "p.toml").write_text(
        'kernel = "x[1]"\nkind = "step"\ninitial = "X + random"\nseed = 4\n'
        '[grid]\nshape = [3, 2]\nboundary = "periodic"\n'
    )
    problem = simsplit.load(tmp_path / "p.toml")
    problem.origin = None
    problem.save(tmp_path / "q.toml")
    found = [simsplit.run(simsplit.load(tmp_path / name), serial=True).history for name in ("p.toml", "q.toml")]
    assert found[0] is not None
    assert found[0].shape == (5, 3, 2)
    assert (found[0] == found[1]).all()


def test_a_boundary_that_is_a_function_cannot_be_saved(tmp_path: Path) -> None:
    grid = Grid(boundary=lambda inner: inner)
    problem = Problem(np.ones(3), kernels.expression("x[1]", kind="step"), delta_t=1, steps=3, grid=grid)
    with pytest.raises(InputError, match="the boundary <lambda> is a function, which no problem file can hold"):
        problem.save(tmp_path / "p.toml")


@pytest.mark.parametrize(("dtype", "values"), [("float64", None), ("int64", {0, 1}), ("bool", {False, True})])
def test_a_grid_without_an_initial_array_begins_with_random_numbers(dtype: str, values: Any) -> None:
    text = (
        f'kernel = "x[1]"\nkind = "step"\ndtype = "{dtype}"\nsteps = 1\n[grid]\nshape = [40]\nboundary = "periodic"\n'
    )
    from simsplit.problem_file.build import make

    history: Any = simsplit.run(make(settings_from(text, "p.toml"), root=True), serial=True).history
    assert history.dtype == dtype
    assert len(set(history[0].tolist())) == 40 if values is None else set(history[0].tolist()) == values
