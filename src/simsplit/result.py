"""The result of a run."""

from __future__ import annotations

import os
from contextlib import suppress
from math import prod
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple

import numpy as np

from .engine import Timings
from .errors import InputError, SimsplitError
from .kernels.base import COORDINATES
from .kernels.result_dtype import taken_by_row
from .problem import axis_names, times_of
from .util.records import Record
from .util.validation import finite

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy.typing as npt

    from .communicator import Communicator
    from .engine import Plan
    from .problem import Problem
    from .verification import Verification

    Array = npt.NDArray[Any]
    Against = str | int | tuple[str, npt.ArrayLike] | None  # the argument of `Drawable.plot`

_WORTH_TELLING = 1.0  # seconds that root waited for a slower rank
_QUICKLY_READ = 64 * 2**20  # bytes of a history that a notebook draws by itself


class Drawable:
    """What a `Result` and a `Run` show alike of what they have: `history`, `times` and `reductions`."""

    def _draw(self, output: str | BinaryIO, **chosen: Any) -> list[str]:
        """Draw a picture, chosen as by `plot`; return what it leaves out."""
        raise NotImplementedError

    @property
    def step_times(self) -> Any:
        """The time of each step so far, kept or not."""
        raise NotImplementedError

    def _labels(self) -> Mapping[str, str]:
        """Return attributes of the dataset."""
        return {}

    def plot(
        self,
        path: str | os.PathLike[str],
        *,
        rows: Sequence[int] = (),
        component: int | str | Sequence[int | str] = (),
        against: Against = None,
        log: str | Sequence[str] = (),
        keep: str = "all",
        reduce: str | Sequence[str] = (),
        steps: Sequence[int] = (),
        cut: int | None = None,
    ) -> list[str]:
        """Draw the history over time and rows, and some rows as curves, into a file; or values against something else.

        Of a grid the field is drawn at some steps, or, in one dimension, over space and time.

        Parameters
        ----------
        path : path-like
            Such as ``picture.png``, ``.pdf`` or ``.svg``.
        rows : sequence of int, optional
            Those that become curves.
        component : int or str, or sequence of them, optional
            Of rows with several values those that are drawn: names (`Kernel.components`), such as "S,I,R", or numbers
            in C order. Of complex values both parts are, or one that is named: "0.abs", of "real", "imag", "abs" and
            "phase". By default all if they are few, else the first.
        against : str or int, or (str, array_like of shape (n,)), optional
            What the horizontal axis shows instead of time: a parameter with a value for each row (all values of all
            steps against it are a bifurcation diagram), "row", another component (a phase portrait), or numbers of
            your own with their name.
        log : str or sequence of str, optional
            Axes that are logarithmic: "value", "time", or the name of what else an axis shows.
        keep : {"all", "last"}, "last:N" or "every:K", default "all"
            Which of the steps that the history holds.
        reduce : str or sequence of str, optional
            What the run computed over all rows, such as "mean,std", instead of the history. By default all of it, where
            the history has no steps.
        steps : sequence of int, optional
            Of a grid: the numbers of the steps that are drawn; by default a few.
        cut : int, optional
            Of a grid of three dimensions: the layer that is drawn; by default the middle one.

        Returns
        -------
        list of str
            What the picture leaves out.

        Raises
        ------
        InputError
            If matplotlib is missing, or there is nothing that can be drawn.
        OutputError
            If the picture cannot be written.
        """
        return self._draw(
            os.fsdecode(path),
            rows=rows,
            component=component,
            against=against,
            log=log,
            keep=keep,
            reduce=reduce,
            steps=steps,
            cut=cut,
        )

    def movie(
        self,
        path: str | os.PathLike[str],
        *,
        component: int | str | Sequence[int | str] = (),
        keep: str = "all",
        cut: int | None = None,
        frames_per_second: float = 10.0,
    ) -> None:
        """Make a movie of the kept steps of a grid.

        Parameters
        ----------
        path : path-like
            A ``.gif`` or an ``.mp4``.
        component, keep, cut
            As of `plot`.
        frames_per_second : float, default 10.0
            How many steps are shown in a second.

        Raises
        ------
        InputError
            If there is no grid, or matplotlib or imageio is missing.
        OutputError
            If the movie cannot be written.
        """
        speed = finite("frames_per_second", frames_per_second)
        if speed <= 0:
            raise InputError(f"frames_per_second must be greater than 0, not {frames_per_second}")
        self._draw(os.fsdecode(path), component=component, keep=keep, cut=cut, movie=speed)

    def to_xarray(self) -> Any:
        """Return a dataset of xarray: the history and reductions, with times, names of axes and units.

        Returns
        -------
        xarray.Dataset
            Of an ``.npy`` it is a memory map, of other formats it is read.

        Raises
        ------
        InputError
            If xarray is missing, or the history cannot be read.
        """
        from .util.optional import import_optional

        xarray = import_optional("xarray", "a dataset needs xarray", "xarray")
        this: Any = self
        history, times, reductions = this.history, this.times, this.reductions
        if history is not None and not isinstance(history, np.ndarray):
            history = np.asarray(history[:])
        steps = max((len(each) for each in reductions.values()), default=len(times))
        every = "time" if steps == len(times) else "step_time"
        variables: dict[str, Any] = {}
        coordinates = {"time": times} | ({every: self.step_times[:steps]} if reductions else {})
        if history is not None:
            axes, places = _axes(this.cells)
            coordinates |= places
            variables["history"] = (("time", *axes, *_components(history.ndim - 1 - len(axes))), history)
        for name, reduced in reductions.items():
            variables[name] = ((every, *_components(reduced.ndim - 1)), reduced)
        return xarray.Dataset(variables, coordinates, dict(self._labels()))

    def _picture(self) -> str:
        """Return a small picture as HTML, if there is matplotlib and something to draw that is quickly read."""
        from base64 import b64encode
        from io import BytesIO

        this: Any = self
        with suppress(SimsplitError):
            history = this.history
            if history is not None and 0 < prod(history.shape) * history.dtype.itemsize <= _QUICKLY_READ:
                content = BytesIO()
                self._draw(content)
                return f'<img alt="history" src="data:image/png;base64,{b64encode(content.getvalue()).decode()}">'
        return ""


def _components(count: int) -> tuple[str, ...]:
    return ("component",) if count == 1 else tuple(f"component_{number}" for number in range(count))


class Result(Record, Drawable):
    """What a run gives, on every rank.

    Attributes
    ----------
    history : ndarray, shape (kept steps, n, ...), or None
        ``history[i]`` is step ``kept[i]`` and belongs to ``times[i]``. On root; None elsewhere.
    time_grid : (float, float, int)
        Start time, time from one step to the next, number of steps.
    kept : range
        The numbers of the steps that the history holds.
    ranks : int
        Number of ranks.
    bounds : list of (int, int)
        The rows ``[lower, upper)`` of each rank.
    hosts : list of str
        The host of each rank.
    library : str or None
        The MPI library; None without MPI.
    timings : Timings
        Seconds: how long the slowest rank waited for its rows and how long the slowest computed, and how
        long root took to gather, to write, and for all steps.
    nbytes : dict of str to int
        Bytes of the ``initial`` array and of the ``history``, and how many of them were ``scattered``
        from root to other ranks and ``gathered`` from them.
    verification : Verification or None
        What comparing with one process found; None if it was not asked for.
    note : str or None
        What else is to be said about the run.
    reductions : mapping of str to ndarray, shape (steps, ...)
        ``reductions["mean"][k]`` is the mean over all rows of step k, kept or not; see `Problem`. On root;
        empty elsewhere.
    transport : {"gatherv", "shared"}
        How the results came to root: by messages, or through memory that ranks of a node share.
    transport_reason : str
        Why that way.
    shares : mapping of str to float
        How root spent its time, as parts of 1: on ``compute``, on ``communication`` (scattering, gathering and
        waiting for other ranks) and on ``output``; and, where `waited` is there, on ``waiting for rank …``, which
        is not part of the communication then.
    waited : (int, float), or None
        The rank that computed longest, and the seconds that root waited for it, if that is a second or more.
    components : tuple of str
        What the kernel calls the values of a row; empty if they have no names.
    cells : GridCells or None
        Where the cells of a grid lie: its shape, spacing and origin.
    parameters : mapping of str to number, ndarray or None
        Of the kernel; arrays on root alone.
    backend : str
        What did the arithmetic, and why: "numba (affine, 640 MB)", or "NumPy: …".
    """

    history: Array | None
    time_grid: tuple[float, float, int]
    kept: range
    ranks: int
    bounds: list[tuple[int, int]]
    hosts: list[str]
    library: str | None
    timings: Timings
    nbytes: dict[str, int]
    verification: Verification | None = None
    note: str | None = None
    reductions: Mapping[str, Array] = {}
    transport: str = "gatherv"
    transport_reason: str = ""
    shares: Mapping[str, float] = {}
    waited: tuple[int, float] | None = None
    components: tuple[str, ...] = ()
    parameters: Mapping[str, Any] = {}
    cells: GridCells | None = None
    backend: str = "NumPy"

    _repr_exclude = ("history", "bounds", "hosts", "reductions", "parameters")
    __eq__ = object.__eq__  # arrays are not simply equal
    __hash__ = object.__hash__

    @property
    def rate(self) -> float:
        """Bytes of the history computed and brought to root in a second, by root's clock; 0 if it is empty."""
        seconds = self.timings.steps
        return self.nbytes["history"] / seconds if seconds else 0.0

    @property
    def times(self) -> npt.NDArray[np.float64]:
        """The time of each step of the history, ``start_time + k * delta_t``, shape (kept steps,)."""
        start_time, delta_t, _ = self.time_grid
        return times_of(start_time, delta_t, self.kept)

    @property
    def step_times(self) -> npt.NDArray[np.float64]:
        """The time of each step, kept or not: those of the reductions, shape (steps,)."""
        start_time, delta_t, steps = self.time_grid
        return times_of(start_time, delta_t, range(steps))

    def _draw(self, output: str | BinaryIO, **chosen: Any) -> list[str]:
        if self.history is None and (len(self.kept) or not self.reductions):
            raise InputError("this result has no history in memory: draw it on root, or the run by simsplit.open.")
        from .display.picture import draw_result

        notes: list[str] = draw_result(self, output, **chosen)
        return notes

    def _repr_html_(self) -> str:
        from .util.formatting import format_bytes, format_duration

        shape = "elsewhere" if self.history is None else f"{self.history.shape} of {self.history.dtype}"
        facts = {
            "history": f"{shape}, {format_bytes(self.nbytes['history'])}",
            "reductions": ", ".join(self.reductions) or "none",
            "ranks": self.ranks,
            "steps computed in": format_duration(self.timings.steps),
            "backend": self.backend,
        }
        from .util.labelled import table

        return table("result", facts, self._picture())


class GridCells(NamedTuple):
    """Where the cells of a grid lie.

    Attributes
    ----------
    shape : tuple of int
    spacing, origin : tuple of float
        The distance between cells along each axis, and the coordinate of the first one, in the unit of the problem.
    """

    shape: tuple[int, ...]
    spacing: tuple[float, ...]
    origin: tuple[float, ...]

    @classmethod
    def of(cls, layout: Any) -> GridCells:
        """Return the cells of a grid that has these attributes, or of a mapping of them."""
        known = layout if isinstance(layout, dict) else {name: getattr(layout, name) for name in cls._fields}
        return cls(*(tuple(known[name]) for name in cls._fields))

    def coordinates(self, axis: int) -> Array:
        """Return the coordinates along an axis, shape (n,)."""
        return self.origin[axis] + np.arange(self.shape[axis]) * self.spacing[axis]

    def edges(self, axis: int) -> tuple[float, float]:
        """Return where the cells along an axis begin and end: half the spacing before the first, and after the last."""
        first = self.origin[axis] - self.spacing[axis] / 2
        return first, first + self.shape[axis] * self.spacing[axis]


def _axes(cells: GridCells | None) -> tuple[tuple[str, ...], dict[str, Any]]:
    """Return what the axes of rows and cells are called, and coordinates along them."""
    if cells is None:
        return ("row",), {}
    names = axis_names(len(cells.shape))
    places = enumerate(zip(COORDINATES, names, strict=False))
    return names, {coordinate: (name, cells.coordinates(axis)) for axis, (coordinate, name) in places}


def make_result(
    problem: Problem,
    communicator: Communicator,
    plan: Plan,
    timings: Timings,
    history: Array | None,
    verification: Verification | None,
    backend: str,
) -> Result:
    """Return what a run gives. Collective."""
    everyone = communicator.allgather((communicator.host, timings))
    roots = everyone[0][1]
    waited = _waited([each for _, each in everyone])
    return Result(
        history=None if history is None else history[: len(plan.kept)],
        time_grid=(problem.start_time, problem.delta_t, plan.steps),
        kept=plan.kept,
        ranks=communicator.size,
        bounds=plan.bounds,
        hosts=[host for host, _ in everyone],
        library=communicator.library,
        timings=Timings(
            scatter=max(each.scatter for _, each in everyone),
            compute=max(each.compute for _, each in everyone),
            gather=roots.gather,
            output=roots.output,
            steps=roots.steps,
        ),
        nbytes={
            "initial": plan.initial_nbytes,
            "history": plan.history_nbytes,
            "scattered": plan.scattered_nbytes,
            "gathered": plan.gathered_nbytes,
        },
        verification=verification,
        note=_note(problem),
        shares=_shares(roots, waited),
        waited=waited,
        components=tuple(problem.kernel.components),
        parameters=dict(problem.kernel.parameters),
        cells=None if (layout := problem.layout(plan.shape)) is None else GridCells.of(layout),
        backend=backend,
    )


def _note(problem: Problem) -> str | None:
    """Return what is to be said about how the problem was understood."""
    taken = None if problem.initial is None else taken_by_row(problem.kernel, problem.initial.shape)
    return "; ".join(filter(None, [taken, problem.doubt])) or None


def _waited(seconds: Sequence[Timings]) -> tuple[int, float] | None:
    """Return the rank that computed longest, and how long root waited for it, if that is worth telling."""
    slowest = max(range(len(seconds)), key=lambda rank: seconds[rank].compute)
    waited = min(seconds[0].gather, seconds[slowest].compute - seconds[0].compute)
    return (slowest, waited) if waited >= _WORTH_TELLING else None


def _shares(seconds: Timings, waited: tuple[int, float] | None) -> dict[str, float]:
    """Return how root spent its time, as parts of 1."""
    rank, waiting = waited or (0, 0.0)
    spent = {
        "compute": seconds.compute,
        **({f"waiting for rank {rank}": waiting} if waited else {}),
        "communication": seconds.scatter + seconds.gather - waiting,
        "output": seconds.output,
    }
    total = sum(spent.values()) or 1.0
    return {name: value / total for name, value in spent.items()}
