"""Reductions over all rows: in the order of the tree, whatever the split."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simsplit import Grid, InputError, Problem, kernels, run
from simsplit.cli import main
from simsplit.engine.reductions import dtypes_of, subtree_roots
from simsplit.problem import REDUCTIONS
from simsplit.verification import bit_mismatch
from tests.support.arrays import NUMERIC, random_array
from tests.support.blocks import history_of
from tests.support.environment import forget_launchers
from tests.support.grids import on_threads
from tests.support.profiles import examples
from tests.support.runs import execute
from tests.support.threads import on_ranks

if TYPE_CHECKING:
    from pathlib import Path

    import numpy.typing as npt

    Array = npt.NDArray[Any]


@pytest.fixture(autouse=True)
def ordinary_start(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forget whatever launched the tests."""
    forget_launchers(monkeypatch)


def sum_of(rows: Array) -> Any:
    """Add rows in the order of the tree, as its definition says: to the left all that fills a power of two."""
    if len(rows) == 1:
        return rows[0]
    left = 2 ** ((len(rows) - 1).bit_length() - 1)
    return sum_of(rows[:left]) + sum_of(rows[left:])


def moments_of(rows: Array) -> tuple[Any, Any]:
    """Return mean and sum of squared deviations, in the order of the tree."""
    if len(rows) == 1:
        return rows[0], np.zeros_like(rows[0].real)
    m = 2 ** ((len(rows) - 1).bit_length() - 1)
    n = len(rows) - m
    (one, squares), (other, others) = moments_of(rows[:m]), moments_of(rows[m:])
    apart = other - one
    return one + apart * (n / (m + n)), squares + others + apart * apart * (m * n / (m + n))


def reduced(problem: Problem, ranks: int, **how: Any) -> dict[str, Array]:
    """Run on some ranks, verified; return the reductions that root has."""
    root, *others = on_ranks(ranks, lambda rank: execute(problem, rank, verify=True, **how))
    for result in (root, *others):
        assert not isinstance(result, BaseException), result
        assert result.verification.identical
        assert result.verification.reduced == sum(each.size for each in root.reductions.values())
    assert [other.reductions for other in others] == [{}] * (ranks - 1)
    reductions: dict[str, Array] = root.reductions
    return reductions


@given(lower=st.integers(0, 300), length=st.integers(0, 300))
def test_nodes_cover_the_rows_and_no_two_make_a_larger_one(lower: int, length: int) -> None:
    nodes = subtree_roots(lower, lower + length)
    covered = [row for level, index in nodes for row in range(index << level, (index + 1) << level)]
    assert covered == list(range(lower, lower + length))
    for (level, index), (next_level, _) in pairwise(nodes):
        assert level != next_level or index % 2
    assert len(nodes) <= 2 * max(1, length.bit_length())


@examples(60)
@given(
    rows=st.integers(1, 70),
    width=st.sampled_from([(), (2,), (0,)]),
    ranks=st.integers(1, 4),
    steps=st.integers(0, 9),
    block=st.integers(1, 200),
    kind=st.sampled_from(["map", "step"]),
    keep=st.sampled_from(["all", "every:3", "last", "none"]),
)
def test_the_results_are_those_of_the_tree_for_any_split(
    rows: int, width: tuple[int, ...], ranks: int, steps: int, block: int, kind: Any, keep: str
) -> None:
    initial = np.random.default_rng(rows).normal(size=(rows, *width))
    kernel = kernels.function(lambda x, k: x * 1.1 + k, kind=kind, name="grows")
    problem = Problem(initial, kernel, delta_t=0.5, steps=steps, keep=keep, reduce=REDUCTIONS)
    found = reduced(problem, ranks, block_size=block)
    history = history_of(problem)
    for k in range(steps):
        mean, squares = moments_of(history[k])
        expected = {
            "sum": sum_of(history[k]),
            "mean": sum_of(history[k]) / rows,
            "min": history[k].min(axis=0),
            "max": history[k].max(axis=0),
            "std": np.sqrt(squares / rows),
        }
        for name, value in expected.items():
            assert not bit_mismatch(np.asarray(value), np.asarray(found[name][k])).any(), (name, k)
        np.testing.assert_allclose(mean, found["mean"][k], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("dtype", NUMERIC)
def test_dtypes_and_values_are_numpys_but_for_rounding(dtype: str) -> None:
    initial = np.arange(1, 38).astype(dtype)

    class Same(kernels.Kernel):
        def result_dtype(self, x: Array, block: Any) -> np.dtype[Any]:
            return x.dtype

        def evaluate(self, x: Array, block: Any, out: Array) -> None:
            out[...] = x

    problem = Problem(initial, Same(), delta_t=0.5, steps=2, reduce=REDUCTIONS)
    one, three = reduced(problem, 1), reduced(problem, 3)
    numpys = {"mean": np.mean, "min": np.min, "max": np.max, "std": np.std, "sum": np.sum}
    for name, function in numpys.items():
        expected = np.asarray(function(initial))
        assert one[name].dtype == three[name].dtype == expected.dtype == dtypes_of(initial.dtype)[name]
        assert not bit_mismatch(one[name], three[name]).any()
        np.testing.assert_allclose(one[name][1], expected, rtol=1e-3 if dtype == "float16" else 1e-6)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("place", [0, 5, 12])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_is_treated_as_numpy_does(value: float, place: int) -> None:
    initial = np.linspace(1.0, 2.0, 13)
    initial[place] = value
    problem = Problem(
        initial, kernels.function(lambda x: x + 0.0, name="same"), delta_t=1.0, steps=1, reduce=REDUCTIONS
    )
    found = reduced(problem, 3)
    numpys = {"mean": np.mean, "min": np.min, "max": np.max, "std": np.std, "sum": np.sum}
    for name, function in numpys.items():
        np.testing.assert_array_equal(found[name][0], function(initial), err_msg=name)


def test_a_small_spread_about_a_large_mean_is_not_lost() -> None:
    initial = 1e9 + np.random.default_rng(1).normal(size=100_000)
    kernel = kernels.function(lambda x: x * 1.0, name="same")
    problem = Problem(initial, kernel, delta_t=1.0, steps=1, keep="none", reduce="std")
    np.testing.assert_allclose(reduced(problem, 2)["std"][0], np.std(initial), rtol=1e-9)


@pytest.mark.parametrize("dtype", ["float32", "float64", "complex64"])
def test_any_bits_give_the_same_on_any_number_of_ranks(dtype: str) -> None:
    initial = random_array(dtype, 301, 4)
    problem = Problem(initial, kernels.affine(), delta_t=0.5, steps=3, keep="last", reduce="sum,mean,std")
    results = [reduced(problem, ranks) for ranks in (1, 2, 3)]
    for name, values in results[0].items():
        assert not any(bit_mismatch(values, result[name]).any() for result in results[1:]), name


def test_no_rows_have_no_mean() -> None:
    problem = Problem(np.zeros((0, 2)), kernels.affine(), delta_t=0.5, steps=3, reduce="mean")
    with pytest.raises(InputError, match="the array has no rows, which have no mean"):
        run(problem, serial=True)


def test_results_are_printed_and_written_beside_the_history(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = tmp_path / "h.npy"
    arguments = ["run", "--serial", "--verify", "--reduce", "sum,max", "--keep", "last", "--output", str(output)]
    assert main(arguments) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[6:9] == [" step     t  max   sum", "    0     0  0.    0.", "    1   0.5  16.5  63."]
    assert lines[-1] == "identical: 1 of 1 steps, 7 of 7 values, 10 of 10 reduced values, bit for bit"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["h.max.npy", "h.npy", "h.sum.npy"]
    assert np.load(tmp_path / "h.max.npy").tolist() == [0.0, 16.5, 33.0, 49.5, 66.0]
    assert main([*arguments, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["reductions"] == {"max": [0.0, 16.5, 33.0, 49.5, 66.0], "sum": [0.0, 63.0, 126.0, 189.0, 252.0]}
    assert found["problem"]["reduce"] == ["max", "sum"]


@pytest.mark.parametrize("axes", [1, 2, 3])
def test_cells_are_reduced_with_the_same_bits_for_any_split(axes: int) -> None:
    shape = (13, 7, 3)
    initial = np.random.default_rng(0).normal(size=shape)

    def problem() -> Problem:
        return Problem(
            initial,
            "x * (1 + t)",
            delta_t=1.0,
            steps=3,
            reduce="mean,min,max,std,sum",
            reduce_over="cells",
            grid=Grid(shape[:axes]),
        )

    results = [on_threads(problem(), ranks, verify=True) for ranks in (1, 2, 5, 20)]
    assert results[0].history is not None
    for name, values in results[0].reductions.items():
        assert values.shape == (3, *shape[axes:])
        assert all((each.reductions[name] == values).all() for each in results)
        assert np.allclose(values, getattr(np, name)(results[0].history, axis=tuple(range(1, 1 + axes))))


def test_a_grid_without_cells_has_no_mean() -> None:
    problem = Problem(np.zeros((3, 0)), "x", delta_t=1, steps=1, reduce="mean", reduce_over="cells")
    with pytest.raises(InputError, match="the grid has no cells, which have no mean"):
        on_threads(problem, 2)
    with pytest.raises(InputError, match='reduce_over must be "rows" or "cells", not \'all\''):
        Problem(np.zeros(3), "x", delta_t=1, steps=1, reduce_over="all")  # type: ignore[arg-type]
