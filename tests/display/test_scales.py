"""Logarithmic axes: which there are, and what they leave out."""

from __future__ import annotations

import numpy as np
import pytest

from simsplit import InputError, Problem, kernels, run
from simsplit.display.scales import Scales
from tests.support.pictures import last_figure

R = np.geomspace(0.1, 10, 6)


def test_an_axis_is_named() -> None:
    assert "time" in Scales("value, time", ("time", "value"))
    assert "value" not in Scales(["time"], ("time", "value"))
    with pytest.raises(InputError, match=r"^--log must name any axes of value, time, r, not x$"):
        Scales("time,x", ("value", "time", "r"))


def test_axes_are_logarithmic(monkeypatch: pytest.MonkeyPatch, tmp_path: object) -> None:
    pytest.importorskip("matplotlib")
    figure = last_figure(monkeypatch)
    result = run(Problem(np.ones(6), kernels.expression("x * r * t", r=R), delta_t=0.5, steps=30), serial=True)
    assert result.plot(f"{tmp_path}/a.png", log="value,time,r") == []  # the first time is 0, and so are its values
    above, below, bar = figure().axes
    assert [axes.get_yscale() for axes in (above, below, bar)] == ["log"] * 3
    assert (above.get_xscale(), below.get_xlim()) == ("log", (0.5, 14.5))
    assert bar.get_ylim() == pytest.approx((0.05, 145))
    assert result.plot(f"{tmp_path}/a.png", log=["value"]) == ["6 values not above 0, left out"]
    assert result.plot(f"{tmp_path}/a.png", log=["r", "value"], against="r", keep="last") == []
    (axes,) = figure().axes
    assert (axes.get_xscale(), axes.get_yscale()) == ("log", "log")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"log": "value"}, "--log value wants values above 0, but there is none"),
        ({"log": "time", "keep": "every:9"}, "--log time wants times above 0, but there is none"),
        ({"log": "r"}, "--log r wants values above 0, but there is none"),
        ({"log": "r", "against": "r"}, "--log r wants values above 0, but there is none"),
        ({"log": "time", "against": "r"}, "--log must name any axes of value, r, not time"),
    ],
)
def test_where_nothing_is_above_0_that_is_said(given: dict[str, str], message: str, tmp_path: object) -> None:
    pytest.importorskip("matplotlib")
    problem = Problem(np.ones(3), kernels.expression("x * r * t", r=[-3.0, -2.0, -1.0]), delta_t=0.5, steps=7)
    with pytest.raises(InputError, match=message):
        run(problem, serial=True).plot(f"{tmp_path}/a.png", **given)
