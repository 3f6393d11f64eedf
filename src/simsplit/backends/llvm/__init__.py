"""Kernels compiled: trace → loop → LLVM's assembly → object code → functions.

Nothing here is imported before a run is large enough.
"""

from ...kernels.tracing import NotCompilable
from . import object_code as machine_code
from .codegen import assembly
from .jit import Compiled, agrees, count_operations, inexact, traced
from .loop_spec import Loop

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
