"""A history in memory shared by the ranks of root's node. They compute into it directly."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..util.formatting import format_bytes, pluralize
from ..util.memory_limits import require_memory

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from ..communicator import Communicator
    from ..communicator.node import Node, Window
    from ..engine import Plan, Tile

    Array = npt.NDArray[Any]

_TURNS = 2  # tiles that a node holds: one is on its way to root while the next is computed


def window_nbytes(plan: Plan, node: Node) -> int:
    """Return the bytes of the window of a node: the history on root's, some tiles on the others."""
    if node.index == 0:
        return plan.history_nbytes
    return _TURNS * len(node.members[node.index]) * _tile_nbytes(plan)


def _tile_nbytes(plan: Plan) -> int:
    steps, rows, *_ = plan.tile_shape
    return steps * rows * plan.history_row_nbytes


class SharedHistory:
    """Receives the steps in windows. Between nodes one rank of each takes part, and sends the node's rows.

    The rows of a node need not lie together in the array: wherever the launcher placed the ranks, each
    rank's rows go to their place in the history.

    Parameters
    ----------
    communicator : Communicator
    plan : Plan
    node : Node
    window : Window
        Of this node, with `window_nbytes`.

    Attributes
    ----------
    history : ndarray, shape (kept steps, ...), or None
        On root; None elsewhere.
    in_place : bool
        True on root's node, if the window was used before.

    Raises
    ------
    InputError
        If the window does not fit in memory. Not collective: to be made in an agreed block.
    """

    def __init__(self, communicator: Communicator, plan: Plan, node: Node, window: Window) -> None:
        self._communicator = communicator
        self._plan = plan
        self._node = node
        self._members = node.members[node.index]
        self._turn = 0
        self._whole: Array | None = None
        self._tiles: Array | None = None
        if not window.warm and node.leaders is not None:
            self._require(len(window.memory))
        if node.index == 0:
            self._whole = _view(window.memory, plan.history_shape, plan.history_dtype)
        else:
            shape = (_TURNS, len(self._members), *plan.tile_shape)
            self._tiles = _view(window.memory, shape, plan.history_dtype)
        self._mine = self._members.index(communicator.rank)
        self.in_place = self._whole is not None and window.warm
        self.history = self._whole if communicator.rank == 0 else None

    def _require(self, nbytes: int) -> None:
        steps = len(self._plan.kept)
        step = format_bytes(self._plan.history_nbytes // max(1, steps))
        if self._node.index == 0:
            what = f"the history of {pluralize(steps, 'step')} × {step} on rank 0"
            require_memory(nbytes, what, "Compute fewer steps or rows, or use a node with more memory.")
        else:
            require_memory(nbytes, f"tiles of results on the node of rank {self._members[0]}", "Use more nodes.")

    def rows(self, tile: Tile) -> Array:
        """Return this rank's rows in the history, or in the window of its node."""
        return self._rows_of(self._mine, tile)

    def _rows_of(self, member: int, tile: Tile) -> Array:
        lower, upper = tile.spans[self._members[member]]
        if self._whole is not None:
            return self._whole[tile.positions, lower:upper]
        assert self._tiles is not None  # noqa: S101, for the type checker
        return self._tiles[self._turn, member, : len(tile.steps), : upper - lower]

    def deliver(self, tile: Tile) -> None:
        """Send what is not on root's node there: one message a node."""
        leaders, members = self._node.leaders, self._node.members
        if leaders is not None and len(members) > 1:
            if self._whole is None:
                leaders.exchange({0: [self._rows_of(member, tile) for member in range(len(self._members))]}, {})
            else:
                step = self._whole[tile.positions]
                receives = {
                    index: [step[:, slice(*tile.spans[rank])] for rank in ranks]
                    for index, ranks in enumerate(members)
                    if index
                }
                leaders.exchange({}, receives)
        # The next tile goes elsewhere, as this one may still be on its way. When the one after that is begun, all
        # ranks have agreed on the next one, and the leader did so after it had sent this one.
        self._turn = (self._turn + 1) % _TURNS

    def fetch(self, position: int, spans: Sequence[tuple[int, int]]) -> Array:
        """Read rows in the window, or have them sent to ranks on other nodes."""
        lower, upper = spans[self._communicator.rank]
        here = self._node.members[0]
        away = [(0, 0) if rank in here else span for rank, span in enumerate(spans)]
        if self._whole is None:
            rows = np.empty((upper - lower, *self._plan.shape[1:]), self._plan.history_dtype)
            self._communicator.scatterv(None, away, rows)
            return rows
        root = self.history is not None
        own = self._whole[position, lower:upper]
        self._communicator.scatterv(self._whole[position] if root else None, away, own[:0])
        return own

    def finish(self) -> None:
        """Do nothing: the history is where it stays."""

    def abort(self) -> None:
        """Let go of the window."""
        self._whole = self._tiles = self.history = None


def _view(memory: npt.NDArray[np.uint8], shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
    """Return an array in the first bytes of some memory."""
    return np.ndarray(shape, dtype, memory)
