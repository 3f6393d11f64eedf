"""Kernels that mix rows are found by default, and those that are row-local pass."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from simsplit import KernelError, Problem, kernels
from simsplit.communicator.serial import SerialCommunicator
from simsplit.engine import row_check
from simsplit.runs.api import run
from tests.mixing import LOCAL, MIXING, grid
from tests.support.runs import execute
from tests.support.threads import on_ranks

if TYPE_CHECKING:
    from pathlib import Path

    import numpy.typing as npt

    Array = npt.NDArray[Any]


def failure(kernel: Any, initial: Any, ranks: int = 1, *, steps: int = 6, kind: Any = "step", **how: Any) -> str:
    """Run on some ranks; return what all of them are told."""
    made = kernel if isinstance(kernel, kernels.Kernel) else kernels.function(kernel, kind=kind, name="mine")
    problem = Problem(initial, made, delta_t=0.1, steps=steps)
    outcomes = on_ranks(ranks, lambda rank: execute(problem, rank, **how))
    texts = {str(outcome) for outcome in outcomes}
    assert {type(outcome) for outcome in outcomes} == {KernelError}
    assert len(texts) == 1
    return texts.pop()


def passes(kernel: Any, initial: Any, *, kind: Any = "step", steps: int = 6, **how: Any) -> None:
    """Run in one process, with a check."""
    made = kernel if isinstance(kernel, kernels.Kernel) else kernels.function(kernel, kind=kind, name="mine")
    execute(Problem(initial, made, delta_t=0.1, steps=steps), SerialCommunicator(), **how)


@pytest.mark.parametrize("ranks", [1, 3, 7])
@pytest.mark.parametrize("rows", [7, 100])
@pytest.mark.parametrize("name", MIXING)
def test_a_kernel_that_mixes_rows_ends_all_ranks_and_is_told_what_is_likely(name: str, rows: int, ranks: int) -> None:
    kernel, likely = MIXING[name]
    text = failure(kernel, grid(rows), ranks)
    assert re.match(rf"the kernel mine failed on rank \d of {ranks} \(host", text)
    assert " at step 1, t = 0.1 (from step 0, t = 0.0), row " in text
    assert likely in text
    assert "docs/kernels.md" in text
    assert "--check-rows no" in text
    assert text.endswith("All ranks stopped.")


@pytest.mark.parametrize("block_size", [8, 24, 400, None])
@pytest.mark.parametrize("name", MIXING)
def test_it_is_found_with_blocks_of_any_size(name: str, block_size: int | None) -> None:
    kernel, likely = MIXING[name]
    assert likely in failure(kernel, grid(60), block_size=block_size)


@pytest.mark.parametrize("name", ["roll", "mean", "maximum", "Kuramoto"])
@pytest.mark.parametrize("parts", [[0.0, 1.0], [2.0, 0.0], [0.5, 1.0]])
def test_it_is_found_where_the_rows_of_each_rank_are_alike(name: str, parts: list[float]) -> None:
    assert "gets another result beside other rows" in failure(MIXING[name][0], np.repeat(parts, 20), 2)


def test_rows_that_stay_alike_on_all_ranks_are_no_reason_to_miss_it() -> None:
    assert "reads neighbours" in failure(MIXING["roll"][0], np.ones(40))


@pytest.mark.parametrize("rows", [1, 2, 3, 4, 5])
def test_it_is_found_with_a_row_on_each_rank_and_with_ranks_without_rows(rows: int) -> None:
    if rows > 1:  # with one row in all there is nothing to mix
        assert "reads neighbours" in failure(lambda x: np.append(x[1:], x[:1]) * 0.5, grid(rows), 5)
    assert "np.random" in failure(MIXING["random"][0], grid(rows), 5)
    assert "not written whole" in failure(MIXING["edges"][0], grid(rows), 5)


@pytest.mark.parametrize("kind", ["map", "step"])
@pytest.mark.parametrize("dtype", ["f4", "f8", "c16", "longdouble", ">f8", "i4", "?"])
def test_it_is_found_in_every_dtype(dtype: str, kind: Any) -> None:
    def shifts(x: Array) -> Array:
        return np.roll(x, 1, axis=0)

    initial = (grid(30) * 10).astype(dtype)
    assert "reads neighbours" in failure(shifts, initial, kind=kind)
    assert "reads neighbours" in failure(shifts, np.ones_like(initial), kind=kind)


def test_it_is_found_in_one_field_of_several_in_a_class_and_beside_parameters_by_row() -> None:
    def one_field(x: Array, out: Array) -> None:
        out["name"] = x["name"]
        out["place"] = x["place"] - x["place"].mean(axis=0)

    initial = np.zeros(9, [("name", "i4"), ("place", "f8", (3,))])
    assert "takes a mean" in failure(one_field, initial)

    class Spreads(kernels.Kernel):
        def evaluate(self, x: Array, block: kernels.Block, out: Array) -> None:
            out[...] = x + block["rate"] * block.t
            out[1:] += x[:-1] * block.t

    assert "reads neighbours" in failure(Spreads(rate=np.arange(9.0)), np.arange(9.0))


def test_it_is_found_in_a_later_step_where_it_begins_there() -> None:
    def later(x: Array, k: int) -> Array:
        return x - x.mean() if k >= 40 else x * 0.5

    text = failure(later, grid(20), 3, steps=200)
    assert "reads neighbours" in text
    assert " at step 1, " not in text


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_signs_of_zero_and_bits_of_nan_count(sign: float) -> None:
    def zero(x: Array) -> Array:
        return np.copysign(0.0, x - x.mean()) * sign

    def no_number(x: Array) -> Array:
        return np.copysign(np.nan, x - x.mean()) * sign

    assert "failed on rank 0" in failure(zero, np.arange(16.0) ** 3, kind="map")
    assert "failed on rank 0" in failure(no_number, np.arange(16.0) ** 3, kind="map")


def test_last_bits_that_depend_on_the_number_of_rows_are_told_as_such() -> None:
    def product(x: Array, t: float) -> Array:
        return x * (1 + 2**-52 * (len(x) > 30)) + t

    assert "last bits" in failure(product, grid(100), kind="map")


def test_rounding_of_a_single_row_is_let_pass() -> None:
    passes(lambda x: x * (1 + 2**-52 * (len(x) > 1)), grid(100))
    passes(lambda x: x * (1 + 2**-52 * (len(x) > 1)), grid(100), block_size=8)


@pytest.mark.parametrize("block_size", [8, 24, None])
@pytest.mark.parametrize("name", LOCAL)
@pytest.mark.parametrize("initial", [grid(60), np.ones(13), np.zeros(5), np.ones(1), np.zeros(0), grid(60)[::-3]])
def test_a_row_local_kernel_passes(name: str, initial: Array, block_size: int | None) -> None:
    passes(LOCAL[name], initial, block_size=block_size)
    passes(LOCAL[name], initial, block_size=block_size, kind="map")


def test_rows_of_several_values_pass_and_those_without_values() -> None:
    for shape in ((7, 3), (4, 0), (0, 2), (5, 2, 2)):
        passes(lambda x, t: np.sort(x, axis=-1) * t, np.random.default_rng(1).normal(size=shape))
        passes(lambda x, t: x - x.sum(axis=-1, keepdims=True) * t, np.full(shape, np.nan))


def test_what_a_kernel_raises_for_the_neighbours_values_is_no_failure() -> None:
    def share(x: Array) -> Array:
        if (x > 1).any():
            raise ValueError("a share is 1 at most")
        return x * 0.5

    passes(share, np.ones(20), kind="map")

    def mixes(x: Array) -> Array:
        return share(x) + np.roll(x, 1)

    assert "reads neighbours" in failure(mixes, np.ones(20), kind="map")

    def one(x: Array) -> Array:
        if (x != 1).any():
            raise ValueError("nothing but 1")
        return x

    passes(one, np.ones(20))


def test_a_kernel_that_fails_without_the_other_rows_is_told_so() -> None:
    def wants_many(x: Array, out: Array) -> None:
        if len(x) < 10:
            raise ValueError("too few rows")
        out[...] = x

    text = failure(wants_many, grid(10))
    assert " at step 1, t = 0.1 (from step 0, t = 0.0), rows " in text
    assert "ValueError: too few rows" in text
    assert "These rows were computed beside others before, and fail without them." in text


def test_an_interrupt_while_rows_are_checked_is_an_interrupt() -> None:
    def interrupted(x: Array, out: Array) -> None:
        if len(x) < 10:
            raise KeyboardInterrupt
        out[...] = x

    with pytest.raises(KeyboardInterrupt):
        passes(interrupted, grid(10))


def counted(steps: int, **how: Any) -> int:
    """Run 100 rows; return how many rows were computed."""
    seen: list[int] = []

    def counts(x: Array, t: float) -> Array:
        seen.append(len(x))
        return x * t

    execute(
        Problem(grid(100), kernels.function(counts, kind="step"), delta_t=0.1, steps=steps),
        SerialCommunicator(),
        **how,
    )
    return sum(seen)


def test_it_costs_about_one_block_and_less_and_less_often() -> None:
    assert counted(1000) - counted(1000, check_rows=False) < 800
    assert counted(5) - counted(5, check_rows=False) < 120


def test_it_can_be_left_out_and_is_for_others_kernels() -> None:
    mixing, _ = MIXING["roll"]
    passes(mixing, grid(20), check_rows=False)
    problem = Problem(grid(20), kernels.function(mixing, kind="step"), delta_t=0.1, steps=3)
    assert run(problem, serial=True, check_rows=False).history is not None
    with pytest.raises(KernelError):
        run(problem, serial=True)


def test_built_in_kernels_and_expressions_are_not_computed_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(row_check, "RowCheck", None)
    passes(kernels.affine(), grid(9))
    passes(kernels.expression("x * t"), grid(9))
    with pytest.raises(TypeError, match="not callable"):
        passes(lambda x, t: x * t, grid(9))


def test_rows_that_are_too_large_are_not_computed_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(row_check, "LARGEST", 7)
    passes(MIXING["roll"][0], grid(20))


@pytest.mark.parametrize("suffix", ["npy", "zarr", "h5"])
def test_nothing_is_left_where_the_history_should_be(tmp_path: Path, suffix: str) -> None:
    pytest.importorskip({"npy": "numpy", "zarr": "zarr", "h5": "h5py"}[suffix])
    problem = Problem(grid(20), kernels.function(MIXING["roll"][0], kind="step"), delta_t=0.1, steps=3)
    with pytest.raises(KernelError, match="reads neighbours"):
        execute(problem, SerialCommunicator(), output=str(tmp_path / f"h.{suffix}"))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("dtype", ["u1", "u4", "u8", "i1", "i8"])
def test_made_up_values_are_of_the_dtype(dtype: str) -> None:
    values = np.array([0, 1, 7], dtype)
    for much in (3, -1):
        other = row_check._otherwise(values, much)
        assert other.dtype == values.dtype
        assert (other != values).all()
