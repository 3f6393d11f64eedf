"""What a picture is drawn from: a history in memory or in a file, its times, and what everything is called."""

from __future__ import annotations

from collections.abc import Callable  # noqa: TC003, the type of a field
from contextlib import suppress
from functools import cached_property, partial
from math import prod
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ..errors import InputError
from ..history.stored_array import pieces
from ..problem import kept_steps
from ..problem_file.build import parameter_by_row
from ..result import GridCells
from ..util.dtypes import dtype_label, from_json
from .components import Components
from .rows import RowNames

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import numpy.typing as npt

    from ..history.stored_array import StoredArray
    from ..result import Result
    from ..rundir.recorded_run import RecordedRun

    Array = npt.NDArray[Any]

_QUICKLY_READ = 4 * 2**20  # rows whose parameters are read to call them by


class Labels(NamedTuple):
    """What is known beside the numbers.

    Attributes
    ----------
    what : str
        What messages call it.
    title, time : str
    unit : callable
        Returns the name of values with their unit.
    components : tuple of str
        What the kernel calls the values of a row.
    """

    what: str = "the result"
    title: str = ""
    time: str = "time"
    unit: Callable[[str], str] = str
    components: tuple[str, ...] = ()


class View:
    """What a picture is drawn from.

    Parameters
    ----------
    history, times, labels, reductions, step_times, steps, cells
        As the attributes.
    parameters : mapping of str to callable
        Each returns the values of a parameter by row.

    Attributes
    ----------
    history : Selected
        It may have no steps.
    times : ndarray
        Of its steps.
    labels : Labels
    reductions : mapping of str to ndarray, shape (steps, ...)
    step_times : ndarray
        Of the steps of the reductions.
    steps : ndarray of int
        The numbers of the steps of the history.
    cells : GridCells or None
        Where the cells of a grid lie.
    components : Components

    Raises
    ------
    InputError
        If there is nothing that can be drawn.
    """

    def __init__(
        self,
        history: Selected,
        times: Array,
        labels: Labels,
        parameters: Mapping[str, Callable[[], Array]],
        reductions: Mapping[str, Array],
        step_times: Array,
        steps: Array,
        cells: GridCells | None = None,
    ) -> None:
        if not len(times) and not (reductions and len(step_times)):
            raise InputError(f"{labels.what} has no complete step yet: there is nothing to draw.")
        if history.dtype.names is not None and cells is None:
            raise InputError(
                f"the values of {labels.what} have fields, {dtype_label(history.dtype)}: they cannot be drawn."
            )
        if not prod(history.shape[1:]):
            raise InputError("the history has no values: there is nothing to draw.")
        self.history, self.times, self.labels = history, times, labels
        self.reductions, self.step_times = reductions, step_times
        self.steps, self.cells = steps, cells
        self.components = Components(history.shape[2:], history.dtype, labels.components)
        self.parameters = parameters

    @property
    def rows(self) -> int:
        """How many rows there are."""
        return int(self.history.shape[1])

    def keep(self, which: str) -> None:
        """Draw some of the steps alone: "last", "last:N" or "every:K", as a run keeps them."""
        if which == "none":
            raise InputError('keep "none" leaves nothing to draw. Give last, last:N or every:K.')
        self.select(kept_steps(which, len(self.times)))

    def select(self, entries: range) -> None:
        """Draw some of the steps alone, by their places in the history."""
        chosen = slice(entries.start, entries.stop, entries.step)
        self.history, self.times, self.steps = self.history.select(entries), self.times[chosen], self.steps[chosen]

    @cached_property
    def row_names(self) -> RowNames:
        """What the rows are called: after the parameters that differ by row, as far as these can be read."""
        found = {}
        for name, read in self.parameters.items() if self.rows <= _QUICKLY_READ else ():
            with suppress(InputError):
                if len(values := read()) == self.rows:
                    found[name] = values
        return RowNames(self.rows, found)


class Selected:
    """Some of the steps of a history.

    Parameters
    ----------
    history : StoredArray or ndarray
    entries : range
        Their places in it.
    """

    def __init__(self, history: StoredArray | Array, entries: range) -> None:
        self._history, self._entries = history, entries
        self.shape = (len(entries), *history.shape[1:])
        self.dtype = history.dtype

    def select(self, entries: range) -> Selected:
        """Return some of them."""
        return Selected(self._history, self._entries[entries.start : entries.stop : entries.step])

    def pieces(self) -> Iterator[tuple[slice, slice]]:
        """Yield the ranges of steps and of rows that make it up; of a stored history no chunk is in two of them."""
        if not self._entries:
            return
        start, stop, step = self._entries.start, self._entries[-1] + 1, self._entries.step
        chunk = getattr(self._history, "chunk", (1, 1))
        for steps, rows in pieces(self._history.shape, self.dtype, chunk, stop):
            first, last = (max(0, -(-(place - start) // step)) for place in (steps.start, steps.stop))
            if first < last:
                yield slice(first, last), rows

    def block(self, steps: slice, rows: slice) -> Array:
        """Return a part of it, shape (steps, rows, ...)."""
        entries = self._entries[steps]
        within = slice(entries.start, entries[-1] + 1)
        if isinstance(self._history, np.ndarray):
            return self._history[within, rows][:: entries.step]
        return self._history.block(within, rows)[:: entries.step]


def of_run(run: RecordedRun) -> View:
    """Return what is drawn of a run in a run directory.

    Raises
    ------
    InputError
        If there is nothing yet, or it cannot be read.
    """
    problem = run.record["problem"]
    labels = Labels(
        str(run.path),
        problem["formula"] if problem["kernel"] == "expression" else f"{problem['kernel']}: {problem['formula']}",
        run.label("time", "time_unit"),
        partial(run.label, unit="unit"),
        tuple(problem.get("components", ())),
    )
    by_row = [name for name, value in problem["parameters"].items() if value == "by row"]
    parameters = {name: partial(parameter_by_row, run, name) for name in by_row}
    history: Any = np.empty((0, *run.record["history"]["shape"][1:]), from_json(run.record["history"]["dtype"]))
    history = Selected(run.history() if run.complete else history, range(run.complete))
    grid = problem.get("grid")
    cells = None if grid is None else GridCells.of(grid)
    steps, times = run.kept()[: run.complete], run.times()[: run.complete]
    return View(history, times, labels, parameters, run.reductions(), run.step_times(), steps, cells)


def of_result(result: Result) -> View:
    """Return what is drawn of a result, on root.

    Raises
    ------
    InputError
        If it is nothing.
    """
    history = result.history
    if history is None:  # a run that keeps no step may have none
        some = next(iter(result.reductions.values()))
        history = np.empty((0, 1, *some.shape[1:]), some.dtype)
    labels = Labels(components=result.components)
    parameters = {
        name: partial(by_row, name, value, history.shape[1])
        for name, value in result.parameters.items()
        if isinstance(value, np.ndarray)
    }
    kept = Selected(history, range(len(history)))
    steps = np.asarray(result.kept)
    return View(kept, result.times, labels, parameters, result.reductions, result.step_times, steps, result.cells)


def by_row(name: str, given: npt.ArrayLike, rows: int) -> Array:
    """Return the values of a parameter as numbers, shape (rows,).

    Raises
    ------
    InputError
        If it has not one real value for each row.
    """
    values = np.asarray(given)
    if values.shape[:1] != (rows,) or values.size != rows or values.dtype.kind not in "biuf":
        raise InputError(
            f"against takes {rows} real numbers, one a row, but {name} is of {values.dtype}, shape {values.shape}"
        )
    return values.reshape(-1).astype(np.float64)
