"""Compile the steps of a kernel, and call the compiled code.

The compiled loop does the same operations as the kernel's NumPy code, one rounding each, for several steps
and a run of rows in one call, without temporary arrays. Blocks whose result has a NaN are computed again by
NumPy, since which NaN comes out of two is not laid down anywhere; so are those where NumPy's `clip` chooses between
zeros of two signs.
"""

from __future__ import annotations

import ctypes
from math import gcd, prod
from typing import TYPE_CHECKING, Any

import numpy as np

from ...kernels.base import Block
from ...kernels.constants import Constant
from ...kernels.tracing import INEXACT, NotCompilable, StepScalar, Trace, TracedArray, cast_scalar
from . import object_code as machine_code
from .loop_spec import VECTOR, LoopSpec

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy.typing as npt

    from ...kernels.base import Kernel

    Array = npt.NDArray[Any]

_TRIED = 2**12 + 1  # values that the code is tried with before a run, or an eighth as many rows
_WIDTH = VECTOR + 3  # of a row of them: enough for a vector, and for what is left over
_SUSPECTS = 100  # about as many rows are looked at closely
_POINTER, _INTEGER = ctypes.c_void_p, ctypes.c_int64
_ARGUMENTS = (_POINTER, _INTEGER, *[_POINTER] * 3, *[_INTEGER] * 4, *[_POINTER] * 2)


class _TracedBlock(Block):
    """What a kernel is told while its operations are written down."""

    def __init__(self, trace: Trace, block: Block, parameters: Mapping[str, Any]) -> None:
        super().__init__(block.k, block.t, block.delta_t, (block.lower, block.upper), parameters)
        self._trace = trace
        self.k: Any = StepScalar.variable("k", block.k)
        self.t: Any = StepScalar.variable("t", block.t)

    @property
    def row(self) -> Any:
        return TracedArray(self._trace, (self._trace.node("row", np.dtype(np.int64)),), component=False)

    @property
    def random(self) -> Any:
        raise NotCompilable("random numbers are left to NumPy")


def traced(kernel: Kernel, x: Array, block: Block, dtype: np.dtype[Any]) -> LoopSpec:
    """Write down what a kernel does.

    Parameters
    ----------
    kernel : Kernel
    x : ndarray, shape (1, ...)
        One row, of the dtype that it has in the run: a map kernel's of the initial array, a step kernel's of the state.
    block : Block
        Of a step, with the parameters of this row.
    dtype : numpy.dtype
        Of the result.

    Raises
    ------
    NotCompilable
    """
    trace = Trace()
    components = len(kernel.components)
    shape = x.shape[1:-1] if components else x.shape[1:]
    inner = prod(shape)
    by_row: dict[str, bool] = {}
    parameters: dict[str, Any] = {}
    for name, value in block.parameters.items():
        parameters[name] = value
        if isinstance(value, Constant):
            raise NotCompilable(f"the constant array {name} is left to NumPy")
        if isinstance(value, np.ndarray):
            own = value.shape[1:-1] if components else value.shape[1:]
            if own != shape and prod(own) != 1:
                raise NotCompilable(f"parameter {name} goes neither with whole rows nor with their single values")
            by_row[name] = own != shape
            parameters[name] = trace.parameter(name, value.dtype, component=bool(components))
    nodes = tuple(trace.node("x", x.dtype, index=index) for index in range(components or 1))
    try:
        with np.errstate(all="ignore"):
            result = kernel.trace(
                TracedArray(trace, nodes, component=bool(components)), _TracedBlock(trace, block, parameters), dtype
            )
    except NotCompilable:
        raise
    except Exception as error:  # it may be no fault with arrays, and if it is, NumPy says it better
        raise NotCompilable(f"it cannot be written down: {type(error).__name__}: {error}") from error
    if not isinstance(result, TracedArray):
        raise NotCompilable("its result does not depend on its rows")
    results = tuple(trace.cast(node, dtype) for node in result.nodes)
    if len(results) != len(nodes):
        raise NotCompilable("its result has not the shape of its rows")
    if kernel.kind == "step" and x.dtype != dtype:
        raise NotCompilable(f"it makes {dtype} of a state of {x.dtype}")
    modes = tuple(by_row[name] for name in trace.parameters)
    nested = inner > 1 and ("row" in trace.operations or any(modes))
    return LoopSpec(kernel.kind, trace, results, x.dtype, nested, modes if nested else (False,) * len(modes))


def count_operations(loop: LoopSpec) -> int:
    """Return how many operations it takes for each value: what NumPy would do in as many passes."""
    seen: set[int] = set()
    todo = list(loop.results)
    while todo:
        node = todo.pop()
        if node.operands and id(node) not in seen:
            seen.add(id(node))
            todo.extend(node.operands)
    return -(-len(seen) // loop.components)


def inexact(loop: LoopSpec) -> list[str]:
    """Return the functions in it whose last bit may be another than NumPy's."""
    return sorted(loop.trace.operations & INEXACT)


class CompiledKernel:
    """A kernel's steps as machine code.

    Parameters
    ----------
    kernel : Kernel
        What computes the blocks that are left to NumPy.
    loop : LoopSpec
    code : bytes
        The object code of its assembly.

    Attributes
    ----------
    inexact : list of str
        The functions in it whose last bit may be another than NumPy's.
    """

    def __init__(self, kernel: Kernel, loop: LoopSpec, code: bytes) -> None:
        self.kernel = kernel
        self.loop = loop
        self.inexact = inexact(loop)
        self._plain, self._stream = machine_code.link(code, ("plain", "stream"), _ARGUMENTS)
        numbers = loop.trace.numbers
        self._size = loop.components * loop.results[0].dtype.itemsize
        self._row = np.dtype({
            "names": [f"n{index}" for index in range(len(numbers))],
            "formats": [dtype for _, dtype in numbers],
            "offsets": [8 * index for index in range(len(numbers))],
            "itemsize": 8 * max(1, len(numbers)),
        })  # fmt: skip
        self._constant = np.zeros(1, self._row)
        for index, (value, dtype) in enumerate(numbers):
            if not isinstance(value, StepScalar):
                self._constant[f"n{index}"] = cast_scalar(value, dtype)

    def advance(
        self, x: Array, block: Block, steps: range, times: Sequence[float], out: Array, *, stream: bool = False
    ) -> None:
        """Compute successive steps of a run of rows, as `Kernel.advance` does.

        Parameters
        ----------
        x, block, steps, times, out
            As of `Kernel.advance`.
        stream : bool, default False
            Write past the cache: `out` is where the results stay, and larger than the cache.
        """
        found = self._computed(x, block, steps, times, out, stream=stream)
        if found is None:
            self.kernel.advance(x, block, steps, times, out)
            return
        for lower, upper in found:
            part = _part(block, lower, upper)
            try:
                self.kernel.advance(x[lower:upper], part, steps, times, out[:, lower:upper])
            except BaseException:
                block.k, block.t = part.k, part.t
                raise

    def _computed(
        self, x: Array, block: Block, steps: range, times: Sequence[float], out: Array, *, stream: bool
    ) -> list[tuple[int, int]] | None:
        """Compute, and return the runs of rows that are to be left to NumPy; None if nothing was computed."""
        rows = len(x)
        inner = x.size // (max(1, rows) * self.loop.components)
        table = self._table(steps, times)
        fits = x.dtype == self.loop.dtype and out.dtype == self.loop.results[0].dtype and x.flags.c_contiguous
        if table is None or not fits:
            return None
        outer, items = (rows, inner) if self.loop.nested else (1, rows * inner)
        arrays = np.array([_address(block[name]) for name in self.loop.trace.parameters], np.uintp)
        flags = np.empty((outer, -(-items // self.loop.block)), np.uint8)
        heads = self._heads(out, items) if stream else None
        function = self._plain if heads is None else self._stream
        addresses = [_address(array) for array in (out, x, table, arrays, flags)]
        function(
            addresses[0], out.strides[0], *addresses[1:4], len(out), outer, items, block.lower, addresses[4],
            None if heads is None else _address(heads),
        )  # fmt: skip
        return self._rows_left(flags, rows, max(1, inner))

    def _table(self, steps: range, times: Sequence[float]) -> Array | None:
        """Return the numbers of each step, or None if one of them is of another type than it was."""
        table = np.repeat(self._constant, len(times))
        for index, (value, dtype) in enumerate(self.loop.trace.numbers):
            if not isinstance(value, StepScalar):
                continue
            column = times
            if value.name != "t":
                column = [value.compute({"t": t, "k": k}) for k, t in zip(steps, times, strict=True)]
                if any(type(each) is not type(value.sample) for each in column):
                    return None
            try:
                table[f"n{index}"] = cast_scalar(column, dtype)
            except OverflowError:  # what NumPy's loop says too
                return None
        return table

    def _heads(self, out: Array, items: int) -> Array | None:
        """Return how many items of each step lie before a cache line begins with one, or None if none does."""
        step = gcd(self._size, VECTOR)
        if self.loop.nested and items * self._size % VECTOR:
            return None
        before = -(_address(out) + np.arange(len(out)) * out.strides[0]) % VECTOR
        if (before % step).any():
            return None
        inverse = pow(self._size // step, -1, VECTOR // step) if step < VECTOR else 0
        return before // step * inverse % (VECTOR // step)

    def _rows_left(self, flags: Array, rows: int, inner: int) -> list[tuple[int, int]]:
        """Return the runs of rows that are left to NumPy: those in a block that has a NaN or a doubt."""
        if not flags.any():
            return []
        bad: npt.NDArray[Any] = np.zeros(rows, np.bool_)
        if self.loop.nested:
            bad |= flags.any(axis=1)
        else:
            for number in np.flatnonzero(flags):
                first, last = number * self.loop.block, (number + 1) * self.loop.block
                bad[first // inner : -(-last // inner)] = True
        edges = np.flatnonzero(np.diff(bad, prepend=False, append=False))
        return [(int(lower), int(upper)) for lower, upper in edges.reshape(-1, 2)]


def _part(block: Block, lower: int, upper: int) -> Block:
    """Return the block of some of its rows."""
    parameters = {
        name: value[lower:upper] if isinstance(value, np.ndarray) else value for name, value in block.parameters.items()
    }
    return Block(
        block.k,
        block.t,
        block.delta_t,
        (block.lower + lower, block.lower + upper),
        parameters,
        block._seed,  # noqa: SLF001
    )


def _address(array: Array) -> int:
    return int(array.ctypes.data)


def passes_self_test(compiled: CompiledKernel, row: tuple[int, ...], block: Block, times: Sequence[float]) -> bool:
    """Return whether the code gives NumPy's bits for values that are easily confused, on this machine.

    Which NaN it gives does not matter: NumPy computes those blocks again. That it gives one does, as do signs of zero.
    The code does not depend on how long a row is, so that rows of single values, or short ones, are tried.

    Parameters
    ----------
    compiled : CompiledKernel
    row : tuple of int
        The shape of a row.
    block : Block
        With the parameters, of any number of rows.
    times : sequence of float
        Of as many steps as are to be tried.
    """
    loop = compiled.loop
    last = row[-1:] if compiled.kernel.components else ()
    rows, width = (_TRIED // 8, (_WIDTH,)) if loop.nested else (_TRIED, ())
    x = _edge_cases((rows, *width), last, loop.dtype, 0)
    modes = dict(zip(loop.trace.parameters, loop.by_row, strict=True))
    parameters = dict(block.parameters)
    for number, (name, by_row) in enumerate(modes.items(), 1):
        value = parameters[name]
        its = [1 if by_row else each for each in width]
        parameters[name] = _edge_cases((rows, *its), value.shape[-1:] if last else (), value.dtype, number)
    suspects = np.flatnonzero(_wrong(compiled, x, _whole(block, rows, parameters), times, alone=False))
    # A row may differ in a block that is left to NumPy for the sake of another row, so it is tried once more alone.
    many = 1 + 2 * VECTOR  # enough for vectors, and for what is left over
    for number in suspects[:: 1 + len(suspects) // _SUSPECTS]:
        same = np.full(many, number)
        parameters_alone = {
            name: value[same] if isinstance(value, np.ndarray) else value for name, value in parameters.items()
        }
        if _wrong(compiled, x[same], _whole(block, many, parameters_alone), times, alone=True).any():
            return False
    return True


def _wrong(
    compiled: CompiledKernel, x: Array, block: Block, times: Sequence[float], *, alone: bool
) -> npt.NDArray[np.bool_]:
    """Return which rows differ from NumPy's; `alone` without those that are left to NumPy, as they should be."""
    wrong: npt.NDArray[np.bool_] = np.zeros(len(x), np.bool_)
    steps = range(len(times))
    expected, found = (np.empty((len(times), *x.shape), compiled.loop.results[0].dtype) for _ in range(2))
    bits = np.dtype(f"u{expected.itemsize}")
    with np.errstate(all="ignore"):
        try:
            compiled.kernel.advance(x, block, steps, times, expected)
        except Exception:  # noqa: BLE001, of the kernel: the run tells of it, if it comes there
            return ~wrong
        nan = np.isnan(expected)
        for stream in (False, True):
            runs = compiled._computed(x, block, steps, times, found, stream=stream)  # noqa: SLF001
            left = np.zeros(len(x), np.bool_)
            for lower, upper in runs or []:
                left[lower:upper] = True
            differs = np.where(nan, ~np.isnan(found), expected.view(bits) != found.view(bits))
            lost = nan.swapaxes(0, 1).reshape(len(x), -1).any(axis=1) & ~left
            bad = differs.swapaxes(0, 1).reshape(len(x), -1).any(axis=1) & ~(left & alone)
            wrong |= bad | lost | (runs is None)
    return wrong


def _edge_cases(shape: tuple[int, ...], last: tuple[int, ...], dtype: np.dtype[Any], turn: int) -> Array:
    """Return values that are easily confused, or lost: the same for a row, but along the last axis, if there is one.

    Of two turns, every pair of values occurs.
    """
    values: list[Any] = [False, True]
    if dtype.kind == "f":
        info = np.finfo(dtype)
        values = [0.0, -0.0, 1.0, -1.0, 2.5, -2.5, 3.0, 0.1, 0.3, 7.25, 0.5, np.inf, -np.inf, np.nan]
        values += [info.max, info.tiny, info.smallest_subnormal]
    elif dtype.kind in "iu":
        values = [0, 1, 2, 3, 100, np.iinfo(dtype).max, np.iinfo(dtype).min]
    few: Array = np.array(values, dtype)  # a prime number of them, for the sake of the pairs
    place = np.arange(shape[0] * prod(last)).reshape(shape[0], *(1,) * len(shape[1:]), *last)
    chosen: Array = few[(place + turn * (place // len(few))) % len(few)]
    return np.ascontiguousarray(np.broadcast_to(chosen, (*shape, *last)))


def _whole(block: Block, rows: int, parameters: Mapping[str, Any]) -> Block:
    """Return a block of so many rows, from the first on."""
    return Block(block.k, block.t, block.delta_t, (0, rows), parameters)
