"""Kernels from functions: Python over NumPy arrays, NumPy ufuncs, Numba ufuncs and functions."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from ..errors import InputError
from ..util.dtypes import dtype_label, is_masked, is_numeric, packed
from ..util.formatting import stdout_held
from .base import ON_GRID, Kernel, UnknownParameterError, result_shape
from .constants import Constant, unwrapped

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    import numpy.typing as npt

    from .base import Block

    Array = npt.NDArray[Any]

_LARGEST_TRIAL = 16 * 2**20  # bytes of rows, or of what they give, that are kept from a trial
_TRIED = 2  # rows at most
OFFERED = ("t", "k", "delta_t", "row", "random", "out")  # what a function may ask for, besides parameters


class FunctionKernel(Kernel):
    """A kernel that calls a function. Made by `function`."""

    def __init__(
        self,
        function: Callable[..., Any],
        /,
        *,
        kind: Literal["map", "step"] = "map",
        name: str | None = None,
        dtype: npt.DTypeLike | None = None,
        reach: Any = 0,
        boundary: Any = None,
        **parameters: Any,
    ) -> None:
        super().__init__(**parameters)
        self.kind = kind
        self.reach = reach
        self.boundary = boundary
        self.dtype = None if dtype is None else _declared(dtype)
        self._trial: _Trial | None = None
        self._function = function
        _require_no_maker(function, parameters)
        self._name = name or str(getattr(function, "__name__", type(function).__name__))
        for reserved in (*OFFERED, "x"):
            if reserved in parameters:
                raise InputError(f"a parameter cannot be called {reserved}: that is what the function gets anyway")
        if hasattr(function, "nin"):
            self._wanted = _wanted_by_ufunc(self._name, function, parameters)
        else:
            self._wanted = _required_arguments(self._name, function, parameters)
        about = getattr(function, "__doc__", None) if hasattr(function, "__name__") else None  # not that of a class
        if hasattr(function, "nin") or not about:
            about = f"{self._name.rpartition(':')[2]}({', '.join(['x', *self._wanted])})"
        self.formula = about.strip().partition("\n")[0]
        self._defaults = _defaults(function, self._wanted) if self.is_numba and hasattr(function, "py_func") else {}
        # What applies a function of single values to all; False if the function takes whole arrays.
        self._by_value: Any = function if isinstance(function, np.vectorize) else None

    @property
    def function(self) -> Any:
        """What is called."""
        return self._function

    @property
    def is_numba(self) -> bool:
        """Whether Numba compiles the function (`njit`, `vectorize`)."""
        return type(self._function).__module__.startswith("numba.")

    @property
    def name(self) -> str:
        """The name of the function."""
        return self._name

    @property
    def asks_for(self) -> frozenset[str]:
        """The names of its arguments after `x`."""
        return frozenset(self._wanted)

    @property
    def is_on_grid(self) -> bool:
        """Whether it reads neighbours, or coordinates."""
        return self.reach != 0 or any(name in ON_GRID for name in set(self._wanted) - set(self.parameters))

    def evaluate(self, x: Array, block: Block, out: Array) -> None:
        """Call the function, and check what it gives."""
        result: Any
        trial, self._trial = self._trial, None  # it is for the first call alone
        if trial is not None and trial.is_for(x, block):
            print(trial.printed, end="")
            result = trial.result
        else:
            result = self._call(x, block, out)
        if result is None and "out" in self._wanted:
            return
        array = self._checked(x, result, block)
        if packed(array.dtype) != out.dtype:
            expected = "gave" if self.dtype is None else "was said to give"
            what = " for the first row" if self.dtype is None else ""
            raise TypeError(f"{self._name} gives {_exact_dtype(array)} here, but {expected} {_exact_dtype(out)}{what}")
        if array is not out:
            out[...] = array

    def reference(self, x: Array, block: Block, dtype: np.dtype[Any]) -> Array:
        """Call the function, whatever the trial gave."""
        self._trial = None
        return super().reference(x, block, dtype)

    def result_dtype(self, x: Array, block: Block) -> np.dtype[Any]:
        """Return what the function gives for one row, unless its dtype was said."""
        self._trial = None
        if self.dtype is not None:
            if self.kind == "step" and x.dtype.names is None and np.result_type(x.dtype, self.dtype) != self.dtype:
                raise TypeError(
                    f"{self._name} is said to give {self.dtype}, which does not hold the initial array's {x.dtype}: a "
                    "step begins with it"
                )
            return self.dtype
        if "out" in self._wanted:
            return super().result_dtype(x, block)
        with stdout_held() as printed:
            result = self._checked(x, self._call(x, block, None), block)
        dtype = result.dtype
        if self.kind == "map" or packed(dtype) == x.dtype:  # the call that a run of these rows alone begins with
            self._trial = _Trial.of(x, block, result, printed.getvalue())
            return dtype
        state: Array = np.empty(0, packed(np.result_type(x.dtype, dtype)))
        with stdout_held():
            again = self._checked(x, self._call(x.astype(state.dtype), block, None), block)
        if packed(again.dtype) != state.dtype:
            raise TypeError(
                f"{self._name} gives {_exact_dtype(again)} for a state of {_exact_dtype(state)}: "
                "a step must keep the dtype"
            )
        return state.dtype

    def _call(self, x: Array, block: Block, out: Array | None) -> Any:
        try:
            return self._apply(x, block, out)
        except ValueError as error:
            if shapes := _shapes(x, block):
                error.add_note(shapes.strip())
            raise

    def _apply(self, x: Array, block: Block, out: Array | None) -> Any:
        values = {name: _value(name, block, out, x.ndim) for name in self._wanted}
        if self._defaults:
            values = {name: values.get(name, default) for name, default in self._defaults.items()}
        if hasattr(self._function, "nin"):
            return self._function(x, *values.values())
        if self._by_value is None and any(isinstance(block.parameters.get(name), Constant) for name in values):
            self._by_value = False  # a whole array is no single value
        if self._by_value is None:
            self._by_value = self.is_numba and not block.reach and _as_ufunc(self._function, x, values)
        if self._by_value:
            if "row" in values:
                values["row"] = values["row"].reshape(-1, *[1] * (x.ndim - 1))
            if isinstance(self._by_value, np.vectorize):
                return self._by_value(x, **values)
            return self._by_value(x, *values.values())
        if self.is_numba and not getattr(self._function, "_can_compile", True):
            # The types of an explicit signature are those of arrays that can be written to.
            x = x.copy()
            values = {n: v.copy() if isinstance(v, np.ndarray) and n != "out" else v for n, v in values.items()}
        return self._function(x, **values)

    def _checked(self, x: Array, result: Any, block: Block) -> Array:
        if result is None:
            wanted = result_shape(x, block)
            raise TypeError(f"{self._name} returned nothing; it must return an array of shape {wanted}")
        if is_masked(result):
            raise TypeError(f"{self._name} returned a masked array, and the mask would be lost: return filled(...)")
        array = np.asarray(result)
        if block.reach and array.shape == x.shape:  # as filters of whole arrays give it: the cells around are cut off
            return array[tuple(slice(low, n - high) for n, (low, high) in zip(x.shape, block.reach, strict=False))]
        if array.shape != result_shape(x, block):
            if block.reach:
                raise ValueError(
                    f"{self._name} returned an array of shape {array.shape}, and must return "
                    f"{result_shape(x, block)}: {x.shape}, less the reach on each side"
                )
            raise ValueError(
                f"{self._name} returned an array of shape {array.shape} for rows of shape {x.shape}{_shapes(x, block)}"
            )
        return array


class _Trial:
    """The call that showed which dtype a function gives, to be used where a run begins with the very same call.

    Made by `of`, which gives None for results that are too large to be kept.
    """

    def __init__(self, x: Array, block: Block, result: Array, printed: str) -> None:
        self._arguments = _arguments(x, block)
        self.result = result
        self.printed = printed

    @classmethod
    def of(cls, x: Array, block: Block, result: Array, printed: str) -> _Trial | None:
        """Return the trial with copies of rows and result, which the function may write to later."""
        kept = not block.reach and max(x.nbytes, result.nbytes) <= _LARGEST_TRIAL
        return cls(x, block, result.copy(), printed) if kept else None

    def is_for(self, x: Array, block: Block) -> bool:
        """Return whether a call would be this one."""
        return block.k == self._arguments[0] and len(x) <= _TRIED and _arguments(x, block) == self._arguments


def _arguments(x: Array, block: Block) -> tuple[Any, ...]:
    """Return what a call depends on, to be compared bit for bit."""
    facts = (block.k, block.t, block.delta_t, block.lower, block.upper, block.seed)
    return (*facts, *(_bits(unwrapped(value)) for value in (x, *block.parameters.values())))


def _bits(value: Any) -> Any:
    return (value.dtype, value.shape, value.tobytes()) if isinstance(value, np.ndarray) else (type(value), repr(value))


def _declared(dtype: npt.DTypeLike) -> np.dtype[Any]:
    """Return the dtype that a function is said to give."""
    try:
        found: np.dtype[Any] | None = np.dtype(dtype)
    except (TypeError, ValueError, SyntaxError):
        found = None
    if found is None or not is_numeric(found):
        raise InputError(f"dtype must be a numeric or complex dtype, such as float64, not {dtype!r}")
    return packed(found.newbyteorder("="))


def _shapes(x: Array, block: Block) -> str:
    """Say which shapes meet in a function that has parameters by row, and how they are made to fit."""
    by_row = [name for name, value in block.parameters.items() if isinstance(value, np.ndarray)]
    names = [*by_row, *(name for name, value in block.parameters.items() if isinstance(value, Constant))]
    if not names:
        return ""
    given = ", ".join([f"x {x.shape}", *(f"{name} {block[name].shape}" for name in names)])
    if not by_row:
        return f" (the shapes are {given})"
    name = by_row[0]
    hint = f"; beside a component of x, such as x[:, 0], write {name}[:, 0]" if x.ndim > 1 else ""
    return f" (the shapes are {given}: a parameter by row has an axis for each axis of x{hint})"


def function(
    function: Callable[..., Any],
    /,
    *,
    kind: Literal["map", "step"] = "map",
    name: str | None = None,
    dtype: npt.DTypeLike | None = None,
    reach: int | Sequence[int | tuple[int, int]] = 0,
    boundary: Any = None,
    **parameters: Any,
) -> FunctionKernel:
    """Return a kernel that calls a function.

    Parameters
    ----------
    function : callable
        Its first argument is `x`, the rows, of shape (m, ...): of the initial array (map) or of the
        state (step). Any further one is asked for by its name: `t`, `k`, `delta_t`, `row` (their numbers,
        shape (m,)), `random` (see `RandomStream`), `out` (an array to write to), or a parameter. It returns an
        array of the shape of `x`, or nothing if it takes `out`. A ufunc gets `x`, then `t` if it has an
        input to spare, then the parameters in the order given. A function compiled by Numba (``njit``) may
        be for single values, too: if Numba can compile it for one value of `x`, of `row` and of each
        parameter, and it returns a number then, it is applied value by value.
    kind : {"map", "step"}, default "map"
    name : str, optional
        What messages call it.
    dtype : dtype, optional
        Of what it returns. Without it the function is called once for the first row, before the run, to learn it;
        the run uses that result only where it begins with the very same call.
    reach : int, or sequence of int or (int, int), default 0
        How many cells around a cell its result depends on: along all axes of the grid, or for each, on both sides or
        (before, after). Then `x` brings as many more on each side, ``x[1:-1, 1:-1]`` being the cells themselves with a
        reach of 1, and the function returns these alone, or an array like `x`, which is cut.
    boundary : str, sequence or mapping, optional
        What lies beyond the edges of the grid, where the problem does not say so (see `Grid`).
    **parameters : number, array_like of shape (n, ...), or `constant` of an array

    Raises
    ------
    InputError
        If the function wants what is not there, or does not want what is given.

    Examples
    --------
    >>> function(lambda x, t, rate: x * np.exp(-rate * t), name="decay", rate=0.5).name
    'decay'
    """
    return FunctionKernel(function, kind=kind, name=name, dtype=dtype, reach=reach, boundary=boundary, **parameters)


def _as_ufunc(function: Any, x: Array, values: Mapping[str, Any]) -> Any:
    """Return a function of Numba's as a ufunc, or False if it is not one of single values."""
    import numba

    arguments = list(inspect.signature(function.py_func).parameters.values())
    if "out" in values or list(values) != [each.name for each in arguments[1 : len(values) + 1]]:
        return False  # a ufunc gets all by position
    single = [value.dtype.type(0) if isinstance(value, np.ndarray) else value for value in (x, *values.values())]
    left = arguments[len(single) :]  # they have defaults
    types = (*map(numba.typeof, single), *(numba.types.Omitted(each.default) for each in left))
    plain = numba.types.Number | numba.types.Boolean
    if function._can_compile:  # noqa: SLF001, Numba has no public name for it
        try:
            function.compile(types)
        except numba.core.errors.NumbaError:  # it is for arrays, or for nothing: then it says so when it is called
            return False
        signatures = [function.overloads[types].signature]
    else:  # it has an explicit signature, and takes no others
        signatures = function.nopython_signatures
    if not any(isinstance(each.return_type, plain) and _are(plain, each.args[: len(single)]) for each in signatures):
        return False
    names = ", ".join(f"a{number}" for number in range(len(single)))
    # A ufunc has as many inputs as the function that it is made of has arguments, and these are not the user's.
    call = eval(f"lambda function: lambda {names}: function({names})")  # noqa: S307, no text of anyone else
    return numba.vectorize(call(function))


def _defaults(function: Any, wanted: list[str]) -> dict[str, Any]:
    """Return what a function of Numba's is to be called with, and the default of each.

    Those that are numbers are given, for an explicit signature has no argument that may be left out.
    """
    arguments = list(inspect.signature(function.py_func).parameters.values())[1:]
    return {a.name: a.default for a in arguments if a.name in wanted or isinstance(a.default, (int, float, complex))}


def _are(kind: Any, types: Iterable[Any]) -> bool:
    return all(isinstance(each, kind) for each in types)


def _exact_dtype(array: Array) -> str:
    """Write the dtype of an array, byte order included."""
    return str(array.dtype) if array.dtype.names is None or not array.dtype.isnative else dtype_label(array.dtype)


def _value(name: str, block: Block, out: Array | None, ndim: int) -> Any:
    if name in block.parameters:
        return block[name]
    if name in ON_GRID:
        from .expressions.names import values_along

        return values_along(name, block, ndim)
    return out if name == "out" else getattr(block, name)


def _require_no_maker(function: Any, parameters: Mapping[str, Any]) -> None:
    """Refuse what makes kernels, where a kernel or a function is wanted."""
    own = str(getattr(function, "__module__", "")).startswith(f"{__package__}.") and inspect.isfunction(function)
    if own or (isinstance(function, type) and issubclass(function, Kernel)):
        example = parameters or getattr(function, "__kwdefaults__", None) or {"rate": 0.5}
        given = ", ".join(f"{name}={value!r}" for name, value in example.items())
        what = "makes a kernel" if own else "is a class"
        raise InputError(
            f"{function.__name__} {what}, and is none by itself: give an object, with its parameters, "
            f"such as {function.__name__}({given})"
        )


def _wanted_by_ufunc(name: str, ufunc: Any, parameters: Mapping[str, Any]) -> list[str]:
    spare = ufunc.nin - 1 - len(parameters)
    if spare not in (0, 1) or ufunc.nout != 1:
        raise InputError(
            f"the ufunc {name} has {ufunc.nin} inputs and {ufunc.nout} outputs, which does not fit x, t and "
            f"{len(parameters)} parameters. It must have one output, and inputs for x, t if wanted, and each parameter."
        )
    return [*(["t"] if spare else []), *parameters]


def _required_arguments(name: str, function: Any, parameters: Mapping[str, Any]) -> list[str]:
    """Return the names of the arguments that a function gets after the first, by keyword."""
    if not callable(function):
        raise InputError(f"a kernel must be a function, a ufunc or a Kernel, not {function!r}")
    of_values = isinstance(function, np.vectorize)
    inner = function.pyfunc if of_values else getattr(function, "py_func", function)  # py_func: Numba's
    try:
        signature = inspect.signature(inner).parameters
    except (ValueError, TypeError):
        raise InputError(f"the arguments of {name} are not known. Wrap it: lambda x: {name}(x)") from None
    kinds = inspect.Parameter
    positional = [p for p in signature.values() if p.kind in (kinds.POSITIONAL_ONLY, kinds.POSITIONAL_OR_KEYWORD)]
    if not positional:
        raise InputError(f"the function {name} must take the rows as its first argument")
    rest = [p for p in signature.values() if p is not positional[0]]
    open_ended = any(p.kind is kinds.VAR_KEYWORD for p in rest)
    if any(p.kind is kinds.POSITIONAL_ONLY and p.default is kinds.empty for p in rest):
        raise InputError(f"the function {name} can take only its first argument by position, but wants more")
    named = [p for p in rest if p.kind in (kinds.POSITIONAL_OR_KEYWORD, kinds.KEYWORD_ONLY)]
    names = [p.name for p in named]
    unwanted = [parameter for parameter in parameters if parameter not in names and not open_ended]
    if unwanted:
        wanted = [wish for wish in names if wish not in OFFERED]
        raise UnknownParameterError(f"the function {name}", unwanted[0], wanted)
    for p in named:
        if p.name in OFFERED and p.default is not kinds.empty and p.default is not None:
            raise InputError(
                f"the function {name} has the default {p.name}={p.default!r}, but {p.name} is what simsplit fills in "
                f"(see docs/kernels.md). If it is a parameter of yours, rename it; if not, leave the default out."
            )
        if of_values:
            _require_single(name, p.name, parameters.get(p.name))
        if p.name not in parameters and p.name not in (*OFFERED, *ON_GRID) and p.default is kinds.empty:
            raise InputError(
                f"the function {name} wants {p.name}, which is not given. Give it as a parameter, "
                f"or use one of {', '.join(OFFERED)}."
            )
    given = [p.name for p in named if p.name in ON_GRID and p.default is kinds.empty]
    return [wish for wish in names if wish in parameters or wish in (*OFFERED, *given)] + (
        [parameter for parameter in parameters if parameter not in names]
    )


def _require_single(name: str, wish: str, given: Any) -> None:
    """Refuse what a function that is called value by value cannot have."""
    if isinstance(given, Constant):
        raise InputError(
            f"the function {name} is called value by value, and cannot take the constant {wish} whole. Write it for "
            "whole arrays."
        )
    if wish in ("random", "out"):
        raise InputError(
            f"the function {name} is called value by value, and cannot ask for {wish}. Write it for whole arrays."
        )
