"""The size of a block follows the cache."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from simsplit.engine import cache_blocking as blocks
from simsplit.engine.cache_blocking import FALLBACK, block_for_cache, block_nbytes

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("cache", "nbytes"),
    [
        ("2048K\n", 512 * 2**10),
        ("1M", 256 * 2**10),
        ("256K\n", 64 * 2**10),
        ("128K", 64 * 2**10),
        ("512M", 2**20),
        ("", FALLBACK),
        ("large", FALLBACK),
        ("12", FALLBACK),
    ],
)
def test_a_block_is_a_quarter_of_the_cache_within_bounds(cache: str, nbytes: int) -> None:
    assert block_for_cache(cache) == nbytes


def test_where_the_system_does_not_tell_the_cache_there_is_a_block_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert 64 * 2**10 <= block_nbytes() <= 2**20
    monkeypatch.setattr(blocks, "_LEVEL_2", str(tmp_path / "none"))
    assert block_nbytes.__wrapped__() == FALLBACK
