"""Runs in run directories on 1 to 4 ranks: what is refused is so on all of them, and what is unfinished says so."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import numpy as np
import pytest

from simsplit import InputError, StoppedError
from simsplit.cli import main
from simsplit.communicator import connect
from simsplit.history.stored_array import stored_array

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.mpi

FORMATS = ["npy", "zarr", "h5"]
BAD = os.fsdecode(b"b\xff")


def run(*words: object) -> None:
    main(["run", "--quiet", *map(str, words)])


def refused(words: str, *options: object) -> None:
    """Expect the same error on every rank, and that they still work together."""
    with pytest.raises(InputError, match=words) as caught:
        run(*options)
    communicator = connect()
    assert len(set(communicator.allgather(str(caught.value)))) == 1


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("name", ["a", BAD])
def test_an_unfinished_history_is_told_by_its_name_and_a_step_of_it_is_an_input(
    mpi_tmp_path: Path, form: str, name: str
) -> None:
    folder = mpi_tmp_path / name
    with pytest.raises(StoppedError):
        run(*("--kernel", "x + t", "--kind", "step", "--size", 10, "--steps", 7, "--time-limit", 0),
            *("--format", form, "-o", folder))  # fmt: skip
    unfinished = folder / f"history.unfinished.{form}"
    assert unfinished.exists()
    refused("is not finished: 1 of 7 steps are complete", "--input", unfinished)
    refused("Steps that are complete: 0", "--input", f"{folder}@1")
    run("--input", f"{folder}@0", "--steps", 2, "-o", mpi_tmp_path / "first.npy")
    main(["resume", str(folder), "--quiet"])
    assert [path.name for path in folder.glob("history.*")] == [f"history.{form}"]
    run("--kernel", "x", "--input", f"{folder}@6", "--steps", 1, "-o", mpi_tmp_path / f"last.{form}")
    connect().allgather(None)
    last, whole = stored_array(mpi_tmp_path / f"last.{form}"), stored_array(folder / f"history.{form}")
    assert last is not None
    assert whole is not None
    assert last.rows(0, 1)[0].tobytes() == whole.rows(6, 7)[0].tobytes()
    assert last.rows(0, 1)[0].tolist() == (np.arange(10.0) + 7.5).tolist()


def test_what_a_run_reads_is_not_replaced_and_what_a_format_cannot_hold_not_begun(mpi_tmp_path: Path) -> None:
    folder, wide = mpi_tmp_path / "e", mpi_tmp_path / "wide.npy"
    run("--size", 9, "-o", folder)
    if connect().rank == 0:
        np.save(wide, np.zeros((9, *(1,) * 31)))
    connect().allgather(None)
    before = (folder / "history.npy").read_bytes()
    replaced = "--output would replace "
    refused(f"{replaced}the input", "--input", folder / "history.npy", "-o", folder, "--overwrite")
    refused(f"{replaced}the input", "--input", f"{folder}@2", "-o", mpi_tmp_path / "x" / ".." / "e", "--overwrite")
    refused(f"{replaced}the problem", folder / "problem.toml", "-o", folder, "--overwrite")
    refused("HDF5 cannot hold a history of 33 axes", "--input", wide, "-o", folder, "--overwrite", "--format", "h5")
    refused("HDF5 cannot hold a history of 33 axes", "--input", wide, "-o", mpi_tmp_path / "wide.h5")
    assert (folder / "history.npy").read_bytes() == before
    assert not (mpi_tmp_path / "wide.h5").exists()
