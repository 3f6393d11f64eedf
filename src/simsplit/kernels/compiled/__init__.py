"""Kernels compiled: trace → loop → LLVM's assembly → object code → functions.

Nothing here is imported before a run is large enough, and llvmlite by one rank of each kind of machine only,
unless the code is on disk.
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
