"""Lower NumPy operations to LLVM instructions, one value at a time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ...kernels.tracing import COMPARISONS, INEXACT, NotCompilable, StepScalar, cast_scalar
from .ir import BOOL, ZERO, memory, type_of

if TYPE_CHECKING:
    from ...kernels.tracing import Node
    from .ir import IRBuilder
    from .loop_spec import LoopSpec

    Dtype = np.dtype[Any]

_PREDICATES = dict(zip(COMPARISONS, ("eq", "ne", "lt", "le", "gt", "ge"), strict=True))
_ARITHMETIC = {"add": "add", "subtract": "sub", "multiply": "mul", "divide": "div"}
_LOGIC = {"logical_and": "and", "logical_or": "or"}
_INTRINSICS = {  # of floats
    "absolute": "fabs",
    "sqrt": "sqrt",
    "floor": "floor",
    "ceil": "ceil",
    "trunc": "trunc",
    "rint": "nearbyint",
}
_FLOAT32 = np.dtype(np.float32)


@dataclass(frozen=True, slots=True)
class LaneContext:
    """Some items of one step of a block, as the code knows them: the names of values and addresses.

    Attributes
    ----------
    lanes : int
        How many there are: those of a vector, or one.
    source : str
        The address of the block's first value of `x`.
    numbers : list of str
        The numbers of the step.
    row, base, item : str
        In a nested loop the row; the block's first item; how many of the block come before these.
    """

    lanes: int
    source: str
    numbers: list[str]
    row: str
    base: str
    item: str


class NodeLowering:
    """The values of the graph for some items, each written once.

    Parameters
    ----------
    text : IRBuilder
        Where the instructions go.
    loop : LoopSpec
    items : LaneContext

    Attributes
    ----------
    doubts : list of str
        Truth values for the items: whether NumPy may give zero another sign. It depends on its version and its loop.
    """

    def __init__(self, text: IRBuilder, loop: LoopSpec, items: LaneContext) -> None:
        self._text = text
        self._loop = loop
        self._items = items
        self._lanes = items.lanes
        self.doubts: list[str] = []
        self._known: dict[int, str] = {}
        self._interleaved = ""

    def of(self, node: Node) -> str:
        """Return the value of a node."""
        todo = [node]
        while todo:  # and no recursion: a sum may be long
            missing = [each for each in todo[-1].operands if id(each) not in self._known]
            if missing:
                todo.extend(missing)
                continue
            done = todo.pop()
            if id(done) not in self._known:
                self._known[id(done)] = self._write(done)
        return self._known[id(node)]

    def _write(self, node: Node) -> str:
        """Write a node whose operands are there."""
        sources = {"number": self._number, "x": self._x, "parameter": self._parameter, "row": self._row}
        if node.operation in sources:
            return sources[node.operation](node)
        operands = [self._known[id(each)] for each in node.operands]
        dtype = node.operands[0].dtype
        if node.operation == "cast":
            return self._cast(dtype, node.dtype, operands[0])
        if node.operation == "where":
            return self._select(node.dtype, *operands)
        if node.operation == "clip" and dtype.kind == "f":
            return self._clip(dtype, operands[0], node.operands[1:])
        if node.operation in _PREDICATES:
            return self._compare(node.operation, dtype, *operands)
        by_kind = {"b": self._of_truth_values, "f": self._of_floats}
        found = by_kind.get(dtype.kind, self._of_integers)(node.operation, dtype, operands)
        if found is None:
            raise NotCompilable(f"{node.operation} of {dtype} is left to NumPy")
        return found

    # Where values come from

    def _number(self, node: Node) -> str:
        return self._text.splat(node.dtype, self._lanes, self._items.numbers[node.index])

    def _x(self, node: Node) -> str:
        text, count, dtype = self._text, self._loop.components, node.dtype
        at = text.address(self._items.source, self._items.item, dtype, count)
        if self._lanes == 1 or count == 1:
            place = text.value(f"getelementptr {memory(dtype)}, ptr {at}, i64 {node.index}")
            return text.load(dtype, self._lanes, place)
        length = self._lanes * count
        self._interleaved = self._interleaved or text.load(dtype, length, at)
        return text.shuffle(memory(dtype), length, self._interleaved, list(range(node.index, length, count)))

    def _parameter(self, node: Node) -> str:
        text = self._text
        array = text.value(f"load ptr, ptr {text.value(f'getelementptr ptr, ptr %arrays, i64 {node.index}')}")
        if self._loop.by_row[node.index]:
            one = text.load(node.dtype, 1, text.address(array, self._items.row, node.dtype, 1))
            return text.splat(node.dtype, self._lanes, one)
        item = text.value(f"add i64 {self._items.base}, {self._items.item}")
        return text.load(node.dtype, self._lanes, text.address(array, item, node.dtype, 1))

    def _row(self, node: Node) -> str:
        text = self._text
        if self._loop.nested:
            return text.splat(node.dtype, self._lanes, text.value(f"add i64 %first, {self._items.row}"))
        item = text.value(f"add i64 {self._items.base}, {self._items.item}")
        first = text.splat(node.dtype, self._lanes, text.value(f"add i64 %first, {item}"))
        if self._lanes == 1:
            return first
        counted = ", ".join(f"i64 {number}" for number in range(self._lanes))
        return text.value(f"add <{self._lanes} x i64> {first}, <{counted}>")

    # What is done to values of any kind

    def _cast(self, old: Dtype, new: Dtype, value: str) -> str:
        if type_of(old, 1) == type_of(new, 1):
            return value  # signed and unsigned integers are the same bits
        if new.kind == "b":
            return self._compare("not_equal", old, value, ZERO)
        if old.kind == "f":
            how = "fpext" if new.itemsize > old.itemsize else "fptrunc"
        elif new.kind == "f":
            how = "sitofp" if old.kind == "i" else "uitofp"
        elif new.itemsize < old.itemsize:
            how = "trunc"
        else:
            how = "sext" if old.kind == "i" else "zext"
        return self._text.value(f"{how} {self._type(old)} {value} to {self._type(new)}")

    def _compare(self, name: str, dtype: Dtype, one: str, other: str) -> str:
        word = _PREDICATES[name]
        if dtype.kind == "f":
            how = "fcmp une" if word == "ne" else f"fcmp o{word}"
        else:
            how = f"icmp {word}" if word in ("eq", "ne") else f"icmp {'s' if dtype.kind == 'i' else 'u'}{word}"
        return self._text.value(f"{how} {self._type(dtype)} {one}, {other}")

    def _select(self, dtype: Dtype, condition: str, one: str, other: str) -> str:
        kind = self._type(dtype)
        return self._text.value(f"select {self._type(BOOL)} {condition}, {kind} {one}, {kind} {other}")

    # What is done to values of one kind; None if it is not known

    def _of_truth_values(self, name: str, dtype: Dtype, operands: list[str]) -> str | None:
        if name in _LOGIC:
            return self._binary(_LOGIC[name], dtype, *operands)
        return self._compare("equal", dtype, operands[0], ZERO) if name == "logical_not" else None

    def _of_floats(self, name: str, dtype: Dtype, operands: list[str]) -> str | None:
        if name in _ARITHMETIC:
            return self._binary(f"f{_ARITHMETIC[name]}", dtype, *operands)
        if name in _INTRINSICS:
            return self._call(f"llvm.{_INTRINSICS[name]}", dtype, operands)
        if name in INEXACT:
            return self._call_library(name, dtype, operands)
        return self._of_one_float(name, dtype, operands)

    def _of_one_float(self, name: str, dtype: Dtype, operands: list[str]) -> str | None:
        first = operands[0]
        match name:
            case "isnan" | "isinf" | "isfinite":
                written = self._classify(name, dtype, operands)
            case "positive" | "conjugate":
                written = first
            case "negative":
                written = self._text.value(f"fneg {self._type(dtype)} {first}")
            case "square":
                written = self._binary("fmul", dtype, first, first)
            case "reciprocal":
                written = self._binary("fdiv", dtype, self._constant(dtype, 1), first)
            case "sign":
                rest = self._choose("oeq", dtype, (first, ZERO), ZERO, first)  # either zero gives 0.0
                below = self._choose("olt", dtype, (first, ZERO), self._constant(dtype, -1), rest)
                written = self._choose("ogt", dtype, (first, ZERO), self._constant(dtype, 1), below)
            case "minimum" | "maximum":
                written = self._extreme(name, dtype, first, operands[1])
            case _:
                return None
        return written

    def _extreme(self, name: str, dtype: Dtype, one: str, other: str) -> str:
        """Of equal values, such as 0.0 and -0.0, give the second, and NaN if either is NaN."""
        chosen = self._choose("olt" if name == "minimum" else "ogt", dtype, (one, other), one, other)
        return self._choose("uno", dtype, (one, ZERO), one, chosen)

    def _clip(self, dtype: Dtype, value: str, bounds: tuple[Node, ...]) -> str:
        """Give NaN if any operand is NaN, as NumPy does; which of two zeros NumPy gives is left to NumPy."""
        for name, node in zip(("maximum", "minimum"), bounds, strict=True):
            bound = self._known[id(node)]
            if not self._is_no_zero(node):
                equal = self._text.value(f"fcmp oeq {self._type(dtype)} {value}, {bound}")
                bits = np.dtype(f"u{dtype.itemsize}")
                one, other = (
                    self._text.value(f"bitcast {self._type(dtype)} {each} to {self._type(bits)}")
                    for each in (value, bound)
                )
                differ = self._compare("not_equal", bits, one, other)
                self.doubts.append(self._binary("and", BOOL, equal, differ))
            value = self._extreme(name, dtype, value, bound)
        return value

    def _is_no_zero(self, node: Node) -> bool:
        """Return whether it is the same number at all steps, and not zero."""
        number = self._loop.trace.numbers[node.index][0] if node.operation == "number" else 0
        return not isinstance(number, StepScalar) and bool(cast_scalar(number, node.dtype))

    def _classify(self, name: str, dtype: Dtype, operands: list[str]) -> str:
        kind = self._type(dtype)
        if name == "isnan":
            return self._text.value(f"fcmp uno {kind} {operands[0]}, {ZERO}")
        size, infinity = self._call("llvm.fabs", dtype, operands), self._constant(dtype, np.inf)
        return self._text.value(f"fcmp {'oeq' if name == 'isinf' else 'one'} {kind} {size}, {infinity}")

    def _of_integers(self, name: str, dtype: Dtype, operands: list[str]) -> str | None:
        first, sign = operands[0], "s" if dtype.kind == "i" else "u"
        match name:
            case "add" | "subtract" | "multiply":
                written = self._binary(_ARITHMETIC[name], dtype, *operands)
            case "positive" | "conjugate":
                written = first
            case "negative":
                written = self._binary("sub", dtype, ZERO, first)
            case "square":
                written = self._binary("mul", dtype, first, first)
            case "absolute":
                written = first if sign == "u" else self._call("llvm.abs", dtype, operands, ", i1 false")
            case "minimum" | "maximum":
                written = self._call(f"llvm.{sign}{name[:3]}", dtype, operands)
            case "clip":
                raised = self._call(f"llvm.{sign}max", dtype, operands[:2])
                written = self._call(f"llvm.{sign}min", dtype, [raised, operands[2]])
            case _:
                return None
        return written

    # The parts of an instruction

    def _type(self, dtype: Dtype) -> str:
        return type_of(dtype, self._lanes)

    def _binary(self, name: str, dtype: Dtype, one: str, other: str) -> str:
        return self._text.value(f"{name} {self._type(dtype)} {one}, {other}")

    def _choose(self, predicate: str, dtype: Dtype, pair: tuple[str, str], one: str, other: str) -> str:
        """Return `one` where the pair compares so, else `other`."""
        return self._select(
            dtype, self._text.value(f"fcmp {predicate} {self._type(dtype)} {pair[0]}, {pair[1]}"), one, other
        )

    def _call(self, name: str, dtype: Dtype, operands: list[str], more: str = "") -> str:
        """Call an intrinsic function of LLVM on whole vectors."""
        kind = self._type(dtype)
        scalar = f"{'f' if dtype.kind == 'f' else 'i'}{8 * dtype.itemsize}"
        full = f"@{name}.{scalar if self._lanes == 1 else f'v{self._lanes}{scalar}'}"
        types = ", ".join([kind] * len(operands)) + (", i1" if more else "")
        self._text.declarations.add(f"declare {kind} {full}({types})")
        return self._text.value(f"call {kind} {full}({', '.join(f'{kind} {each}' for each in operands)}{more})")

    def _call_library(self, name: str, dtype: Dtype, operands: list[str]) -> str:
        """Call a function of the C library, item by item."""
        kind, text = type_of(dtype, 1), self._text
        name = name.replace("arc", "a").replace("power", "pow") + ("f" if dtype == _FLOAT32 else "")
        text.declarations.add(f"declare {kind} @{name}({', '.join([kind] * len(operands))})")
        if self._lanes == 1:
            return text.value(f"call {kind} @{name}({', '.join(f'{kind} {each}' for each in operands)})")
        result = "poison"
        for lane in range(self._lanes):
            single = [text.value(f"extractelement {self._type(dtype)} {each}, i32 {lane}") for each in operands]
            one = text.value(f"call {kind} @{name}({', '.join(f'{kind} {each}' for each in single)})")
            result = text.value(f"insertelement {self._type(dtype)} {result}, {kind} {one}, i32 {lane}")
        return result

    def _constant(self, dtype: Dtype, value: float) -> str:
        """Return a number in all places; LLVM writes those of float32 as the float64 of the same value."""
        text = f"0x{int(np.float64(value).view(np.uint64)):016X}"
        return text if self._lanes == 1 else f"<{', '.join([f'{type_of(dtype, 1)} {text}'] * self._lanes)}>"
