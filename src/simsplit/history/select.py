"""Select how results reach root: through shared memory or by messages."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..communicator import Agreement
from ..util.formatting import pluralize
from ..util.records import Record
from .gathered import GatheredHistory

if TYPE_CHECKING:
    from ..communicator import Communicator
    from ..communicator.node import Node
    from ..engine import Plan
    from .shared import SharedHistory

_SMALL = 2**20  # bytes of a history that is gathered before a window is made


class SinkChoice(Record):
    """What was taken.

    Attributes
    ----------
    name : {"gatherv", "shared"}
    reason : str
    node : Node or None
        The ranks that share memory, if it is used.
    """

    name: str
    reason: str
    node: Node | None = None


def make_sink(communicator: Communicator, plan: Plan, asked: str) -> tuple[GatheredHistory | SharedHistory, SinkChoice]:
    """Return the sink of a history in memory. Collective.

    Parameters
    ----------
    communicator : Communicator
    plan : Plan
    asked : {"auto", "gatherv", "shared"}
        With "auto" windows are used where ranks share a node, unless the history is small. Where there is no
        shared memory the history is gathered, also if windows were asked for.

    Raises
    ------
    InputError
        On every rank, if the history does not fit in memory.
    """
    node, reason = _node(communicator, plan, asked)
    if node is not None:
        from .shared import SharedHistory, window_nbytes

        window = node.share(window_nbytes(plan, node))
        if not communicator.allreduce_or(window is None) and window is not None:
            with Agreement(communicator):
                receiver = SharedHistory(communicator, plan, node, window)
            kept = ", used before" if window.warm else ""
            return receiver, SinkChoice("shared", f"{reason}{communicator.bcast(kept)}", node)
        reason = "a node gives no shared memory"
    with Agreement(communicator):
        gathered = GatheredHistory(communicator, plan)
    return gathered, SinkChoice("gatherv", reason)


def _node(communicator: Communicator, plan: Plan, asked: str) -> tuple[Node | None, str]:
    """Return the ranks that are to share memory, or None, and why."""
    if asked == "gatherv":
        return None, "asked for"
    if communicator.size == 1:
        return None, "one rank"
    if plan.history_nbytes < (_SMALL if asked == "auto" else 1):
        return None, "the history is small"
    node = communicator.node()
    if node is None:
        return None, "no two ranks share a node"
    return node, f"{pluralize(communicator.size, 'rank')} on {pluralize(len(node.members), 'node')}"
