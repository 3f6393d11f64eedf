"""The block size of a step: as many bytes as stay in a core's cache between passes."""

from __future__ import annotations

import os
from functools import cache

FALLBACK = 256 * 2**10  # bytes; what a cache of 1 MiB gives
_SHARE = 4  # of the cache: the result, the input, what the kernel puts down on the way, and some to spare
_LEAST, _MOST = 64 * 2**10, 2**20
_LEVEL_2 = "/sys/devices/system/cpu/cpu0/cache/index2/size"


@cache
def block_nbytes() -> int:
    """Return the bytes of a block: a quarter of the level 2 cache of a core, from 64 KiB to 1 MiB."""
    return block_for_cache(_read(_LEVEL_2))


def block_for_cache(text: str) -> int:
    """Return the bytes of a block for a cache of a size such as "2048K"."""
    number, unit = text.strip()[:-1], text.strip()[-1:]
    if not number.isdecimal() or unit not in ("K", "M"):
        return FALLBACK
    nbytes = int(number) * (2**10 if unit == "K" else 2**20)
    return min(max(nbytes // _SHARE, _LEAST), _MOST)


def _read(path: str) -> str:
    try:
        file = os.open(path, os.O_RDONLY)
    except OSError:  # not on every machine, and not in every container
        return ""
    try:
        return os.read(file, 100).decode(errors="replace")
    finally:
        os.close(file)
