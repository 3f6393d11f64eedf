"""Every pair of options in one process: it gives the bits of the plain run, or one reason why not."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import pytest

from simsplit.communicator.serial import SerialCommunicator

from ..support.pairs import TRIPLES, Plain, check, pairs

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.slow

PAIRS = dict(pairs()) | TRIPLES


@pytest.fixture(scope="module")
def plain() -> Plain:
    return Plain()


@pytest.fixture
def folder() -> Iterator[Path]:
    """Return a folder in memory: there are a thousand runs, and a disk takes its time to make each durable."""
    with TemporaryDirectory(dir="/dev/shm") as name:
        yield Path(name)


@pytest.mark.parametrize("given", PAIRS.values(), ids=PAIRS.keys())
def test_a_pair_works_or_is_refused(plain: Plain, given: dict[str, Any], folder: Path) -> None:
    if given.get("backend") == "numba":
        pytest.importorskip("llvmlite")
    for kind, package in (("zarr", "zarr"), ("h5", "h5py")):
        if given.get("format") == kind or given.get("output") == f"h.{kind}":
            pytest.importorskip(package)
    check(plain, given, SerialCommunicator(), folder)
