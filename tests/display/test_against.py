"""Values against a parameter, and against each other."""

from __future__ import annotations

import numpy as np
import pytest

from simsplit import InputError, Problem, kernels, run
from simsplit.display import against
from tests.support.pictures import last_figure, words

pytest.importorskip("matplotlib")

N = 8
OMEGA = np.linspace(1, 2, N)
PROBLEM = Problem(
    np.tile([1.0, 0.5], (N, 1)), kernels.oscillator(omega=OMEGA, zeta=0.1), delta_t=0.1, steps=20, reduce="mean"
)


def test_few_steps_are_curves_over_a_parameter_that_goes_one_way(monkeypatch: pytest.MonkeyPatch) -> None:
    figure, result = last_figure(monkeypatch), run(PROBLEM, serial=True)
    assert result.plot("a.png", against="omega", keep="every:10", component="v") == []
    found = figure()
    (axes,) = found.axes
    assert (axes.get_xlabel(), axes.get_ylabel(), words(found.legends)) == ("omega", "v", ["time = 0", "time = 1"])
    for line, step in zip(axes.lines, (0, 10), strict=False):
        np.testing.assert_array_equal(line.get_xydata(), np.transpose([OMEGA, result.history[step, :, 1]]))
        assert line.get_linestyle() == "-"
    mixed = OMEGA[[3, 1, 7, 0, 2, 5, 4, 6]]
    result.plot("a.png", against=("mixed", mixed), keep="last")
    above, below = figure().axes
    assert [axes.get_ylabel() for axes in (above, below)] == ["x", "v"]
    (line,) = below.lines
    assert (below.get_xlabel(), line.get_linestyle()) == ("mixed", "None")
    np.testing.assert_array_equal(line.get_xdata(), mixed)
    result.plot("a.png", against="row", keep="last", component="x")
    (line,) = figure().axes[0].lines
    np.testing.assert_array_equal(line.get_xdata(), np.arange(N))


@pytest.mark.parametrize("points", [50_000, 10])
def test_a_component_against_another_is_a_phase_portrait(monkeypatch: pytest.MonkeyPatch, points: int) -> None:
    figure, result = last_figure(monkeypatch), run(PROBLEM, serial=True)
    monkeypatch.setattr(against, "_POINTS", points)
    every = -(-20 // points)
    left_out = [] if every == 1 else ["one of 2 steps"]
    assert result.plot("a.png", against="v", rows=[0, 7]) == [*left_out, "2 of 8 rows: others by --rows"]
    found = figure()
    (axes,) = found.axes
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("v", "x")
    assert words(found.legends) == ["omega = 1", "omega = 2"]
    for line, row in zip(axes.lines[::2], (0, 7), strict=True):
        np.testing.assert_array_equal(line.get_xydata(), result.history[::every, row, ::-1])
    for dot, row in zip(axes.lines[1::2], (0, 7), strict=True):  # where it begins
        np.testing.assert_array_equal(dot.get_xydata(), result.history[:1, row, ::-1])


def test_one_step_against_a_component_is_a_cloud(monkeypatch: pytest.MonkeyPatch) -> None:
    figure, result = last_figure(monkeypatch), run(PROBLEM, serial=True)
    assert result.plot("a.png", component="x", against="v", keep="last") == []
    (line,) = figure().axes[0].lines
    np.testing.assert_array_equal(line.get_xydata(), result.history[-1, :, ::-1])
    monkeypatch.setattr(against, "_DOTS", 7)
    assert result.plot("a.png", component="x", against="v", keep="last") == []
    (axes,) = figure().axes
    assert axes.collections[0].get_array().sum() == N


def test_parts_of_a_complex_value_have_one_scale(monkeypatch: pytest.MonkeyPatch) -> None:
    figure = last_figure(monkeypatch)
    result = run(Problem(np.exp(1j * np.arange(3)), "x * cos(t)", delta_t=0.1, steps=9), serial=True)
    assert result.plot("a.png", against="real") == []
    (axes,) = figure().axes
    assert (axes.get_xlabel(), axes.get_ylabel(), axes.get_aspect()) == ("real part", "imaginary part", 1)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"against": "zeta"}, r"must be time, row, omega \(a parameter by row\), x, v, or from 0 to 1, not zeta"),
        ({"against": "2"}, "or from 0 to 1, not 2"),
        ({"against": "omega", "reduce": "mean"}, "--against is for a history, but these are reductions"),
    ],
)
def test_what_there_is_not_is_refused(given: dict[str, str], message: str) -> None:
    with pytest.raises(InputError, match=message):
        run(PROBLEM, serial=True).plot("a.png", **given)
    assert run(PROBLEM, serial=True).plot("a.png", against="time") == []
