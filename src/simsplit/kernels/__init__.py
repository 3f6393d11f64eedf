"""Kernels: the interface, the built-in ones, and ways to define your own."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from .affine import Affine, affine
from .base import Block, Kernel
from .constants import Constant, constant

if TYPE_CHECKING:
    from .expressions.kernel import expression
    from .functions import function
    from .models import gbm, logistic, lorenz, oscillator, sir
    from .registry import load
    from .row_functions import each
    from .stencils import stencil

__all__ = [
    "Affine",
    "Block",
    "Constant",
    "Kernel",
    "affine",
    "constant",
    "each",
    "expression",
    "function",
    "gbm",
    "load",
    "logistic",
    "lorenz",
    "oscillator",
    "sir",
    "stencil",
]

# Imported when first asked for: most runs need one of them.
_HOMES = {
    "each": "row_functions",
    "expression": "expressions.kernel",
    "function": "functions",
    "load": "registry",
    "stencil": "stencils",
}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_HOMES.get(name, 'models')}", __name__), name)


def __dir__() -> list[str]:
    return __all__
