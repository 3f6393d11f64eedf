"""The near-equal split of rows over ranks: integers only, known without any communication.

The first ``rows % ranks`` ranks get one row more than the others, so that lengths differ by at most
one and the longer parts come first. With more ranks than rows the last ranks get empty parts. Python's
integers have no width, so nothing here can overflow.
"""

from __future__ import annotations

from operator import index


def part(rows: int, ranks: int, rank: int) -> tuple[int, int]:
    """Return the bounds ``[lower, upper)`` of one rank's rows. Takes the same time for any size.

    Parameters
    ----------
    rows : int
        Length of axis 0, at least 0.
    ranks : int
        Number of ranks, at least 1.
    rank : int
        Which rank, ``0 <= rank < ranks``.

    Returns
    -------
    lower, upper : int

    Raises
    ------
    ValueError
        If a number is out of its range.
    TypeError
        If a number is not an integer.

    Examples
    --------
    >>> part(7, 4, 3)
    (6, 7)
    """
    rows, ranks, rank = index(rows), index(ranks), index(rank)
    if rows < 0:
        raise ValueError(f"rows must be 0 or more, not {rows}")
    if ranks < 1:
        raise ValueError(f"ranks must be 1 or more, not {ranks}")
    if not 0 <= rank < ranks:
        raise ValueError(f"rank must be at least 0 and less than {ranks}, not {rank}")
    length, longer = divmod(rows, ranks)
    lower = rank * length + min(rank, longer)
    return lower, lower + length + (rank < longer)


def bounds(rows: int, ranks: int) -> list[tuple[int, int]]:
    """Return the bounds ``[lower, upper)`` of every rank's rows, in the order of the ranks.

    Parameters
    ----------
    rows : int
        Length of axis 0, at least 0.
    ranks : int
        Number of ranks, at least 1.

    Returns
    -------
    list of (int, int)
        Contiguous from 0 to `rows`.

    Raises
    ------
    ValueError, TypeError
        As `part`.

    Examples
    --------
    >>> bounds(7, 4)
    [(0, 2), (2, 4), (4, 6), (6, 7)]
    """
    part(rows, ranks, 0)  # an error here names the value, even where range() would be silent
    return [part(rows, ranks, rank) for rank in range(ranks)]
