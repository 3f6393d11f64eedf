"""Distribute the initial array: each rank gets its rows, root's own stay where they are."""

from __future__ import annotations

from itertools import accumulate, count, pairwise
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from ..communicator import Agreement
from ..memory import require

if TYPE_CHECKING:
    import numpy.typing as npt

    from ..communicator import Communicator
    from .plan import Plan

    Array = npt.NDArray[Any]

STAGING = 16 * 2**20  # bytes on root for packing rows that do not lie one behind the other


def scatter(communicator: Communicator, plan: Plan, array: Array | None, *, staging: int = STAGING) -> Array:
    """Return this rank's part of an array. Collective.

    An array in C order is sent from where it lies, in one ``Scatterv``. Any other (Fortran order, a
    slice with gaps) is packed on root a few rows of each rank at a time, so that root never holds a
    second copy of it.

    Parameters
    ----------
    communicator : Communicator
    plan : Plan
    array : ndarray, shape `plan.shape`, on root; not used elsewhere
    staging : int
        Bytes that root may take for packing; at least one row of each rank is packed at a time.

    Returns
    -------
    ndarray, shape ``plan.part_shape(rank)``, dtype ``plan.dtype``
        On root a view of `array`.
    """
    whole = array if communicator.rank == 0 else None
    with Agreement(communicator):
        part = _own(plan, communicator.rank) if whole is None else whole[: plan.longest]
    if communicator.bcast(None if whole is None else bool(whole.flags.c_contiguous)):
        communicator.scatterv(whole, plan.bounds, part)
        return part
    at_once = max(1, staging // (max(1, plan.row_nbytes) * max(1, plan.ranks - 1)))
    for start, runs in zip(count(0, at_once), plan.spans(at_once), strict=False):
        spans = [(0, 0), *runs[1:]]
        with Agreement(communicator):
            packed = None if whole is None else _packed(whole, spans)
        ends = list(accumulate(upper - lower for lower, upper in spans))
        places = list(pairwise([0, *ends]))
        communicator.scatterv(packed, places, part[:0] if whole is not None else part[start : start + at_once])
    return part


def _own(plan: Plan, rank: int) -> Array:
    """Return memory for the part of a rank that is not root."""
    shape = plan.part_shape(rank)
    nbytes = prod(shape) * plan.dtype.itemsize
    require(nbytes, f"the part of rank {rank}, {shape[0]} rows,", "Use more nodes, or fewer ranks on each.")
    return np.empty(shape, plan.dtype)


def _packed(whole: Array, spans: list[tuple[int, int]]) -> Array:
    """Return the rows of all spans, one behind the other, in C order."""
    rows = sum(upper - lower for lower, upper in spans)
    require(rows * (whole.nbytes // max(1, len(whole))), "packing rows for other ranks", "Use an array in C order.")
    packed = np.empty((rows, *whole.shape[1:]), whole.dtype)
    return np.concatenate([whole[lower:upper] for lower, upper in spans], out=packed)
