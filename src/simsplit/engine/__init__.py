"""The way of the data: plan → scatter → tile by tile: step, deliver → verify."""

from .contract import HistoryReceiver, Position, Timings, Watcher
from .plan import Plan, Tile
from .scattering import scatter
from .stepping import Rows, run_steps

__all__ = ["HistoryReceiver", "Plan", "Position", "Rows", "Tile", "Timings", "Watcher", "run_steps", "scatter"]
