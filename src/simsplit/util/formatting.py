"""How numbers are written for people."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


def counted(number: int, noun: str) -> str:
    """Write how many there are of something.

    >>> counted(1, "rank"), counted(4096, "rank")
    ('1 rank', '4,096 ranks')
    """
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def readable(nbytes: int) -> str:
    """Write a number of bytes, in decimal units.

    >>> readable(7), readable(640_000_000)
    ('7 B', '640 MB')
    """
    number, units = float(min(nbytes, 10**300)), ["B", "kB", "MB", "GB", "TB", "PB"]
    while number >= 999.5 and units[1:]:  # noqa: PLR2004, where %.3g would go over to 1e+03
        number /= 1000
        units.pop(0)
    return f"{number:.3g} {units[0]}" if number < 999.5 else f"{number:.2e} {units[0]}"  # noqa: PLR2004


def lasting(seconds: float) -> str:
    """Write a time span with as much precision as people need.

    >>> lasting(0.4), lasting(49), lasting(130), lasting(12000), lasting(200000)
    ('0.4 s', '49 s', '2 min 10 s', '3 h 20 min', '2 d 7 h')
    """
    if seconds < 9.95:  # noqa: PLR2004, where %.1f would have two digits before the point
        return f"{seconds:.2g} s"
    left = round(seconds)
    for unit, length, finer, part in (("d", 86400, "h", 3600), ("h", 3600, "min", 60), ("min", 60, "s", 1)):
        if left >= length:
            whole, rest = divmod(left, length)
            return f"{whole} {unit} {rest // part} {finer}" if rest >= part else f"{whole} {unit}"
    return f"{left} s"


def rows_in_short(lower: int, upper: int) -> str:
    """Write which rows ``[lower, upper)`` are.

    >>> rows_in_short(0, 3), rows_in_short(6, 7), rows_in_short(7, 7)
    ('rows 0–2', 'row 6', 'no rows')
    """
    if upper - lower > 1:
        return f"rows {lower}–{upper - 1}"
    return f"row {lower}" if upper > lower else "no rows"


def ranks_in_short(ranks: Sequence[int]) -> str:
    """Write sorted ranks as people do.

    >>> ranks_in_short([0, 1, 2, 5])
    'ranks 0–2, 5'
    >>> ranks_in_short([2])
    'rank 2'
    """
    runs: list[list[int]] = []
    for rank in ranks:
        if runs and rank == runs[-1][1] + 1:
            runs[-1][1] = rank
        else:
            runs.append([rank, rank])
    words = [str(first) if first == last else f"{first}–{last}" for first, last in runs]
    return f"rank{'s' if len(ranks) > 1 else ''} {', '.join(words)}"
