"""Plain programs for grids: all cells in one array, ghosts one by one, and nothing of simsplit's."""

from __future__ import annotations

from itertools import product
from threading import BrokenBarrierError
from typing import TYPE_CHECKING, Any

import numpy as np

from simsplit.runs.destinations import Memory
from simsplit.runs.options import RunOptions
from simsplit.runs.pipeline import execute
from tests.support.threads import ThreadNode, on_ranks

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy.typing as npt

    from simsplit import Problem, Result

    Array = npt.NDArray[Any]


def on_threads(problem: Problem, ranks: int, *, nodes: int | None = None, **options: Any) -> Result:
    """Run a problem on ranks that are threads, on some nodes round robin or each on its own; return root's result."""
    windows: dict[Any, Array] = {}
    members = [list(range(ranks))[index::nodes] for index in range(min(nodes or 1, ranks))]

    def run(communicator: Any) -> Result:
        if nodes is not None:
            communicator.shares = ThreadNode(members, communicator.rank, windows)
        return execute(problem, communicator, RunOptions(**options), Memory("gatherv", None))

    results = on_ranks(ranks, run)
    failed = [each for each in results if isinstance(each, BaseException)]
    for each in sorted(failed, key=lambda error: isinstance(error, BrokenBarrierError)):  # the cause, not who waited
        raise each
    first: Result = results[0]
    return first


def ghost(  # noqa: PLR0911, one for each kind
    u: Array, axis: int, side: int, i: int, text: str, t: float = 0.0, spacing: float = 1
) -> Array:
    """Return the i-th ghost beyond a side of an axis, as the table of docs/grids.md defines it."""
    n = u.shape[axis]

    def cell(index: int) -> Array:
        return np.take(u, [index if side == 0 else n - 1 - index], axis)

    kind, _, value = text.partition(" ")
    if kind in ("periodic", "anti-periodic"):
        place = -1 - i if side == 0 else n + i
        found = np.take(u, [place % n], axis)
        return -found if kind == "anti-periodic" and (place // n) % 2 else found
    if kind == "no-flux":
        return cell(i)
    if kind == "mirror":
        return cell(i + 1)
    number = complex(value) if "j" in value else float(value) if "." in value else int(value or 0)
    if kind == "fixed":
        return np.full_like(cell(0), number)
    if kind == "wall":
        return 2 * number - cell(i)
    if kind == "flux":
        return cell(i) - (number * spacing) * (2 * i + 1)
    assert text == "0.5 * inner + t"
    return 0.5 * cell(i) + t


def pad(u: Array, reach: Any, boundary: Sequence[tuple[str, str]], t: float = 0.0) -> Array:
    """Return an array with its ghosts, along axis 0 first."""
    for axis, ((low, high), (before, after)) in enumerate(zip(reach, boundary, strict=True)):
        lower = [ghost(u, axis, 0, i, before, t) for i in reversed(range(low))]
        upper = [ghost(u, axis, 1, i, after, t) for i in range(high)]
        u = np.concatenate([*lower, u, *upper], axis).astype(u.dtype)
    return u


def view(padded: Array, reach: Any, offsets: Sequence[int]) -> Array:
    """Return the cells that lie `offsets` on."""
    shifts = [*offsets, *[0] * (len(reach) - len(offsets))]
    cuts = [
        slice(low + shift, n - high + shift) for n, (low, high), shift in zip(padded.shape, reach, shifts, strict=False)
    ]
    return padded[tuple(cuts)]


def history(
    initial: Array,
    step: Callable[[Callable[..., Array], int], Array],
    reach: Any,
    boundary: Sequence[tuple[str, str]],
    steps: int,
    delta_t: float = 1.0,
) -> Array:
    """Return all steps of a plain program.

    Parameters
    ----------
    initial : ndarray
    step : callable
        Gives the next state, of a function of offsets that gives these cells, and the number of the step.
    reach, boundary, steps, delta_t
        Of the grid.
    """
    states = [initial]
    for k in range(steps - 1):
        padded = pad(states[-1], reach, boundary, k * delta_t)
        states.append(np.asarray(step(lambda *o, p=padded: view(p, reach, o), k)).astype(initial.dtype))
    return np.stack(states)


def moore(axes: int) -> list[tuple[int, ...]]:
    """Return the offsets of all cells that touch a cell."""
    return [each for each in product((-1, 0, 1), repeat=axes) if any(each)]
