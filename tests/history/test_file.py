"""Histories on disk in all formats: what other programs read, who writes which chunk, and what is refused."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np
import pytest
import xarray
import zarr as zarr_library
from hypothesis import given
from hypothesis import strategies as st

from simsplit import InputError, OutputError
from simsplit.bounds import bounds
from simsplit.communicator.files import open_shared
from simsplit.communicator.serial import SerialCommunicator
from simsplit.history.file import ContiguousWriter
from simsplit.history.formats import hdf5, npy
from simsplit.history.formats import zarr_v3 as zarr
from simsplit.history.layout import HistoryLayout
from simsplit.history.stored_array import StoredArray, stored_array
from simsplit.util import durable as disk
from tests.support.arrays import random_array
from tests.support.profiles import examples

if TYPE_CHECKING:
    from pathlib import Path

DTYPES = ["f8", "f4", "f2", "c16", "c8", "i4", "u1", "?"]
LABELS = {"kernel": "sir", "time_unit": "days", "unit": "people"}


def make(shape: tuple[int, ...], dtype: str = "f8") -> tuple[HistoryLayout, Any]:
    times = 1.0 + 0.5 * np.arange(shape[0])
    return HistoryLayout(shape, np.dtype(dtype), times, LABELS), random_array(dtype, int(np.prod(shape)), 3).reshape(
        shape
    )


def write_file(path: Path, layout: HistoryLayout, whole: Any, offset: int, ranks: int) -> None:
    """Write a history as so many ranks would, a few steps at a time, the last rank first."""
    target = ContiguousWriter(open_shared(SerialCommunicator(), str(path)), offset, layout)
    for k in range(0, layout.shape[0], 3):
        for lower, upper in bounds(layout.shape[1], ranks)[::-1]:
            target.write(k, lower, whole[k : k + 3, lower:upper])
    target.sync()
    target.close()


@pytest.mark.parametrize("ranks", [1, 3])
@pytest.mark.parametrize("dtype", DTYPES)
def test_numpy_opens_an_npy_file(tmp_path: Path, dtype: str, ranks: int) -> None:
    layout, whole = make((7, 10, 2), dtype)
    path = tmp_path / "history.npy"
    offset = npy.create(path, layout)
    assert path.stat().st_size == offset + layout.nbytes
    assert npy.data_offset(path, layout) == offset
    write_file(path, layout, whole, offset, ranks)
    found = np.load(path, mmap_mode="r")
    assert (found.dtype, found.shape) == (whole.dtype, whole.shape)
    assert found.tobytes() == whole.tobytes()


@pytest.mark.parametrize("ranks", [1, 3])
@pytest.mark.parametrize("dtype", DTYPES)
def test_h5py_opens_an_hdf5_file(tmp_path: Path, dtype: str, ranks: int) -> None:
    layout, whole = make((7, 10, 2), dtype)
    path = tmp_path / "history.h5"
    offset = hdf5.create(path, layout)
    assert hdf5.data_offset(path, layout) == offset
    write_file(path, layout, whole, offset, ranks)
    with h5py.File(path) as file:
        found = file["history"]
        assert found.dtype == whole.dtype
        assert found[...].tobytes() == whole.tobytes()
        assert [axis.label for axis in found.dims] == ["time", "row", "component"]
        assert found.dims[0]["time"][...].tobytes() == layout.times.tobytes()
        assert {name: found.attrs[name] for name in LABELS} == LABELS


def write_chunks(path: Path, layout: HistoryLayout, whole: Any, ranks: int, steps: int = 3) -> list[set[str]]:
    """Write a store as so many ranks would; return which files each of them wrote."""
    chunk = zarr.chunks(path, layout)
    written = []
    rows = -(-layout.shape[1] // chunk[1])
    for lower, upper in bounds(rows, ranks):
        before = files(path)
        target = zarr.ChunkWriter(path, layout, chunk)
        first, last = lower * chunk[1], min(upper * chunk[1], layout.shape[1])
        for k in range(0, layout.shape[0], steps):
            target.write(k, first, whole[k : k + steps, first:last])
            if k % 2:
                target.sync()
        target.sync()
        target.close()
        written.append(files(path) - before)
    return written


def files(path: Path) -> set[str]:
    return {str(found.relative_to(path)) for found in path.rglob("*") if found.is_file()}


@pytest.mark.parametrize("ranks", [1, 3])
@pytest.mark.parametrize("dtype", DTYPES)
def test_xarray_opens_a_zarr_store_and_no_chunk_has_two_writers(tmp_path: Path, dtype: str, ranks: int) -> None:
    layout, whole = make((7, 10, 2), dtype)
    path = tmp_path / "history.zarr"
    zarr.create(path, layout, zarr.chunk_rows(10, ranks, layout.row_nbytes))
    written = write_chunks(path, layout, whole, ranks)
    assert all(written)
    with xarray.open_zarr(path, consolidated=False, decode_timedelta=False) as opened:
        found = opened["history"]
        assert found.dims == ("time", "row", "component")
        assert found.dtype == whole.dtype
        assert found.values.tobytes() == whole.tobytes()
        assert opened["time"].values.tobytes() == layout.times.tobytes()
        assert opened["time"].attrs == {"units": "days"}
        assert found.attrs == LABELS


@examples(40)
@given(st.integers(1, 9), st.integers(0, 23), st.sampled_from([(), (2,), (2, 3)]), st.integers(1, 5), st.integers(1, 5))
def test_zarr_gives_back_what_any_ranks_wrote(
    tmp_path_factory: pytest.TempPathFactory, steps: int, rows: int, row: Any, ranks: int, later: int
) -> None:
    layout, whole = make((steps, rows, *row))
    path = tmp_path_factory.mktemp("z") / "history.zarr"
    zarr.create(path, layout, zarr.chunk_rows(rows, ranks, layout.row_nbytes))
    write_chunks(path, layout, np.zeros_like(whole), ranks)
    write_chunks(path, layout, whole, later, steps=2)
    found = stored_array(path)
    assert found is not None
    assert found.block(slice(None)).tobytes() == whole.tobytes()


@pytest.mark.parametrize(("rows", "ranks"), [(10, 4), (1000, 3), (7, 9), (0, 2), (5, 4), (10**6, 48)])
@pytest.mark.parametrize("row_nbytes", [8, 2**20, 0])
def test_chunks_give_no_rank_more_than_the_plain_split_does(rows: int, ranks: int, row_nbytes: int) -> None:
    chunk = zarr.chunk_rows(rows, ranks, row_nbytes)
    longest = -(-rows // ranks)
    pieces = bounds(-(-rows // chunk), ranks)
    most = max(upper - lower for lower, upper in pieces) * chunk
    assert most <= longest + longest // 4 + 1
    assert chunk * row_nbytes <= max(row_nbytes, zarr.CHUNK)


def test_many_chunks_need_few_open_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zarr, "_OPEN", 2)
    monkeypatch.setattr(zarr, "CHUNK", 64)
    layout, whole = make((9, 20))
    path = tmp_path / "history.zarr"
    zarr.create(path, layout, zarr.chunk_rows(20, 1, 8, 64))
    assert zarr.chunks(path, layout)[:2] == (1, 7)
    write_chunks(path, layout, whole, 1)
    assert zarr_library.open_array(str(path / "history"))[...].tobytes() == whole.tobytes()  # type: ignore[union-attr]


@pytest.mark.parametrize("name", ["history.npy", "history.h5", "history.zarr"])
def test_what_is_not_the_history_that_was_made_is_refused(tmp_path: Path, name: str) -> None:
    layout, _ = make((7, 10, 2))
    other, _ = make((7, 11, 2))
    path = tmp_path / name
    check: Any = {"history.npy": npy.data_offset, "history.h5": hdf5.data_offset, "history.zarr": zarr.chunks}[name]
    if name == "history.zarr":
        zarr.create(path, layout, 3)
    else:
        {"history.npy": npy.create, "history.h5": hdf5.create}[name](path, layout)
    check(path, layout)
    with pytest.raises(OutputError, match="is not the history that was written there"):
        check(path, other)
    if name == "history.npy":
        path.write_bytes(path.read_bytes()[:-1])
        with pytest.raises(OutputError, match="is not the history"):
            check(path, layout)
        path.write_bytes(b"something else")
        with pytest.raises(OutputError, match="is not the history"):
            check(path, layout)


@pytest.mark.parametrize(("library", "load"), [("h5py", hdf5.import_h5py), ("zarr", zarr.import_zarr)])
def test_a_library_that_is_missing_is_named(library: str, load: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, library, None)
    with pytest.raises(InputError, match=r"pip install 'simsplit\[(hdf5|zarr)\]'"):
        load()


def stored(path: Path, whole: Any, kind: str) -> StoredArray:
    if kind == "npy":
        np.save(path / "a.npy", whole)
        found = stored_array(path / "a.npy")
    elif kind == "h5":
        with h5py.File(path / "a.h5", "w") as file:
            file["x"] = whole
        found = stored_array(path / "a.h5")
    else:
        zarr_library.save_array(str(path / "a.zarr"), whole)
        found = stored_array(path / "a.zarr")
    assert found is not None
    return found


@pytest.mark.parametrize("kind", ["npy", "h5", "zarr"])
@pytest.mark.parametrize("dtype", ["f8", ">f4", "c16", "i2", "?"])
def test_any_rows_of_any_format_are_read_alone(tmp_path: Path, dtype: str, kind: str) -> None:
    whole = np.random.default_rng(1).normal(0, 9, (10, 3, 2)).astype(dtype)
    found = stored(tmp_path, whole, kind)
    assert (found.shape, found.ndim, len(found), found.nbytes) == (whole.shape, 3, 10, whole.nbytes)
    for lower, upper in [*bounds(10, 4), (0, 0), (10, 10)]:
        assert found.rows(lower, upper).astype(whole.dtype).tobytes() == whole[lower:upper].tobytes()
    part = found.block(slice(2, 5), slice(1, 3), slice(0, 1))
    assert part.astype(whole.dtype).tobytes() == whole[2:5, 1:3, 0:1].tobytes()


@pytest.mark.parametrize("kind", ["npy", "h5", "zarr"])
def test_an_entry_of_an_array_is_an_array(tmp_path: Path, kind: str) -> None:
    whole = np.arange(60.0).reshape(5, 4, 3)
    entry = stored(tmp_path, whole, kind).at(3)
    assert (entry.shape, len(entry), entry.nbytes) == ((4, 3), 4, 96)
    assert entry.rows(1, 3).tobytes() == whole[3, 1:3].tobytes()
    assert entry.astype(np.dtype("f4")).block(slice(2, 4), slice(1, 2)).tolist() == whole[3, 2:4, 1:2].tolist()


def test_a_file_that_got_shorter_or_lost_is_refused(tmp_path: Path) -> None:
    found = stored(tmp_path, np.ones(100), "npy")
    os.truncate(found.path, 500)
    with pytest.raises(InputError, match="shorter than its header says"):
        found.rows(50, 100)
    assert stored_array(found.path) is None
    disk.remove(tmp_path / "a.npy")
    with pytest.raises(InputError, match="No such file"):
        found.rows(0, 1)


def test_of_several_arrays_one_must_be_named(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["x"], file["y"] = [1.0], [2.0]
    with pytest.raises(InputError, match="it holds x, y: call one of them initial"):
        stored_array(tmp_path / "a.h5")
    with h5py.File(tmp_path / "a.h5", "a") as file:
        file["initial"] = [3.0]
    found = stored_array(tmp_path / "a.h5")
    assert found is not None
    assert found.rows(0, 1)[0] == 3.0
    zarr_library.create_group(str(tmp_path / "a.zarr"))
    with pytest.raises(InputError, match="it holds no array"):
        stored_array(tmp_path / "a.zarr")


@pytest.mark.parametrize("name", ["a.h5", "a.zarr"])
def test_what_is_no_such_file_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError, match="there is no such file"):
        stored_array(tmp_path / name)
    (tmp_path / name).write_bytes(b"something else")
    with pytest.raises(InputError, match=f"cannot read .*{name}"):
        stored_array(tmp_path / name)
