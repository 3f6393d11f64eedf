"""The way of the data: plan → scatter → step → deliver."""

from .contract import HistoryReceiver, Timings
from .plan import Plan
from .scattering import scatter
from .stepping import run_steps

__all__ = ["HistoryReceiver", "Plan", "Timings", "run_steps", "scatter"]
