"""Pictures of grids: what is drawn of which cells, and what is refused."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import simsplit
from simsplit import Grid, InputError, Problem, kernels, run
from simsplit.cli import main
from simsplit.display.fields import Fields, draw
from simsplit.display.view import of_result
from tests.support.environment import forget_launchers

if TYPE_CHECKING:
    from pathlib import Path

pytest.importorskip("matplotlib")


@pytest.fixture(autouse=True)
def ordinary_start(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forget whatever launched the tests."""
    forget_launchers(monkeypatch)


def result_of(initial: Any, text: str = "x + 0.1 * laplace(x)", steps: int = 9, **grid: Any) -> Any:
    """Run a grid."""
    kernel = kernels.expression(text, kind="step")
    return run(
        Problem(initial, kernel, delta_t=0.5, steps=steps, keep="every:2", grid=Grid(boundary="periodic", **grid)),
        serial=True,
    )


def images(figure: Any) -> list[Any]:
    """Return the images of a figure, in order, without the bars of colours."""
    return [image for axes in figure.axes for image in axes.get_images() if axes.get_label() != "<colorbar>"]


def test_a_grid_is_drawn_as_it_lies_with_its_coordinates() -> None:
    result = result_of(np.random.default_rng(1).random((4, 6)), spacing=(0.5, 0.25), origin=(1.0, 0.0))
    fields = Fields(of_result(result), (), None)
    figure, notes = draw(fields, [0, 4])
    assert notes == ["2 of 5 kept steps: others by --step"]
    first, second = images(figure)
    assert np.asarray(first.get_array()).tolist() == result.history[0].tolist()
    assert np.asarray(second.get_array()).tolist() == result.history[2].tolist()
    assert first.get_extent() == [-0.125, 1.375, 2.75, 0.75]
    assert first.get_clim() == second.get_clim()
    assert [axes.get_title() for axes in figure.axes[:2]] == ["step 0, time 0", "step 4, time 2"]
    figure, notes = draw(fields, [])
    assert (len(images(figure)), notes) == (5, [])


def test_a_line_is_drawn_over_space_and_time() -> None:
    result = result_of(np.arange(7.0), "x + 0.1 * dxx(x)")
    figure, notes = draw(Fields(of_result(result), (), None), [])
    (image,) = images(figure)
    assert np.asarray(image.get_array()).tolist() == result.history.tolist()
    assert image.get_extent() == [-0.5, 6.5, 4.5, -0.5]
    assert notes == []


def test_a_cube_is_cut() -> None:
    result = result_of(np.random.default_rng(1).random((3, 4, 5)), spacing=0.5)
    for place in (None, 1):
        figure, notes = draw(Fields(of_result(result), (), place), [0])
        index = 2 if place is None else place
        (image,) = images(figure)
        assert np.asarray(image.get_array()).tolist() == result.history[0, :, :, index].tolist()
        assert notes[-1] == f"the cut at Z = {0.5 * index:g}: others by --slice"


def test_fields_and_components_have_panels_of_their_own() -> None:
    initial = np.zeros((4, 5), [("u", float), ("v", complex)])
    initial["u"], initial["v"] = 1.5, 2 + 3j
    kernel = simsplit.stencil(lambda x: {"u": x["u"][1], "v": x["v"][-1]}, boundary="periodic", name="moves")
    result = run(Problem(initial, kernel, delta_t=1, steps=2), serial=True)
    fields = Fields(of_result(result), (), None)
    assert [each.label for each in fields.quantities] == ["u", "v real part", "v imaginary part"]
    assert [values[0, 0] for values in fields.at(1)] == [1.5, 2.0, 3.0]
    chosen = Fields(of_result(result), "v.abs", None)
    assert [values[0, 0] for values in chosen.at(0)] == pytest.approx([abs(2 + 3j)])
    figure, _ = draw(fields, [])
    assert len(images(figure)) == 6
    vectors = run(
        Problem(np.arange(24.0).reshape(3, 4, 2), "x[1]", delta_t=1, steps=1, grid=Grid([3, 4], boundary="periodic")),
        serial=True,
    )
    both = Fields(of_result(vectors), (), None)
    assert [each.label for each in both.quantities] == ["component 0", "component 1"]
    assert both.at(0)[1].shape == (3, 4)


def test_of_many_cells_some_are_shown() -> None:
    result = result_of(np.zeros((3, 2500)), steps=1)
    fields = Fields(of_result(result), (), None)
    assert fields.at(0)[0].shape == (3, 834)
    assert fields.notes == ["one of 3 cells along an axis is shown"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--step", "3"], "--step 3: the history does not hold this step. The nearest that it holds is 2."),
        (["--step", ",".join("0" * 13)], "--step names 13 steps: 12 at most go into one picture"),
        (["--slice", "1"], "--slice is for grids of three dimensions; this one has 2"),
        (["--component", "3"], "--component must be from 0 to 0, not 3"),
        (["--log", "value"], "--log is for curves, but the field of a grid is drawn"),
        (["--movie", "film.avi"], "--movie must be a file that ends in .gif or .mp4, not 'film.avi'"),
        (["--movie", "film.gif", "-o", "a.png"], "--movie and --output: give one of them"),
        (["--movie", "film.gif", "--fps", "0"], "frames_per_second must be greater than 0"),
    ],
)
def test_what_is_wrong_is_named(
    options: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    words = ["--grid", "4x5", "--boundary", "periodic", "--kernel", "x[1]", "--kind", "step", "--keep", "every:2"]
    assert main(["run", "--serial", "-q", *words, "-o", "a"]) == 0
    with pytest.raises(InputError) as caught:
        main(["plot", "a", *options])
    assert message in str(caught.value)
    assert not list(tmp_path.glob("*.png"))
    assert not list(tmp_path.glob("*.gif"))


def test_rows_without_a_grid_have_no_field(tmp_path: Path) -> None:
    result = run(Problem(np.ones(3), "x * t", delta_t=1, steps=3), serial=True)
    for chosen in ({"steps": [0]}, {"cut": 1}):
        with pytest.raises(InputError, match="are for the field of a grid, which this is not"):
            result.plot(tmp_path / "a.png", **chosen)
    with pytest.raises(InputError, match="are for the field of a grid"):
        result.movie(tmp_path / "a.gif")


def test_the_command_and_the_method_draw(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--grid", "8x9", "--boundary", "periodic", "--kernel", "x[1]", "--kind", "step", "--reduce", "mean"]
    words += ["--reduce-over", "cells", "--spacing", "0.5"]
    folder = tmp_path / "a"
    assert main(["run", "--serial", "-q", *words, "-o", str(folder)]) == 0
    assert main(["plot", str(folder), "-o", str(tmp_path / "a.png")]) == 0
    assert main(["plot", str(folder), "-o", str(tmp_path / "b.png"), "--reduce", "mean"]) == 0
    assert capsys.readouterr().out.startswith("written to")
    for name in ("a.png", "b.png"):
        assert (tmp_path / name).read_bytes().startswith(b"\x89PNG")
    opened = simsplit.open(folder)
    assert opened.cells == simsplit.run(simsplit.load(folder / "problem.toml"), serial=True).cells
    assert opened.plot(tmp_path / "c.png", steps=[1]) == ["1 of 5 kept steps: others by --step"]
    xarray = pytest.importorskip("xarray")
    dataset = opened.to_xarray()
    assert isinstance(dataset, xarray.Dataset)
    assert dataset["history"].dims == ("time", "row", "column")
    assert dataset["Y"].values.tolist() == [0.5 * n for n in range(9)]
    assert dataset["mean"].dims == ("time",)
