"""Kernels compiled: trace → loop → LLVM's assembly → object code → functions.

Nothing here is imported before a run is large enough, and llvmlite by one rank of each kind of machine only,
unless the code is on disk.
"""

from .compiling import Compiled, inexact, operations, traced
from .emitting import assembly
from .tracing import NotCompilable

__all__ = ["Compiled", "NotCompilable", "assembly", "inexact", "operations", "traced"]
