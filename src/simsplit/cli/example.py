"""``simsplit example``: a problem file to start from."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from ..errors import InputError
from ..kernels.loading import BUILT_IN

if TYPE_CHECKING:
    from .parser import Options


def command(options: Options) -> None:
    """Print the problem file. Not collective.

    Raises
    ------
    InputError
        If there is no such kernel.
    """
    if options.error is not None:
        raise options.error
    print(text(str(options.name)), end="")


def text(name: str) -> str:
    """Return the problem file for a built-in kernel."""
    if name not in BUILT_IN:
        raise InputError(f"there is no example {name!r}. Give one of {', '.join(BUILT_IN)}.")
    kernel = getattr(import_module("simsplit.kernels"), name)()
    components = getattr(kernel, "components", ())
    start = (
        'size = 7                # start from the array 0 … size - 1;\n# input = "start.npy"   # or from this file'
        if not components
        else f'input = "start.npy"     # the array to start from, of shape (n, {len(components)}): '
        f"a row is ({', '.join(components)})"
    )
    parameters = "\n".join(
        f"{f'{key} = {value!r} ':24}# or a list or a .npy file with a value for each row"
        for key, value in kernel.parameters.items()
    )
    return f"""\
# {name}: {kernel.formula}
# Run it:  mpiexec -n 4 simsplit run problem.toml
# Options override what stands here; a key is the option's name.  Paths are relative to this file.

{start}
dtype = "float64"       # of the array to start from; without it that of the file

kernel = "{name}"{" " * max(1, 13 - len(name))}# built in, or "package.module:function", or an expression
# kind = "step"         # of a function or an expression: x is the initial array (map) or the state (step)
# import_from = "."     # the folder that package.module is in

start_time = 0.0        # the time of step 0, in your unit of time
delta_t = 0.5           # the time from one step to the next, in the same unit
steps = 5               # how many are in the history
seed = 0                # of random numbers
nan = "allow"           # "error": a result that is not a number ends the run
keep = "all"            # steps that the history holds: "all", "last", "every:K": 0, K, 2K and so on, or "none"
# reduce = "mean,std"   # over all rows of every step: any of mean, min, max, std, sum
# output = "history.npy"  # where the history goes, of shape (kept steps, *shape of the array)

backend = "auto"        # what does the arithmetic: "numpy", or "numba", compiled code (see docs/performance.md)
transport = "auto"      # how the results come to rank 0: "gatherv", or "shared" memory of the ranks of a node
# block_size = 262144   # bytes of a step that are computed at a time; by default it follows the cache

[parameters]            # of the kernel; the option is --set NAME=VALUE
{parameters}
"""
