"""A history over time and rows; of one step over the rows, of one row over time."""

from __future__ import annotations

import numpy as np
import pytest

from simsplit import InputError, Problem, kernels, run
from simsplit.cli import main
from simsplit.display import picture as plot
from simsplit.rundir.recorded_run import open_run
from tests.support.pictures import drawn, last_figure, words

pytest.importorskip("matplotlib")


def test_one_step_is_drawn_over_the_rows(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    figure = last_figure(monkeypatch)
    options = ("--kernel", "row * t", "--steps", "5", "--keep", "last", "--size")
    assert drawn(capsys, *options, "30") == ["written to a.png"]
    (axes,) = figure().axes
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("row", "value")
    (line,) = axes.lines
    np.testing.assert_array_equal(line.get_xydata(), [(row, row * 2.0) for row in range(30)])
    assert drawn(capsys, *options, "1000", "--overwrite")[1:] == [
        "the band goes from the least to the greatest value of up to 3 rows"
    ]
    (axes,) = figure().axes
    ((band,), low, high) = axes.collections, 0.0, 999 * 2.0
    assert (band.get_datalim(axes.transData).ymin, band.get_datalim(axes.transData).ymax) == (low, high)


def test_more_rows_than_colours_get_a_colour_bar(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    figure = last_figure(monkeypatch)
    drawn(capsys, "--size", "30", "--steps", "5")
    curves = figure()
    names = [f"row {row}" for row in (0, 7, 14, 22, 29)]
    assert words(curves.legends) == names
    assert main(["plot", "a", "-o", "a.png", "--rows", ",".join(map(str, range(11)))]) == 0
    _, curves, _, bar = figure().axes
    assert (curves.get_legend(), bar.get_ylabel(), bar.get_ylim()) == (None, "row", (0, 10))
    assert len({line.get_color() for line in curves.lines}) == 11


def test_components_are_called_by_their_names(monkeypatch: pytest.MonkeyPatch) -> None:
    figure = last_figure(monkeypatch)
    np.save("rows.npy", np.tile([0.9, 0.1, 0.0], (4, 1)))
    main(["run", "--serial", "--quiet", "--kernel", "sir", "--input", "rows.npy", "--steps", "9", "-o", "a"])
    curves = []
    for name in ("I", "1"):
        assert main(["plot", "a", "-o", "a.png", "--component", name]) == 0
        axes = figure().axes[1]
        assert axes.get_ylabel() == "I"
        curves.append(axes.lines[0].get_ydata())
    np.testing.assert_array_equal(*curves)
    np.testing.assert_array_equal(curves[0], np.load("a/history.npy")[:, 0, 1])
    for wrong in ("X", "3", "-1"):
        with pytest.raises(InputError, match=f"--component must be S, I, R, or from 0 to 2, not {wrong}"):
            plot.draw(open_run("a"), "a.png", component=wrong)
    plain = run(Problem(np.ones((4, 3)), "x * t", delta_t=0.5, steps=3), serial=True)
    with pytest.raises(InputError, match="--component must be from 0 to 2, not I"):
        plain.plot("b.png", component="I")


def test_rows_are_called_after_a_parameter(monkeypatch: pytest.MonkeyPatch) -> None:
    figure = last_figure(monkeypatch)
    r = np.geomspace(1, 16, 5)
    run(Problem(np.ones(5), kernels.expression("x * r * t", r=r), delta_t=0.5, steps=4), serial=True).plot("a.png")
    found = figure()
    assert words(found.legends) == ["r = 1", "r = 2", "r = 4", "r = 8", "r = 16"]
    assert found.axes[0].get_ylabel() == "r"
    np.testing.assert_array_equal(found.axes[1].lines[4].get_ydata(), 16 * np.arange(4) * 0.5)


def test_several_components_are_drawn_together(monkeypatch: pytest.MonkeyPatch) -> None:
    figure = last_figure(monkeypatch)
    result = run(Problem(np.tile([0.9, 0.1, 0.0], (4, 1)), kernels.sir(), delta_t=0.5, steps=9), serial=True)
    for given, names in (((), "SIR"), ("R,S", "RS"), (["I", 0], "IS")):
        assert result.plot("a.png", component=given) == []
        curves = [axes for axes in figure().axes if axes.lines]
        assert [axes.get_ylabel() for axes in curves] == [*names]
        for name, axes in zip(names, curves, strict=True):
            np.testing.assert_array_equal(axes.lines[3].get_ydata(), result.history[:, 3, "SIR".index(name)])
    assert result.plot("a.png", component="R,S", keep="last") == []
    (axes,) = figure().axes
    assert (len(axes.lines), axes.get_ylabel(), axes.get_xlabel()) == (2, "value", "row")
    many = run(Problem(np.ones((4, 5)), "x * t", delta_t=0.5, steps=3), serial=True)
    assert many.plot("a.png") == ["the first of 5 components: others by --component"]
    assert many.plot("a.png", component=0) == []


def test_one_row_is_drawn_as_a_curve_for_each_component(monkeypatch: pytest.MonkeyPatch) -> None:
    figure = last_figure(monkeypatch)
    result = run(Problem(np.array([[0.9, 0.1, 0.0]]), kernels.sir(), delta_t=0.5, steps=9), serial=True)
    assert result.plot("a.png") == []
    found = figure()
    (axes,) = found.axes
    assert (words(found.legends), axes.get_xlabel()) == (["S", "I", "R"], "time")
    np.testing.assert_array_equal([line.get_ydata() for line in axes.lines], result.history[:, 0].T)


def test_real_and_imaginary_parts_are_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    figure = last_figure(monkeypatch)
    result = run(Problem(np.array([1 + 2j, 3j]), "x * t", delta_t=0.5, steps=4), serial=True)
    result.plot("a.png")
    parts = {axes.get_ylabel(): axes.lines[0].get_ydata() for axes in figure().axes if axes.lines}
    assert [*parts] == ["real part", "imaginary part"]
    np.testing.assert_array_equal(parts["imaginary part"], 2 * parts["real part"])
    result.plot("a.png", component="phase")
    _, curves, bar = figure().axes
    assert (curves.get_ylabel(), bar.get_ylim()) == ("phase", (-np.pi, np.pi))
