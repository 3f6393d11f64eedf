"""Kernels of a user's own: those that mix rows, with what the user is to be told, and those that do not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt

    Array = npt.NDArray[Any]

_generator = np.random.default_rng(1)
_NEIGHBOURS, _EDGES, _RANDOM = "reads neighbours (np.roll", "leaves out the edges (out[1:-1] = …)", "np.random"


def grid(rows: int) -> Array:
    """Return a bump, which no linear kernel leaves as it is."""
    return np.exp(-((np.arange(rows) - rows / 3) ** 2) / max(1, rows))


def roll(x: Array) -> Array:
    """Make a step of the heat equation, in a ring."""
    return x + 0.2 * (np.roll(x, 1) - 2 * x + np.roll(x, -1))


def fixed_ends(x: Array, out: Array) -> None:
    """Make a step of the heat equation between fixed ends."""
    out[:] = x
    out[1:-1] = x[1:-1] + 0.2 * (x[2:] - 2 * x[1:-1] + x[:-2])


def edges(x: Array, out: Array) -> None:
    """Make the same step, and do not write the ends."""
    out[1:-1] = x[1:-1] + 0.2 * (x[2:] - 2 * x[1:-1] + x[:-2])


def upwind(x: Array) -> Array:
    """Read the row that comes next."""
    return x - 0.5 * (x - np.append(x[1:], x[-1:]))


def mean(x: Array) -> Array:
    """Go to the mean of all rows."""
    return x + 0.1 * (x.mean() - x)


def maximum(x: Array) -> Array:
    """Keep the largest at 1."""
    return x / x.max() * 0.5 if x.max() else x


def kuramoto(x: Array, delta_t: float, row: Array) -> Array:
    """Couple phases by their order parameter."""
    order = np.exp(1j * x).mean()
    return x + delta_t * (0.1 * row + 2.0 * abs(order) * np.sin(np.angle(order) - x))


def random(x: Array, delta_t: float) -> Array:
    """Draw numbers of one's own."""
    return x + delta_t * _generator.normal(size=x.shape)


def seeded(x: Array, k: int) -> Array:
    """Draw numbers of one's own, from the first row of `x` on."""
    return x + np.random.default_rng(k).normal(size=x.shape)


def position(x: Array) -> Array:
    """Count from the first row of `x`."""
    return x + np.arange(len(x))


def forgets(x: Array, out: Array) -> None:
    """Write nothing."""


class _Remembers:
    """Go on from what it gave before."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, x: Array) -> Array:
        self.calls += 1
        return x + self.calls


MIXING: dict[str, tuple[Callable[..., Any], str]] = {
    "roll": (roll, _NEIGHBOURS),
    "fixed ends": (fixed_ends, _NEIGHBOURS),
    "upwind": (upwind, _NEIGHBOURS),
    "edges": (edges, _EDGES),
    "mean": (mean, "takes a mean"),
    "maximum": (maximum, "a maximum"),
    "Kuramoto": (kuramoto, "takes a mean"),
    "random": (random, _RANDOM),
    "seeded": (seeded, "np.arange(len(x))"),
    "position": (position, "np.arange(len(x))"),
    "forgets": (forgets, "forgets out[...] = …"),
    "remembers": (_Remembers(), "keeps something from one call to the next"),
}

LOCAL: dict[str, Callable[..., Any]] = {
    "decay": lambda x, t: x * np.exp(-t),
    "noise": lambda x, random: x + random.normal() * 0.1 + random.uniform(),
    "row": lambda x, row, k: x + np.sin(row + k),
    "out": lambda x, t, out: np.multiply(x, t, out=out),
    "inverse": lambda x, t: t / x,
    "nothing": lambda x: x,
    "condition": lambda x: np.where(x > 0.5, 0.0, -x),
    "no number": lambda x: x * np.nan,
}
