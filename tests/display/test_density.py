"""All values of a history against a parameter by row."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import simsplit
from simsplit import InputError, Problem, kernels
from simsplit.cli import main
from simsplit.display import density
from simsplit.display import figure as picture
from simsplit.problem_file.build import parameter_by_row
from simsplit.rundir.recorded_run import open_run

pytest.importorskip("matplotlib")


def begin(*options: str) -> None:
    assert main(["run", "--serial", "--quiet", "-o", "a", *options]) == 0


@pytest.mark.parametrize("format", ["npy", "zarr"])
def test_a_bifurcation_diagram_is_one_command(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    format: str,  # noqa: A002
) -> None:
    np.save("r.npy", np.linspace(2.8, 4, 50))
    begin("--kernel", "r*x*(1-x)", "--kind", "step", "--set", "r=r.npy", "--size", "50", "--initial", "0.3",
          "--steps", "400", "--keep", "last:60", "--format", format)  # fmt: skip
    figures: list[Any] = []
    monkeypatch.setattr(picture, "save", lambda figure, _: figures.append(figure))
    monkeypatch.setattr(density, "_CELLS", (50, 200))
    assert main(["plot", "a", "--against", "r", "-o", "a.png"]) == 0
    assert capsys.readouterr().out == "written to a.png\n"
    (axes,) = figures.pop().axes
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("r", "value")
    counts = axes.collections[0].get_array().filled(0)
    assert counts.shape == (200, 50)
    assert (counts.sum(axis=0) == 60).all()  # each row has a column, and none of its values is left out
    history = open_run("a").history()
    for row in (0, 20, 49):
        values = history.block(slice(0, 60), slice(row, row + 1))
        span = axes.get_ylim()
        np.testing.assert_array_equal(counts[:, row], np.histogram(values, 200, span)[0])
    assert np.count_nonzero(counts[:, 0]) == 1  # a fixed point at r = 2.8
    assert np.count_nonzero(counts[:, 49]) > 30  # chaos at r = 4


def test_a_program_can_do_it_too() -> None:
    r = np.array([1.0, 2.0, 3.0])
    problem = Problem(np.ones(3), kernels.expression("x * r * t", r=r), delta_t=0.5, steps=3)
    result = simsplit.run(problem, serial=True)
    simsplit.run(problem, serial=True, output="a")
    assert result.plot("a.png", against=("q", r)) == simsplit.open("a").plot("b.png", against="r") == []
    assert result.plot("a.png", against="r") == []
    for wrong, what in (([1, 2], r"int64, shape \(2,\)"), (r * 1j, "complex128"), (np.ones((3, 2)), r"shape \(3, 2\)")):
        with pytest.raises(InputError, match=f"against takes 3 real numbers, one a row, but r is of .*{what}"):
            result.plot("a.png", against=("r", wrong))
    with pytest.raises(InputError, match=r"must be time, row, r \(a parameter by row\), or from 0 to 0, not q"):
        simsplit.open("a").plot("b.png", against="q")


def test_what_is_not_finite_is_left_out_and_said(capsys: pytest.CaptureFixture[str]) -> None:
    begin("--kernel", "log(x - r)", "--set", "r=[-1.0, 5.0, 2.0]", "--size", "3", "--steps", "2")
    assert main(["plot", "a", "--against", "r", "-o", "a.png"]) == 0
    assert capsys.readouterr().out.splitlines() == ["written to a.png", "4 values not finite, left out"]
    begin("--kernel", "x + r", "--set", "r=[7.0, 7.0, 7.0]", "--size", "3", "--steps", "1", "--overwrite")
    assert main(["plot", "a", "--against", "r", "-o", "a.png"]) == 0  # all at one place
    begin("--kernel", "x * r * nan", "--set", "r=[7.0, 7.0, 7.0]", "--size", "3", "--steps", "1", "--overwrite")
    with pytest.raises(InputError, match="no value is finite: there is nothing to draw"):
        main(["plot", "a", "--against", "r", "-o", "a.png"])


def test_a_parameter_must_have_a_real_value_for_each_row() -> None:
    np.save("v.npy", np.ones((3, 2)))
    np.save("c.npy", np.ones(3) * 1j)
    np.save("x.npy", np.ones((3, 2)))
    begin("--kernel", "x * r + s + v + c", "--input", "x.npy", "--set", "r=[1, 2, 3]", "--set", "s=0.5",
          "--set", "v=v.npy", "--set", "c=c.npy", "--steps", "2")  # fmt: skip
    run = open_run("a")
    assert parameter_by_row(run, "r").tolist() == [1.0, 2.0, 3.0]
    with pytest.raises(InputError, match="--against takes a parameter with a value for each row: r, v, c; not s"):
        parameter_by_row(run, "s")
    for name, shape in (("v", r"\(2,\)"), ("c", r"complex128")):
        with pytest.raises(InputError, match=f"--against takes a real .* but {name} has values of {shape}"):
            parameter_by_row(run, name)
    begin("--size", "3", "--overwrite")
    with pytest.raises(InputError, match="--against must be time, row, or from 0 to 0, not r"):
        main(["plot", "a", "--against", "r"])
    assert main(["plot", "a"]) == 0
