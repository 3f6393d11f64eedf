"""Scatter the initial array. Root's own rows stay in place."""

from __future__ import annotations

from itertools import accumulate, count, pairwise
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from ..communicator import Agreement
from ..util.memory_limits import require_memory

if TYPE_CHECKING:
    import numpy.typing as npt

    from ..communicator import Communicator
    from ..communicator.node import Node, Window
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
        part = _private_part(plan, communicator.rank) if whole is None else whole[: plan.longest]
    if communicator.bcast(None if whole is None else bool(whole.flags.c_contiguous)):
        communicator.scatterv(whole, plan.bounds, part)
        return part
    block_rows = max(1, staging // (max(1, plan.row_nbytes) * max(1, plan.ranks - 1)))
    for start, runs in zip(count(0, block_rows), plan.spans(block_rows), strict=False):
        spans = [(0, 0), *runs[1:]]
        with Agreement(communicator):
            packed = None if whole is None else _packed(whole, spans)
        ends = list(accumulate(upper - lower for lower, upper in spans))
        places = list(pairwise([0, *ends]))
        communicator.scatterv(packed, places, part[:0] if whole is not None else part[start : start + block_rows])
    return part


def scatter_by_nodes(
    communicator: Communicator, plan: Plan, array: Array | None, node: Node
) -> tuple[Array, Window | None]:
    """Return this rank's part of an array as `scatter` does, but let one rank of each node take part. Collective.

    The rows of a node's ranks are put into a window, where they read them. An array that is not in C order,
    or for which there is no shared memory, goes the ordinary way.

    Parameters
    ----------
    communicator : Communicator
    plan : Plan
    array : ndarray, shape `plan.shape`, on root; not used elsewhere
    node : Node

    Returns
    -------
    part : ndarray, shape ``plan.part_shape(rank)``, dtype ``plan.dtype``
        Not to be written to. On root a view of `array`.
    window : Window or None
        To be held as long as any rank uses its part.
    """
    whole = array if communicator.rank == 0 else None
    members = [rank for rank in node.members[node.index] if rank]
    ends = [0, *accumulate(prod(plan.part_shape(rank)) * plan.dtype.itemsize for rank in members)]
    ordinary = communicator.bcast(None if whole is None else not whole.flags.c_contiguous)
    window = None if ordinary else node.share(ends[-1])
    if ordinary or communicator.allreduce_or(window is None) or window is None:
        return scatter(communicator, plan, array), None
    rows = {
        rank: np.ndarray(plan.part_shape(rank), plan.dtype, window.memory[lower:upper])
        for rank, (lower, upper) in zip(members, pairwise(ends), strict=True)
    }
    with Agreement(communicator):
        if node.leaders is not None and not window.warm:
            require_memory(ends[-1], f"the parts of the node of rank {node.members[node.index][0]}", "Use more nodes.")
    if node.leaders is not None:
        if whole is None:
            node.leaders.exchange({}, {0: list(rows.values())})
        else:
            sends = {
                index: [whole[slice(*plan.bounds[rank])] for rank in ranks]
                for index, ranks in enumerate(node.members)
                if index
            }
            node.leaders.exchange(sends, {})
    with Agreement(communicator):  # at its end all may read what is in the windows
        if whole is not None:
            for rank, part in rows.items():
                np.copyto(part, whole[slice(*plan.bounds[rank])])
    return whole[: plan.longest] if whole is not None else rows[communicator.rank], window


def _private_part(plan: Plan, rank: int) -> Array:
    """Return memory for the part of a rank that is not root."""
    shape = plan.part_shape(rank)
    nbytes = prod(shape) * plan.dtype.itemsize
    require_memory(nbytes, f"the part of rank {rank}, {shape[0]} rows,", "Use more nodes, or fewer ranks on each.")
    return np.empty(shape, plan.dtype)


def _packed(whole: Array, spans: list[tuple[int, int]]) -> Array:
    """Return the rows of all spans, one behind the other, in C order."""
    rows = sum(upper - lower for lower, upper in spans)
    require_memory(
        rows * (whole.nbytes // max(1, len(whole))), "packing rows for other ranks", "Use an array in C order."
    )
    packed = np.empty((rows, *whole.shape[1:]), whole.dtype)
    return np.concatenate([whole[lower:upper] for lower, upper in spans], out=packed)
