"""``simsplit plan``: what a run would take, before it is paid for."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np

from ...errors import InputError
from ...kernels.base import is_own
from ...problem import Problem
from ...problem_file import build as problems
from ...problem_file.grids import grid_of
from ...problem_file.settings import resolve
from ...runs import planning
from ...runs.setup import results_of
from ...util.formatting import pluralize, say
from .run import read, require_apart, run_options_of

if TYPE_CHECKING:
    from ...problem_file.settings import Settings
    from ...runs.options import RunOptions
    from ..parser import Options


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
    found = estimate(settings, run_options_of(options, settings), ranks, options.ranks_per_node)
    if options.json or not options.quiet:
        say(json.dumps(found.to_dict()) if options.json else str(found))
    if found.obstacles:
        raise InputError(f"the plan does not fit: {'; '.join(found.obstacles)}.")


def estimate(
    settings: Settings, options: RunOptions, ranks: int, ranks_per_node: int | None = None, *, tried: bool = True
) -> planning.ResourceEstimate:
    """Find out what a run would take; of the initial array only the header is read.

    Unless a kernel of the user's own is to be `tried`, the dtype of its results is taken to be that of the array.
    """
    shape, dtype, row = _initial(settings)
    first = {name: _first_row(name, value, shape[0]) for name, value in settings.parameters.items()}
    problem = Problem(
        None if settings.grid else row,  # one row does not go with the shape of a grid
        problems.kernel(settings.replace(parameters=first), root=True),
        delta_t=settings.delta_t,
        steps=settings.steps,
        start_time=settings.start_time,
        seed=settings.seed,
        keep=settings.keep,
        reduce=settings.reduce,
        reduce_over=settings.reduce_over,
        grid=grid_of(settings.grid),
    )
    result, reach = results_of(problem, row, shape) if tried or not is_own(problem.kernel) else (dtype, ())
    return planning.estimate(problem, shape, dtype, (result, reach), options, ranks, ranks_per_node)


def _initial(settings: Settings) -> tuple[tuple[int, ...], np.dtype[Any], Any]:
    """Return shape and dtype of the initial array, and its first row."""
    wanted = None if settings.dtype is None else problems.dtype(settings.dtype)
    if settings.input is None:
        if settings.initial is not None or "shape" in settings.grid:
            computed = problems.initial(settings)
            return computed.shape, computed.dtype, computed[:1]
        dtype = np.dtype(np.float64) if wanted is None else wanted
        size = problems.DEFAULT_SIZE if settings.size is None else settings.size
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
