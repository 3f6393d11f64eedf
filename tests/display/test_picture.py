"""What a picture shows of a history that it has no room for, and how often that is read."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from simsplit.cli import main
from simsplit.history import stored_array as reading
from simsplit.history.stored_array import StoredArray
from tests.support.pictures import drawn


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
