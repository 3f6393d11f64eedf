"""Stencils in Python: what they get, how far they read, and what they may return."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from simsplit import Grid, InputError, KernelError, Problem, kernels, run, stencil
from simsplit.kernels.operators import laplace

X0 = np.random.default_rng(5).random((6, 5))


def history(kernel: Any, initial: Any = X0, steps: int = 3, **grid: Any) -> Any:
    """Run a stencil, verified."""
    problem = Problem(initial, kernel, delta_t=0.1, steps=steps, seed=3, grid=Grid(**grid) if grid else None)
    return run(problem, serial=True, verify=True).history


def test_a_decorated_function_is_a_kernel() -> None:
    @stencil(boundary="periodic")
    def mean(x: Any) -> Any:
        """Take the mean of two."""
        return (x[-1] + x[0, 1]) / 2

    assert (mean.kind, mean.name, mean.formula) == ("step", "mean", "Take the mean of two.")
    found = history(mean)
    assert (found[1] == (np.roll(X0, 1, 0) + np.roll(X0, -1, 1)) / 2).all()


def test_parameters_may_come_later() -> None:
    @stencil(boundary="no-flux")
    def heat(x: Any, r: float) -> Any:
        return x + r * laplace(x)

    assert heat.__name__ == "heat"
    with pytest.raises(InputError, match=r"the stencil heat wants r, which is not given. Give it: heat\(r=0.5\)"):
        Problem(X0, heat, delta_t=1, steps=2)
    kernel = heat(r=0.2)
    assert kernel.parameters == {"r": 0.2}
    assert kernel(r=0.1).parameters == {"r": 0.1}
    expected = history(kernels.expression("x + r * laplace(x)", kind="step", r=0.2), boundary="no-flux")
    assert (history(kernel) == expected).all()


def test_it_may_ask_for_what_functions_may_ask_for() -> None:
    @stencil(boundary="periodic")
    def all_of_it(x: Any, t: Any, k: Any, delta_t: Any, row: Any, column: Any, *, X: Any, Y: Any, random: Any) -> Any:  # noqa: N803, as they are called
        assert (row.shape, column.shape) == ((len(x[0]), 1), (1, x.shape[1]))
        return 0.1 * x[1] + t + k * delta_t + row * 10 + column + X * Y + 0 * random.normal(x.shape[1])

    found = history(all_of_it, spacing=0.5, origin=1.0)
    row, column = np.arange(6)[:, None], np.arange(5)
    expected = 0.1 * np.roll(found[1], -1, 0) + 0.1 + 0.1 + row * 10 + column + (1 + 0.5 * row) * (1 + 0.5 * column)
    assert np.allclose(found[2], expected)


def test_fields_come_back_in_a_dict() -> None:
    @stencil(boundary="periodic")
    def swap(x: Any) -> Any:
        return {"v": x["u"][1], "u": x["v"][-1]}

    initial = np.zeros(4, [("u", float), ("v", np.int32)])
    initial["u"], initial["v"] = [1, 2, 3, 4], [5, 6, 7, 8]
    found = history(swap, initial)
    assert found["u"][1].tolist() == [8, 5, 6, 7]
    assert found["v"][1].tolist() == [2, 3, 4, 1]
    with pytest.raises(KernelError, match="the fields w are returned; the values have u, v"):
        history(stencil(lambda x: {"w": x["u"][1]}, boundary="periodic"), initial)


def test_a_parameter_by_row_has_neighbours_too() -> None:
    @stencil(boundary={"rows": "periodic", "columns": "no-flux"})
    def flows(x: Any, d: Any, c: Any) -> Any:
        return x[0, 0] + 0.1 * (d[1] * (x[1] - x[0]) - d[0] * (x[0] - x[-1])) + c * d[0, 1]

    d, c = np.random.default_rng(6).random((6, 5)), np.arange(6.0)
    found = history(flows(d=d, c=c))
    up, down = np.roll(X0, -1, 0), np.roll(X0, 1, 0)
    right = np.concatenate([d[:, 1:], d[:, -1:]], axis=1)
    expected = X0 + 0.1 * (np.roll(d, -1, 0) * (up - X0) - d * (X0 - down)) + c[:, None] * right
    assert (found[1] == expected).all()


def test_the_reach_may_be_said() -> None:
    kernel = stencil(lambda x: x[-2], boundary="periodic", reach=((2, 0), 0), name="shift")
    assert kernel.reach_on(2, (5,), X0.dtype) == ((2, 0), (0, 0))
    assert (history(kernel)[1] == np.roll(X0, 2, 0)).all()
    with pytest.raises(KernelError, match="a cell 1 after along axis 1 is read"):
        history(stencil(lambda x: x[0, 1], boundary="periodic", reach=((1, 1), 0), name="beyond"))


def test_a_map_kernel_reads_the_initial_array() -> None:
    kernel = stencil(lambda x, t: x[1] * t, boundary="t", kind="map", name="map")
    found = history(kernel)
    assert (found[2][:-1] == X0[1:] * 0.2).all()
    assert (found[2][-1] == 0.2 * 0.2).all()


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda x: x[1].sum(), r"returned an array of shape \(\), and must return"),
        (lambda x: None, "returned nothing"),  # noqa: ARG005
        (lambda x: x[0, 0, 1], "a neighbour is named by 3 indices, but the grid has 2"),
        (lambda x: x[0.5], "a neighbour is named by whole numbers"),
        (lambda x: x[1] if x[0] > 1 else x[0], "truth value"),
    ],
)
def test_what_goes_wrong_is_told(function: Any, message: str) -> None:
    with pytest.raises((KernelError, InputError), match=message):
        history(stencil(function, boundary="periodic", name="wrong"))


def test_a_ufunc_is_no_stencil() -> None:
    with pytest.raises(InputError, match="sin is a ufunc, which reads no neighbours"):
        stencil(np.sin)


def test_filters_of_whole_arrays_are_cut() -> None:
    def smooth(x: Any) -> Any:
        result = x.copy()
        result[1:-1] = (x[:-2] + x[2:]) / 2
        return result

    kernel = kernels.function(smooth, kind="step", reach=((1, 1),), boundary="periodic")
    found = history(kernel)
    assert (found[1] == (np.roll(X0, 1, 0) + np.roll(X0, -1, 0)) / 2).all()
