"""Checkpoints: what any split wrote any other split reads, and no byte may change unnoticed."""

from __future__ import annotations

import errno
import os
import threading
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simsplit import OutputError
from simsplit.bounds import bounds
from simsplit.communicator.serial import SerialCommunicator
from simsplit.rundir import checkpoint
from simsplit.rundir.checkpoint import PAGE, Checkpoints, CorruptCheckpointError, StateLayout, read
from simsplit.util import durable as disk
from tests.support.arrays import random_array
from tests.support.launching import LIMIT
from tests.support.profiles import examples

if TYPE_CHECKING:
    from pathlib import Path

FACTS = {"run": "0123", "history": [1, 2]}


def commit(path: Path, whole: np.ndarray[Any, Any], ranks: int, chunk: int = PAGE) -> None:
    """Write a checkpoint as so many ranks would."""
    parts = bounds(len(whole), ranks)
    layout = StateLayout(whole.shape, whole.dtype, parts, chunk)
    path.touch()
    digests = [
        checkpoint._write_part(path, layout, rank, whole[lower:upper]) for rank, (lower, upper) in enumerate(parts)
    ]
    checkpoint._write_end(path, layout, 7, FACTS, b"".join(digests))


@examples(60)
@given(
    rows=st.integers(0, 70),
    row=st.sampled_from([(), (3,), (2, 5), (0,), (600,)]),
    dtype=st.sampled_from(["<f8", ">f4", "c16", "i1", "?"]),
    writers=st.integers(1, 6),
    readers=st.integers(1, 6),
    pages=st.integers(1, 3),
)
def test_any_number_of_ranks_reads_what_any_other_number_wrote(
    tmp_path_factory: pytest.TempPathFactory, rows: int, row: Any, dtype: str, writers: int, readers: int, pages: int
) -> None:
    shape = (rows, *row)
    with np.errstate(all="ignore"):
        whole = random_array("f8", int(np.prod(shape)), 5).reshape(shape).astype(dtype)
    path = tmp_path_factory.mktemp("c") / "step-7.checkpoint"
    commit(path, whole, writers, PAGE * pages)
    for lower, upper in bounds(rows, readers):
        found = read(path, (lower, upper))
        assert found.state is not None
        assert (found.position, found.facts, found.state.dtype) == (7, FACTS, whole.dtype)
        assert found.state.shape == whole[lower:upper].shape
        assert found.state.tobytes() == whole[lower:upper].tobytes()


def test_parts_begin_on_pages_of_their_own() -> None:
    layout = StateLayout((10, 3), np.dtype("f8"), bounds(10, 4), PAGE)
    assert layout.offsets() == [0, PAGE, 2 * PAGE, 3 * PAGE, 4 * PAGE]
    assert StateLayout((10**6,), np.dtype("f8"), bounds(10**6, 3), PAGE).offsets()[1] % PAGE == 0


@pytest.mark.parametrize("readers", [1, 3])
def test_one_flipped_byte_anywhere_is_noticed(tmp_path: Path, readers: int) -> None:
    whole = random_array("f8", 1500, 5)
    path = tmp_path / "c"
    commit(path, whole, 2)
    good = path.read_bytes()
    spans = bounds(len(whole), readers)
    ends = range(len(good) - 900, len(good))
    for place in [*range(0, len(good), 97), *ends]:
        bad = bytearray(good)
        bad[place] ^= 1 << (place % 8)
        path.write_bytes(bad)
        damaged = 0
        for span in spans:
            try:
                read(path, span)
            except CorruptCheckpointError:
                damaged += 1
        assert damaged > 0, place
    path.write_bytes(good)
    assert read(path, (0, 1500)).state is not None


@pytest.mark.parametrize("change", ["truncated", "extended", "empty", "a byte inserted", "foreign"])
def test_a_file_of_another_length_or_kind_is_refused(tmp_path: Path, change: str) -> None:
    path = tmp_path / "c"
    commit(path, random_array("f8", 100, 5), 2)
    good = path.read_bytes()
    bad = {
        "truncated": good[:-1],
        "extended": good + b"\0",
        "empty": b"",
        "a byte inserted": b"\0" + good,
        "foreign": bytes(5000),
    }
    path.write_bytes(bad[change])
    with pytest.raises(CorruptCheckpointError):
        read(path, (0, 100))


@examples(200)
@given(st.data())
def test_a_checksum_changes_with_its_data(data: st.DataObject) -> None:
    pages = data.draw(st.integers(1, 5))
    good = np.random.default_rng(3).integers(0, 256, pages * PAGE, np.uint8)
    bad = good.copy()
    kind = data.draw(st.sampled_from(["bytes of a page", "a lost page", "pages swapped", "three words"]))
    page = data.draw(st.integers(0, pages - 1)) * PAGE
    if kind == "bytes of a page":
        places = data.draw(st.lists(st.integers(0, PAGE - 1), min_size=1, max_size=50, unique=True))
        bad[page + np.array(places)] ^= data.draw(st.integers(1, 255))
    elif kind == "a lost page":
        bad[page : page + PAGE] = 0
    elif kind == "pages swapped":
        other = data.draw(st.integers(0, pages - 1)) * PAGE
        bad[page : page + PAGE], bad[other : other + PAGE] = good[other : other + PAGE], good[page : page + PAGE]
    else:
        words = bad.view("<u8")
        places = data.draw(st.lists(st.integers(0, len(words) - 1), min_size=1, max_size=3, unique=True))
        words[places] += np.uint64(data.draw(st.integers(1, 2**64 - 1)))
    same = checkpoint._checksum(good.data) == checkpoint._checksum(bad.data)
    assert same == (good.tobytes() == bad.tobytes())


def test_two_checkpoints_that_are_joined_are_not_taken_for_the_second(tmp_path: Path) -> None:
    path = tmp_path / "c"
    commit(path, random_array("f8", 100, 5), 2)
    path.write_bytes(path.read_bytes() * 2)
    with pytest.raises(CorruptCheckpointError, match="length"):
        read(path, (0, 100))


@pytest.fixture
def whole() -> Any:
    return random_array("f8", 100, 5)


def store(folder: Path, whole: Any, *positions: int) -> Checkpoints:
    checkpoints = Checkpoints(SerialCommunicator(), folder)
    for position in positions:
        checkpoints.write(position, whole + position, ((100,), whole.dtype, [(0, 100)]), {"at": position})
    checkpoints.join_pruning()
    return checkpoints


def test_the_last_two_are_kept_and_the_last_is_read(tmp_path: Path, whole: Any) -> None:
    folder = tmp_path / "checkpoints"
    found = store(folder, whole, 3, 20, 100).latest((0, 100))
    assert found is not None
    assert (found.position, found.facts, found.skipped) == (100, {"at": 100}, [])
    assert found.state is not None
    assert found.state.tobytes() == (whole + 100).tobytes()
    assert sorted(os.listdir(folder)) == ["step-000000000000020.checkpoint", "step-000000000000100.checkpoint"]  # noqa: PTH208, hidden files are the point


def test_without_one_there_is_none(tmp_path: Path) -> None:
    assert Checkpoints(SerialCommunicator(), tmp_path / "nowhere").latest((0, 3)) is None


def test_a_kernel_without_a_state_has_checkpoints_too(tmp_path: Path) -> None:
    checkpoints = Checkpoints(SerialCommunicator(), tmp_path)
    path = checkpoints.write(5, None, None, {})
    found = checkpoints.latest((0, 3))
    assert found is not None
    assert (found.position, found.state) == (5, None)
    assert path.stat().st_size < 1000


def test_a_damaged_one_is_passed_over_and_the_one_before_it_used(tmp_path: Path, whole: Any) -> None:
    checkpoints = store(tmp_path, whole, 3, 20)
    last = tmp_path / "step-000000000000020.checkpoint"
    data = bytearray(last.read_bytes())
    data[40] ^= 1
    last.write_bytes(data)
    found = checkpoints.latest((0, 100))
    assert found is not None
    assert found.position == 3
    assert found.skipped == [f"the checkpoint {last.name} is passed over: it is damaged between byte 0 and 4096"]
    last.chmod(0)
    (tmp_path / "step-000000000000003.checkpoint").write_bytes(b"")
    assert checkpoints.latest((0, 100)) is None


def test_a_step_that_is_committed_again_replaces_the_first(tmp_path: Path, whole: Any) -> None:
    found = store(tmp_path, whole, 3, 20, 20).latest((0, 100))
    assert found is not None
    assert found.position == 20
    assert len(list(tmp_path.iterdir())) == 2


def test_checksums_are_summed_up_while_the_disk_makes_the_rows_durable(
    tmp_path: Path, whole: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, summed, met = threading.Event(), threading.Event(), []
    sync, checksum = disk.fsync, checkpoint._checksum

    def syncing(file: int) -> None:
        begun.set()
        met.append(summed.wait(LIMIT))
        sync(file)

    def summing(data: Any) -> bytes:
        met.append(begun.wait(LIMIT))
        found = checksum(data)
        summed.set()
        return found

    monkeypatch.setattr(disk, "fsync", syncing)
    monkeypatch.setattr(checkpoint, "_checksum", summing)
    found = store(tmp_path, whole, 3).latest((0, 100))
    assert found is not None
    assert met[:2] == [True, True]


CALLS = ("create", "write", "fsync", "rename", "fsync_dir")


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO])
@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("call", CALLS)
def test_whatever_call_fails_nothing_that_was_there_is_lost(
    tmp_path: Path, whole: Any, monkeypatch: pytest.MonkeyPatch, call: str, when: str, code: int
) -> None:
    checkpoints = store(tmp_path, whole, 3, 20)
    real = getattr(disk, call)
    for which in range(5):
        calls = 0

        def failing(*arguments: Any, which: int = which) -> Any:
            nonlocal calls
            calls += 1
            if calls - 1 == which:
                if when == "after":
                    real(*arguments)
                raise OSError(code, os.strerror(code))
            return real(*arguments)

        monkeypatch.setattr(disk, call, failing)
        try:
            checkpoints.write(21, whole, ((100,), whole.dtype, [(0, 100)]), {})
        except OutputError as error:
            assert os.strerror(code) in str(error)  # noqa: PT017, some of them pass
            assert "what was written before is intact" in str(error)  # noqa: PT017, the same
        else:
            assert which >= calls
        monkeypatch.setattr(disk, call, real)
        found = checkpoints.latest((0, 100))
        assert found is not None
        assert found.state is not None
        assert found.skipped == []
        assert found.state.tobytes() == (whole + 20 if found.position == 20 else whole).tobytes()
        assert ".checkpoint.tmp" not in os.listdir(tmp_path)  # noqa: PTH208, hidden files are the point
        if which >= calls:
            return
    pytest.fail("more calls than are tried")


def test_an_old_one_that_cannot_be_removed_ends_nothing(
    tmp_path: Path, whole: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = disk.remove

    def failing(path: Path) -> None:
        if path.name.endswith(".checkpoint"):
            raise OSError(errno.EIO, "no")
        real(path)

    monkeypatch.setattr(disk, "remove", failing)
    store(tmp_path, whole, 1, 2, 3)
    assert len(list(tmp_path.iterdir())) == 3
    monkeypatch.undo()
    store(tmp_path, whole, 4)
    assert len(list(tmp_path.iterdir())) == 2
