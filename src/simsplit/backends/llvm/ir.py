"""Build LLVM assembly line by line."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

BOOL = np.dtype(bool)
ZERO = "zeroinitializer"


def vector_of(element: str, lanes: int) -> str:
    """Return LLVM's type of so many values, or of one."""
    return element if lanes == 1 else f"<{lanes} x {element}>"


def memory(dtype: np.dtype[Any]) -> str:
    """Return LLVM's type of a value in memory."""
    if dtype.kind == "f":
        return {4: "float", 8: "double"}[dtype.itemsize]
    return f"i{8 * dtype.itemsize}"


def type_of(dtype: np.dtype[Any], lanes: int) -> str:
    """Return LLVM's type of one value or a vector of them."""
    return vector_of("i1" if dtype.kind == "b" else memory(dtype), lanes)


class IRBuilder:
    """Instructions as they are written, one behind the other.

    Attributes
    ----------
    lines : list of str
    declarations : set of str
        Of the functions that are called.
    """

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.declarations: set[str] = set()
        self._names = 0

    def line(self, text: str) -> None:
        """Append a line."""
        self.lines.append(text)

    def name(self) -> str:
        """Return a name that is not used yet."""
        self._names += 1
        return f"v{self._names}"

    def value(self, instruction: str) -> str:
        """Append an instruction and return the name of its value."""
        name = f"%{self.name()}"
        self.line(f"{name} = {instruction}")
        return name

    def address(self, start: str, item: str, dtype: np.dtype[Any], values: int) -> str:
        """Return the address of an item of so many values."""
        offset = self.value(f"mul i64 {item}, {values * dtype.itemsize}")
        return self.value(f"getelementptr i8, ptr {start}, i64 {offset}")

    def load(self, dtype: np.dtype[Any], lanes: int, at: str) -> str:
        """Load a value, or a vector of them; a truth value is a bit here and a byte in memory."""
        loaded = self.value(f"load {vector_of(memory(dtype), lanes)}, ptr {at}, align {dtype.itemsize}")
        return loaded if dtype.kind != "b" else self.value(f"icmp ne {vector_of('i8', lanes)} {loaded}, {ZERO}")

    def shuffle(self, element: str, length: int, vector: str, order: list[int], other: str = "poison") -> str:
        """Return chosen elements of one vector, or of two of the same length."""
        mask = ", ".join("i32 poison" if place < 0 else f"i32 {place}" for place in order)
        kind = vector_of(element, length)
        return self.value(f"shufflevector {kind} {vector}, {kind} {other}, <{len(order)} x i32> <{mask}>")

    def splat(self, dtype: np.dtype[Any], lanes: int, value: str) -> str:
        """Return a vector with the same value in all places."""
        if lanes == 1:
            return value
        kind = type_of(dtype, lanes)
        one = self.value(f"insertelement {kind} poison, {type_of(dtype, 1)} {value}, i32 0")
        return self.value(f"shufflevector {kind} {one}, {kind} poison, <{lanes} x i32> zeroinitializer")

    @contextmanager
    def counting(self, variable: str, start: str, stop: str, step: int) -> Iterator[str]:
        """Write a loop; the variable lives in memory, until LLVM puts it into a register."""
        name, at = self.name(), f"%{variable}.at"
        self.line(f"store i64 {start}, ptr {at}\nbr label %{name}.test\n{name}.test:")
        current = self.value(f"load i64, ptr {at}")
        more = self.value(f"icmp ult i64 {current}, {stop}")
        self.line(f"br i1 {more}, label %{name}.body, label %{name}.end\n{name}.body:")
        yield current
        self.line(f"store i64 {self.value(f'add i64 {current}, {step}')}, ptr {at}")
        self.line(f"br label %{name}.test\n{name}.end:")
