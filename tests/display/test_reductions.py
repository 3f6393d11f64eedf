"""What a run computed over all rows is drawn over time."""

from __future__ import annotations

import numpy as np
import pytest

from simsplit import InputError, Problem, kernels, run
from tests.support.pictures import drawn, last_figure, words

pytest.importorskip("matplotlib")


def test_a_run_that_keeps_no_step_is_drawn_by_its_reductions(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    figure = last_figure(monkeypatch)
    options = ("--kernel", "row * t", "--size", "5", "--keep", "none", "--reduce", "mean,min,max,std,sum", "--steps")
    assert drawn(capsys, *options, "4") == ["written to a.png"]
    found = figure()
    above, below = found.axes
    assert words(found.legends) == ["min to max", "mean ± std", "mean"]
    times = np.arange(4) * 0.5
    np.testing.assert_array_equal(above.lines[0].get_xydata(), np.transpose([times, 2 * times]))
    np.testing.assert_array_equal(below.lines[0].get_xydata(), np.transpose([times, 10 * times]))
    whole, spread = (band.get_datalim(above.transData) for band in above.collections)
    assert (whole.ymin, whole.ymax) == (0, 6)
    assert (spread.ymin, spread.ymax) == (0, pytest.approx(3 + 1.5 * np.sqrt(2)))
    assert drawn(capsys, *options, "1700", "--overwrite")[1:] == [
        "curves go from the least to the greatest value of up to 3 steps"
    ]
    axes = figure().axes[0]
    assert axes.collections[2].get_datalim(axes.transData).ymax == pytest.approx(2 * 849.5)


@pytest.mark.parametrize(("reduce", "names"), [("sum", ["sum"]), ("std", ["std"]), ("min,std", ["min", "std"])])
def test_reductions_of_a_result_are_drawn_as_far_as_they_are_there(
    monkeypatch: pytest.MonkeyPatch, reduce: str, names: list[str]
) -> None:
    figure = last_figure(monkeypatch)
    result = run(
        Problem(np.ones((4, 2)), "x * t * 1j", delta_t=0.5, steps=3, keep="none", reduce=reduce)
        if reduce == "sum"
        else Problem(np.ones((4, 2)), "x * t", delta_t=0.5, steps=3, keep="none", reduce=reduce),
        serial=True,
    )
    assert result.plot("a.png", component=1) == []
    found = figure()
    axes = found.axes[-1]
    assert words(found.legends) == names
    if reduce == "sum":  # of which the last axes show the imaginary part
        np.testing.assert_array_equal(axes.lines[0].get_ydata(), [0, 2, 4])
    with pytest.raises(InputError, match=r"--component must be from 0 to 1.*, not 2"):
        result.plot("a.png", component=2)


def test_they_can_be_chosen_where_there_is_a_history(monkeypatch: pytest.MonkeyPatch) -> None:
    figure = last_figure(monkeypatch)
    initial = np.random.default_rng(3).uniform(size=(50, 3))
    result = run(Problem(initial, kernels.sir(), delta_t=0.5, steps=9, reduce="mean,std,max"), serial=True)
    assert result.plot("a.png", reduce="std,mean", component="S,R") == []
    found = figure()
    assert [axes.get_ylabel() for axes in found.axes] == ["S", "R"]
    assert words(found.legends) == ["mean ± std", "mean"]
    (line,) = found.axes[1].lines
    np.testing.assert_array_equal(line.get_ydata(), result.reductions["mean"][:, 2])
    (band,) = found.axes[1].collections
    spread = result.reductions["mean"][:, 2] + result.reductions["std"][:, 2]
    assert band.get_datalim(found.axes[1].transData).ymax == pytest.approx(spread.max())
    with pytest.raises(InputError, match=r"must name what the result has computed \(mean, max, std\), not min"):
        result.plot("a.png", reduce=["min"])


def test_one_step_is_to_be_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    figure = last_figure(monkeypatch)
    problem = Problem(np.arange(4.0), "x + t", delta_t=0.5, steps=1, keep="none", reduce="mean,std,min,max")
    assert run(problem, serial=True).plot("a.png") == []
    (axes,) = figure().axes
    assert [line.get_marker() for line in axes.lines] == ["."]
    assert [each.get_segments()[0][:, 1].tolist() for each in axes.collections[:1]] == [[0.0, 3.0]]
