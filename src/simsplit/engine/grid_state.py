"""The state of a rank's rows with the cells around them, and the step from one state to the next.

Two padded arrays take turns: one is read, the other written. Each holds the rows of this rank, the halo that other
ranks have, and the ghosts beyond the edges of the grid. They lie in memory that the ranks of a node share, if there is
some, so that a halo is copied from where it was computed. After an exchange `depth` steps can be computed before the
next one: in each the rows that are right become fewer by the reach on both sides, and the last step leaves the rank's
own. A row of a halo is computed by the same operations as on the rank that has it, so that the bits are the same.
"""

from __future__ import annotations

from functools import partial
from math import prod
from mmap import PAGESIZE
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from ..communicator.agreement import Agreement
from ..communicator.interrupts import interrupts
from ..grids.boundary import CYCLIC
from ..grids.ghosts import Ghosts, runs
from ..kernels import Block
from ..kernels.base import around_cells, read_only
from ..util.dtypes import canonicalize_nan, iter_fields
from ..util.formatting import format_bytes
from ..util.memory_limits import require_memory
from .executors import kernel_error
from .halo import Halo

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import numpy.typing as npt

    from ..communicator import Communicator
    from ..communicator.node import Node
    from ..grids.boundary import Side
    from ..kernels.cells import Reach
    from .local_part import LocalPart
    from .plan import Plan

    Array = npt.NDArray[Any]


def widened(reach: Reach, sides: tuple[Side, Side]) -> Reach:
    """Return the reach along axis 0 that a state needs: where ghosts are taken from rows, as much on both sides."""
    low, high = reach[0]
    if sides[0].kind not in CYCLIC and {side.kind for side in sides} != {"fixed"}:
        low = high = max(low, high)
    return ((low, high), *reach[1:])


class GridState:
    """The padded state of a rank's rows.

    Not collective unless it is said. All ranks call the same methods in the same order.

    Parameters
    ----------
    communicator : Communicator
    plan : Plan
        With a reach.
    rows : LocalPart
        This rank's, with a layout.
    depth : int
        How many steps can be computed after an exchange.
    block_rows : int
        The rows that are computed at a time.
    where : str
        What messages call the rank.

    Attributes
    ----------
    overlap : bool
        Whether an exchange begins as soon as the rows for it are computed. Tests switch it off.

    Raises
    ------
    InputError
        If it does not fit in memory.
    """

    overlap: ClassVar[bool] = True

    def __init__(
        self, communicator: Communicator, plan: Plan, rows: LocalPart, depth: int, block_rows: int, where: str
    ) -> None:
        assert rows.layout is not None  # noqa: S101, for the type checker
        self._communicator, self._plan, self._rows, self._where = communicator, plan, rows, where
        self._layout = layout = rows.layout
        self._cyclic = layout.is_cyclic(0)
        self._reach = widened(plan.reach, layout.sides[0])
        self.depth, self._block_rows = depth, block_rows
        self.lower, self.upper = plan.bounds[communicator.rank]
        low, high = self._reach[0]
        self._halo_rows = (low * depth, high * depth)
        self._first = self.lower - low * depth  # the number of the first row of the arrays
        self._ghosts = Ghosts(layout, self._reach, rows.numbers, rows.problem.delta_t)
        nbytes = 2 * prod(self._shape(communicator.rank)) * plan.history_dtype.itemsize
        what = f"the two states of rank {communicator.rank}, {format_bytes(nbytes)},"
        require_memory(nbytes, what, "Use more nodes, or a smaller depth.")
        self.is_step = rows.problem.kernel.kind == "step"
        self._dtype = plan.history_dtype if self.is_step else plan.dtype.newbyteorder("=")
        self._arrays: list[Array] = []
        self._halos: list[Halo] = []
        self._around: dict[str, Array] = {}
        self._check_nan = rows.problem.nan == "error"
        self.left = 0  # steps that can be computed before the next exchange
        self._started = False
        self.failure: BaseException | None = None
        self.k = 0  # the step of the state

    def connect(self, node: Node | None) -> None:
        """Make the arrays and the messages, and bring the parameters by row of the halo. Collective.

        Parameters
        ----------
        node : Node or None
            The ranks that are to share memory for their arrays.
        """
        shared = {} if node is None else self._shared(node)
        with Agreement(self._communicator):  # of all ranks: another node may have no memory to share
            if not shared:
                shape = self._shape(self._communicator.rank)
                shared = {self._communicator.rank: [np.zeros(shape, self._dtype) for _ in range(1 + self.is_step)]}
        self._arrays = shared.pop(self._communicator.rank)
        for number, array in enumerate(self._arrays):
            self._halos.append(self._halo(array, {rank: arrays[number] for rank, arrays in shared.items()}))
        for name, value in self._rows.arrays.items():
            self._around[name] = self._parameter(value)

    def _shape(self, rank: int) -> tuple[int, ...]:
        """Return the shape of an array of a rank."""
        lower, upper = self._plan.bounds[rank]
        rows = upper - lower + sum(self._halo_rows) if lower < upper else 0
        return (rows, *self._ghosts.padded_row(self._plan.shape[1:]))

    def _shared(self, node: Node) -> dict[int, list[Array]]:
        """Return the arrays of each rank of the node, in memory that all of them see; none if there is no such memory.

        Collective among them.
        """
        members = node.members[node.index]
        shapes = {rank: self._shape(rank) for rank in members}
        pages = {rank: -(-prod(shape) * self._dtype.itemsize // PAGESIZE) for rank, shape in shapes.items()}
        count = 1 + self.is_step
        window = node.share(max(1, count * sum(pages.values()) * PAGESIZE))
        if window is None:
            return {}
        found: dict[int, list[Array]] = {rank: [] for rank in members}
        first = 0
        for rank in members:
            for _ in range(count):
                found[rank].append(np.ndarray(shapes[rank], self._dtype, window.memory, first * PAGESIZE))
                first += pages[rank]
        if window.warm:
            for array in found[self._communicator.rank]:
                array[...] = 0
        return found

    def _halo(self, array: Array, near: Mapping[int, Array] | None = None, *, anti: bool = True) -> Halo:
        return Halo(
            self._communicator,
            self._plan.bounds,
            self._halo_rows,
            array,
            cyclic=self._cyclic,
            anti=anti and self._layout.is_anti(0),
            near=near,
        )

    def _parameter(self, value: Array) -> Array:
        """Return a parameter for the rows of the state, with those around: beyond an edge it goes on as it ends there.

        Collective.
        """
        plain = around_cells(value, len(self._plan.shape), self._reach, self._layout.cyclic)
        array = np.zeros((len(self._arrays[0]), *plain.shape[1:]), plain.dtype)
        if len(array):
            array[self._own] = plain
        halo = self._halo(array, anti=False)
        halo.start()
        halo.finish()
        halo.close()
        if not self._cyclic and len(array):
            rows = np.clip(np.arange(self._first, self._first + len(array)), 0, self._plan.shape[0] - 1)
            array = array[rows - self._first]
        return read_only(array)

    @property
    def _own(self) -> slice:
        return slice(self.lower - self._first, self.upper - self._first)

    @property
    def values(self) -> Array:
        """The rank's own rows of the state, a view without ghosts."""
        return self._ghosts.inner(self._arrays[0])[self._own]

    def begin(self, values: Array, k: int) -> None:
        """Take the rank's own rows of step `k`."""
        self.k = k
        self.left = 0
        if self.lower < self.upper:
            np.copyto(self.values, values, casting="same_kind")
            self._fill(self.lower, self.upper)

    def _fill(self, first: int, last: int, array: int = 0, k: int | None = None) -> None:
        """Fill the ghosts of each of the rows ``[first, last)`` of the state, along all axes but the first."""
        k = self.k if k is None else k
        rows = self._arrays[array][first - self._first : last - self._first]
        self._ghosts.fill_columns(rows, first, k, self._rows.problem.time(k))

    def _range(self, left: int) -> tuple[int, int]:
        """Return the rows that are right when `left` more steps can be computed."""
        (low, high), n = self._reach[0], self._plan.shape[0]
        lower, upper = self.lower - left * low, self.upper + left * high
        return (lower, upper) if self._cyclic else (max(lower, 0), min(upper, n))

    def exchange(self) -> None:
        """Get the halo, if no more steps can be computed without. All ranks call it before each step."""
        if self.left:
            return
        held = interrupts.hold(True)
        try:
            if not self._started:
                self._halos[0].start()
            self._halos[0].finish()
            self._started = False
        finally:
            interrupts.hold(held)
        self.left = self.depth
        if self.lower < self.upper:
            self.guarded(self._refill_halo)

    def _refill_halo(self) -> None:
        lower, upper = self._range(self.depth)
        self._fill(lower, self.lower)
        self._fill(self.upper, upper)

    def step(self, *, more: bool) -> None:
        """Compute the next step, if nothing failed before. All ranks call it.

        Parameters
        ----------
        more : bool
            Whether another exchange will be needed: then it is started as soon as the rows for it are there.
        """
        self._release(-1)
        self.left -= 1
        begin = more and self.left == 0 and self.overlap
        if self.lower < self.upper:
            self.guarded(self._fill_edges)
            first, last = self._range(self.left)
            cuts = self._cuts(first, last) if begin else [(first, last)]
            edges, interior = cuts[:-1], cuts[-1]
            for part in edges:
                self.guarded(partial(self._compute, *part))
        if begin:
            held = interrupts.hold(True)
            self._halos[1].start()
            interrupts.hold(held)
            self._started = True
        if self.lower < self.upper:
            self.guarded(partial(self._compute, *interior, test=begin))
        self._arrays.reverse()
        self._halos.reverse()
        self.k += 1

    def _cuts(self, first: int, last: int) -> list[tuple[int, int]]:
        """Return the rows that other ranks need, which are computed first, and the others."""
        low, high = self._halo_rows
        if last - first <= low + high:
            return [(first, last), (last, last)]
        return [(first, first + high), (last - low, last), (first + high, last - low)]

    def evaluate(self, k: int, out: Array) -> None:
        """Compute a step of a map kernel from the state, which stays as it is, into `out`, if nothing failed."""
        self._release(0)  # whose ghosts change
        self.k = k
        if self.lower < self.upper:
            self.guarded(partial(self._evaluate_all, out))

    def _release(self, array: int) -> None:
        """Wait until no other rank reads an array, which is to be written."""
        with interrupts.held():
            self._halos[array].release()

    def _evaluate_all(self, out: Array) -> None:
        self._fill(*self._range(1))  # a boundary may depend on the time
        self._fill_edges()
        self._compute(self.lower, self.upper, out=out)

    def guarded(self, work: Callable[[], None]) -> None:
        """Do what may fail, unless something did: what failed is told at the end of the batch, where all agree."""
        if self.failure is None:
            try:
                work()
            except BaseException as error:  # noqa: BLE001, raised later
                self.failure = error

    def _fill_edges(self) -> None:
        """Fill the ghost rows beyond the edges of the grid, where the next step reads them."""
        if self._cyclic:
            return
        (low, high), n, array = self._reach[0], self._plan.shape[0], self._arrays[0]
        first, last = self._range(self.left + 1 if self.is_step else 1)
        t = self._rows.problem.time(self.k)
        if low and first == 0 and last > 0:
            edge = -self._first
            ghosts = array[max(0, edge - low) : edge][::-1]  # those that are read, if the rows here are few
            self._ghosts.fill_rows(0, ghosts, array[edge : edge + low + 1], self.k, t)
        if high and last == n and first < n:
            edge = n - self._first
            inner = array[max(0, edge - high - 1) : edge][::-1]
            self._ghosts.fill_rows(1, array[edge : edge + high], inner, self.k, t)

    def _compute(self, first: int, last: int, *, test: bool = False, out: Array | None = None) -> None:
        """Compute rows of the next step, block by block."""
        for lower, upper, row in runs(first, last, self._plan.shape[0], cyclic=self._cyclic):
            for begin in range(lower, upper, self._block_rows):
                end = min(begin + self._block_rows, upper)
                self._compute_block(begin, end, row + begin - lower, out)
                if test:
                    self._halos[1].test()

    def _compute_block(self, begin: int, end: int, row: int, out: Array | None) -> None:
        problem, first = self._rows.problem, self._first
        (low, high), rows = self._plan.reach[0], (row, row + end - begin)
        around = {name: value[begin - low - first : end + high - first] for name, value in self._around.items()}
        block = Block(
            self.k,
            problem.time(self.k),
            problem.delta_t,
            rows,
            self._parameters(begin, end),
            problem.seed,
            grid=self._layout,
            reach=self._plan.reach,
            around=around,
        )
        x = read_only(self._arrays[0][begin - low - first : end + high - first])
        if out is None:
            target = self._ghosts.inner(self._arrays[1])[begin - first : end - first]
        else:
            target = out[begin - self.lower : end - self.lower]
        try:
            problem.kernel.evaluate(x, block, target)
            canonicalize_nan(target)
            if self._check_nan:
                self._require_numbers(target, rows[0])
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            raise kernel_error(problem, block, int(self.is_step), self._where) from error
        if out is None:
            self._fill(begin, end, 1, self.k + 1)

    def _parameters(self, begin: int, end: int) -> dict[str, Any]:
        """Return the parameters for some rows."""
        found = dict(self._rows.numbers)
        for name, value in self._around.items():
            own = value[begin - self._first : end - self._first]
            cut = [slice(None)]
            for axis, (low, high) in enumerate(self._reach[1:], 1):
                cut.append(slice(low, own.shape[axis] - high) if own.shape[axis] > 1 else slice(None))
            found[name] = own[tuple(cut)]
        return found

    def _require_numbers(self, results: Array, row: int) -> None:
        axes = len(self._reach)
        bad = np.zeros(results.shape[:axes], np.bool_)
        for leaf in iter_fields(results):
            bad |= np.isnan(leaf).any(axis=tuple(range(axes, leaf.ndim)))
        if bad.any():
            cell = np.argwhere(bad)[0]
            place = ", ".join(str(int(index) + (row if axis == 0 else 0)) for axis, index in enumerate(cell))
            what = "cell" if axes == 1 else "cell at"
            raise FloatingPointError(
                f"{int(bad.sum())} of these cells are not a number, the first is the {what} {place}"
            )

    def close(self) -> None:
        """Finish what was started, and free the messages. All ranks call it."""
        with interrupts.held():
            for halo in self._halos:
                halo.close()
        self._halos = []
