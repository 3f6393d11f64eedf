"""The problem: initial array, kernel and time grid."""

from __future__ import annotations

import sys
from math import inf
from typing import TYPE_CHECKING, Any, Literal, Protocol, runtime_checkable

import numpy as np

from .errors import InputError
from .kernels import Kernel
from .kernels.base import INDICES
from .kernels.constants import Constant
from .util.dtypes import as_array, axes_within, dtype_label, is_masked, is_numeric, strip_metadata
from .util.validation import finite, integer

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Sequence

    import numpy.typing as npt

    from .grids.grid import Grid, Layout

REDUCED = ("rows", "cells")
REDUCTIONS = ("mean", "min", "max", "std", "sum")
_AXES = 60  # of NumPy's 64: a history has one more, and the memory for some steps of it up to three
_DIGITS = 19  # as many make numbers of more than 63 bits


@runtime_checkable
class RowSource(Protocol):
    """An array in a file, of which each rank reads its rows. It is small, and can be sent to other ranks."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]

    @property
    def ndim(self) -> int:
        """Number of axes."""

    def __len__(self) -> int:
        """Return the number of rows."""

    def __getitem__(self, index: slice) -> npt.NDArray[Any]:
        """Return a run of rows."""

    def rows(self, lower: int, upper: int) -> npt.NDArray[Any]:
        """Return rows ``[lower, upper)``."""


class Problem:
    """What is simulated. Checked when it is made; not changed afterwards.

    Parameters
    ----------
    initial : array_like, shape (n, ...), or None
        The array at the start, of any byte order and memory layout; its dtype is numeric or complex, or
        structured with such fields. Axis 0 is split over the ranks. Not copied: leave it alone until
        the run is over. It is significant on root only; the other ranks may give None, to save their
        memory. Or `RowSource`, which every rank reads its part of.
    kernel : Kernel, callable or str
        What is computed for each step. A function or ufunc becomes a map kernel (see `kernels.function`). A text
        is what ``--kernel`` takes: a built-in kernel, ``package.module:function`` or an expression, with no other
        parameters or kind than its own; `kernels.load` takes them.
    delta_t : float
        The time from one step to the next; the unit is yours.
    steps : int
        How many steps to compute, 0 or more.
    start_time : float, default 0.0
        The time of step 0, in the unit of `delta_t`.
    seed : int, default 0
        Of the random numbers of a kernel that asks for them, 0 to 2^64 - 1.
    nan : {"allow", "error"}, default "allow"
        Whether a result that is not a number ends the run.
    keep : {"all", "last", "none"}, "last:N" or "every:K", default "all"
        Which steps the history holds: all, the last one, the last N, 0, K, 2K and so on, or, if there are reductions,
        none.
    reduce : str, or sequence of str, optional
        What is computed over all rows of every step, kept or not: any of "mean", "min", "max", "std" and
        "sum", such as "mean,std". The order of summation is that of a binary tree over the rows, so that
        any number of ranks gives the same bits.
    reduce_over : {"rows", "cells"}, default "rows"
        Whether reductions are over all rows, so that they have the shape of a row, or over all cells of the grid.
    grid : Grid, optional
        The grid that the values lie on, for kernels that read neighbours or coordinates. By default, for such a kernel,
        the shape of the array with cells of 1 and the kernel's own boundary.

    Raises
    ------
    InputError
        If a value is wrong; the message names it and says what is accepted.

    Examples
    --------
    >>> from simsplit import Problem, kernels
    >>> problem = Problem(initial=range(7), kernel=kernels.affine(), delta_t=0.5, steps=5)
    >>> problem.time(3)
    1.5
    """

    __slots__ = (
        "delta_t",
        "grid",
        "initial",
        "keep",
        "kernel",
        "nan",
        "origin",
        "reduce",
        "reduce_over",
        "seed",
        "start_time",
        "steps",
    )

    def __init__(
        self,
        initial: npt.ArrayLike | RowSource | None,
        kernel: Kernel | Callable[..., Any] | str,
        *,
        delta_t: float,
        steps: int,
        start_time: float = 0.0,
        seed: int = 0,
        nan: Literal["allow", "error"] = "allow",
        keep: str = "all",
        reduce: str | Sequence[str] = (),
        reduce_over: Literal["rows", "cells"] = "rows",
        grid: Grid | None = None,
    ) -> None:
        kernel = _kernel(kernel)
        self.origin: Any = None  # the settings of the problem file that it was made from
        self.initial = None if initial is None else _array(initial)
        self.kernel = kernel
        self.delta_t = finite("delta_t", delta_t)
        self.start_time = finite("start_time", start_time)
        self.steps = integer("steps", steps, least=0)
        if self.steps > sys.maxsize:
            raise InputError(f"steps must be {sys.maxsize:,} at most, not {self.steps:,}")
        self.seed = integer("seed", seed, least=0)
        if self.seed >= 2**64:
            raise InputError(f"seed must be an integer from 0 to 2^64 - 1, not {seed}")
        if nan not in ("allow", "error"):
            raise InputError(f'nan must be "allow" or "error", not {nan!r}')
        self.nan = nan
        self.keep = keep
        kept_steps(keep, self.steps)
        self.reduce = _reductions(reduce)
        if reduce_over not in REDUCED:
            raise InputError(f'reduce_over must be "rows" or "cells", not {reduce_over!r}')
        self.reduce_over = reduce_over
        if keep == "none" and not self.reduce:
            raise InputError('keep "none" leaves nothing of a run without reductions. Give reduce, or keep "last".')
        _require_rows(kernel, self.initial)
        self.grid = _grid(kernel, grid)
        layout = None if self.initial is None else self.layout(self.initial.shape)
        _require_used(kernel, layout)
        try:
            last = self.time(max(0, self.steps - 1))
        except OverflowError:
            last = inf
        if abs(last) == inf:
            raise InputError(
                f"the time of the last step, {self.start_time} + {self.steps - 1} * {self.delta_t}, is not "
                "finite. Give a smaller delta_t or fewer steps."
            )

    def __repr__(self) -> str:
        array = "None" if self.initial is None else f"<{dtype_label(self.initial.dtype)} {self.initial.shape}>"
        return (
            f"Problem(initial={array}, kernel={self.kernel.name}, delta_t={self.delta_t}, "
            f"steps={self.steps}, start_time={self.start_time})"
        )

    def _repr_html_(self) -> str:
        from .util.labelled import table

        kernel = self.kernel
        array = "None" if self.initial is None else f"{self.initial.shape} of {dtype_label(self.initial.dtype)}"
        facts = {
            "initial": array,
            "kernel": f"{kernel.kind} kernel {': '.join(filter(None, (kernel.name, kernel.formula)))}",
            "parameters": ", ".join(f"{name} {_text(value)}" for name, value in kernel.parameters.items()) or "none",
            "steps": f"{self.steps:,} of {self.delta_t:g} from {self.start_time:g}, kept: {self.keep}",
            "reduce": ", ".join(self.reduce) or "none",
        }
        return table("problem", facts)

    def time(self, k: int) -> float:
        """Return the time of step `k`: ``start_time + k * delta_t``, a product, not a running sum."""
        return self.start_time + k * self.delta_t

    def layout(self, shape: tuple[int, ...]) -> Layout | None:
        """Return how the grid goes with an array; None if there is no grid.

        Parameters
        ----------
        shape : tuple of int
            Of the array.

        Raises
        ------
        InputError
            If it does not.
        """
        return None if self.grid is None else self.grid.layout(shape, self.kernel.parameters)

    def reduced_axes(self, shape: tuple[int, ...]) -> int:
        """Return how many axes of an array reductions go over: that of the rows, or all axes of the grid.

        Parameters
        ----------
        shape : tuple of int
            Of the array.
        """
        if self.reduce_over == "rows":
            return 1
        layout = self.layout(shape)
        return len(shape) if layout is None else len(layout.shape)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write a problem file, from which `load` and the command line make the same problem. Not collective.

        Parameters
        ----------
        path : path-like
            A TOML file. Arrays that are in memory go beside it: into ``problem.initial.npy``, and of a parameter
            ``rate`` into ``problem.rate.npy``. Each file appears whole or not at all, and replaces one of its name.

        Raises
        ------
        InputError
            If the kernel is a lambda, a closure or an object of a class of the program's own, or there is no initial
            array.
        OutputError
            If a file cannot be written.
        """
        from .problem_file.files import save

        save(self, path)

    @property
    def kept(self) -> range:
        """The numbers of the steps that the history holds, in order."""
        return kept_steps(self.keep, self.steps)

    @property
    def doubt(self) -> str | None:
        """What is likely to be wrong with it, though it can be run; None if nothing is."""
        kernel = self.kernel
        names = kernel.asks_for if kernel.kind == "map" and self.steps > 1 else None
        if names is None or names & {"t", "k", "random"}:
            return None
        wishes = "delta_t, but for neither t" if "delta_t" in names else "neither t"
        return (
            f"all {self.steps:,} steps are the same: the map kernel {kernel.name} asks for {wishes}, k nor random. "
            'Did you mean --kind step (kind="step")?'
        )

    def settings(self) -> dict[str, str]:
        """Return all but the arrays, by name, as texts: what every rank must have the same of.

        Raises
        ------
        InputError
            If the kernel has no name.
        """
        kernel = self.kernel
        if not isinstance(kernel.name, str):
            raise InputError(f"the name of a kernel must be a text, not {kernel.name!r}. Is it a property?")
        return {
            "kernel": f"{kernel.name}",
            "kind of the kernel": kernel.kind,
            "source of the kernel": str(kernel.source),
            **{f"parameter {name}": _text(value) for name, value in kernel.parameters.items()},
            "delta_t": repr(self.delta_t),
            "start_time": repr(self.start_time),
            "steps": repr(self.steps),
            "seed": repr(self.seed),
            "nan": self.nan,
            "keep": self.keep,
            "reduce": ",".join(self.reduce),
            **({} if self.grid is None else {"grid": self.grid.settings()}),
            **({} if self.reduce_over == "rows" else {"reduce_over": self.reduce_over}),
        }


def _kernel(kernel: Kernel | Callable[..., Any] | str) -> Kernel:
    """Return a kernel, made of a text or a function if it is none; refuse one that is not finished."""
    if isinstance(kernel, str):
        from .kernels.registry import load

        kernel = load(kernel)
    elif (missing := getattr(kernel, "missing", None)) is not None:  # a stencil without its parameters
        name = getattr(kernel, "__name__", "stencil")
        given = ", ".join(f"{each}=0.5" for each in missing)
        raise InputError(f"the stencil {name} wants {missing[0]}, which is not given. Give it: {name}({given})")
    elif not isinstance(kernel, Kernel):
        from .kernels.functions import function

        kernel = function(kernel)
    if not hasattr(kernel, "parameters"):
        raise InputError(
            f"the kernel {kernel.name} is not finished: its __init__ must call super().__init__(...) with its "
            "parameters by name, such as super().__init__(rate=rate)"
        )
    if kernel.kind not in ("map", "step"):
        raise InputError(f'the kind of the kernel {kernel.name} must be "map" or "step", not {kernel.kind!r}')
    return kernel


def _grid(kernel: Kernel, grid: Any) -> Grid | None:
    """Return the grid of a problem, with the kernel's own boundary if it has none."""
    if grid is None and not kernel.is_on_grid:
        return None
    from .grids.grid import Grid

    if grid is None:
        return Grid(boundary=kernel.boundary)
    if not isinstance(grid, Grid):
        raise InputError(f"grid must be a simsplit.Grid, such as simsplit.Grid(boundary='periodic'), not {grid!r}")
    if grid.boundary is None and kernel.boundary is not None:
        return Grid(grid.shape, spacing=grid.spacing, origin=grid.origin, boundary=kernel.boundary)
    return grid


def _require_used(kernel: Kernel, layout: Layout | None) -> None:
    """Refuse parameters that neither an expression nor a boundary uses."""
    names = frozenset[str]() if layout is None else layout.names
    unused = [name for name in getattr(kernel, "unused", ()) if name not in names]
    if unused and (layout is not None or not kernel.is_on_grid):
        raise InputError(f"the expression {kernel.formula!r} does not use the parameter {unused[0]}")


def axis_names(axes: int) -> tuple[str, ...]:
    """Return what the first axes of an array are called in files: those of rows, or of the cells of a grid."""
    return (*INDICES[:axes], *(f"axis_{axis}" for axis in range(len(INDICES), axes)))


def kept_steps(keep: str, steps: int) -> range:
    """Return the numbers of the steps that are kept of `steps`.

    Raises
    ------
    InputError
        If `keep` is not "all", "last", "last:N", "none" or "every:K".

    Examples
    --------
    >>> list(kept_steps("every:3", 8)), list(kept_steps("last", 8))
    ([0, 3, 6], [7])
    >>> list(kept_steps("last:3", 8))
    [5, 6, 7]
    """
    word, colon, number = keep.partition(":") if isinstance(keep, str) else ("", "", "")
    if word == "every" and number.isascii() and number.isdecimal() and len(number) < _DIGITS and int(number):
        return range(0, steps, int(number))
    if keep == "none":
        return range(0)
    if word == "last" and number.isascii() and number.isdecimal() and len(number) < _DIGITS and int(number):
        return range(max(0, steps - int(number)), steps)
    if not colon and word in ("all", "last"):
        return range(steps - 1 if word == "last" and steps else 0, steps)
    raise InputError(
        f'keep must be "all", "last", "none", "last:N" or "every:K" with whole numbers of 1 or more, not {keep!r}'
    )


def times_of(start_time: float, delta_t: float, steps: range) -> npt.NDArray[np.float64]:
    """Return the times of steps: products, not running sums."""
    return start_time + np.arange(steps.start, steps.stop, steps.step, dtype=np.float64) * delta_t


def _reductions(names: str | Sequence[str]) -> tuple[str, ...]:
    """Return the names of reductions, each once, in the order of `REDUCTIONS`."""
    try:
        given = [name.strip() for name in names.split(",")] if isinstance(names, str) and names else list(names)
    except TypeError:
        given = [names]  # type: ignore[list-item]
    for name in given:
        if name not in REDUCTIONS:
            raise InputError(f'reduce must name any of {", ".join(REDUCTIONS)}, such as "mean,std", not {name!r}')
    return tuple(name for name in REDUCTIONS if name in given)


def _text(value: Any) -> str:
    """Write a number so that it can be told from any other; of arrays root's is taken."""
    return "an array" if value is None or isinstance(value, np.ndarray | Constant) else repr(value)


def _require_rows(kernel: Kernel, initial: npt.NDArray[Any] | None) -> None:
    """Refuse parameters that do not give each row a value."""
    if initial is None:
        return
    for name, value in kernel.parameters.items():
        if not isinstance(value, np.ndarray):
            continue
        row = value.shape[1:]
        fits = len(row) < initial.ndim and all(
            ours in (1, theirs) for ours, theirs in zip(row[::-1], initial.shape[:0:-1], strict=False)
        )
        if value.shape[0] != initial.shape[0] or not fits:
            raise InputError(
                f"parameter {name} has the shape {value.shape}, which does not go with the array's {initial.shape}: "
                f"it must have {initial.shape[0]} rows, each one value or of a shape that broadcasts to "
                f"{initial.shape[1:]}"
            )


def _array(initial: Any) -> Any:
    if isinstance(initial, RowSource):  # which an array is not
        return _checked(initial)
    if is_masked(initial):
        raise InputError("initial must be a plain array: a mask would be lost. Use initial.filled(...).")
    try:
        array = as_array(initial)
    except (ValueError, TypeError, OverflowError) as error:
        raise InputError(f"initial cannot be made an array: {error}") from error
    return _checked(array)


def _checked(array: Any) -> Any:
    if not is_numeric(array.dtype):
        what = "initial" if array.dtype.names is None else "each field of initial"
        raise InputError(f"{what} must be of a numeric or complex dtype, not {array.dtype}")
    if array.ndim == 0:
        raise InputError(f"initial must have an axis 0, which is split, but it is the single value {array}")
    if (axes := array.ndim + axes_within(array.dtype)) > _AXES:
        raise InputError(f"initial has {axes} axes, those of its fields included: {_AXES} are accepted. Reshape it.")
    return (
        array if array.dtype.names is None else array.view(strip_metadata(array.dtype))
    )  # what a kernel gets on any rank
