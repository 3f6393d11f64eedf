"""A history is summed up to the cells of a picture as NumPy does it, whatever pieces it is read in."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simsplit.display import summary
from simsplit.display.components import Quantity
from simsplit.display.summary import summed_up
from simsplit.display.view import Selected, of_run
from simsplit.history import stored_array as reading
from simsplit.history.stored_array import stored_array
from simsplit.rundir.recorded_run import open_run
from tests.support.pictures import drawn

VALUE = [Quantity(0, "", "value")]


def test_a_fast_wave_is_not_drawn_as_a_slow_one(capsys: pytest.CaptureFixture[str]) -> None:
    wave = ("--kernel", "sin(2*pi*t + x)", "--size", "3", "--steps", "10000", "--delta-t", "0.0801")
    assert drawn(capsys, *wave) == [
        "written to a.png",
        "each cell is the mean of up to 13 steps × 1 row",
        "curves go from the least to the greatest value of up to 13 steps",
    ]
    found = summed_up(of_run(open_run("a")).history, [0, 1, 2], VALUE)[0]
    assert found.least.shape == (800, 3)
    assert found.least.max() < -0.9  # each piece of a curve is more than a period long, and shows all of it
    assert found.greatest.min() > 0.9
    assert np.abs(found.means).max() < 0.1
    assert found.whole == (pytest.approx(-1), pytest.approx(1))


@given(
    shape=st.tuples(st.integers(1, 30), st.integers(1, 20), st.integers(1, 2)),
    room=st.tuples(st.integers(1, 12), st.integers(1, 12)),
    chunk=st.tuples(st.integers(1, 7), st.integers(1, 7)),
    block_rows=st.sampled_from([1, 100, 1000, 10**6]),
    dtype=st.sampled_from(["f8", "f2", "c16", "i4", "?"]),
    every=st.integers(1, 4),
    seed=st.integers(0, 100),
)
def test_it_sums_up_what_numpy_does(
    tmp_path_factory: pytest.TempPathFactory,
    shape: tuple[int, int, int],
    room: tuple[int, int],
    chunk: tuple[int, int],
    block_rows: int,
    dtype: str,
    every: int,
    seed: int,
) -> None:
    rng = np.random.default_rng(seed)
    whole = rng.normal(size=shape).astype(dtype)
    if np.dtype(dtype).kind in "fc":
        whole[rng.random(shape) < 0.1] = np.nan
    path = tmp_path_factory.mktemp("plot") / "h.npy"
    np.save(path, whole)
    stored = stored_array(path)
    assert stored is not None
    complete, chosen = max(1, shape[0] - 1), sorted({0, shape[1] // 2, shape[1] - 1})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reading, "AT_ONCE", block_rows)
        patch.setattr(summary, "STEPS", room[0])
        patch.setattr(summary, "ROWS", room[1])
        quantity = Quantity(shape[2] - 1, "abs" if dtype == "c16" else "", "")
        selected = Selected(replace(stored, chunk=chunk), range(complete)).select(range(0, complete, every))
        (found,) = summed_up(selected, chosen, [quantity])
        middles = summary.middles(np.arange(0, complete, every), room[0])
    values = np.abs(whole) if dtype == "c16" else whole.astype("f8")
    values = values[:complete:every, :, -1]
    steps_drawn = len(values)
    long, high = found.means.shape
    assert (long, high) == (min(steps_drawn, room[0]), min(shape[1], room[1]))
    cells = [np.flatnonzero(np.arange(steps_drawn) * long // steps_drawn == cell) for cell in range(long)]
    places = [np.flatnonzero(np.arange(shape[1]) * high // shape[1] == cell) for cell in range(high)]
    for number, steps in enumerate(cells):
        assert middles[number] == (steps[0] + steps[-1]) / 2 * every
        for place, rows in enumerate(places):
            some = values[np.ix_(steps, rows)]
            mean = some[np.isfinite(some)].mean() if np.isfinite(some).any() else np.nan
            np.testing.assert_allclose(found.means[number, place], mean, rtol=1e-12, atol=1e-12)
        for curve, row in enumerate(chosen):
            assert same(found.least[number, curve], np.fmin.reduce(values[steps, row]))
            assert same(found.greatest[number, curve], np.fmax.reduce(values[steps, row]))
    for place, rows in enumerate(places):
        assert same(found.by_row[0][place], np.fmin.reduce(values[:, rows], axis=None))
        assert same(found.by_row[1][place], np.fmax.reduce(values[:, rows], axis=None))
    assert same(found.whole[0], np.fmin.reduce(values, axis=None))
    assert same(found.whole[1], np.fmax.reduce(values, axis=None))
    assert found.not_numbers == np.isnan(values).sum()
    assert found.not_positive == (values <= 0).sum()
    assert same(found.positive, np.fmin.reduce(values[values > 0], initial=np.nan))


def same(one: float, other: float) -> bool:
    return bool(one == other or (np.isnan(one) and np.isnan(other)))
