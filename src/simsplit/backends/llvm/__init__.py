"""Kernels compiled: trace → loop → LLVM's assembly → object code → functions.

Nothing here is imported before a run is large enough.
"""

from ...kernels.tracing import NotCompilable
from . import object_code as machine_code
from .codegen import assembly
from .jit import CompiledKernel, count_operations, inexact, passes_self_test, traced
from .loop_spec import LoopSpec

__all__ = [
    "CompiledKernel",
    "LoopSpec",
    "NotCompilable",
    "assembly",
    "count_operations",
    "inexact",
    "machine_code",
    "passes_self_test",
    "traced",
]
