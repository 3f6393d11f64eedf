"""Time-stepped simulations over a NumPy array, split over MPI ranks: the same bits as from one process."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from ._version import __version__
from .util import forks as _forks  # noqa: F401, notes every fork from now on

if TYPE_CHECKING:
    from . import bounds, errors, kernels, remote
    from .errors import (
        InputError,
        KernelError,
        LaunchError,
        OutputError,
        RankFailure,
        SimsplitError,
        StoppedError,
        VerificationError,
    )
    from .grids.grid import Grid
    from .kernels.stencils import stencil
    from .problem import Problem
    from .problem_file.files import load
    from .program import script
    from .result import Result
    from .runs.api import resume, run
    from .runs.planning import plan
    from .runs.run import Run, open  # noqa: A004, as zarr.open and others
    from .verification import Verification


__all__ = [
    "Grid",
    "InputError",
    "KernelError",
    "LaunchError",
    "OutputError",
    "Problem",
    "RankFailure",
    "Result",
    "Run",
    "SimsplitError",
    "StoppedError",
    "Verification",
    "VerificationError",
    "__version__",
    "bounds",
    "errors",
    "kernels",
    "load",
    "open",
    "plan",
    "remote",
    "resume",
    "run",
    "script",
    "stencil",
]

# Imported when first asked for: `simsplit --help` needs neither NumPy nor MPI, and a program that a
# thousand ranks load from one file system should not load more than it uses.
_HOMES = {
    "Grid": "grids.grid",
    "Problem": "problem",
    "Result": "result",
    "Run": "runs.run",
    "Verification": "verification",
    "load": "problem_file.files",
    "open": "runs.run",
    "plan": "runs.planning",
    "resume": "runs.api",
    "run": "runs.api",
    "script": "program",
    "stencil": "kernels.stencils",
}


def __getattr__(name: str) -> Any:
    if name in ("bounds", "errors", "kernels", "remote"):
        return import_module(f".{name}", __name__)
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_HOMES.get(name, 'errors')}", __name__), name)


def __dir__() -> list[str]:
    return __all__
