"""``simsplit plan``: what a run would take, before it is paid for."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from ...bounds import part
from ...engine import Plan
from ...errors import InputError
from ...problem import Problem
from ...problem_file import build as problems
from ...problem_file.settings import resolve
from ...runs.setup import history_dtype
from ...util.dtypes import spelled
from ...util.formatting import counted, readable, say
from ...util.memory_limits import available, shared
from .run import read

if TYPE_CHECKING:
    from ...problem_file.settings import Settings
    from ..parser import Options

_INT32 = 2**31 - 1  # what an MPI library of version 3 of the standard counts to
_INT64 = 2**63 - 1


@dataclass(frozen=True)
class Outlook:
    """What a run would take.

    Attributes
    ----------
    plan : Plan
    ranks_per_node : int
    by_row : int
        Bytes of a row of all parameters that have a value for each row.
    root, other : int
        Bytes on rank 0, and on the rank that has the most beside it.
    left : int or None
        Bytes of memory that are left on this machine.
    shared : int or None
        Bytes that are left in /dev/shm; a run needs none of them.
    """

    problem: Problem
    plan: Plan
    ranks_per_node: int
    by_row: int
    root: int
    other: int
    left: int | None
    shared: int | None

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
                f"the node of rank 0 needs {readable(self.node)}, but {readable(self.left)} of memory are left here"
            )
        if self.count > _INT64:
            reasons.append(f"a count of {self.count:,} is more than any MPI library takes")
        return reasons


def command(options: Options) -> None:
    """Print the plan. Not collective: it needs no MPI.

    Raises
    ------
    InputError
        If the problem is wrong, or does not fit.
    """
    if options.error is not None:
        raise options.error
    settings = resolve(options, None if options.problem is None else read(options.problem))
    ranks = options.ranks or 1
    per_node = min(ranks, options.ranks_per_node or os.cpu_count() or 1)
    found = look(settings, ranks, per_node)
    say(json.dumps(as_json(found)) if options.json else "\n".join(as_table(found)))
    if found.obstacles:
        raise InputError(f"the plan does not fit: {'; '.join(found.obstacles)}.")


def look(settings: Settings, ranks: int, ranks_per_node: int) -> Outlook:
    """Find out what a run would take; of the initial array only the header is read."""
    shape, dtype, row = _initial(settings)
    first = {name: _first_row(name, value, shape[0]) for name, value in settings.parameters.items()}
    kernel = problems.kernel(settings.replace(parameters=first), root=True)
    problem = Problem(
        row,
        kernel,
        delta_t=settings.delta_t,
        steps=settings.steps,
        start_time=settings.start_time,
        seed=settings.seed,
        keep=settings.keep,
        reduce=settings.reduce,
    )
    plan = Plan(shape, dtype, history_dtype(problem, row), settings.steps, ranks, keep=settings.keep)
    second = plan.part_shape(min(1, ranks - 1))[0]
    by_row = sum(value[:1].nbytes for value in kernel.parameters.values() if isinstance(value, np.ndarray))
    tile = prod(plan.tile_shape) * plan.history_dtype.itemsize
    state = plan.history_row_nbytes if kernel.kind == "step" else 0
    return Outlook(
        problem=problem,
        plan=plan,
        ranks_per_node=ranks_per_node,
        by_row=by_row,
        root=plan.initial_nbytes + by_row * shape[0] + plan.history_nbytes + state * plan.longest,
        other=(plan.row_nbytes + by_row + state) * second + tile if ranks > 1 else 0,
        left=available(),
        shared=shared(),
    )


def _initial(settings: Settings) -> tuple[tuple[int, ...], np.dtype[Any], Any]:
    """Return shape and dtype of the initial array, and its first row."""
    wanted = None if settings.dtype is None else problems.dtype(settings.dtype)
    if settings.input is None:
        dtype = np.dtype(np.float64) if wanted is None else wanted
        size = 7 if settings.size is None else settings.size
        return (size,), dtype, np.zeros(1, dtype)
    if isinstance(settings.input, list):
        rows = problems.listed(settings.input, wanted)
        return rows.shape, rows.dtype, rows[:1] if len(rows) else np.zeros((1, *rows.shape[1:]), rows.dtype)
    array: Any = problems.stored(settings.input)
    array = _header(settings.input) if array is None else array
    dtype = array.dtype if wanted is None else wanted
    row = np.array(array[:1], dtype) if len(array) else np.zeros((1, *array.shape[1:]), dtype)
    return array.shape, dtype, row


def _first_row(name: str, value: Any, rows: int) -> Any:
    """Return a parameter as it is, or of an array its first row."""
    array = _header(value, f"the file of parameter {name},") if str(value).endswith(".npy") else value
    if not isinstance(array, (list, np.ndarray)):
        return value
    if len(array) != rows:
        raise InputError(
            f"parameter {name} has {counted(len(array), 'row')}, but the array has {rows:,}. Give each row a value."
        )
    return array[:1] if rows else None


def _header(path: str, what: str = "the input") -> Any:
    """Return the array in a file, mapped, so that only what is used is read."""
    from ...rundir.recorded_run import require_finished

    require_finished(path)
    try:
        return np.load(path, mmap_mode="r", allow_pickle=False)
    except Exception:  # noqa: BLE001, whatever it is: reading it the ordinary way says it better
        from ...history.formats.npy import read_npy

        return read_npy(path, what)


def as_json(found: Outlook) -> dict[str, Any]:
    """Return the plan for programs."""
    plan = found.plan
    length, longer = divmod(plan.shape[0], plan.ranks)
    return {
        "kernel": found.problem.kernel.name,
        "kind": found.problem.kernel.kind,
        "note": found.problem.doubt,
        "shape": list(plan.shape),
        "dtype": spelled(plan.dtype),
        "history_dtype": spelled(plan.history_dtype),
        "steps": plan.steps,
        "kept_steps": len(plan.kept),
        "ranks": plan.ranks,
        "ranks_per_node": found.ranks_per_node,
        "rows": {"most": length + (longer > 0), "least": length, "ranks_with_most": longer or plan.ranks},
        "bytes": {
            "initial": plan.initial_nbytes,
            "parameters": found.by_row * plan.shape[0],
            "history": plan.history_nbytes,
            "rank_0": found.root,
            "other_rank": found.other,
            "largest_part": plan.row_nbytes * plan.longest,
            "node_of_rank_0": found.node,
            "other_node": found.other_node,
            "scattered": found.scattered,
            "gathered_each_step": found.gathered,
            "left_here": found.left,
            "shared_memory_left_here": found.shared,
        },
        "counts": found.counts,
        "largest_count": found.count,
        "fits_32_bit_counts": found.count <= _INT32,
        "fits": not found.obstacles,
        "obstacles": found.obstacles,
    }


def as_table(found: Outlook) -> list[str]:
    """Return the plan for people."""
    plan, kernel = found.plan, found.problem.kernel
    row = " × ".join(["", *map(str, plan.shape[1:])])
    length, longer = divmod(plan.shape[0], plan.ranks)
    if longer:
        others = f"{length:,} ({readable(plan.row_nbytes * length)}) on {_ranks(longer, plan.ranks)}"
        parts = f"{_rows(plan, length + 1)} on {_ranks(0, longer)}, {others}"
    else:
        parts = f"{_rows(plan, length)} on each of {counted(plan.ranks, 'rank')}"
    counts = "fits every MPI library" if found.count <= _INT32 else "split where the MPI library has 32-bit counts"
    left = "" if found.left is None else f" of the {readable(found.left)} that are left here"
    shared = "" if found.shared is None else f" · /dev/shm: {readable(found.shared)} left, none needed"
    verdict = "fits" if not found.obstacles else f"does not fit: {'; '.join(found.obstacles)}"
    history, on_node = readable(plan.history_nbytes), counted(min(found.ranks_per_node, plan.ranks), "rank")
    of_all = "" if len(plan.kept) == plan.steps else f" of {plan.steps:,}"
    steps = counted(len(plan.kept), "step") + of_all
    nodes = f" · each other node: {readable(found.other_node)}" if found.other_node else ""
    parameters = f", {readable(found.by_row * plan.shape[0])} of them by row" if found.by_row else ""
    moves = (found.scattered, found.gathered)
    lines = {
        "array": f"{counted(plan.shape[0], 'row')}{row}, {spelled(plan.dtype)} · {readable(plan.initial_nbytes)}",
        "kernel": f"{kernel.name}, {kernel.kind}, {counted(len(kernel.parameters), 'parameter')}{parameters}",
        "history": f"{steps} of {spelled(plan.history_dtype)} · {history} on rank 0",
        "parts": parts,
        "memory": f"rank 0: {readable(found.root)} · each other: {readable(found.other)}",
        "node": f"{on_node}, with rank 0: {readable(found.node)}{left}{nodes}{shared}",
        "moves": f"{readable(moves[0])} from rank 0 at the start · {readable(moves[1])} to it each step",
        "counts": f"{', '.join(f'{name} {count:,}' for name, count in found.counts.items())}: {counts}",
        "verdict": verdict,
        **({} if found.problem.doubt is None else {"note": found.problem.doubt}),
    }
    return [f"{name:10}{text}" for name, text in lines.items()]


def _rows(plan: Plan, rows: int) -> str:
    """Write how many rows a rank has, and of how many bytes."""
    return f"{counted(rows, 'row')} ({readable(plan.row_nbytes * rows)})"


def _ranks(first: int, end: int) -> str:
    """Write which ranks ``[first, end)`` are."""
    return f"rank {first:,}" if end - first == 1 else f"ranks {first:,}–{end - 1:,}"
