"""The kernel interface.

A kernel is row-local: a row of the result depends on the same row of its input, on the row's number and
on the time, on nothing else, so that any run of rows may be computed on its own, on any rank. Or it has a
reach: then a cell depends on the cells so far around it, too, and `x` brings these. It never sees MPI.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol

import numpy as np

from ..errors import InputError
from ..util.dtypes import dtype_label, is_masked
from ..util.validation import number
from .constants import Constant, numeric_array, unwrapped

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy.typing as npt

    from .cells import Reach
    from .random import RandomStream
    from .tracing import TracedArray

    Array = npt.NDArray[Any]

INDICES = ("row", "column", "layer")  # of a cell, along axis 0, 1 and 2
COORDINATES = ("X", "Y", "Z")
ON_GRID = (*INDICES[1:], *COORDINATES)  # what a kernel may ask for on a grid, unless a parameter is called so


class UnknownParameterError(InputError):
    """A parameter is given that the kernel does not have.

    Parameters
    ----------
    kernel, parameter : str
    known : sequence of str
        The parameters that it has.
    """

    def __init__(self, kernel: str, parameter: str, known: Sequence[str]) -> None:
        import difflib

        near = difflib.get_close_matches(parameter, known, n=1)
        hint = f". Did you mean {near[0]}? It has" if near else "; it has"
        super().__init__(f"{kernel} has no parameter {parameter}{hint} {', '.join(known) or 'none'}")
        self.parameter = parameter


class Block:
    """The run of rows and the step that a kernel is asked for.

    ``block["name"]`` is a parameter of the kernel: a number, or, if it was given as an array along axis
    0, its values for these rows, of a shape that broadcasts with them; or the array of a constant, whole.

    Parameters
    ----------
    k, t, delta_t
        As the attributes.
    rows : tuple of (int, int)
        `lower` and `upper`.
    parameters : mapping of str to number, Constant, or ndarray of shape (m, ...)
    seed : int, default 0
        Of `random`.

    Attributes
    ----------
    k : int
        Number of the step, from 0.
    t : float
        Its time, ``start_time + k * delta_t``, in the unit of the problem.
    delta_t : float
        The time from one step to the next, in the same unit.
    lower, upper : int
        The rows are ``[lower, upper)`` of the whole array.
    reach : tuple of (int, int)
        How many cells `x` brings before and after those of the result, along each axis of the grid; empty for a
        kernel that reads no neighbours.
    grid : GridLayout or None
        Of a problem with a grid: `shape`, `spacing` and `origin`, for each axis.
    around : mapping of str to ndarray of shape (lo + m + hi, ...)
        The parameters by row with the cells around, as `x` has them.
    """

    __slots__ = ("_draws", "_parameters", "_seed", "around", "delta_t", "grid", "k", "lower", "reach", "t", "upper")

    def __init__(
        self,
        k: int,
        t: float,
        delta_t: float,
        rows: tuple[int, int],
        parameters: Mapping[str, Any],
        seed: int = 0,
        *,
        grid: GridLayout | None = None,
        reach: Reach = (),
        around: Mapping[str, Any] | None = None,
    ) -> None:
        self.grid = grid
        self.reach = reach
        self.around = around or {}
        self.k = k
        self.t = t
        self.delta_t = delta_t
        self.lower, self.upper = rows
        self._parameters = parameters
        self._seed = seed
        self._draws: RandomStream | None = None

    def __getitem__(self, name: str) -> Any:
        return unwrapped(self._parameters[name])

    @property
    def parameters(self) -> Mapping[str, Any]:
        """All parameters, by name; a constant as the `Constant` that it was given as."""
        return self._parameters

    @property
    def seed(self) -> int:
        """The seed of `random`."""
        return self._seed

    @property
    def row(self) -> npt.NDArray[np.int64]:
        """The number of each row in the whole array, shape (m,)."""
        return np.arange(self.lower, self.upper)

    @property
    def random(self) -> RandomStream:
        """Random numbers for these rows and this step, the same whatever the split; each call draws anew."""
        if self._draws is None or self._draws.step != self.k:
            from .random import RandomStream

            self._draws = RandomStream(self._seed, self.k, self.lower, self.upper)
        return self._draws


def result_shape(x: Any, block: Block) -> tuple[int, ...]:
    """Return the shape of the result for rows `x`, of shape (m, ...): theirs without the cells around."""
    if not block.reach:
        return tuple(x.shape)
    within = tuple(n - low - high for n, (low, high) in zip(x.shape, block.reach, strict=False))
    return (*within, *x.shape[len(within) :])


def around_cells(value: Array, ndim: int, reach: Reach, cyclic: Sequence[bool]) -> Array:
    """Return a parameter by row with the cells around, along all axes but the first: at an edge it goes on as it ends.

    Parameters
    ----------
    value : ndarray, shape (m, ...)
    ndim : int
        Of the array.
    reach : tuple of (int, int)
        How many cells on each side, along each axis of the grid.
    cyclic : sequence of bool
        Along which axes the cells after the last one are the first ones again.
    """
    plain = np.ascontiguousarray(value, value.dtype.newbyteorder("="))
    plain = plain.reshape(len(plain), *[1] * (ndim - plain.ndim), *plain.shape[1:])
    for axis, (low, high) in enumerate(reach[1:], 1):
        n = plain.shape[axis]
        if n > 1:
            cells = np.arange(-low, n + high)
            plain = np.take(plain, cells % n if cyclic[axis] else np.clip(cells, 0, n - 1), axis)
    return plain


class GridLayout(Protocol):
    """What a kernel is told of the grid."""

    @property
    def shape(self) -> tuple[int, ...]:
        """The number of cells along each axis."""

    @property
    def spacing(self) -> tuple[float, ...]:
        """Between them."""

    @property
    def origin(self) -> tuple[float, ...]:
        """The coordinates of the first one."""


class Kernel(ABC):
    """The contract: derive from it to bring a kernel of your own.

    A *map* kernel gives step k from the initial array and the time t_k. A *step* kernel gives the state
    of step k+1 from that of step k and the time t_k; the state of step 0 is the initial array. Only
    `evaluate` must be written; the engine calls `advance`, which calls it. NumPy's floating-point warnings
    are off then: inf and NaN are results, not news on every rank.

    Parameters
    ----------
    **parameters : number, Constant, or array_like of shape (n, ...)
        What `evaluate` finds in its block. An array along axis 0 gives each row a value of its own; only
        root's is used, and scattered with the rows: the other ranks may give None. One in `constant` is the same for
        all rows.

    Attributes
    ----------
    kind : {"map", "step"}
    formula : str
        What it computes, for people; by default the first line of the docstring.
    components : tuple of str
        What the values of a row are called, in the order of its last axis, for pictures; empty if they have no names.
    takes_constants : bool
        Whether a parameter may be a constant array; of built-in kernels none may.
    is_by_row : bool
        Whether it gets its rows one by one, so that a run need not look whether it mixes them.
    reach : int, or sequence of int or (int, int)
        How many cells around a cell its result depends on: for all axes of the grid, or for each, on both sides or
        (before, after). Then `x` brings as many more on each side than `out` has, and neither is contiguous. 0 by
        default: row-local.
    boundary : str, sequence, mapping or None
        What lies beyond the edges of the grid, where the problem does not say so (see `Grid`).
    source : str or None
        What stands for the user's code behind it, such as a digest; it must be the same on all ranks.
    name : str
        What messages call it; the name of the class by default.
    parameters : dict of str to number, Constant or ndarray

    Raises
    ------
    InputError
        If a parameter is neither a finite number nor an array of numbers.

    Examples
    --------
    >>> class Decay(Kernel):
    ...     def evaluate(self, x, block, out):
    ...         np.multiply(x, np.exp(-block["rate"] * block.t), out=out)
    >>> Decay(rate=0.5).parameters
    {'rate': 0.5}
    """

    kind: Literal["map", "step"] = "map"
    formula: str = ""
    components: tuple[str, ...] = ()
    source: str | None = None
    takes_constants: ClassVar[bool] = True
    is_by_row: ClassVar[bool] = False
    reach: Any = 0
    boundary: Any = None

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if not cls.formula:
            cls.formula = (cls.__doc__ or "").strip().partition("\n")[0]

    def __init__(self, **parameters: Any) -> None:
        self.parameters: dict[str, Any] = {name: _parameter(name, value) for name, value in parameters.items()}
        for name, value in self.parameters.items():
            if isinstance(value, Constant) and not self.takes_constants:
                raise InputError(
                    f"parameter {name} of the kernel {self.name} must be a number or a value for each row, not a "
                    "constant array. Give it as a plain array, or by --set."
                )

    @property
    def name(self) -> str:
        """What messages call it."""
        return type(self).__name__

    @property
    def asks_for(self) -> frozenset[str] | None:
        """The names of what it uses of a block, or None where that is not known, as of a class."""
        return None

    def reach_on(self, axes: int, row: tuple[int, ...], dtype: np.dtype[Any]) -> Reach:
        """Return how far the kernel reads along each axis of a grid.

        Parameters
        ----------
        axes : int
            Of the grid.
        row : tuple of int
            Shape of a row of the array, of whose axes the first ``axes - 1`` are the grid's.
        dtype : numpy.dtype
            Of the array.
        """
        from .cells import checked_reach  # few kernels read neighbours

        return checked_reach(self.reach, axes)

    @property
    def is_on_grid(self) -> bool:
        """Whether it reads neighbours, or coordinates."""
        return bool(self.reach)

    def prepare(self, x: Array, block: Block, scratch: Array) -> Array:
        """Compute what does not depend on the time, once for a few steps of a run of rows. Map kernels only.

        By default there is nothing to prepare.

        Parameters
        ----------
        x : ndarray, shape (m, ...)
            Rows of the initial array: C-contiguous, in the machine's byte order. Not to be written to.
        block : Block
            Of the first of these steps.
        scratch : ndarray, shape (m, ...)
            The `out` of the last of these steps, free until then.

        Returns
        -------
        ndarray
            What `evaluate` is given as `x` for each of the steps: `x`, or `scratch`.
        """
        return x

    @abstractmethod
    def evaluate(self, x: Array, block: Block, out: Array) -> None:
        """Compute a run of rows for one step.

        Parameters
        ----------
        x : ndarray, shape (m, ...)
            Rows of the initial array (map: what `prepare` returned), or of the state (step):
            C-contiguous, in the machine's byte order. Not to be written to.
        block : Block
            Which rows, which step, and the parameters. For a step kernel k and t are those of `x`.
        out : ndarray, shape (m, ...), C-contiguous
            Where the result goes, of the dtype that `result_dtype` gave; a structured one has no padding.
            It holds anything before the call and must be written whole. It is `x` itself in the last
            step, if `prepare` returned its `scratch`.
        """

    def advance(self, x: Array, block: Block, steps: range, times: Sequence[float], out: Array) -> None:
        """Compute successive steps of a run of rows. What the engine calls.

        By default by `prepare` and `evaluate`, step by step. A kernel that is compiled does it in one call.

        Parameters
        ----------
        x : ndarray, shape (m, ...)
            Rows of the initial array (map), or the state that the first step goes on from (step):
            C-contiguous, in the machine's byte order. Not to be written to.
        block : Block
            Which rows, and the parameters. Its k and t say on leaving by an exception which step failed.
        steps : range
            The numbers of the steps that `evaluate` would be told, one after the other: of a map kernel any,
            of a step kernel those of the states that are gone on from, with no gap between them.
        times : sequence of float, as long as `steps`
            Their times.
        out : ndarray, shape (len(steps), m, ...)
            ``out[j]``, C-contiguous, gets the result of ``steps[j]``: from `x` (map), or from ``out[j - 1]``,
            and `x` for the first (step). It holds anything before the call and must be written whole.

        Raises
        ------
        TypeError
            If `prepare` or `evaluate` returned what they must not.
        Exception
            What they raised.
        """
        is_step = self.kind == "step"
        if not is_step:
            x = self.prepare(x, block, out[-1])
            if not isinstance(x, np.ndarray) or is_masked(x):
                raise TypeError(f"prepare() returned {type(x).__name__}; it must return x, or scratch")
        for k, t, target in zip(steps, times, out, strict=True):
            block.k, block.t = k, t
            returned: object = self.evaluate(x, block, target)
            if returned is not None and returned is not target:
                raise TypeError(f"evaluate() returned {type(returned).__name__}; it must write the result into out")
            if is_step:
                x = read_only(target)

    def result_dtype(self, x: Array, block: Block) -> np.dtype[Any]:
        """Return the dtype of the result.

        By default that of NumPy's promotion with a Python float and the parameters: floats and complex
        numbers stay what they are, integers become float64, and numbers as parameters change no precision.
        A structured dtype stays what it is.

        Parameters
        ----------
        x : ndarray, shape (1, ...)
            A row of the initial array, or of anything if it has none.
        block : Block
        """
        if x.dtype.names is not None:
            return x.dtype
        values = map(unwrapped, block.parameters.values())
        types = (value.dtype if isinstance(value, np.ndarray) else value for value in values)
        return np.result_type(x.dtype, 0.0, *types)

    def trace(self, x: TracedArray, block: Block, dtype: np.dtype[Any]) -> TracedArray:
        """Do once, on values that record what is done to them, what `evaluate` does: for a compiler.

        By default a kernel is not compiled. One of arithmetic alone may return here what it computes; see
        `tracing.TracedArray` for what can be recorded. The operations and their order must be those of `evaluate`.

        Parameters
        ----------
        x : TracedArray
            Stands for the rows.
        block : Block
            With values that record for t, k, row and the parameters that are arrays.
        dtype : numpy.dtype
            Of the result.

        Returns
        -------
        Traced

        Raises
        ------
        NotCompilable
            If it is to be left to NumPy; the message says why.
        """
        from .tracing import NotCompilable

        raise NotCompilable(f"the kernel {self.name} is not one that simsplit writes out")

    def reference(self, x: Array, block: Block, dtype: np.dtype[Any]) -> Array:
        """Compute rows for one step the plain way; what verification compares with.

        Parameters
        ----------
        x, block
            As `evaluate` gets them, but not prepared; the runs of rows are others than those of the run.
        dtype : numpy.dtype
            Of the result, what `result_dtype` gave.

        Returns
        -------
        ndarray, shape (m, ...), of `dtype`
        """
        out = np.empty(result_shape(x, block), dtype)
        out.reshape(-1).view(np.uint8)[...] = 0xA5  # what the kernel forgets to write must not agree by chance
        prepared = self.prepare(x, block, out) if self.kind == "map" and not block.reach else x
        self.evaluate(prepared, block, out)
        return out


OWN = (f"{__package__}.functions", f"{__package__}.row_functions")  # what calls functions of the user's own


def is_own(kernel: Kernel) -> bool:
    """Return whether a kernel is the user's own: neither built in nor an expression."""
    module = type(kernel).__module__
    return not module.startswith(f"{__package__}.") or module in OWN


def require_unstructured(name: str, x: Array) -> None:
    """Refuse rows with fields, for a kernel that computes with numbers alone."""
    if x.dtype.names is not None:
        raise InputError(
            f"the kernel {name} computes with numbers, "
            f"but the values of the array have fields, {dtype_label(x.dtype)}. "
            "Write a function that computes each field (see docs/kernels.md), or give an array of one field."
        )


def read_only(array: Array) -> Array:
    """Return a view that cannot be written to: what lies behind it is the user's, or part of the history."""
    view = array.view()
    view.flags.writeable = False
    return view


def broadcast_parameter(rows: Array, value: Array) -> Array:
    """Return a parameter for these rows, C-contiguous, native, read-only, and of a shape that broadcasts with them."""
    plain = np.ascontiguousarray(value, value.dtype.newbyteorder("=")).reshape(
        len(value), *[1] * (rows.ndim - value.ndim), *value.shape[1:]
    )
    plain.flags.writeable = False
    return plain


def _parameter(name: str, value: Any) -> Any:
    """Return a parameter: a Python number, which changes no precision, an array, a constant, or None for root's."""
    if value is None or isinstance(value, Constant):
        return value
    array = numeric_array(f"parameter {name}", value)
    return array if array.ndim else number(f"parameter {name}", value)
