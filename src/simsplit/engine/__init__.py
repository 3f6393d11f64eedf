"""The way of the data: plan → scatter → tile by tile: step, deliver."""

from .contract import HistoryReceiver, Timings
from .plan import Plan, Tile
from .scattering import scatter
from .stepping import run_steps

__all__ = ["HistoryReceiver", "Plan", "Tile", "Timings", "run_steps", "scatter"]
