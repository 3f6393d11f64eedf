"""What an expression may be made of: constants, functions, operations on values, neighbours and their differences."""

from __future__ import annotations

import ast
import operator
from dataclasses import dataclass
from functools import partial, reduce
from itertools import pairwise
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from ...errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_INTEGERS = range(-(2**63), 2**63)  # what Python integers may grow to, as NumPy's do, before they are floats
_NUMBERS = {bool, int, float, complex}  # exactly: np.float64 derives from float, and promotes otherwise
CONSTANTS = {"pi": np.pi, "e": np.e, "inf": np.inf, "nan": np.nan}
_ARITIES = {
    1: "abs sqrt cbrt exp exp2 expm1 log log2 log10 log1p sin cos tan arcsin arccos arctan sinh cosh tanh arcsinh "
    "arccosh arctanh floor ceil trunc rint sign square conj real imag isnan isfinite isinf",
    2: "minimum maximum arctan2 hypot fmod copysign power",
    3: "where clip",
}


def _alike(function: Callable[..., Any], *operands: Any) -> Any:
    """Call a function whose loop NumPy chooses by whether all operands but the first are constant.

    That is so where they are broadcast or converted, and depends on the number of rows; which of 0.0 and -0.0 comes
    out, and the last bit of a power, depend on it. So arrays are given in the shape and dtype of the result.
    """
    if any(isinstance(each, np.ndarray) for each in operands[1:]):
        dtype, shape = np.result_type(*operands), np.broadcast_shapes(*map(np.shape, operands))
        fits = (dtype, shape) if prod(shape) > 1 else ()  # a view of one value has the strides of a constant
        operands = tuple(
            each
            if np.ndim(each) == 0 or (each.dtype, each.shape) == fits
            else np.array(np.broadcast_to(each, shape), dtype, order="C")
            for each in operands
        )
    return function(*operands)


FUNCTIONS = {name: (getattr(np, name), arity) for arity, names in _ARITIES.items() for name in names.split()}
FUNCTIONS |= {"clip": (partial(_alike, np.clip), 3), "power": (partial(_alike, np.power), 2)}
_OPERATORS_AND_UFUNCS = (
    "Add add add, Sub sub subtract, Mult mul multiply, Div truediv true_divide, FloorDiv floordiv floor_divide, "
    "Mod mod remainder, Pow pow power, UAdd pos positive, USub neg negative, "
    "Eq eq equal, NotEq ne not_equal, Lt lt less, LtE le less_equal, Gt gt greater, GtE ge greater_equal"
)
SHIFT = "A neighbour is named by whole numbers, such as x[-1] or x[0, 1]"


@dataclass(frozen=True, slots=True)
class Operation:
    """An operator: of arrays as Python writes it, of Python numbers a Python number, of bounded size."""

    plain: Callable[..., Any]
    floating: Callable[..., Any]

    def __call__(self, *operands: Any) -> Any:
        """Return the value of the operation."""
        kinds = set(map(type, operands))
        if not kinds <= _NUMBERS:
            return self.plain(*operands)
        result = None
        try:
            if self.floating is not np.power or not _grows(*operands):
                result = self.plain(*operands)
        except (ArithmeticError, TypeError):
            pass  # such as 1 / 0 and 1e300 ** 2; and NumPy compares complex numbers, which Python does not
        if result is None or (isinstance(result, complex) and complex not in kinds):
            with np.errstate(all="ignore"):
                result = self.floating(*(each if isinstance(each, complex) else float(each) for each in operands))
        if isinstance(result, np.generic | np.ndarray):
            result = result.item()
        if not isinstance(result, int) or result in _INTEGERS:
            return result
        beyond = any(isinstance(each, int) and each not in _INTEGERS for each in operands)
        return result if beyond and 0 <= result < 2**64 else float(result)


def _grows(base: Any, exponent: Any) -> bool:
    """Return whether a power of Python integers certainly leaves `_INTEGERS`: it is not computed then."""
    integers = isinstance(base, int) and isinstance(exponent, int)
    return integers and (base.bit_length() - 1) * exponent > _INTEGERS.stop.bit_length()


OPERATIONS: dict[type[ast.AST], Operation] = {
    getattr(ast, node): Operation(getattr(operator, plain), getattr(np, ufunc))
    for node, plain, ufunc in map(str.split, _OPERATORS_AND_UFUNCS.split(","))
}  # x ** 2 is not np.power(x, 2): arrays have their own ways for some exponents, with other last bits
OPERATIONS[ast.Pow] = Operation(partial(_alike, operator.pow), np.power)
_ALONG = ("{0}", "{0}{0}", "{0}_up", "{0}_down")  # what differences along an axis are called, after a d
OPERATORS = {"div": 2} | dict.fromkeys(("biharmonic", "grad2", "laplace", "neighbours"), 1)  # with their arguments
OPERATORS |= {f"d{form.format(axis)}": 1 for axis in "xyz" for form in _ALONG}
AND = OPERATIONS[ast.And] = Operation(np.logical_and, np.logical_and)
OPERATIONS |= {ast.Or: Operation(np.logical_or, np.logical_or), ast.Not: Operation(np.logical_not, np.logical_not)}
WHERE = Operation(np.where, np.where)


def joined(join: Operation, *operands: Any) -> Any:
    """Compute ``a and b and c``."""
    return reduce(join, operands)


def chained(comparisons: Sequence[Operation], *operands: Any) -> Any:
    """Compute ``a < b < c`` as ``(a < b) and (b < c)``."""
    return reduce(AND, (compare(*pair) for compare, pair in zip(comparisons, pairwise(operands), strict=True)))


@dataclass(frozen=True, slots=True)
class Shift:
    """What ``[i, j]`` behind a value does: take that of another cell."""

    offsets: tuple[int, ...]

    def __call__(self, *operands: Any) -> Any:
        """Return the values that lie `offsets` on."""
        (cells,) = operands
        if not hasattr(cells, "shifted"):
            raise InputError(f"{list(self.offsets)} stands behind what is the same for all cells. {SHIFT}.")
        return cells.shifted(*self.offsets)


@dataclass(frozen=True, slots=True)
class Operator:
    """What a difference of neighbouring cells, such as ``laplace(x)``, does."""

    name: str

    def __call__(self, *cells: Any) -> Any:
        """Return its value."""
        from .. import operators

        return getattr(operators, self.name)(*cells)
