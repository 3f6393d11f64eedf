"""The engine of a run: plan, scatter, compute and deliver tile by tile, verify."""

from .cache_blocking import block_nbytes
from .interfaces import HistorySink, ResumePoint, StepObserver, Timings
from .local_part import LocalPart
from .plan import Plan, Tile
from .scatter import scatter, scatter_by_nodes
from .time_loop import run_steps

__all__ = [
    "HistorySink",
    "LocalPart",
    "Plan",
    "ResumePoint",
    "StepObserver",
    "Tile",
    "Timings",
    "block_nbytes",
    "run_steps",
    "scatter",
    "scatter_by_nodes",
]
