"""Estimate the resources of a run before it starts."""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..bounds import part
from ..communicator.serial import SerialCommunicator
from ..engine import Plan
from ..engine.reductions import shapes_of
from ..errors import InputError
from ..history.history_file import plan_for_format
from ..kernels.constants import Constant
from ..problem import Problem
from ..util import durable
from ..util.dtypes import dtype_label, strip_metadata
from ..util.formatting import format_bytes, pluralize
from ..util.memory_limits import available, shm_available
from ..util.validation import integer
from .options import RunOptions, checked_options
from .pipeline import reach_and_depth
from .setup import results_of

if TYPE_CHECKING:
    from ..kernels.cells import Reach

_INT32 = 2**31 - 1  # what an MPI library of version 3 of the standard counts to
_INT64 = 2**63 - 1
_LATENCY = 2e-6  # seconds of a message, where none was sent to measure it


@dataclass(frozen=True)
class HaloEstimate:
    """What a kernel that reads neighbours takes besides.

    Attributes
    ----------
    grid : str
        The grid, for people.
    reach : tuple of (int, int)
        How many cells are read before and after a cell, along each axis.
    depth : int
        Steps between two exchanges; where a run measures the latency, it may take others.
    sent : int
        Bytes that a rank sends in an exchange.
    surface : float
        Rows of the halo of an exchange for one step, as a share of the rows of a rank.
    redundant : float
        Cells that two ranks compute, as a share of all.
    efficiency : float
        Predicted: the time of the cells of a rank alone, as a share of all.
    """

    grid: str
    reach: tuple[tuple[int, int], ...]
    depth: int
    sent: int
    surface: float
    redundant: float
    efficiency: float

    @property
    def text(self) -> str:
        """What it is, for people."""
        return (
            f"{reach_and_depth(self.reach, self.depth)} · {format_bytes(self.sent)} from each rank in an exchange, "
            f"{self.surface:.1%} of its rows a step · {self.redundant:.1%} computed twice · efficiency about "
            f"{self.efficiency:.0%}"
        )


@dataclass(frozen=True)
class ResourceEstimate:
    """What a run would take.

    Attributes
    ----------
    plan : Plan
    ranks_per_node : int
    by_row : int
        Bytes of a row of all parameters that have a value for each row.
    output : str or None
        Where the history goes.
    on_root : bool
        Whether rank 0 has all of the history in memory; else all ranks write it.
    root, other : int
        Bytes on rank 0, and on the rank that has the most beside it.
    left : int or None
        Bytes of memory that are left on this machine.
    shared : int or None
        Bytes that are left in /dev/shm; a run needs none of them.
    disk : int or None
        Bytes that are left where the output goes.
    reductions : int
        Bytes of the reductions, which root holds and which go beside the history.
    halo : HaloEstimate or None
        What the exchange with neighbours takes, of a kernel that reads them.
    """

    problem: Problem
    plan: Plan
    ranks_per_node: int
    by_row: int
    output: str | None
    on_root: bool
    root: int
    other: int
    left: int | None
    shared: int | None
    disk: int | None
    reductions: int
    halo: HaloEstimate | None = None

    @property
    def node(self) -> int:
        """Bytes on the node that rank 0 is on."""
        return self.root + self.other * (min(self.ranks_per_node, self.plan.ranks) - 1)

    @property
    def other_node(self) -> int:
        """Bytes on the fullest of the other nodes, 0 if there is none."""
        return self.other * min(self.ranks_per_node, self.plan.ranks - min(self.ranks_per_node, self.plan.ranks))

    @property
    def scattered(self) -> int:
        """Bytes that leave root at the start: rows of the initial array and of parameters."""
        return self.plan.scattered_nbytes + self.by_row * (self.plan.shape[0] - self.plan.longest)

    @property
    def gathered(self) -> int:
        """Bytes that come to root for each kept step."""
        if not self.on_root:
            return 0
        return self.plan.gathered_nbytes // max(1, len(self.plan.kept))

    @property
    def counts(self) -> dict[str, int]:
        """What MPI has to take in one call: a count is a number of rows, and a row is one datatype of so many bytes."""
        lower, _ = part(self.plan.shape[0], self.plan.ranks, self.plan.ranks - 1)
        return {
            "rows of a part": self.plan.longest,
            "displacement in rows": lower,
            "rows": self.plan.shape[0],
            "bytes of a row": max(self.plan.row_nbytes, self.plan.history_row_nbytes),
        }

    @property
    def count(self) -> int:
        """The largest of these."""
        return max(self.counts.values())

    @property
    def obstacles(self) -> list[str]:
        """Why it cannot run, if it cannot."""
        reasons = []
        if self.left is not None and self.node > self.left:
            reasons.append(
                f"the node of rank 0 needs {format_bytes(self.node)}, "
                f"but {format_bytes(self.left)} of memory are left here"
            )
        nbytes = self.plan.history_nbytes + self.reductions
        if self.disk is not None and nbytes > self.disk:
            what = "the history takes" if not self.reductions else "history and reductions take"
            needed, left = format_bytes(nbytes), format_bytes(self.disk)
            reasons.append(f"{what} {needed}, but {left} are left on the disk of {self.output}")
        if self.count > _INT64:
            reasons.append(f"a count of {self.count:,} is more than any MPI library takes")
        return reasons

    def to_dict(self) -> dict[str, Any]:
        """Return the estimate as plain values, such as for JSON."""
        plan = self.plan
        return {
            "kernel": self.problem.kernel.name,
            "kind": self.problem.kernel.kind,
            "note": self.problem.doubt,
            "shape": list(plan.shape),
            "dtype": dtype_label(plan.dtype),
            "history_dtype": dtype_label(plan.history_dtype),
            "steps": plan.steps,
            "kept_steps": len(plan.kept),
            "ranks": plan.ranks,
            "ranks_per_node": self.ranks_per_node,
            "rows": _rows_of_ranks(plan),
            "output": self.output,
            "history_on_rank_0": self.on_root,
            "bytes": {
                "initial": plan.initial_nbytes,
                "parameters": self.by_row * plan.shape[0],
                "history": plan.history_nbytes,
                "reductions": self.reductions,
                "rank_0": self.root,
                "other_rank": self.other,
                "largest_part": plan.row_nbytes * plan.longest,
                "node_of_rank_0": self.node,
                "other_node": self.other_node,
                "scattered": self.scattered,
                "gathered_each_step": self.gathered,
                "left_here": self.left,
                "shared_memory_left_here": self.shared,
                "disk_left": self.disk,
            },
            "grid": None if self.halo is None else asdict(self.halo),
            "counts": self.counts,
            "max_count": self.count,
            "fits_32_bit_counts": self.count <= _INT32,
            "fits": not self.obstacles,
            "obstacles": self.obstacles,
        }

    def facts(self) -> dict[str, str]:
        """Return the estimate for people, a line of text for each subject."""
        plan, kernel = self.plan, self.problem.kernel
        row = " × ".join(["", *map(str, plan.shape[1:])])
        length, longer = divmod(plan.shape[0], plan.ranks)
        if plan.grain > 1:
            chunks = f"in chunks of {pluralize(plan.grain, 'row')}"
            parts = f"at most {_rows(plan, plan.longest)} on each of {pluralize(plan.ranks, 'rank')}, {chunks}"
        elif longer:
            others = f"{length:,} ({format_bytes(plan.row_nbytes * length)}) on {_ranks(longer, plan.ranks)}"
            parts = f"{_rows(plan, length + 1)} on {_ranks(0, longer)}, {others}"
        else:
            parts = f"{_rows(plan, length)} on each of {pluralize(plan.ranks, 'rank')}"
        counts = "fits every MPI library" if self.count <= _INT32 else "split where the MPI library has 32-bit counts"
        left = "" if self.left is None else f" of the {format_bytes(self.left)} that are left here"
        shared = "" if self.shared is None else f" · /dev/shm: {format_bytes(self.shared)} left, none needed"
        verdict = "fits" if not self.obstacles else f"does not fit: {'; '.join(self.obstacles)}"
        on_node = pluralize(min(self.ranks_per_node, plan.ranks), "rank")
        history = [format_bytes(plan.history_nbytes) + (" on rank 0" if self.on_root else ", written by all ranks")]
        if self.output is not None:
            history.append(
                f"in {self.output}" + ("" if self.disk is None else f", {format_bytes(self.disk)} left there")
            )
        of_all = "" if len(plan.kept) == plan.steps else f" of {plan.steps:,}"
        steps = pluralize(len(plan.kept), "step") + of_all
        nodes = f" · each other node: {format_bytes(self.other_node)}" if self.other_node else ""
        parameters = f", {format_bytes(self.by_row * plan.shape[0])} of them by row" if self.by_row else ""
        moves = f"{format_bytes(self.scattered)} from rank 0 at the start"
        if self.on_root:
            moves += f" · {format_bytes(self.gathered)} to it each step"
        return {
            "array": f"{pluralize(plan.shape[0], 'row')}{row}, {dtype_label(plan.dtype)} · "
            f"{format_bytes(plan.initial_nbytes)}",
            "kernel": f"{kernel.name}, {kernel.kind}, {pluralize(len(kernel.parameters), 'parameter')}{parameters}",
            **({} if self.halo is None else {"grid": self.halo.grid, "halo": self.halo.text}),
            "history": f"{steps} of {dtype_label(plan.history_dtype)} · {' · '.join(history)}",
            "parts": parts,
            "memory": f"rank 0: {format_bytes(self.root)} · each other: {format_bytes(self.other)}",
            "node": f"{on_node}, with rank 0: {format_bytes(self.node)}{left}{nodes}{shared}",
            "moves": moves,
            "counts": f"{', '.join(f'{name} {count:,}' for name, count in self.counts.items())}: {counts}",
            "verdict": verdict,
            **({} if self.problem.doubt is None else {"note": self.problem.doubt}),
        }

    def __str__(self) -> str:
        return "\n".join(f"{name:10}{text}" for name, text in self.facts().items())

    def _repr_html_(self) -> str:
        from ..util.labelled import table

        return table("plan", self.facts())


def plan(
    problem: Problem,
    *,
    ranks: int = 1,
    ranks_per_node: int | None = None,
    **options: Any,
) -> ResourceEstimate:
    """Return what a run of a problem would take: rows, memory, messages, room on the disk. Not collective.

    Nothing is computed but the first row, from which the dtype of the history follows.

    Parameters
    ----------
    problem : Problem
    ranks : int, default 1
        How many ranks the run would have.
    ranks_per_node : int, optional
        How many of them share a node. By default as many as this machine has cores.
    **options
        Those of `run`, such as ``output="runs/a"``. They are checked as a run checks them.

    Returns
    -------
    ResourceEstimate
        Prints as a table. `ResourceEstimate.obstacles` says why the run does not fit, if it does not.

    Raises
    ------
    InputError
        If the problem or an option is wrong.

    Examples
    --------
    >>> import numpy as np, simsplit
    >>> problem = simsplit.Problem(np.arange(1000.0), simsplit.kernels.affine(), delta_t=0.5, steps=4)
    >>> plan = simsplit.plan(problem, ranks=3)
    >>> plan.plan.bounds
    [(0, 334), (334, 667), (667, 1000)]
    >>> plan.obstacles
    []
    """
    if not isinstance(problem, Problem):
        raise InputError(f"problem must be a simsplit.Problem, not {problem!r}")
    if problem.initial is None:
        raise InputError("initial is None: the plan needs the array that rank 0 has")
    unknown = [name for name in options if name not in RunOptions.fields()]
    if unknown:
        raise InputError(f"{unknown[0]} is no option of a run. Give some of {', '.join(RunOptions.fields())}.")
    checked = checked_options(**options)
    ranks = integer("ranks", ranks, least=1)
    if ranks_per_node is not None:
        integer("ranks_per_node", ranks_per_node, least=1)
    array = problem.initial
    dtype = strip_metadata(array.dtype)
    return estimate(
        problem, array.shape, dtype, results_of(problem, array, array.shape), checked, ranks, ranks_per_node
    )


def estimate(
    problem: Problem,
    shape: tuple[int, ...],
    dtype: np.dtype[Any],
    results: tuple[np.dtype[Any], Reach],
    options: RunOptions,
    ranks: int,
    ranks_per_node: int | None,
) -> ResourceEstimate:
    """Return what a run would take; of the arrays of `problem` nothing but a first row is looked at."""
    kernel, on_root = problem.kernel, options.kind in ("memory", "npy")
    plan = Plan(
        shape,
        dtype,
        results[0],
        problem.steps,
        ranks,
        keep=problem.keep,
        reach=results[1],
        reduced_axes=problem.reduced_axes(shape),
    )
    if not on_root:
        file = (options.format or "npy") if options.kind == "directory" else options.kind
        short = plan.replace(steps=min(1, plan.steps))  # what a file can hold, and its chunks, do not depend on more
        plan = plan.replace(grain=plan_for_format(problem, SerialCommunicator(), short, file).grain)
    second = plan.part_shape(min(1, ranks - 1))[0]
    by_row = sum(value[:1].nbytes for value in kernel.parameters.values() if isinstance(value, np.ndarray))
    constants = sum(value.array.nbytes for value in kernel.parameters.values() if isinstance(value, Constant))
    tile = prod(plan.tile_shape) * plan.history_dtype.itemsize
    step = plan.history_row_nbytes * shape[0]
    state = plan.history_row_nbytes if kernel.kind == "step" else 0
    halo = None
    if plan.reach:
        halo = _halo(problem, plan, options)
        state = 2 * plan.history_row_nbytes
    reductions = sum(prod(shape) * dtype.itemsize for shape, dtype in shapes_of(problem.reduce, plan).values())
    held = plan.history_nbytes if on_root else min(tile, plan.history_nbytes)
    if options.via == "remote":  # rank 0 has all rows of a step, of a file one at a time
        held = step + (plan.history_nbytes if on_root else step)
    return ResourceEstimate(
        problem=problem,
        plan=plan,
        ranks_per_node=min(ranks, ranks_per_node or os.cpu_count() or 1),
        by_row=by_row,
        output=options.output,
        on_root=on_root,
        root=plan.initial_nbytes + by_row * shape[0] + held + state * plan.longest + reductions + constants,
        other=(plan.row_nbytes + by_row + state) * second + tile + constants if ranks > 1 else 0,
        left=available(),
        shared=shm_available(),
        disk=_disk(options),
        reductions=reductions,
        halo=halo,
    )


def _halo(problem: Problem, plan: Plan, options: RunOptions) -> HaloEstimate:
    from ..engine.grid_loop import EXCHANGE, VALUE, best_depth, fixed_depth, row_values

    layout = problem.layout(plan.shape)
    assert layout is not None  # noqa: S101, for the type checker
    depth = fixed_depth(layout, options.depth) or best_depth(plan, _LATENCY)
    alone = plan.ranks == 1
    around = 0 if alone else sum(plan.reach[0])
    rows = max(1, plan.longest)
    redundant = around * (depth - 1) / 2 / rows
    work = rows * max(1, row_values(plan)) * VALUE
    waiting = 0.0 if alone else (_LATENCY + EXCHANGE) / depth
    return HaloEstimate(
        grid=layout.facts(),
        reach=plan.reach,
        depth=depth,
        sent=around * depth * plan.history_row_nbytes,
        surface=around / rows,
        redundant=redundant,
        efficiency=work / (work * (1 + redundant) + waiting),
    )


def _disk(options: RunOptions) -> int | None:
    """Return the bytes that are left where the output goes, or None if the system does not tell."""
    if options.output is None:
        return None
    output = Path(options.output).absolute()
    try:
        return durable.free_bytes(output if options.kind == "directory" else output.parent)
    except OSError:
        return None


def _rows_of_ranks(plan: Plan) -> dict[str, int]:
    """Return the most rows and the least that a rank has, and how many ranks have the most."""
    grains = -(-plan.shape[0] // plan.grain)
    with_most = grains % plan.ranks or plan.ranks
    most = plan.longest
    cut = plan.part_shape(with_most - 1)[0] < most  # the last chunk may have fewer rows than the others
    return {"most": most, "least": plan.part_shape(plan.ranks - 1)[0], "ranks_with_most": with_most - cut}


def _rows(plan: Plan, rows: int) -> str:
    """Write how many rows a rank has, and of how many bytes."""
    return f"{pluralize(rows, 'row')} ({format_bytes(plan.row_nbytes * rows)})"


def _ranks(first: int, end: int) -> str:
    """Write which ranks ``[first, end)`` are."""
    return f"rank {first:,}" if end - first == 1 else f"ranks {first:,}–{end - 1:,}"
