"""The way of the data: plan → scatter → tile by tile: step, deliver → verify."""

from .blocks import block_nbytes
from .contract import HistoryReceiver, Position, Timings, Watcher
from .plan import Plan, Tile
from .scattering import scatter, scatter_by_nodes
from .stepping import Rows, run_steps

__all__ = [
    "HistoryReceiver",
    "Plan",
    "Position",
    "Rows",
    "Tile",
    "Timings",
    "Watcher",
    "block_nbytes",
    "run_steps",
    "scatter",
    "scatter_by_nodes",
]
