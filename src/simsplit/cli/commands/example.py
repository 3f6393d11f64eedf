"""``simsplit example``: a problem file to start from."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, NamedTuple

from ...errors import InputError
from ...kernels.registry import BUILT_IN
from ...util.formatting import say

if TYPE_CHECKING:
    from ..parser import Options

_COLUMN = 26  # where the comments begin


class _Example(NamedTuple):
    """What is particular to a kernel: rows to start from, a time step, and what its parameters mean."""

    rows: str
    delta_t: float
    parameters: dict[str, str]


_EXAMPLES = {
    "affine": _Example(
        "[0.0, 1.0, 2.0, 3.0]",
        0.5,
        {"offset": "added to each value, in the unit of x", "multiplier": "each value is multiplied by it, no unit"},
    ),
    "gbm": _Example(
        "[100.0, 100.0, 100.0, 100.0, 100.0]",
        0.1,
        {"mu": "drift, in 1 / unit of time", "sigma": "volatility, in 1 / square root of the unit of time"},
    ),
    "logistic": _Example(
        "[0.01, 0.1, 0.5, 1.5]",
        0.1,
        {"rate": "growth at small x, in 1 / unit of time", "capacity": "what x tends to, in the unit of x"},
    ),
    "lorenz": _Example(
        "[[1.0, 1.0, 1.0], [1.0, 1.0, 1.001], [-3.0, 2.0, 20.0]]",
        0.01,
        {
            "sigma": "Prandtl number, no unit",
            "rho": "Rayleigh number over its critical value, no unit",
            "beta": "aspect ratio, no unit",
        },
    ),
    "oscillator": _Example(
        "[[1.0, 0.0], [0.0, 1.0], [0.5, 0.5]]",
        0.1,
        {"omega": "angular frequency, in 1 / unit of time", "zeta": "damping ratio, no unit; 1 is critical"},
    ),
    "sir": _Example(
        "[[990.0, 10.0, 0.0], [499.0, 1.0, 0.0], [80.0, 15.0, 5.0]]",
        0.5,
        {
            "beta": "infectious contacts of one infected person, in 1 / unit of time",
            "gamma": "removals of one infected person, in 1 / unit of time",
        },
    ),
}


def command(options: Options) -> None:
    """Print the problem file. Not collective.

    Raises
    ------
    InputError
        If there is no such kernel.
    """
    if options.error is not None:
        raise options.error
    say(text(str(options.name)), exact=True)


def text(name: str) -> str:
    """Return the problem file for a built-in kernel: right as it is, each key with its unit and its default."""
    if name not in BUILT_IN:
        raise InputError(f"there is no example {name!r}. Give one of {', '.join(BUILT_IN)}.")
    kernel = getattr(import_module("simsplit.kernels"), name)()
    row = f"a row is ({', '.join(kernel.components)})" if kernel.components else "a row is a value, or an array of them"
    rows, delta_t, parameters = _EXAMPLES[name]
    lines = [
        f"# {name}: {kernel.formula}",
        "# Run it:  mpiexec -n 4 simsplit run problem.toml",
        "# Options override what stands here; a key is the option's name. Paths are relative to this file.",
        "",
        f"# The array to start from, of shape (n, …): {row}, in a unit of your own.",
        f"input = {rows}",
        _line('# input = "start.npy"', "or the array in this file"),
        _line("# size = 7", "or 0 … size - 1 (default: size = 7)"),
        _line('# initial = "exp(-row / 10)"', "or an expression of row, its number, `size` rows of it"),
        _line("# fill = 0.5", "or this number in each of `size` rows"),
        _line('dtype = "float64"', "of that array (default: float64, or that of the .npy file)"),
        "",
        _line(f'kernel = "{name}"', 'or "package.module:function", or an expression (default: "affine")'),
        _line('# kind = "step"', 'of a function or an expression: x is the initial array ("map",'),
        _line("", 'the default) or the state ("step")'),
        _line('# result_dtype = "float64"', "of what a function returns (default: the first row is tried)"),
        _line('# import_from = "."', "the folder that package.module is in (default: Python's own path)"),
        "",
        _line("start_time = 0.0", "the time of step 0, in your unit of time (default: 0)"),
        _line(f"delta_t = {delta_t}", "from one step to the next, in the same unit (default: 0.5)"),
        _line("steps = 5", "how many are computed (default: 5)"),
        _line("# until = 2.0", "or the time that they go up to"),
        _line("seed = 0", "of random numbers, 0 to 2^64 - 1 (default: 0)"),
        _line('nan = "allow"', '"error": a result that is not a number ends the run (default: "allow")'),
        _line('keep = "all"', 'the history: "last", "last:N", or "every:K", 0, K, 2K … (default: "all")'),
        _line('# reduce = "mean,std"', "over all rows of every step: any of mean, min, max, std, sum (default: none)"),
        _line('# reduce_over = "cells"', 'these over all cells of a grid (default: "rows")'),
        _line('# time_unit = "days"', "for pictures and files (default: none)"),
        _line('# unit = "people"', "of the values, the same (default: none)"),
        _line('# output = "runs/a"', "the run directory, or a .npy, .zarr or .h5 file for the history,"),
        _line("", "of shape (kept steps, n, …) (default: nowhere)"),
        _line('backend = "auto"', 'what does the arithmetic: "numpy", or "numba", compiled code (default: "auto")'),
        _line('transport = "auto"', 'how results come to rank 0: "gatherv", or "shared" memory (default: "auto")'),
        _line('depth = "auto"', "steps between two exchanges of neighbours, or a number (default: by the latency)"),
        _line("# block_size = 262144", "bytes of a step that are computed at a time (default: by the cache)"),
        _line("# check_rows = false", "do not look whether a kernel of your own is row-local (default: true)"),
        _line('# format = "npy"', 'of the history in a run directory: or "zarr", "h5" (default: "npy")'),
        "",
        "# Of the kernel; the option is --set NAME=VALUE. Instead of a number: a list with a value for each row,",
        "# or a .npy file that holds one.",
        "[parameters]",
        *(
            _line(f"{key} = {value!r}", f"{parameters[key]} (default: {value:.6g})")
            for key, value in kernel.parameters.items()
        ),
        "",
        "# Arrays that are the same for all rows, of a function or an expression; the option is --constant NAME=VALUE.",
        "# [constants]",
        '# contacts = "contacts.npy"',
        "",
        '# For kernels that read neighbours or coordinates, such as "x + 0.2 * laplace(x)"; see docs/grids.md.',
        "# [grid]",
        _line("# shape = [100, 200]", "cells along each axis (default: the shape of the array)"),
        _line("# spacing = 0.01", "between cells, in your unit of length, or one for each axis (default: 1)"),
        _line("# origin = 0.0", "the coordinate of the first cell, or one for each axis (default: 0)"),
        _line('# boundary = "periodic"', 'what lies beyond the edges: or "fixed 0", "no-flux", … (default: none)'),
    ]
    return "\n".join(lines) + "\n"


def _line(setting: str, comment: str) -> str:
    return f"{setting:{_COLUMN}}# {comment}"
