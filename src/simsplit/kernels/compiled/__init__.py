"""Kernels compiled: trace → loop → LLVM's assembly → object code → functions.

Nothing here is imported before a run is large enough.
"""

from . import machine_code
from .compiling import Compiled, agrees, count_operations, inexact, traced
from .emitting import assembly
from .loop import Loop
from .tracing import NotCompilable

__all__ = [
    "Compiled",
    "Loop",
    "NotCompilable",
    "agrees",
    "assembly",
    "count_operations",
    "inexact",
    "machine_code",
    "traced",
]
