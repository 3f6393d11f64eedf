"""What a picture shows of a history that it has no room for, and how often that is read."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simsplit import InputError, Problem, run
from simsplit.cli import main
from simsplit.display import picture as plot
from simsplit.history import stored_array as reading
from simsplit.history.stored_array import StoredArray, stored_array
from simsplit.rundir.recorded_run import open_run
from tests.support.environment import forget_launchers

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    forget_launchers(monkeypatch)
    monkeypatch.chdir(tmp_path)


def drawn(capsys: pytest.CaptureFixture[str], *options: str, format: str = "npy") -> list[str]:  # noqa: A002
    """Run and draw; return what is printed of the picture."""
    main(["run", "--serial", "--quiet", "--format", format, "-o", "a", *options])
    capsys.readouterr()
    assert main(["plot", "a", "-o", "a.png"]) == 0
    return capsys.readouterr().out.splitlines()


def test_a_fast_wave_is_not_drawn_as_a_slow_one(capsys: pytest.CaptureFixture[str]) -> None:
    wave = ("--kernel", "sin(2*pi*t + x)", "--size", "3", "--steps", "10000", "--delta-t", "0.0801")
    assert drawn(capsys, *wave) == [
        "written to a.png",
        "each cell is the mean of up to 13 steps × 1 row",
        "curves go from the least to the greatest value of up to 13 steps",
    ]
    found = plot._summed_up(open_run("a").history(), 10_000, [0, 1, 2], 0)
    assert found.least.shape == (800, 3)
    assert found.least.max() < -0.9  # each piece of a curve is more than a period long, and shows all of it
    assert found.greatest.min() > 0.9
    assert np.abs(found.means).max() < 0.1
    assert found.whole == (pytest.approx(-1), pytest.approx(1))


def test_show_says_what_its_drawing_leaves_out(capsys: pytest.CaptureFixture[str]) -> None:
    for steps, words in (("64", "mean ●, from min to max ·"), ("6400", "· at 64 of 6,400 steps: none between them is")):
        main(["run", "--serial", "--quiet", "--steps", steps, "-o", steps])
        capsys.readouterr()
        main(["show", steps])
        (line,) = (line for line in capsys.readouterr().out.splitlines() if "●, from" in line)
        assert words in line
        assert ("none between" in line) == (steps == "6400")


def test_a_picture_that_shows_all_says_nothing_more(capsys: pytest.CaptureFixture[str]) -> None:
    assert drawn(capsys, "--size", "400", "--steps", "800") == ["written to a.png"]


def test_what_is_left_out_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    assert drawn(capsys, "--kernel", "log(x - 2)", "--size", "401", "--steps", "2") == [
        "written to a.png",
        "each cell is the mean of up to 1 step × 2 rows",
        "curves of 5 of 401 rows: others by --rows",
        "6 values not finite, left out",
    ]


@given(
    shape=st.tuples(st.integers(1, 30), st.integers(1, 20), st.integers(1, 2)),
    room=st.tuples(st.integers(1, 12), st.integers(1, 12)),
    chunk=st.tuples(st.integers(1, 7), st.integers(1, 7)),
    block_rows=st.sampled_from([1, 100, 1000, 10**6]),
    dtype=st.sampled_from(["f8", "f2", "c16", "i4", "?"]),
    seed=st.integers(0, 100),
)
def test_it_sums_up_what_numpy_does(
    tmp_path_factory: pytest.TempPathFactory,
    shape: tuple[int, int, int],
    room: tuple[int, int],
    chunk: tuple[int, int],
    block_rows: int,
    dtype: str,
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
        patch.setattr(plot, "_STEPS", room[0])
        patch.setattr(plot, "_ROWS", room[1])
        found = plot._summed_up(replace(stored, chunk=chunk), complete, chosen, shape[2] - 1)
        middles = plot._middles(np.arange(complete), room[0])
    values = np.abs(whole) if dtype == "c16" else whole.astype("f8")
    values = values[:complete, :, -1]
    long, high = found.means.shape
    assert (long, high) == (min(complete, room[0]), min(shape[1], room[1]))
    cells = [np.flatnonzero(np.arange(complete) * long // complete == cell) for cell in range(long)]
    places = [np.flatnonzero(np.arange(shape[1]) * high // shape[1] == cell) for cell in range(high)]
    for number, steps in enumerate(cells):
        assert middles[number] == (steps[0] + steps[-1]) / 2
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


def same(one: float, other: float) -> bool:
    return bool(one == other or (np.isnan(one) and np.isnan(other)))


@pytest.fixture
def figures(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Return a list that gets each figure that is saved."""
    found: list[Any] = []
    saved = plot.picture.save
    monkeypatch.setattr(plot.picture, "save", lambda figure, output: (found.append(figure), saved(figure, output)))
    return found


def test_one_step_is_drawn_over_the_rows(capsys: pytest.CaptureFixture[str], figures: list[Any]) -> None:
    pytest.importorskip("matplotlib")
    options = ("--kernel", "row * t", "--steps", "5", "--keep", "last", "--size")
    assert drawn(capsys, *options, "30") == ["written to a.png"]
    (axes,) = figures.pop().axes
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("row", "value")
    (line,) = axes.lines
    np.testing.assert_array_equal(line.get_xydata(), [(row, row * 2.0) for row in range(30)])
    assert drawn(capsys, *options, "1000", "--overwrite")[1:] == [
        "the band goes from the least to the greatest value of up to 3 rows"
    ]
    (axes,) = figures.pop().axes
    ((band,), low, high) = axes.collections, 0.0, 999 * 2.0
    assert (band.get_datalim(axes.transData).ymin, band.get_datalim(axes.transData).ymax) == (low, high)


def test_more_rows_than_colours_get_a_colour_bar(capsys: pytest.CaptureFixture[str], figures: list[Any]) -> None:
    pytest.importorskip("matplotlib")
    drawn(capsys, "--size", "30", "--steps", "5")
    curves = figures.pop().axes[1]
    names = [f"row {row}" for row in (0, 7, 14, 22, 29)]
    assert [text.get_text() for text in curves.get_legend().get_texts()] == names
    assert main(["plot", "a", "-o", "a.png", "--rows", ",".join(map(str, range(11)))]) == 0
    _, curves, _, bar = figures.pop().axes
    assert (curves.get_legend(), bar.get_ylabel(), bar.get_ylim()) == (None, "row", (0, 10))
    assert len({line.get_color() for line in curves.lines}) == 11


def test_components_are_called_by_their_names(figures: list[Any]) -> None:
    pytest.importorskip("matplotlib")
    np.save("rows.npy", np.tile([0.9, 0.1, 0.0], (4, 1)))
    main(["run", "--serial", "--quiet", "--kernel", "sir", "--input", "rows.npy", "--steps", "9", "-o", "a"])
    curves = []
    for name in ("I", "1"):
        assert main(["plot", "a", "-o", "a.png", "--component", name]) == 0
        axes = figures.pop().axes[1]
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


def test_a_run_that_keeps_no_step_is_drawn_by_its_reductions(
    capsys: pytest.CaptureFixture[str], figures: list[Any]
) -> None:
    pytest.importorskip("matplotlib")
    options = ("--kernel", "row * t", "--size", "5", "--keep", "none", "--reduce", "mean,min,max,std,sum", "--steps")
    assert drawn(capsys, *options, "4") == ["written to a.png"]
    above, below = figures.pop().axes
    assert [text.get_text() for text in above.get_legend().get_texts()] == ["min to max", "mean ± std", "mean"]
    times = np.arange(4) * 0.5
    np.testing.assert_array_equal(above.lines[0].get_xydata(), np.transpose([times, 2 * times]))
    np.testing.assert_array_equal(below.lines[0].get_xydata(), np.transpose([times, 10 * times]))
    whole, spread = (band.get_datalim(above.transData) for band in above.collections)
    assert (whole.ymin, whole.ymax) == (0, 6)
    assert (spread.ymin, spread.ymax) == (0, pytest.approx(3 + 1.5 * np.sqrt(2)))
    assert drawn(capsys, *options, "1700", "--overwrite")[1:] == [
        "curves go from the least to the greatest value of up to 3 steps"
    ]
    axes = figures.pop().axes[0]
    assert axes.collections[2].get_datalim(axes.transData).ymax == pytest.approx(2 * 849.5)


@pytest.mark.parametrize(("reduce", "names"), [("sum", ["sum"]), ("std", ["std"]), ("min,std", ["min", "std"])])
def test_reductions_of_a_result_are_drawn_as_far_as_they_are_there(
    figures: list[Any], reduce: str, names: list[str]
) -> None:
    pytest.importorskip("matplotlib")
    result = run(
        Problem(np.ones((4, 2)), "x * t * 1j", delta_t=0.5, steps=3, keep="none", reduce=reduce)
        if reduce == "sum"
        else Problem(np.ones((4, 2)), "x * t", delta_t=0.5, steps=3, keep="none", reduce=reduce),
        serial=True,
    )
    assert result.plot("a.png", component=1) == []
    (axes,) = figures.pop().axes
    assert [text.get_text() for text in axes.get_legend().get_texts()] == names
    if reduce == "sum":  # the absolute value
        np.testing.assert_array_equal(axes.lines[0].get_ydata(), [0, 2, 4])
    with pytest.raises(InputError, match="--component must be from 0 to 1, not 2"):
        result.plot("a.png", component=2)


@pytest.mark.parametrize("format", ["npy", "zarr", "h5"])
def test_many_rows_are_read_at_once(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    format: str,  # noqa: A002
) -> None:
    pytest.importorskip({"h5": "h5py"}.get(format, "numpy"))
    reads = []
    block = StoredArray.block

    def noted(array: StoredArray, *where: slice) -> Any:
        reads.append(where)
        return block(array, *where)

    monkeypatch.setattr(StoredArray, "block", noted)
    drawn(capsys, "--size", "13000", "--steps", "5", format=format)
    assert reads == [(slice(0, 5), slice(0, 13_000))]


@pytest.mark.parametrize("block_rows", [1, 3000, 10**6])
def test_each_chunk_of_a_zarr_store_is_read_once(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, block_rows: int
) -> None:
    zarr = pytest.importorskip("zarr")
    monkeypatch.setattr("simsplit.history.formats.zarr_v3.CHUNK", 800)
    monkeypatch.setattr("simsplit.history.formats.zarr_v3.chunk_rows", lambda *_: 7)
    monkeypatch.setattr(reading, "AT_ONCE", block_rows)
    reads: Counter[str] = Counter()
    get = zarr.storage.LocalStore.get

    async def counted(store: Any, key: str, *arguments: Any, **named: Any) -> Any:
        reads[key] += "/c/" in key
        return await get(store, key, *arguments, **named)

    monkeypatch.setattr(zarr.storage.LocalStore, "get", counted)
    drawn(capsys, "--size", "30", "--steps", "50", format="zarr")
    assert {key: count for key, count in reads.items() if count} == {
        f"history/c/{k}/{row}": 1 for k in range(-(-50 // (800 // 56))) for row in range(-(-30 // 7))
    }
