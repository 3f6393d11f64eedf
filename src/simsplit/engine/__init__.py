"""The way of the data: plan → scatter → tile by tile: step, deliver → verify."""

from .contract import HistoryReceiver, Timings
from .plan import Plan, Tile
from .scattering import scatter
from .stepping import Rows, run_steps

__all__ = ["HistoryReceiver", "Plan", "Rows", "Tile", "Timings", "run_steps", "scatter"]
