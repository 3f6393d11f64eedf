"""Random kernels, computed in several ways and compared bit for bit: ``python -m tests.fuzz --minutes 10``.

A case is a random tree of operations, as an expression, as a function, or as a kernel of a class that can be compiled;
with random arrays of every dtype, full of zeros of both signs, infinities, NaN and extremes; with parameters that are
numbers, or go by row or by value. NumPy computes it on the whole array. The engine computes it with NumPy and with
compiled code, on one to four ranks, in blocks of any size, and must give the same bits. Two things are not compared:
which NaN it is, since NumPy itself gives another NaN in another run of rows; and what a function of the C library
gives, whose last bit may differ. A case that fails is told with its seed, and ``--seed`` computes it again.
"""

from __future__ import annotations

import argparse
import operator
import os
import random
import re
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from simsplit import Problem
from simsplit.backends.llvm import CompiledKernel, NotCompilable, assembly, inexact, passes_self_test
from simsplit.backends.llvm import object_code as machine_code
from simsplit.communicator.serial import SerialCommunicator
from simsplit.errors import SimsplitError
from simsplit.kernels import Kernel, expression, function
from simsplit.kernels.tracing import trace_kernel
from tests.support.arrays import random_array
from tests.support.blocks import history_of, whole_block
from tests.support.compiling import loop_of
from tests.support.runs import execute
from tests.support.threads import on_ranks

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt

    Array = npt.NDArray[Any]
    Tree = Any  # a name, a number, or a tuple of an operation and its operands

INTEGERS = ["int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"]
DTYPES = ["float64"] * 8 + ["float32"] * 6 + ["float16", "complex64", "complex128", "bool", *INTEGERS]
SHAPES = [(1,), (2,), (3,), (7,), (64,), (129,), (1, 2), (2, 2), (2, 5), (5, 3), (40, 7), (3, 2, 9), (2, 1), (33, 1)]
LARGE = [(2048,), (4100,), (5000,), (70, 60), (3, 1500)]  # several blocks of compiled code
KEEP = ["all", "all", "every:2", "last"]
FEW = [0.0, -0.0, 0.0, -0.0, 1.0, -1.0, 0.5, 2.0, 3.0]  # and no NaN: a block that has one is left to NumPy
MORE = [*FEW, np.inf, -np.inf]
NUMBERS = [0, 1, 2, 3, -1, 7, 100, 300, 0.0, -0.0, 0.5, 1.0, -1.5, 2.0, 0.1, 1e300, -1e-310]


def _cast(x: Any, name: str) -> Any:
    """Convert what is real."""
    if not hasattr(x, "astype"):
        return np.dtype(name).type(x)
    return x if x.dtype.kind == "c" else x.astype(name)


SIGNS = "+ - * / // % ** == != < <= > >="
WORDS = "add sub mul truediv floordiv mod pow eq ne lt le gt ge"
# How an operation is written in an expression (None: only a function has it) and what it is. Some are drawn more often.
OPERATIONS: dict[str, tuple[str | None, Callable[..., Any], int]] = {
    **{
        sign: (f"({{}} {sign} {{}})", getattr(operator, name), 2)
        for sign, name in zip(SIGNS.split(), WORDS.split(), strict=True)
    },
    "-x": ("(-{})", operator.neg, 1),
    "and": ("({} and {})", np.logical_and, 2),
    "or": ("({} or {})", np.logical_or, 2),
    "not": ("(not {})", np.logical_not, 1),
    "if": ("({1} if {0} else {2})", np.where, 3),
    **{
        name: (f"{name}({', '.join(['{}'] * arity)})", getattr(np, name), arity)
        for arity, names in (
            (1, "abs sqrt floor ceil trunc rint sign square conj real isnan isfinite isinf exp log sin tanh cbrt"),
            (2, "minimum maximum arctan2 hypot fmod power"),
            (3, "where"),
        )
        for name in names.split()
    },
    "clip": ("clip({}, {}, {})", np.clip, 3),
    **{name: (None, getattr(np, name), 1) for name in ["fabs", "reciprocal", "positive", "spacing"]},
    **{name: (None, getattr(np, name), 2) for name in ["heaviside", "nextafter", "logical_xor"]},
    **{name: (None, lambda x, name=name: _cast(x, name), 1) for name in ("float32", "float64")},
}
OFTEN = [*"+-*//<>", *["clip"] * 3, "minimum", "maximum", "where", "if", "sign", "abs", "isnan", "sqrt", "square", "-x"]


@dataclass
class Case:
    """What is computed, and how."""

    problem: Problem
    words: str
    ranks: int
    block: int | None


class Maker:
    """Makes cases from random numbers."""

    def __init__(self, pick: random.Random) -> None:
        self.pick = pick

    def case(self) -> Case:
        """Return the next."""
        pick = self.pick
        shape = pick.choice(LARGE if pick.random() < 0.15 else SHAPES)
        steps = pick.choice([1, 2, 3, 5])
        if np.prod(shape) < 20 and pick.random() < 0.1:
            steps = 300  # k leaves the range of int8 and uint8
        dtype, kind = pick.choice(DTYPES), pick.choice(["map", "map", "step"])
        form = pick.choice(["expression", "expression", "function", "class"])
        tree = self.tree(pick.choice([1, 2, 2, 3, 4]), form)
        if not _has(tree, "x"):
            tree = (pick.choice(["+", "*", "minimum", "-"]), tree, "x")
        values = {name: self.parameter(shape) for name in ("p", "q") if _has(tree, name)}
        kernel: Kernel
        if form == "expression":
            kernel = expression(text(tree), kind=kind, **values)  # type: ignore[arg-type]
        elif form == "function":
            kernel = function(_plain_function(tree), kind=kind, name="plain", **values)  # type: ignore[arg-type]
        else:
            kernel = Traceable(tree, kind, values)
        row_nbytes = 8 * int(np.prod(shape[1:]))
        delta_t, start = pick.choice([(0.25, 0.0), (1.0, 0.0), (-0.5, 1.0), (0.1, -0.2)])
        problem = Problem(
            self.array(dtype, shape),
            kernel,
            delta_t=delta_t,
            steps=steps,
            start_time=start,
            keep=pick.choice(KEEP),
            reduce=pick.choice([(), (), ("min", "max"), ("mean", "std", "sum")]),
        )
        shown = ", ".join(f"{name}={_shown(value)}" for name, value in values.items())
        words = f"{form} {text(tree)} as {kind} of {dtype} {shape}, {shown}, {steps} steps by {delta_t} from {start}"
        rows = sorted({1, 2, 3, 7, 50, shape[0] // 2, shape[0], 10 * shape[0]})
        block = pick.choice([None, *(each * row_nbytes for each in rows if 50 * each > shape[0])])
        return Case(problem, words, pick.choice([1, 1, 2, 3, 4]), block)

    def tree(self, depth: int, form: str) -> Tree:
        """Return a tree of at most this depth."""
        pick = self.pick
        if depth == 0 or pick.random() < 0.1:
            leaf = pick.choice(["x"] * 7 + ["p"] * 5 + ["q"] * 4 + ["t", "k", "row", "delta_t", "number", "number"])
            return pick.choice(NUMBERS) if leaf == "number" else leaf
        name = pick.choice(OFTEN) if pick.random() < 0.6 else pick.choice(list(OPERATIONS))
        if OPERATIONS[name][0] is None and form == "expression":
            return self.tree(depth, form)
        operands = [self.tree(depth - 1, form) for _ in range(OPERATIONS[name][2])]
        if (
            name == "clip" and form != "expression"
        ):  # NumPy's own clip depends on the number of rows if bounds go by row
            operands[1:] = [pick.choice(NUMBERS), pick.choice(NUMBERS)]
        if name in ("**", "power") and form != "expression":  # the same, of the exponent
            operands[1] = pick.choice(NUMBERS)
        return (name, *operands)

    def parameter(self, shape: tuple[int, ...]) -> Any:
        """Return a number, or values by row or by value."""
        kind = self.pick.choice(["number", "row", "value"])
        if kind == "number":
            return self.pick.choice(NUMBERS)
        return self.array(self.pick.choice(DTYPES), shape[:1] if kind == "row" else shape)

    def array(self, dtype: str, shape: tuple[int, ...]) -> Array:
        """Return values, all kinds of them or a few that are easily confused."""
        size, seed = int(np.prod(shape)), self.pick.randrange(2**32)
        if self.pick.random() < 0.3:
            return random_array(dtype, size, seed).reshape(shape)
        rng = np.random.default_rng(seed)
        few = self.pick.choice([FEW, FEW, FEW, MORE, [*MORE, np.nan]])
        if np.dtype(dtype).kind == "c":
            result = np.empty(shape, dtype)
            result.real, result.imag = rng.choice(few, shape), rng.choice(few, shape)
            return result
        if np.dtype(dtype).kind == "f":
            return rng.choice(np.array(few, dtype), shape)
        return rng.integers(0, 4, shape).astype(dtype)


class Traceable(Kernel):
    """A kernel of one's own that can be compiled."""

    def __init__(self, tree: Tree, kind: Any, parameters: dict[str, Any]) -> None:
        super().__init__(**parameters)
        self.tree, self.kind = tree, kind

    def evaluate(self, x: Array, block: Any, out: Array) -> None:
        out[...] = self.value(x, block, block.row.reshape(-1, *[1] * (x.ndim - 1)))

    def trace(self, x: Any, block: Any, dtype: Any) -> Any:
        return self.value(x, block, block.row)

    def value(self, x: Any, block: Any, row: Any) -> Any:
        names = {"x": x, "t": block.t, "k": block.k, "delta_t": block.delta_t, "row": row, **block.parameters}
        return compute(self.tree, names)

    def result_dtype(self, x: Array, block: Any) -> Any:
        dtype = np.asarray(self.value(x, block, block.row.reshape(-1, *[1] * (x.ndim - 1)))).dtype
        return dtype if self.kind == "map" else np.result_type(x, dtype)


def _plain_function(tree: Tree) -> Any:
    """Return a function that asks for all there is."""

    def plain(x: Array, t: float, k: int, row: Array, delta_t: float, **parameters: Any) -> Array:
        names = {"t": t, "k": k, "delta_t": delta_t, "row": row.reshape(-1, *[1] * (x.ndim - 1)), **parameters}
        return np.broadcast_to(compute(tree, {"x": x, **names}), x.shape)

    return plain


def compute(tree: Tree, values: dict[str, Any]) -> Any:
    """Compute a tree."""
    if isinstance(tree, tuple):
        return trace_kernel(OPERATIONS[tree[0]][1], *(compute(each, values) for each in tree[1:]))
    return values[tree] if isinstance(tree, str) else tree


def text(tree: Tree) -> str:
    """Write a tree down."""
    if isinstance(tree, tuple):
        how, _, arity = OPERATIONS[tree[0]]
        how = how or f"{tree[0]}({', '.join(['{}'] * arity)})"
        return how.format(*map(text, tree[1:]))
    return tree if isinstance(tree, str) else f"({tree!r})"


def _has(tree: Tree, name: str) -> bool:
    return any(_has(each, name) for each in tree[1:]) if isinstance(tree, tuple) else tree == name


def _shown(value: Any) -> str:
    return f"{value.dtype} {value.shape}" if isinstance(value, np.ndarray) else repr(value)


def same(expected: Any, found: Any) -> bool:
    """Return whether two arrays have the same bits, but for those of NaN."""
    if found is None or expected.dtype != found.dtype or expected.shape != found.shape:
        return False
    if expected.dtype.kind == "c":
        return same(expected.real, found.real) and same(expected.imag, found.imag)
    nan = np.isnan(expected)
    return bool((np.isnan(found) == nan).all()) and expected[~nan].tobytes() == found[~nan].tobytes()


def ran(case: Case, problem: Problem, ranks: int, **how: Any) -> Any:
    """Return root's result of a run, or the error that all ranks raised."""
    given = {"block_size": case.block, **how}
    if ranks == 1:
        return _result(problem, SerialCommunicator(), given)
    results = on_ranks(ranks, lambda rank: _result(problem, rank, given))
    kinds = {type(each) for each in results}
    assert len(kinds) == 1, f"the ranks ended in different ways: {results}"
    return results[0]


def _result(problem: Problem, rank: Any, how: dict[str, Any]) -> Any:
    try:
        return execute(problem, rank, **how)
    except SimsplitError as error:
        return error


def changed(problem: Problem, **changes: Any) -> Problem:
    """Return a problem with other settings."""
    names = ("initial", "kernel", "delta_t", "steps", "start_time", "keep", "reduce", "nan")
    return Problem(**{name: getattr(problem, name) for name in names} | changes)


def check(case: Case) -> str:
    """Compute a case in all ways and compare; return what it was."""
    problem = case.problem
    assert problem.initial is not None
    numpy = ran(case, problem, case.ranks, backend="numpy")
    failure, expected = None, problem.initial
    try:
        expected = history_of(problem)
    except Exception as error:  # noqa: BLE001, then the engine says so too
        failure = error
    assert isinstance(numpy, SimsplitError) == (failure is not None), f"{failure!r} was raised, the engine gave {numpy}"
    if failure is not None:
        return _check_failure(case, numpy)
    kept = slice(problem.kept.start, problem.steps, problem.kept.step)
    assert same(expected[kept], numpy.history), f"NumPy on {case.ranks} ranks, blocks of {case.block}"
    one = ran(case, problem, 1, backend="numpy").reductions if problem.reduce else {}
    for name, reduced in one.items():
        assert same(reduced, numpy.reductions[name]), f"{name} on {case.ranks} ranks"
    code = _compiled(problem)
    kinds = ["numpy"] if code is None or code.inexact else ["numpy", "numba"]
    first = 1 if problem.kernel.kind == "step" else 0
    bad = [k for k in range(first, problem.steps) if np.isnan(expected[k]).any()]
    for backend in kinds:
        strict = ran(case, changed(problem, nan="error", keep="all", reduce=()), 1, backend=backend)
        assert isinstance(strict, SimsplitError) == bool(bad), f"{backend} with nan=error: {strict}"
    if code is None:
        return "by NumPy alone"
    found = ran(case, problem, case.ranks, backend="numba")
    assert not isinstance(found, SimsplitError), f"compiled code failed: {found}"
    if code.inexact:
        return "with functions of the C library"
    assert same(expected[kept], found.history), f"compiled code on {case.ranks} ranks, blocks of {case.block}"
    for name, reduced in one.items():
        assert same(reduced, found.reductions[name]), f"{name} of compiled code on {case.ranks} ranks"
    times = [problem.time(k) for k in range(max(1, problem.steps - first))][:2]
    row, block = problem.initial.shape[1:], whole_block(problem, 0)
    with np.errstate(all="ignore"):  # as in the steps of a run
        table = code._table(range(len(times)), times)
    if table is not None:  # else a number changes its type, and NumPy is right
        assert passes_self_test(code, row, block, times), "the check before a run finds other bits"
    return "compiled"


def _check_failure(case: Case, error: SimsplitError) -> str:
    """Compiled code fails at the same step as NumPy, if it fails on the way."""
    code = _compiled(case.problem)
    if code is None:
        return "failed"
    found = ran(case, case.problem, case.ranks, backend="numba")
    assert isinstance(found, SimsplitError), "compiled code gave a result where NumPy failed"
    steps = [re.findall(r"at step (\d+), t", str(each)) for each in (error, found)]
    assert steps[0] == steps[1], f"NumPy failed at step {steps[0]}, compiled code at {steps[1]}"
    return "failed at the same step"


def _compiled(problem: Problem) -> CompiledKernel | None:
    """Return the code of a problem, which the engine finds on disk; None if there is none."""
    try:
        with np.errstate(all="ignore"):
            loop = loop_of(problem)
        written = assembly(loop)
    except (NotCompilable, SimsplitError, ArithmeticError, TypeError, ValueError):  # the latter of the kernel
        return None
    code = machine_code.compiled(written)
    machine_code.keep(machine_code.key(written), code)
    compiled = CompiledKernel(problem.kernel, loop, code)
    assert compiled.inexact == inexact(loop)
    return compiled


def tried(pick: random.Random) -> tuple[str, str]:
    """Make a case and check it; return what it was, and its words."""
    try:
        with np.errstate(all="ignore"):
            case = Maker(pick).case()
    except SimsplitError:
        return "refused", ""
    try:
        return check(case), case.words
    except AssertionError as error:
        error.add_note(f"{case.words}; {case.ranks} ranks, blocks of {case.block} bytes, keep {case.problem.keep}")
        raise


def main() -> int:
    """Try cases for as long as is asked for; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--minutes", type=float, default=1.0, help="how long (1)")
    parser.add_argument("--first", type=int, default=0, help="seed of the first case (0)")
    parser.add_argument("--seed", type=int, help="try this one alone, and show what goes wrong")
    options = parser.parse_args()
    if options.seed is not None:
        print(*tried(random.Random(options.seed)), sep=": ")
        return 0
    counts: Counter[str] = Counter()
    end, seed, failures = time.monotonic() + 60 * options.minutes, options.first, 0
    while time.monotonic() < end:
        try:
            counts[tried(random.Random(seed))[0]] += 1
        except Exception as error:  # noqa: BLE001, told, and on to the next
            failures += 1
            notes = "; ".join(getattr(error, "__notes__", []))
            print(f"--seed {seed}: {type(error).__name__}: {str(error)[:500]}\n    {notes}", flush=True)
        seed += 1
    told = ", ".join(f"{count:,} {kind}" for kind, count in counts.most_common())
    print(f"{seed - options.first:,} cases from seed {options.first}: {told}; {failures} different")
    return 1 if failures else 0


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        os.environ["SIMSPLIT_CACHE_DIR"] = folder
        status = main()
    sys.exit(status)
