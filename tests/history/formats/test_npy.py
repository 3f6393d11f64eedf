"""Real .npy files: what is read, what is refused, and that a file appears whole or not at all."""

from __future__ import annotations

import errno
import gc
import os
import resource
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from simsplit import InputError, OutputError
from simsplit.history.formats.npy import NpyOutput, read_npy
from simsplit.util import memory_limits as memory
from tests.support.arrays import NUMERIC, random_array
from tests.support.launching import LIMIT


def names(folder: Path) -> list[str]:
    """Return the names of all files in a folder, hidden ones too."""
    return sorted(os.listdir(folder))  # noqa: PTH208, hidden files are the point


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("dtype", [*NUMERIC, ">f8", ">i2", ">c16", ">f2"])
def test_any_numeric_file_is_read_as_it_was_saved(tmp_path: Path, dtype: str, order: Any) -> None:
    saved = np.array(random_array("int8", 12, 4).reshape(3, 4).astype(dtype), order=order)
    np.save(tmp_path / "a.npy", saved)
    found = read_npy(tmp_path / "a.npy")
    assert found.dtype == saved.dtype
    assert found.shape == (3, 4)
    assert found.flags.c_contiguous == saved.flags.c_contiguous
    assert found.tobytes() == saved.tobytes()


@pytest.mark.parametrize("shape", [(0,), (0, 3), (5, 0), (1,), (2, 1, 3)])
def test_files_of_any_shape_are_read_from_a_path_or_its_name(tmp_path: Path, shape: tuple[int, ...]) -> None:
    np.save(tmp_path / "a.npy", np.zeros(shape))
    assert read_npy(str(tmp_path / "a.npy")).shape == shape


def header(text: str) -> bytes:
    """Return the start of a .npy file with this text as its header."""
    padded = text.encode() + b" " * (-(len(text) + 11) % 64) + b"\n"
    return b"\x93NUMPY\x01\x00" + len(padded).to_bytes(2, "little") + padded


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "No data left in file"),
        (b"1.0, 2.0\n", "it holds Python objects or is not a .npy file"),
        (b"\x93NUMPY", "EOF: reading magic string"),
        (b"\x93NUMPY\x07\x00", "we only support format version"),
        (header("{'descr': '<f8', 'fortran_order': False, 'shape': (9,), }") + bytes(64), "(9,)"),
        (header("{'descr': 'f9', 'fortran_order': False, 'shape': (1,), }") + bytes(64), "'f9'"),
        (header("{'descr': '|O', 'fortran_order': False, 'shape': (1,), }") + bytes(64), "it holds Python objects"),
        (header("__import__('os').abort()"), "malformed node or string"),
    ],
    ids=["empty", "text", "cut magic", "version", "cut data", "unknown dtype", "objects", "code"],
)
def test_a_file_that_holds_no_array_is_named_with_the_reason(tmp_path: Path, content: bytes, reason: str) -> None:
    file = tmp_path / "a.npy"
    file.write_bytes(content)
    with pytest.raises(InputError) as caught:
        read_npy(file)
    message = str(caught.value)
    assert message.startswith(f"cannot read the input {file}: ")
    assert reason in message
    assert message.endswith(". Give a .npy file of a numeric dtype, as numpy.save writes it.")
    assert len(message.splitlines()) == 1


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning", "ignore:unclosed file:ResourceWarning")
@pytest.mark.parametrize(
    "content",
    [
        b"PK\x03\x04 no archive",
        header("{'descr': '<f8', "),
        header(f"{{'descr': '<f8', 'fortran_order': False, 'shape': ({10**30},), }}"),
    ],
    ids=["broken archive", "cut header", "shape beyond 64 bits"],
)
def test_a_damaged_file_is_an_input_error_whatever_numpy_raises(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "a.npy"
    file.write_bytes(content)
    kind, message = type(None), ""
    try:
        read_npy(file)
    except Exception as error:  # noqa: BLE001, which one is the question
        kind, message = type(error), str(error)
    gc.collect()  # what numpy.load leaves open is closed here, where the warning is looked away from
    assert kind is InputError
    assert message.startswith(f"cannot read the input {file}: ")


def test_pickled_objects_are_refused_and_never_run(tmp_path: Path) -> None:
    class Danger:
        def __reduce__(self) -> tuple[Any, ...]:
            return (Path.touch, (tmp_path / "executed",))

    np.save(tmp_path / "a.npy", np.array([Danger()]), allow_pickle=True)
    with pytest.raises(InputError, match="it holds Python objects"):
        read_npy(tmp_path / "a.npy")
    assert names(tmp_path) == ["a.npy"]


def test_an_archive_of_arrays_is_refused_with_the_way_out(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", np.zeros(3))
    with pytest.raises(InputError) as caught:
        read_npy(tmp_path / "a.npz")
    assert str(caught.value) == (
        f"cannot read the input {tmp_path / 'a.npz'}: it is an archive of several arrays. "
        "Give a .npy file of a numeric dtype, as numpy.save writes it."
    )


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("missing.npy", "there is no such file"),
        ("folder/missing.npy", "there is no such file"),
        ("folder", "it is not a regular file"),
        ("pipe.npy", "it is not a regular file"),
        ("broken.npy", "there is no such file"),
    ],
)
def test_what_is_no_regular_file_is_refused_without_waiting_for_it(tmp_path: Path, name: str, reason: str) -> None:
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe.npy")
    (tmp_path / "broken.npy").symlink_to(tmp_path / "nowhere")
    with pytest.raises(InputError) as caught:
        read_npy(tmp_path / name)
    assert str(caught.value) == (
        f"cannot read the input {tmp_path / name}: {reason}. "
        "Give a .npy file of a numeric dtype, as numpy.save writes it."
    )


def test_a_file_larger_than_the_memory_left_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    np.save(tmp_path / "a.npy", np.zeros(1000))
    monkeypatch.setattr(memory, "available", lambda **_: 8127)
    with pytest.raises(InputError) as caught:
        read_npy(tmp_path / "a.npy")
    assert str(caught.value) == (
        f"the input {tmp_path / 'a.npy'} takes 8.13 kB, but 8.13 kB of memory are left. Use a node with more memory."
    )
    monkeypatch.setattr(memory, "available", lambda **_: 8128)
    assert read_npy(tmp_path / "a.npy").shape == (1000,)


@pytest.mark.parametrize("dtype", NUMERIC)
@pytest.mark.parametrize("shape", [(3, 5), (2, 4, 3), (1, 7), (7, 1), (0, 5), (5, 0), (3, 2, 0)])
def test_what_was_written_is_what_numpy_loads(tmp_path: Path, dtype: str, shape: tuple[int, ...]) -> None:
    history = random_array(dtype, int(np.prod(shape)) or 1, 6)[: int(np.prod(shape))].reshape(shape)
    NpyOutput(tmp_path / "h.npy", history.nbytes).write(history)
    found = np.load(tmp_path / "h.npy", allow_pickle=False)
    assert found.dtype == history.dtype
    assert found.shape == shape
    assert found.flags.c_contiguous
    assert found.tobytes() == history.tobytes()
    assert names(tmp_path) == ["h.npy"]


def test_a_new_output_replaces_the_old_one_at_the_end_only(tmp_path: Path) -> None:
    file = tmp_path / "h.npy"
    np.save(file, np.zeros((1, 2)))
    output = NpyOutput(file, 16)
    np.testing.assert_array_equal(np.load(file), np.zeros((1, 2)))
    output.write(np.ones((1, 2)))
    np.testing.assert_array_equal(np.load(file), np.ones((1, 2)))
    assert names(tmp_path) == ["h.npy"]


def test_the_file_has_the_permissions_that_the_user_asks_of_new_files(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        NpyOutput(tmp_path / "h.npy", 16).write(np.ones((1, 2)))
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "h.npy").stat().st_mode) == 0o640


def test_a_link_stays_a_link_and_its_target_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "h.npy").symlink_to("data/real.npy")
    NpyOutput(tmp_path / "h.npy", 16).write(np.ones((1, 2)))
    assert (tmp_path / "h.npy").is_symlink()
    assert names(tmp_path / "data") == ["real.npy"]
    np.testing.assert_array_equal(np.load(tmp_path / "h.npy"), np.ones((1, 2)))


def test_a_relative_output_lands_where_it_was_named_though_the_program_moves_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "later").mkdir()
    monkeypatch.chdir(tmp_path)
    output = NpyOutput("h.npy", 16)
    monkeypatch.chdir(tmp_path / "later")
    output.write(np.ones((1, 2)))
    assert names(tmp_path) == ["h.npy", "later"]
    assert names(tmp_path / "later") == []


@pytest.mark.parametrize("name", ["h", "h.npz", "h.npy.gz", "h.NPY", ".npy", "folder.npy/h", ""])
def test_an_output_by_another_name_than_npy_is_refused_before_the_run(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError) as caught:
        NpyOutput(tmp_path / name, 16)
    assert str(caught.value) == f"the output must be a file that ends in .npy, not {str(tmp_path / name)!r}"


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("missing/h.npy", "there is no folder {folder}/missing"),
        ("file/h.npy", "there is no folder {folder}/file"),
        ("folder.npy", "it is not a regular file"),
        ("pipe.npy", "it is not a regular file"),
        ("loop.npy", "loop"),
        ("x" * 300 + ".npy", "File name too long"),
    ],
    ids=["missing", "file", "folder", "pipe", "loop", "too long"],
)
def test_a_place_that_cannot_be_written_to_is_found_out_before_the_run(tmp_path: Path, name: str, reason: str) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "folder.npy").mkdir()
    os.mkfifo(tmp_path / "pipe.npy")
    (tmp_path / "loop.npy").symlink_to("loop.npy")
    before = names(tmp_path)
    with pytest.raises(OutputError) as caught:
        NpyOutput(tmp_path / name, 16)
    message = str(caught.value)
    assert message.startswith(f"cannot write the output {tmp_path / name}: ")
    assert reason.format(folder=tmp_path) in message
    assert message.endswith(". Name a file in a writable folder with room for it.")
    assert names(tmp_path) == before


def test_a_disk_without_room_is_found_out_before_the_run(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"the history takes 1 PB, but .+ are left on that disk") as caught:
        NpyOutput(tmp_path / "h.npy", 10**15)
    assert str(tmp_path / "h.npy") in str(caught.value)
    assert names(tmp_path) == []


def no_space(*_: Any) -> None:
    """Fail as a full disk does."""
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize("function", ["fsync", "replace"])
def test_a_disk_that_fills_up_leaves_the_old_file_and_nothing_half_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, function: str
) -> None:
    np.save(tmp_path / "h.npy", np.zeros(3))
    output = NpyOutput(tmp_path / "h.npy", 16)
    monkeypatch.setattr(os, function, no_space)
    with pytest.raises(OutputError) as caught:
        output.write(np.ones((1, 2)))
    assert str(caught.value) == (
        f"cannot write the output {tmp_path / 'h.npy'}: No space left on device. "
        "Name a file in a writable folder with room for it."
    )
    assert names(tmp_path) == ["h.npy"]
    np.testing.assert_array_equal(np.load(tmp_path / "h.npy"), np.zeros(3))


def test_an_interrupt_leaves_nothing_half_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(_: int) -> None:
        raise KeyboardInterrupt

    output = NpyOutput(tmp_path / "h.npy", 16)
    monkeypatch.setattr(os, "fsync", interrupted)
    with pytest.raises(KeyboardInterrupt):
        output.write(np.ones((1, 2)))
    assert names(tmp_path) == []


def test_a_folder_that_goes_away_during_the_run_is_an_output_error(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    output = NpyOutput(tmp_path / "folder" / "h.npy", 16)
    (tmp_path / "folder").rmdir()
    with pytest.raises(OutputError, match="No such file or directory"):
        output.write(np.ones((1, 2)))


def test_a_folder_that_takes_the_name_during_the_run_is_an_output_error(tmp_path: Path) -> None:
    output = NpyOutput(tmp_path / "h.npy", 16)
    (tmp_path / "h.npy").mkdir()
    with pytest.raises(OutputError, match="Is a directory"):
        output.write(np.ones((1, 2)))
    assert names(tmp_path) == ["h.npy"]


def test_a_write_that_the_system_cuts_short_ends_a_run_with_status_5_and_leaves_nothing(tmp_path: Path) -> None:
    code = f"""
import resource
resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, {resource.getrlimit(resource.RLIMIT_FSIZE)[1]}))
import simsplit
problem = simsplit.Problem([1.0] * 1000, simsplit.kernels.affine(), delta_t=0.5, steps=10)
simsplit.script(lambda: simsplit.run(problem, serial=True, output="h.npy") and None)
"""
    found = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=LIMIT, check=False
    )
    assert found.stderr == (
        "simsplit: cannot write the output h.npy: File too large. Name a file in a writable folder with room for it.\n"
    )
    assert found.returncode == 5
    assert found.stdout == ""
    assert names(tmp_path) == []
