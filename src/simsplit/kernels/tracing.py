"""Trace a kernel: record the NumPy operations it applies, as a graph.

A kernel that consists of arithmetic is called once with `TracedArray` arrays in place of its rows. What comes
out is the graph of its operations, each with the dtypes that NumPy's own rules give, so that a compiler can
repeat them in the same order, with the same roundings. No text of a user is involved.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import numpy.typing as npt

    Dtype = np.dtype[Any]


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


DTYPES = frozenset(np.dtype(code) for code in "?bhilBHILfd")
COMPARISONS = ("equal", "not_equal", "less", "less_equal", "greater", "greater_equal")
# Operations that IEEE 754 (or the arithmetic of integers) defines to the last bit.
EXACT = _words(
    "add subtract multiply divide negative positive absolute sqrt square reciprocal minimum maximum sign floor ceil "
    "trunc rint isnan isfinite isinf logical_and logical_or logical_not where clip conjugate cast"
).union(COMPARISONS)
# Functions whose last bit is the library's choice: NumPy's vector loops and the C library may differ.
INEXACT = _words(
    "exp exp2 expm1 log log2 log10 log1p sin cos tan arcsin arccos arctan sinh cosh tanh arcsinh arccosh arctanh cbrt "
    "arctan2 hypot fmod copysign power"
)
_OF_FLOATS_ONLY = INEXACT | _words("divide sqrt reciprocal floor ceil trunc rint isnan isfinite isinf sign")


class NotCompilable(Exception):  # noqa: N818, an answer, not a fault: NumPy computes it then
    """The operations cannot be written down, or not compiled with the same bits; the message says why."""


@dataclass(frozen=True, eq=False, slots=True)
class Node:
    """One value for each item: a row's value, or one component of it.

    Attributes
    ----------
    operation : str
        The name of NumPy's ufunc, or ``"cast"``, ``"where"``, ``"clip"``; or where a value comes from:
        ``"x"``, ``"row"``, ``"number"`` (the same for all items), or ``"parameter"``.
    dtype : numpy.dtype
        Of the value.
    operands : tuple of Node
    index : int
        Which component, number or parameter.
    """

    operation: str
    dtype: Dtype
    operands: tuple[Node, ...] = ()
    index: int = 0


class StepScalar:
    """A number that is computed anew at each step, from t and k, as Python and NumPy compute it.

    Parameters
    ----------
    compute : callable
        Takes the variables of the step, a mapping of str to number.
    sample : number
        Its value at one step, which tells its type.
    name : str, optional
        Of the variable, if it is one.
    """

    def __init__(self, compute: Callable[[Mapping[str, Any]], Any], sample: Any, name: str | None = None) -> None:
        self.compute = compute
        self.sample = sample
        self.name = name

    @classmethod
    def variable(cls, name: str, sample: Any) -> StepScalar:
        """Return the variable of the step that is called `name`."""
        return cls(lambda variables: variables[name], sample, name)

    @classmethod
    def of(cls, function: Callable[..., Any], operands: Sequence[Any]) -> StepScalar:
        """Return a function of numbers, some of which vary."""

        def compute(variables: Mapping[str, Any]) -> Any:
            return function(*(each.compute(variables) if isinstance(each, StepScalar) else each for each in operands))

        return cls(compute, function(*map(_sample, operands)))


class Trace:
    """The graph of one kernel, as it is written down.

    Attributes
    ----------
    numbers : list of (number or StepScalar, numpy.dtype)
        What the nodes of ``"number"`` stand for, and the dtype that it is converted to.
    parameters : list of str
        The arrays that the nodes of ``"parameter"`` stand for.
    operations : set of str
        The names of the operations in use.
    """

    def __init__(self) -> None:
        self.numbers: list[tuple[Any, Dtype]] = []
        self.parameters: list[str] = []
        self.operations: set[str] = set()
        self._nodes: dict[tuple[Any, ...], Node] = {}

    def node(self, operation: str, dtype: Dtype, operands: tuple[Node, ...] = (), index: int = 0) -> Node:
        """Return a node; the same operation on the same operands is one."""
        if dtype not in DTYPES:
            raise NotCompilable(f"{dtype} is left to NumPy")
        key = (operation, dtype, *map(id, operands), index)
        self.operations.add(operation)
        return self._nodes.setdefault(key, Node(operation, dtype, operands, index))

    def number(self, value: Any, dtype: Dtype) -> Node:
        """Return the node of a number, converted as NumPy does."""
        sample = cast_scalar(_sample(value), dtype).tobytes()
        if not isinstance(value, StepScalar):
            for index, (known, its) in enumerate(self.numbers):
                if not isinstance(known, StepScalar) and its == dtype and cast_scalar(known, its).tobytes() == sample:
                    return self.node("number", dtype, index=index)
        self.numbers.append((value, dtype))
        return self.node("number", dtype, index=len(self.numbers) - 1)

    def parameter(self, name: str, dtype: Dtype, *, component: bool) -> TracedArray:
        """Return a parameter that has a value for each item."""
        self.parameters.append(name)
        node = self.node("parameter", dtype, index=len(self.parameters) - 1)
        return TracedArray(self, (node,), component=component)

    def cast(self, node: Node, dtype: Dtype) -> Node:
        """Return a value converted, if it is of another dtype."""
        if node.dtype == dtype:
            return node
        if node.dtype.kind == "f" and dtype.kind in "iu":
            raise NotCompilable(f"a conversion from {node.dtype} to {dtype} is left to NumPy")
        return self.node("cast", dtype, (node,))


def _sample(value: Any) -> Any:
    return value.sample if isinstance(value, StepScalar) else value


def cast_scalar(value: Any, dtype: Dtype) -> npt.NDArray[Any]:
    """Return numbers as NumPy converts them for a loop."""
    with np.errstate(all="ignore"):
        return np.array(value, dtype)


class TracedArray(NDArrayOperatorsMixin):
    """An array that records what is done to it.

    Parameters
    ----------
    trace : Trace
    nodes : tuple of Node
        One, or one for each component along the last axis.
    component : bool
        Whether there is such a last axis.
    """

    def __init__(self, trace: Trace, nodes: tuple[Node, ...], *, component: bool) -> None:
        self.trace = trace
        self.nodes = nodes
        self.component = component

    @property
    def dtype(self) -> Dtype:
        """The dtype of its values."""
        return self.nodes[0].dtype

    def astype(self, dtype: Any, *, copy: bool = True) -> TracedArray:
        """Return it converted."""
        return self.of([self.trace.cast(node, np.dtype(dtype)) for node in self.nodes])

    def __getitem__(self, key: Any) -> TracedArray:
        if not (self.component and isinstance(key, tuple) and len(key) == 2 and key[0] is Ellipsis):  # noqa: PLR2004
            raise NotCompilable("it takes other parts of its rows than components")
        # A parameter has one value, which goes with all components.
        return TracedArray(self.trace, (self.nodes[key[1]],), component=False)

    def __bool__(self) -> bool:
        raise NotCompilable("it decides by the values of its rows")

    def __pow__(self, exponent: Any) -> TracedArray:
        """Do what NumPy's arrays do: some exponents have loops of their own."""
        own = {2: np.square, 1: np.positive, 0.5: np.sqrt, -1: np.reciprocal}
        if self.dtype.kind == "f" and type(exponent) in (int, float) and exponent in own:
            result: TracedArray = own[exponent](self)
            return result
        if self.dtype.kind in "iu" and type(exponent) is int and exponent == 2:  # noqa: PLR2004
            squared: TracedArray = np.square(self)
            return squared
        power: Any = np.power
        powered: TracedArray = power(self, exponent)
        return powered

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *operands: Any, **options: Any) -> TracedArray:
        """Record a ufunc of NumPy."""
        out = options.pop("out", None)
        name = {"true_divide": "divide", "fabs": "absolute"}.get(ufunc.__name__, ufunc.__name__)
        if method != "__call__" or options or name not in EXACT | INEXACT:
            raise NotCompilable(f"{ufunc.__name__} is left to NumPy")
        types = ufunc.resolve_dtypes((*map(_type, operands), *[None] * ufunc.nout))
        if name.startswith("logical_"):
            types = (np.dtype(bool),) * len(types)
        if name in _OF_FLOATS_ONLY and types[0].kind != "f":
            raise NotCompilable(f"{name} of {types[0]} is left to NumPy")
        if len(set(types[: ufunc.nin])) > 1:  # such as a loop of NumPy's that compares int64 with uint64
            raise NotCompilable(f"{name} of {' and '.join(map(str, types[: ufunc.nin]))} is left to NumPy")
        if types[0].kind == "b" and name not in {*COMPARISONS, "logical_and", "logical_or", "logical_not"}:
            raise NotCompilable(f"{name} of truth values is left to NumPy")
        result = self.apply(name, operands, types[: ufunc.nin], types[-1])
        if out is not None:
            out[0].nodes = tuple(self.trace.cast(node, out[0].dtype) for node in result.nodes)
        return result

    def __array_function__(
        self, function: Callable[..., Any], types: Any, arguments: Any, options: Mapping[str, Any]
    ) -> TracedArray:
        """Record a function of NumPy that is not a ufunc."""
        if function is np.stack and options.get("axis") == -1:
            nodes = [each.nodes[0] for each in arguments[0]]
            return TracedArray(self.trace, tuple(nodes), component=True)
        if function is np.where and len(arguments) == 3 and not options:  # noqa: PLR2004
            dtype = np.where(True, *map(_example, arguments[1:])).dtype
            return self.apply("where", arguments, (np.dtype(bool), dtype, dtype), dtype)
        if function is np.clip and len(arguments) == 3 and not options:  # noqa: PLR2004
            dtype = np.clip(*map(_example, arguments)).dtype
            if dtype.kind == "b":
                raise NotCompilable("clip of truth values is left to NumPy")
            return self.apply("clip", arguments, (dtype,) * 3, dtype)
        if function is np.real:
            return self
        raise NotCompilable(f"{function.__name__} is left to NumPy")

    def apply(self, name: str, operands: Sequence[Any], types: Sequence[Dtype], dtype: Dtype) -> TracedArray:
        """Record an operation; numbers and single values go with every component."""
        arrays = [each for each in operands if isinstance(each, TracedArray)]
        wide = next((each for each in arrays if each.component and len(each.nodes) > 1), arrays[0])
        if any(len(each.nodes) not in (1, len(wide.nodes)) for each in arrays):
            raise NotCompilable("it combines rows of different lengths")
        if any(each.component != wide.component for each in arrays):
            raise NotCompilable("it combines whole rows with components")
        nodes = []
        for position in range(len(wide.nodes)):
            values = []
            for each, its in zip(operands, types, strict=True):
                if isinstance(each, TracedArray):
                    values.append(self.trace.cast(each.nodes[position % len(each.nodes)], its))
                else:
                    values.append(self.trace.number(each, its))
            nodes.append(self.trace.node(name, dtype, tuple(values)))
        return wide.of(nodes)

    def of(self, nodes: Sequence[Node]) -> TracedArray:
        """Return an array like this one, of other nodes."""
        return TracedArray(self.trace, tuple(nodes), component=self.component)


def trace_kernel(function: Callable[..., Any], *operands: Any) -> Any:
    """Call a function; if some of its operands vary from step to step and none is an array, at each step."""
    kinds = {type(each) for each in operands}
    return (
        StepScalar.of(function, operands) if StepScalar in kinds and TracedArray not in kinds else function(*operands)
    )


def _type(operand: Any) -> Any:
    """Return what stands for an operand when NumPy chooses the loop: a dtype, or the type of a Python number."""
    if isinstance(operand, TracedArray):
        return operand.dtype
    number = _sample(operand)
    if type(number) in (int, float):
        return type(number)
    if isinstance(number, bool | np.generic):
        return np.asarray(number).dtype
    raise NotCompilable(f"{type(number).__name__} is left to NumPy")


def _example(operand: Any) -> Any:
    """Return an operand of one item."""
    return np.ones(1, operand.dtype) if isinstance(operand, TracedArray) else _sample(operand)
