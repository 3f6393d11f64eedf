"""A small, closed language: arithmetic of NumPy arrays, and of the cells around a cell, written as text.

The text is parsed with Python's `ast` and translated, node by node, into calls of the functions in the
tables of `vocabulary`; what is in none of them is refused. No text is ever compiled or run.

On arrays an expression gives what the same text gives in NumPy, bit for bit. Python numbers (literals, the
time) stay Python numbers through operators, so that they do not widen a float32 array; but where Python
raises an error or changes from real to complex they give what NumPy's float64 gives: ``1 / 0`` is inf.
"""

from __future__ import annotations

import ast
import threading
import warnings
from functools import partial
from keyword import iskeyword
from math import isinf
from re import compile as compiled
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, NoReturn
from unicodedata import combining, east_asian_width, normalize

import numpy as np

from ...errors import InputError
from ...util.formatting import pluralize
from .vocabulary import CONSTANTS, FUNCTIONS, OPERATIONS, OPERATORS, SHIFT, WHERE, Operator, Shift, chained, joined

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

_LONGEST = 10_000  # characters
_DEEPEST = 100  # brackets, or operators within operators
_LARGEST = 2**53  # an integer literal; every one up to here is a float64 too
_GREATEST_POWER = 1000  # of a constant
_SHOWN = 72  # characters of the text in a message
_FILENAME = "<expression>"  # by which Python's warnings of one are told from those of other threads
_PARSING = threading.Lock()  # Python's filters of warnings are of the whole process

_ALIASES = {"ln": "log", "min": "minimum", "max": "maximum", "pow": "power", "round": "rint", "fabs": "abs"}
_ALIASES |= {name.replace("arc", "a"): name for name in FUNCTIONS if name.startswith("arc")}
_ACCEPTED = "Accepted are numbers, names, + - * / // % **, comparisons, and, or, not, a if c else b, and functions"
_FARTHEST = 64  # cells away
_DRAWS = ("normal", "uniform")
_HINTS = {"^": "A power is written **", "&": "Write `and`", "|": "Write `or`", "~": "Write `not`", "!": "Write `not`"}
_HINTS["="] = "Write == to compare; the arguments of a function have no names"
_FOREIGN: dict[type[ast.AST], str] = {
    ast.GeneratorExp: "a comprehension",
    ast.Starred: "an argument with a star",
    ast.keyword: "an argument with stars",
    ast.Tuple: "a comma outside the brackets of a function",
    ast.List: "a list",
}
_UNREADABLE = compiled(r"[^\w +\-*/%<>=!.,()\[\]]|(?<![<>=!])=(?!=)|!(?!=)")
_OPERATOR = compiled(r"[a-z]+|<<|>>|[^\s)]")


def _call(function: Callable[..., Any], *operands: Any) -> Any:
    return function(*operands)


class _Apply(NamedTuple):
    """The step that replaces the last values by the value of a function; a name and a number are steps, too."""

    function: Callable[..., Any]
    arity: int


class Expression:
    """An expression, checked and ready to be evaluated any number of times.

    Parameters
    ----------
    text : str
        ``+ - * / // % **``, comparisons (chained ones too), ``and``, ``or``, ``not``, ``a if c else b``,
        numbers, ``pi``, ``e``, ``inf``, ``nan``, the variables, and NumPy's functions by their names
        without a prefix; ``x[-1, 0]``, ``laplace(x)`` and the other `OPERATORS` for the cells around a cell;
        ``random``, ``random.normal()``. Logic and conditions are elementwise. White space, line ends too, is free.
    names : collection of str
        The variables that may occur.

    Attributes
    ----------
    text : str
        The text on one line.
    names : frozenset of str
        The variables that do occur; of random numbers ``"random.uniform"`` and ``"random.normal"``.
    reads_neighbours : bool
        Whether the value of a cell depends on other cells.
    calls : int
        How many operations there are.

    Raises
    ------
    InputError
        If the text is anything else, or longer than 10,000 characters, or nested deeper than 100, or has
        an integer beyond 2**53 or a power of constants that is nested or beyond 1000; the message marks
        the column. If a name cannot be a variable.

    Examples
    --------
    >>> Expression("(offset + x * multiplier) * t", ["x", "t", "offset", "multiplier"]).evaluate(
    ...     {"x": np.arange(3.0), "t": 0.5, "offset": 3, "multiplier": 5}
    ... )
    array([1.5, 4. , 6.5])
    """

    def __init__(self, text: str, names: Collection[str]) -> None:
        known = {normalize("NFKC", name): name for name in names}  # the form in which `ast` gives names
        for plain, name in known.items():
            if not plain.isidentifier() or iskeyword(plain) or plain.startswith("__"):
                raise InputError(f"{name!r} cannot be the name of a variable in an expression")
            if plain in FUNCTIONS or plain in CONSTANTS:
                what = "function" if plain in FUNCTIONS else "constant"
                raise InputError(f"{name} cannot be a variable in an expression: it is a {what} there. Rename it")
        self.text = _one_line(text)
        try:
            self._steps = tuple(_Compiler(self.text, known).steps)
        except (MemoryError, RecursionError):  # what Python's parser raises, at a depth of its own
            raise _syntax_error(self.text, 0, "it has too many operators within operators. Shorten it") from None
        self.names = frozenset(step for step in self._steps if isinstance(step, str))
        functions = [step.function for step in self._steps if isinstance(step, _Apply)]
        self.calls = len(functions)
        self.reads_neighbours = any(isinstance(each, Shift | Operator) for each in functions)

    def evaluate(self, values: Mapping[str, Any], call: Callable[..., Any] = _call) -> Any:
        """Compute the expression.

        Parameters
        ----------
        values : mapping of str to array or number
            Every variable that occurs; arrays must have shapes that can be broadcast together.
        call : callable, optional
            What does each operation, given the function and its operands; by default the function is called.

        Returns
        -------
        array or number
            Not to be written to: it may be one of `values`.

        Raises
        ------
        KeyError
            If a variable is missing.
        Exception
            What NumPy raises, of shapes or dtypes that do not fit.
        """
        stack: list[Any] = []  # and no recursion; a temporary array is freed as soon as it is used
        for step in self._steps:
            if isinstance(step, _Apply):
                stack[-step.arity :] = [call(step.function, *stack[-step.arity :])]
            else:
                stack.append(values[step] if isinstance(step, str) else step)
        return stack[0]


def _syntax_error(text: str, column: int, problem: str) -> InputError:
    """Return the error that shows the text, with a caret under the character at `column`."""
    first = max(0, min(column - _SHOWN // 2, len(text) - _SHOWN))
    shown = "".join(each if each.isprintable() else "?" for each in text[first : first + _SHOWN])
    shown = "…" * (first > 0) + shown + "…" * (first + _SHOWN < len(text))
    before = shown[: column - first + (first > 0)]
    width = sum(0 if combining(each) else 1 + (east_asian_width(each) in "FW") for each in before)
    return InputError(f"the expression cannot be used: {problem}\n  {shown}\n  {' ' * width}^")


def _one_line(text: str) -> str:
    """Return the text on one line, if it may be given to Python's parser."""
    line = compiled(r"\s").sub(" ", text[: _LONGEST + 1])
    if len(line) > _LONGEST:
        raise _syntax_error(line, _LONGEST, f"it has {len(text):,} characters, and {_LONGEST:,} is the limit")
    line = normalize("NFC", line).strip()  # a letter and its accent are one character
    if not line:
        raise _syntax_error(line, 0, f"it is empty. {_ACCEPTED}")
    if found := _UNREADABLE.search(line):
        sign = found[0] if found[0].isprintable() else f"U+{ord(found[0]):04X}"
        raise _syntax_error(line, found.start(), f"`{sign}` is not accepted. {_HINTS.get(sign, _ACCEPTED)}")
    opened: list[int] = []
    for bracket in compiled(r"[()\[\]]").finditer(line):
        if bracket[0] in "([":
            opened.append(bracket.start())
        elif not opened:
            raise _syntax_error(line, bracket.start(), "this bracket closes nothing")
        else:
            opened.pop()
        if len(opened) > _DEEPEST:
            raise _syntax_error(line, opened[-1], f"it is nested deeper than {_DEEPEST}")
    if opened:
        raise _syntax_error(line, opened[-1], "this bracket is never closed")
    return line


def _nearest(name: str, candidates: Collection[str]) -> str:
    """Return a sentence with the candidate that a misspelt name may stand for, or nothing."""
    import difflib

    found = [_ALIASES[name]] if _ALIASES.get(name) in candidates else difflib.get_close_matches(name, candidates, 1)
    return f" Did you mean `{found[0]}`?" if found else ""


class _Compiler:
    """The syntax tree of a line as `steps` that work on a stack; what is constant is computed at once."""

    def __init__(self, line: str, known: Mapping[str, str]) -> None:
        self.line, self.known = line, known
        self.steps: list[Any] = []
        self.depth = self.powers = 0
        try:
            with _PARSING, warnings.catch_warnings():
                warnings.filterwarnings("error", module=_FILENAME)  # Python only warns of 1if x else 2
                tree = ast.parse(line, _FILENAME, mode="eval")
        except SyntaxError as error:
            column = min(max((error.offset or 1) - 1, 0), len(line))
            raise _syntax_error(line, column, f"{error.msg}. {_ACCEPTED}") from None
        self.add(tree.body)

    def refusal(self, place: ast.AST | int, problem: str) -> InputError:
        return _syntax_error(self.line, place if isinstance(place, int) else self.column(place), problem)

    def column(self, node: Any, *, end: bool = False) -> int:
        """Return where a node begins or ends, in characters: `ast` counts the bytes of UTF-8."""
        return len(self.line.encode()[: node.end_col_offset if end else node.col_offset].decode())

    def operator_after(self, left: ast.AST) -> tuple[int, str]:
        """Return where the operator after its left operand stands, and the operator."""
        found = _OPERATOR.search(self.line, self.column(left, end=True))
        return (found.start(), found[0]) if found else (0, self.line)

    def add(self, node: ast.AST) -> None:
        """Append the steps that leave the value of `node` on the stack."""
        self.depth += 1
        if self.depth > _DEEPEST:
            raise self.refusal(node, f"it is nested deeper than {_DEEPEST}")
        match node:
            case ast.Constant():
                self.number(node)
            case ast.Name():
                self.name(node)
            case ast.UnaryOp():
                self.apply(node, OPERATIONS[type(node.op)], node.operand)
            case ast.BoolOp():
                self.apply(node, partial(joined, OPERATIONS[type(node.op)]), *node.values)
            case ast.IfExp():
                self.apply(node, WHERE, node.test, node.body, node.orelse)
            case ast.BinOp() | ast.Compare() | ast.Call() | ast.Subscript():
                self.compound[type(node)](self, node)
            case _:
                self.reject(node)
        self.depth -= 1

    def apply(self, node: ast.AST, function: Callable[..., Any], *operands: ast.AST, arity: int = 0) -> None:
        """Append the operands and the function of them and of what stands before, `arity` in all."""
        for operand in operands:
            self.add(operand)
        arity = arity or len(operands)
        if any(isinstance(step, str | _Apply) for step in self.steps[-arity:]):
            self.steps.append(_Apply(function, arity))
            return
        try:
            with np.errstate(all="ignore"):
                self.steps[-arity:] = [function(*self.steps[-arity:])]
        except (ArithmeticError, TypeError, ValueError) as error:
            raise self.refusal(node, f"NumPy cannot compute this ({error})") from None

    def number(self, node: ast.Constant) -> None:
        value: Any = node.value
        if type(value) not in (int, float, complex):
            raise self.refusal(node, f"`{value!r}` is not accepted. {_ACCEPTED}")
        if isinstance(value, int) and value > _LARGEST:
            raise self.refusal(node, "this integer is beyond 2**53. Write it with a decimal point or an exponent")
        if isinf(abs(value)):
            raise self.refusal(node, "this number is too large for a float64. Write inf if that is meant")
        self.steps.append(value)

    def shift(self, node: ast.Subscript) -> None:
        """Append a shift: whole numbers in brackets behind a value."""
        parts = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
        offsets = []
        for part in parts:
            signed = isinstance(part, ast.UnaryOp) and isinstance(part.op, ast.USub | ast.UAdd)
            number = part.operand if isinstance(part, ast.UnaryOp) and signed else part
            if not isinstance(number, ast.Constant) or type(number.value) is not int:
                raise self.refusal(part, f"this is no whole number. {SHIFT}")
            if number.value > _FARTHEST:
                raise self.refusal(part, f"a neighbour lies {_FARTHEST} cells away at most")
            minus = isinstance(part, ast.UnaryOp) and isinstance(part.op, ast.USub)
            offsets.append(-number.value if minus else number.value)
        if not offsets:
            raise self.refusal(node, f"nothing stands in the brackets. {SHIFT}")
        self.add(node.value)
        if not any(isinstance(step, str | _Apply) for step in self.steps[-1:]):
            raise self.refusal(node, "a number has no neighbours. Write x[-1], or another name")
        self.steps.append(_Apply(Shift(tuple(offsets)), 1))

    def name(self, node: ast.Name) -> None:
        if node.id == "random" and "random" in self.known:
            self.steps.append("random.uniform")
            return
        if node.id in FUNCTIONS or (node.id in OPERATORS and node.id not in self.known):
            raise self.refusal(node, f"`{node.id}` is a function. Write `{node.id}(...)`")
        if node.id not in self.known and node.id not in CONSTANTS:
            hint = _nearest(node.id, [*self.known, *CONSTANTS])
            known = ", ".join(sorted(self.known.values())) or "no names"
            raise self.refusal(node, f"the name `{node.id}` is not known.{hint} Known here: {known}")
        self.steps.append(self.known[node.id] if node.id in self.known else CONSTANTS[node.id])

    def binary(self, node: ast.BinOp) -> None:
        spine = [node]  # a + b + c + ..., which is no nesting to the eye, but is in the tree
        while isinstance(spine[-1].left, ast.BinOp):
            spine.append(spine[-1].left)
        powers = self.powers
        self.add(spine[-1].left)
        for each in reversed(spine):
            self.add(each.right)
            column, sign = self.operator_after(each.left)
            if type(each.op) not in OPERATIONS:
                raise self.refusal(column, f"`{sign}` is not accepted. {_ACCEPTED}")
            if isinstance(each.op, ast.Pow):
                self.check_power(column, powers)
            self.apply(each, OPERATIONS[type(each.op)], arity=2)

    def check_power(self, column: int, powers: int) -> None:
        """Refuse the power of the last two values if it is constant and huge; `powers` came before them."""
        nested, self.powers = self.powers > powers, self.powers + 1
        if any(isinstance(step, str | _Apply) for step in self.steps[-2:]):
            return
        if nested:
            raise self.refusal(column, "a power of constants within another is not accepted. Write its value")
        if not abs(self.steps[-1]) <= _GREATEST_POWER:
            raise self.refusal(column, f"an exponent of a constant lies from -{_GREATEST_POWER} to {_GREATEST_POWER}")

    def comparison(self, node: ast.Compare) -> None:
        operands = [node.left, *node.comparators]
        for left, kind in zip(operands, node.ops, strict=False):
            if type(kind) not in OPERATIONS:
                column, sign = self.operator_after(left)
                raise self.refusal(column, f"`{sign}` is not accepted. {_ACCEPTED}")
        self.apply(node, partial(chained, [OPERATIONS[type(kind)] for kind in node.ops]), *operands)

    def call(self, node: ast.Call) -> None:
        name = node.func.id if isinstance(node.func, ast.Name) else ""
        if isinstance(node.func, ast.Attribute):
            self.draw(node, node.func)
            return
        if not name or name in self.known or name in CONSTANTS:
            raise self.refusal(node.func, "this is not a function. Write * to multiply")
        if name in OPERATORS:
            self.apply(node, Operator(name), *node.args, arity=OPERATORS[name])
            if len(node.args) != OPERATORS[name] or node.keywords:
                wanted = pluralize(OPERATORS[name], "argument")
                raise self.refusal(node, f"`{name}` takes {wanted}, not {len(node.args) + len(node.keywords)}")
            return
        if name not in FUNCTIONS:
            hint, known = _nearest(name, {*FUNCTIONS, *OPERATORS}), ", ".join(sorted({*FUNCTIONS, *OPERATORS}))
            raise self.refusal(node, f"the function `{name}` is not known.{hint} Known here: {known}")
        powers = self.powers
        for argument in (*node.args, *node.keywords):
            self.add(argument)
        function, arity = FUNCTIONS[name]
        if len(node.args) != arity:
            raise self.refusal(node, f"`{name}` takes {pluralize(arity, 'argument')}, not {len(node.args)}")
        if name == "power":
            self.check_power(self.column(node), powers)
        self.apply(node, function, arity=arity)

    def draw(self, node: ast.Call, function: ast.Attribute) -> None:
        """Append ``random.normal()`` or ``random.uniform()``."""
        if not isinstance(function.value, ast.Name) or function.value.id != "random" or "random" not in self.known:
            self.reject(function)
        if function.attr not in _DRAWS or node.args or node.keywords:
            raise self.refusal(node, "random numbers are drawn by random.normal() and random.uniform(), without more")
        self.steps.append(f"random.{function.attr}")

    compound: ClassVar[dict[type[ast.AST], Callable[..., None]]] = {
        ast.BinOp: binary,
        ast.Compare: comparison,
        ast.Call: call,
        ast.Subscript: shift,
    }

    def reject(self, node: ast.AST) -> NoReturn:
        if not isinstance(node, ast.Attribute):
            raise self.refusal(node, f"{_FOREIGN.get(type(node), 'this')} is not accepted. {_ACCEPTED}")
        hint = f"Write `{node.attr}` without a prefix" if node.attr in {*FUNCTIONS, *CONSTANTS} else _ACCEPTED
        column, _ = self.operator_after(node.value)
        raise self.refusal(column, f"the attribute `.{node.attr}` is not accepted. {hint}")
