"""Observers of the user's own, in one process."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import simsplit
from simsplit import InputError, KernelError, Problem, StoppedError
from simsplit.kernels import expression

if TYPE_CHECKING:
    from pathlib import Path

    from simsplit.runs.observers import Step

KERNELS = {"map": "(1 + x) * t + k", "step": "0.5 * x + t"}


def problem(kind: str, keep: str = "all", steps: int = 11, **more: Any) -> Problem:
    kernel = expression(KERNELS[kind], kind=kind)
    return Problem(np.linspace(0, 1, 5), kernel, delta_t=0.25, steps=steps, keep=keep, **more)


def whole(kind: str, steps: int = 11) -> Any:
    history = simsplit.run(problem(kind, steps=steps), serial=True).history
    assert history is not None
    return history


@pytest.mark.parametrize("every", [1, 2, 4, 100])
@pytest.mark.parametrize("keep", ["all", "every:3", "last"])
@pytest.mark.parametrize("kind", ["map", "step"])
def test_it_is_called_after_every_kth_step_with_its_values(kind: str, keep: str, every: int) -> None:
    seen: list[tuple[int, float, tuple[int, int], Any]] = []

    def note(step: Step) -> None:
        assert not step.values.flags.writeable
        seen.append((step.k, step.t, step.rows, step.values.copy()))

    result = simsplit.run(problem(kind, keep), serial=True, watch=note, every=every)
    expected = whole(kind)
    assert [k for k, *_ in seen] == list(range(0, 11, every))
    assert [t for _, t, *_ in seen] == [0.25 * k for k in range(0, 11, every)]
    assert {rows for _, _, rows, _ in seen} == {(0, 5)}
    assert all(values.tobytes() == expected[k].tobytes() for k, _, _, values in seen)
    assert result.history is not None
    assert result.history.tobytes() == expected[list(result.kept)].tobytes()


@pytest.mark.parametrize("keep", ["all", "every:3", "last"])
@pytest.mark.parametrize("kind", ["map", "step"])
@pytest.mark.parametrize("last", [0, 4, 6, 10])
def test_a_run_that_it_stops_gives_the_steps_until_then(kind: str, keep: str, last: int) -> None:
    def stop(step: Step) -> None:
        if step.k == last:
            step.stop()

    result = simsplit.run(problem(kind, keep, reduce="mean"), serial=True, watch=[stop], verify=True)
    expected = whole(kind)
    kept = {"all": range(last + 1), "every:3": range(0, last + 1, 3), "last": range(last, last + 1)}[keep]
    assert list(result.kept) == list(kept)
    assert result.history is not None
    assert result.history.tobytes() == expected[list(kept)].tobytes()
    assert result.reductions["mean"].shape == (last + 1,)
    assert len(result.times) == len(kept)
    assert result.verification is not None
    assert result.verification.identical
    stopped = last < 10
    assert (result.note == f"stopped by an observer after {last + 1} of 11 steps") is stopped


def test_what_it_writes_to_npy_is_cut_and_other_files_are_not_written(tmp_path: Path) -> None:
    def stop(step: Step) -> None:
        if step.k == 4:
            step.stop()

    simsplit.run(problem("map"), serial=True, watch=stop, output=tmp_path / "a.npy")
    assert np.load(tmp_path / "a.npy").shape == (5, 5)
    for name in ("a.zarr", "a.h5"):
        with pytest.raises(
            StoppedError, match=r"stopped by an observer after 5 of 11 steps: the output .* not written"
        ):
            simsplit.run(problem("map"), serial=True, watch=stop, output=tmp_path / name)
    assert [path.name for path in tmp_path.iterdir()] == ["a.npy"]


@pytest.mark.parametrize("name", ["a.npy", "a.zarr", "a.h5", "a"])
def test_a_run_that_it_stops_after_the_last_step_is_a_whole_one(tmp_path: Path, name: str) -> None:
    def stop(step: Step) -> None:
        if step.k == 10:
            step.stop()

    result = simsplit.run(problem("step"), serial=True, watch=stop, output=tmp_path / name)
    assert result.note is None
    assert (tmp_path / name).exists()
    if name == "a":
        assert (tmp_path / "a" / "history.npy").exists()


def test_several_are_called_in_their_order() -> None:
    order: list[tuple[str, int]] = []
    watch = [lambda step: order.append(("a", step.k)), lambda step: order.append(("b", step.k))]
    simsplit.run(problem("step", steps=2), serial=True, watch=watch)
    assert order == [("a", 0), ("b", 0), ("a", 1), ("b", 1)]


def test_numbers_are_reduced_over_the_ranks() -> None:
    found: list[float] = []

    def reduce(step: Step) -> None:
        found.append(step.reduce(step.values.sum()))
        found.append(step.reduce(step.values.max(), "max"))

    result = simsplit.run(problem("map", steps=3), serial=True, watch=reduce)
    assert result.history is not None
    assert found == [each for values in result.history for each in (values.sum(), values.max())]


def test_what_it_raises_ends_the_run_and_names_it() -> None:
    def fails(step: Step) -> None:
        if step.k == 2:
            raise LookupError("no such thing")

    with pytest.raises(
        KernelError, match=r"the observer fails failed on rank 0 of 1 .* at step 2, t = 0\.5:"
    ) as caught:
        simsplit.run(problem("map"), serial=True, watch=fails)
    assert "no such thing" in str(caught.value)


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"watch": 3}, "watch must be a function of a step, or a list of such functions, not 3"),
        ({"watch": [print, 3]}, "watch must be a function of a step, or a list of such functions, not 3"),
        ({"watch": print, "every": 0}, "every must be an integer of 1 or more, not 0"),
    ],
)
def test_what_is_none_is_refused(options: dict[str, Any], match: str) -> None:
    with pytest.raises(InputError, match=match):
        simsplit.run(problem("map"), serial=True, **options)


def test_a_wrong_operation_is_refused() -> None:
    with pytest.raises(InputError, match='the operation must be "sum", "min" or "max", not \'mean\''):
        simsplit.run(problem("map"), serial=True, watch=lambda step: step.reduce(1.0, "mean"))


@pytest.mark.parametrize("name", ["affine", "logistic"])
def test_by_remote_objects_it_sees_all_rows(name: str) -> None:
    kernel = simsplit.kernels.load(name)
    what = Problem(np.linspace(0.1, 1, 6), kernel, delta_t=0.1, steps=7, keep="every:3", reduce="mean,max")
    seen: list[Any] = []
    result = simsplit.run(what, serial=True, via="remote", watch=lambda step: seen.append(step.values.copy()), every=2)
    expected = simsplit.run(Problem(what.initial, kernel, delta_t=0.1, steps=7), serial=True).history
    assert expected is not None
    assert np.array(seen).tobytes() == expected[::2].tobytes()
    assert result.history is not None
    assert result.history.tobytes() == expected[::3].tobytes()
    plain = simsplit.run(what, serial=True)
    assert {name: each.tobytes() for name, each in result.reductions.items()} == {
        name: each.tobytes() for name, each in plain.reductions.items()
    }
