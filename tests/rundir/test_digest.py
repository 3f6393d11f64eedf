"""Digests of files: they change with any byte, and not with the number of ranks."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from simsplit import InputError
from simsplit.communicator.serial import SerialCommunicator
from simsplit.history.stored_array import stored_array
from simsplit.rundir.digest import digest_of_array, digest_of_file, digest_of_text
from tests.support.threads import ThreadRank

if TYPE_CHECKING:
    from pathlib import Path


def by_ranks(path: Path, ranks: int) -> set[str]:
    barrier, slots = Barrier(ranks), [None] * ranks
    with ThreadPoolExecutor(ranks) as pool:
        everyone: list[Any] = [ThreadRank(rank, barrier, slots) for rank in range(ranks)]
        return set(pool.map(lambda rank: digest_of_file(rank, str(path), chunk=10), everyone))


@pytest.mark.parametrize("size", [0, 1, 9, 10, 11, 95])
def test_any_number_of_ranks_finds_the_same(tmp_path: Path, size: int) -> None:
    path = tmp_path / "f"
    path.write_bytes(bytes(range(size)))
    alone = digest_of_file(SerialCommunicator(), str(path), chunk=10)
    assert by_ranks(path, 3) == {alone}
    for changed in (bytes([*range(size), 0]), bytes(range(1, size + 1))[: size or 1] or b"x"):
        path.write_bytes(changed)
        assert digest_of_file(SerialCommunicator(), str(path), chunk=10) != alone


def test_of_an_array_only_its_values_count(tmp_path: Path) -> None:
    whole = np.arange(60.0).reshape(3, 10, 2)
    np.save(tmp_path / "a.npy", whole)
    np.save(tmp_path / "b.npy", np.append(whole, [np.zeros((10, 2))], axis=0))
    one, longer = stored_array(tmp_path / "a.npy"), stored_array(tmp_path / "b.npy")
    assert one is not None
    assert longer is not None
    found = [digest_of_array(SerialCommunicator(), each.at(1), chunk=50) for each in (one, longer)]
    assert found[0] == found[1]
    assert len({*found, *(digest_of_array(SerialCommunicator(), one.at(k), chunk=50) for k in (0, 2))}) == 3
    barrier, slots = Barrier(3), [None] * 3
    with ThreadPoolExecutor(3) as pool:
        ranks: list[Any] = [ThreadRank(rank, barrier, slots) for rank in range(3)]
        assert set(pool.map(lambda rank: digest_of_array(rank, one.at(1), chunk=50), ranks)) == {found[0]}


def test_a_folder_is_all_its_files_with_their_names_and_may_move(tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "b" / "x").write_text("1")
    (tmp_path / "a" / "y").write_text("2")
    before = digest_of_file(SerialCommunicator(), str(tmp_path / "a"))
    (tmp_path / "a").rename(tmp_path / "moved")
    assert digest_of_file(SerialCommunicator(), str(tmp_path / "moved")) == before
    (tmp_path / "moved" / "y").rename(tmp_path / "moved" / "z")
    assert digest_of_file(SerialCommunicator(), str(tmp_path / "moved")) != before


def test_a_file_that_is_gone_is_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"No such file or directory\. Is it where it was"):
        digest_of_file(SerialCommunicator(), str(tmp_path / "f"))
    assert digest_of_text("a") != digest_of_text("b")
