"""Pairs of options on all ranks: the bits of the plain run, or the reason that one process gives."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import pytest

from simsplit.communicator import connect

from ..support.pairs import TRIPLES, Plain, check, pairs, reason

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.mpi, pytest.mark.timeout(300)]

# All that are refused, and every fifth of the others, which take a while: one process tries them all.
PAIRS = {
    name: given
    for number, (name, given) in enumerate((dict(pairs()) | TRIPLES).items())
    if number % 5 == 0 or reason(given) is not None
}
FIRST = [*dict.fromkeys(name.partition("=")[0] for name in PAIRS)]


@pytest.fixture(scope="module")
def plain() -> Plain:
    return Plain()


@pytest.fixture
def folders() -> Iterator[Iterator[Path]]:
    """Return new folders in memory, the same on all ranks."""
    communicator = connect()
    with TemporaryDirectory(dir="/dev/shm") as own:
        root = Path(communicator.bcast(own))

        def new() -> Iterator[Path]:
            for number in range(len(PAIRS)):
                folder = root / str(number)
                folder.mkdir(exist_ok=True)
                yield folder

        yield new()
        communicator.allgather(None)


@pytest.mark.parametrize("first", FIRST)
def test_pairs_work_or_are_refused(plain: Plain, folders: Iterator[Path], first: str) -> None:
    communicator = connect()
    for name, given in PAIRS.items():
        if name.partition("=")[0] != first:
            continue
        try:
            check(plain, given, communicator, next(folders))
        except Exception as error:
            error.add_note(name)
            raise
