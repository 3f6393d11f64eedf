"""``simsplit plot``: a history as a picture, by matplotlib (extra ``plot``)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ...errors import InputError
from ...rundir.recorded_run import PastRun, open_run, spread
from ...util.dtypes import spelled
from ...util.formatting import say
from ..output import figure as picture

if TYPE_CHECKING:
    import numpy.typing as npt

    from ...history.stored_array import StoredArray
    from ..parser import Options

    Array = npt.NDArray[Any]

_PIXELS = 800  # rows and steps that are drawn at most
_CURVES = 5  # rows that are drawn as curves unless some are chosen
_TELLABLE = 10  # curves with a colour of their own


def command(options: Options) -> None:
    """Draw it. Not collective.

    Raises
    ------
    InputError
        If there is no such run, or matplotlib is missing.
    OutputError
        If the picture cannot be written.
    """
    if options.error is not None:
        raise options.error
    run = open_run(str(options.name))
    output = options.output or "history.png"
    draw(run, output, rows=options.rows, component=options.component or 0)
    if not options.quiet:
        say(f"written to {output}")


def draw(run: PastRun, output: str, *, rows: tuple[int, ...] = (), component: int = 0) -> None:
    """Draw the history over time and rows, and chosen rows as curves.

    Parameters
    ----------
    run : PastRun
    output : str
        The picture: what matplotlib knows, such as ``.png``, ``.pdf`` or ``.svg``.
    rows : tuple of int
        Those that become curves.
    component : int
        Of rows with several values the one that is drawn, counted in C order.
    """
    figure = picture.figure(10, 7.5)
    if not run.complete:
        raise InputError(f"{run.path} has no complete step yet: there is nothing to draw.")
    history, times = run.history(), run.times()
    if history.dtype.names is not None:
        raise InputError(f"the values of {run.path} have fields, {spelled(history.dtype)}: they cannot be drawn.")
    count, values = history.shape[1], int(np.prod(history.shape[2:]))
    chosen = list(rows) or spread(count, _CURVES)
    _require_there(chosen, count, component, values)
    steps = spread(run.complete, _PIXELS)
    shown = spread(count, _PIXELS)
    image, curves = _sampled(history, steps, shown, chosen, component)
    above, below = figure.subplots(2, 1, height_ratios=[3, 2], sharex=True)
    problem = run.record["problem"]
    figure.suptitle(f"{problem['kernel']}: {problem['formula']}", wrap=True)
    what = "value" if values == 1 else f"component {component}"
    t = times[steps]
    mesh = above.pcolormesh(t, shown, image.T, shading="nearest", rasterized=True) if len(t) > 1 else None
    if mesh is None:
        above.plot(np.full(len(shown), t[0]), shown, ".")
    else:
        figure.colorbar(mesh, ax=above, label=run.label(what, "unit"), pad=0.01)
    above.set_ylabel("row")
    above.yaxis.get_major_locator().set_params(integer=True)
    for row, curve in zip(chosen, curves.T, strict=True):
        below.plot(t, curve, label=f"row {row}", marker="." if len(t) <= _PIXELS // 20 else None)
    below.set_xlabel(run.label("time", "time_unit"))
    below.set_ylabel(run.label(what, "unit"))
    below.grid(visible=True, alpha=0.3)
    if len(chosen) <= _TELLABLE:
        below.legend(loc="best", ncols=2 if len(chosen) > _CURVES else 1)
    picture.save(figure, output)


def _require_there(rows: list[int], count: int, component: int, values: int) -> None:
    """Refuse rows and components that the history does not have."""
    if not count or not values:
        raise InputError("the history has no values: there is nothing to draw.")
    for row in rows:
        if not 0 <= row < count:
            raise InputError(f"--rows must be from 0 to {count - 1}, not {row}")
    if not 0 <= component < values:
        raise InputError(f"--component must be from 0 to {values - 1}, not {component}")


def _sampled(
    history: StoredArray, steps: list[int], shown: list[int], chosen: list[int], component: int
) -> tuple[Array, Array]:
    """Return the shown rows and the chosen ones of some steps; of complex numbers the absolute values."""
    image = np.empty((len(steps), len(shown)))
    curves = np.empty((len(steps), len(chosen)))
    for number, k in enumerate(steps):
        image[number] = _values(history, k, shown, component)
        curves[number] = _values(history, k, chosen, component)
    return image, curves


def _values(history: StoredArray, k: int, rows: list[int], component: int) -> Array:
    """Return a component of some rows of a step, read in as few pieces as fit in memory."""
    found = np.empty(len(rows))
    lower, upper = min(rows), max(rows) + 1
    dense = upper - lower <= 16 * len(rows)
    step = history.block(slice(k, k + 1), slice(lower, upper))[0] if dense else None
    for place, row in enumerate(rows):
        value = step[row - lower] if step is not None else history.block(slice(k, k + 1), slice(row, row + 1))[0, 0]
        flat = np.ravel(value)[component]
        found[place] = abs(flat) if np.iscomplexobj(flat) else flat
    return found
