"""``simsplit plan``: what a run would take, before it is paid for."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ...bounds import part
from ...communicator.serial import SerialCommunicator
from ...engine import Plan
from ...errors import InputError
from ...history.history_file import plan_for_format
from ...problem import Problem
from ...problem_file import build as problems
from ...problem_file.settings import resolve
from ...runs.options import kind_of
from ...runs.setup import history_dtype
from ...util import durable
from ...util.dtypes import dtype_label
from ...util.formatting import format_bytes, pluralize, say
from ...util.memory_limits import available, shm_available
from .run import read, require_apart, run_options_of

if TYPE_CHECKING:
    from ...problem_file.settings import Settings
    from ..parser import Options

_INT32 = 2**31 - 1  # what an MPI library of version 3 of the standard counts to
_INT64 = 2**63 - 1


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
        if self.disk is not None and self.plan.history_nbytes > self.disk:
            history, left = format_bytes(self.plan.history_nbytes), format_bytes(self.disk)
            reasons.append(f"the history takes {history}, but {left} are left on the disk of {self.output}")
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
    if options.expect_ranks not in (None, ranks) or (options.serial and ranks > 1):
        raise InputError(f"the plan is for {pluralize(ranks, 'rank')}: leave out --serial and --expect-ranks")
    require_apart(settings, options.problem)
    run_options_of(options, settings)  # which refuses what does not go together
    per_node = min(ranks, options.ranks_per_node or os.cpu_count() or 1)
    found = estimate(settings, ranks, per_node, via=options.via)
    if options.json or not options.quiet:
        say(json.dumps(as_json(found)) if options.json else "\n".join(as_table(found)))
    if found.obstacles:
        raise InputError(f"the plan does not fit: {'; '.join(found.obstacles)}.")


def estimate(settings: Settings, ranks: int, ranks_per_node: int, *, via: str = "collective") -> ResourceEstimate:
    """Find out what a run would take; of the initial array only the header is read."""
    kind = kind_of(settings.output)
    on_root = kind in ("memory", "npy")
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
    if not on_root:
        file = (settings.format or "npy") if kind == "directory" else kind
        data_offset = plan.replace(
            steps=min(1, plan.steps)
        )  # what a file can hold, and its chunks, do not depend on more
        plan = plan.replace(grain=plan_for_format(problem, SerialCommunicator(), data_offset, file).grain)
    second = plan.part_shape(min(1, ranks - 1))[0]
    by_row = sum(value[:1].nbytes for value in kernel.parameters.values() if isinstance(value, np.ndarray))
    tile = prod(plan.tile_shape) * plan.history_dtype.itemsize
    step = plan.history_row_nbytes * shape[0]
    state = plan.history_row_nbytes if kernel.kind == "step" else 0
    held = plan.history_nbytes if on_root else min(tile, plan.history_nbytes)
    if via == "remote":  # rank 0 has all rows of a step, of a file one at a time
        held = step + (plan.history_nbytes if on_root else step)
    return ResourceEstimate(
        problem=problem,
        plan=plan,
        ranks_per_node=ranks_per_node,
        by_row=by_row,
        output=settings.output,
        on_root=on_root,
        root=plan.initial_nbytes + by_row * shape[0] + held + state * plan.longest,
        other=(plan.row_nbytes + by_row + state) * second + tile if ranks > 1 else 0,
        left=available(),
        shared=shm_available(),
        disk=_disk(settings.output),
    )


def _disk(output: str | None) -> int | None:
    """Return the bytes that are left where the output goes, or None if the system does not tell."""
    if output is None:
        return None
    try:
        return durable.free_bytes(output if kind_of(output) == "directory" else Path(output).absolute().parent)
    except OSError:
        return None


def _rows_of_ranks(plan: Plan) -> dict[str, int]:
    """Return the most rows and the least that a rank has, and how many ranks have the most."""
    grains = -(-plan.shape[0] // plan.grain)
    with_most = grains % plan.ranks or plan.ranks
    most = plan.longest
    cut = plan.part_shape(with_most - 1)[0] < most  # the last chunk may have fewer rows than the others
    return {"most": most, "least": plan.part_shape(plan.ranks - 1)[0], "ranks_with_most": with_most - cut}


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
            f"parameter {name} has {pluralize(len(array), 'row')}, but the array has {rows:,}. Give each row a value."
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


def as_json(found: ResourceEstimate) -> dict[str, Any]:
    """Return the plan for programs."""
    plan = found.plan
    return {
        "kernel": found.problem.kernel.name,
        "kind": found.problem.kernel.kind,
        "note": found.problem.doubt,
        "shape": list(plan.shape),
        "dtype": dtype_label(plan.dtype),
        "history_dtype": dtype_label(plan.history_dtype),
        "steps": plan.steps,
        "kept_steps": len(plan.kept),
        "ranks": plan.ranks,
        "ranks_per_node": found.ranks_per_node,
        "rows": _rows_of_ranks(plan),
        "output": found.output,
        "history_on_rank_0": found.on_root,
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
            "disk_left": found.disk,
        },
        "counts": found.counts,
        "max_count": found.count,
        "fits_32_bit_counts": found.count <= _INT32,
        "fits": not found.obstacles,
        "obstacles": found.obstacles,
    }


def as_table(found: ResourceEstimate) -> list[str]:
    """Return the plan for people."""
    plan, kernel = found.plan, found.problem.kernel
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
    counts = "fits every MPI library" if found.count <= _INT32 else "split where the MPI library has 32-bit counts"
    left = "" if found.left is None else f" of the {format_bytes(found.left)} that are left here"
    shared = "" if found.shared is None else f" · /dev/shm: {format_bytes(found.shared)} left, none needed"
    verdict = "fits" if not found.obstacles else f"does not fit: {'; '.join(found.obstacles)}"
    on_node = pluralize(min(found.ranks_per_node, plan.ranks), "rank")
    history = [format_bytes(plan.history_nbytes) + (" on rank 0" if found.on_root else ", written by all ranks")]
    if found.output is not None:
        history.append(
            f"in {found.output}" + ("" if found.disk is None else f", {format_bytes(found.disk)} left there")
        )
    of_all = "" if len(plan.kept) == plan.steps else f" of {plan.steps:,}"
    steps = pluralize(len(plan.kept), "step") + of_all
    nodes = f" · each other node: {format_bytes(found.other_node)}" if found.other_node else ""
    parameters = f", {format_bytes(found.by_row * plan.shape[0])} of them by row" if found.by_row else ""
    moves = f"{format_bytes(found.scattered)} from rank 0 at the start"
    if found.on_root:
        moves += f" · {format_bytes(found.gathered)} to it each step"
    lines = {
        "array": f"{pluralize(plan.shape[0], 'row')}{row}, {dtype_label(plan.dtype)} · "
        f"{format_bytes(plan.initial_nbytes)}",
        "kernel": f"{kernel.name}, {kernel.kind}, {pluralize(len(kernel.parameters), 'parameter')}{parameters}",
        "history": f"{steps} of {dtype_label(plan.history_dtype)} · {' · '.join(history)}",
        "parts": parts,
        "memory": f"rank 0: {format_bytes(found.root)} · each other: {format_bytes(found.other)}",
        "node": f"{on_node}, with rank 0: {format_bytes(found.node)}{left}{nodes}{shared}",
        "moves": moves,
        "counts": f"{', '.join(f'{name} {count:,}' for name, count in found.counts.items())}: {counts}",
        "verdict": verdict,
        **({} if found.problem.doubt is None else {"note": found.problem.doubt}),
    }
    return [f"{name:10}{text}" for name, text in lines.items()]


def _rows(plan: Plan, rows: int) -> str:
    """Write how many rows a rank has, and of how many bytes."""
    return f"{pluralize(rows, 'row')} ({format_bytes(plan.row_nbytes * rows)})"


def _ranks(first: int, end: int) -> str:
    """Write which ranks ``[first, end)`` are."""
    return f"rank {first:,}" if end - first == 1 else f"ranks {first:,}–{end - 1:,}"
