"""Simulations on grids whose results are known exactly, or from theory: for ranks that are threads, and for MPI's."""

from __future__ import annotations

from dataclasses import dataclass
from math import comb, cos, pi
from typing import TYPE_CHECKING, Any

import numpy as np

from simsplit import Grid, Problem, kernels, stencil

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt

    Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Case:
    """A problem, and what must be right of its history."""

    name: str
    problem: Callable[[], Problem]
    check: Callable[[Array], None]


def _expression(text: str, initial: Any, boundary: Any, steps: int, keep: str = "last", **parameters: Any) -> Problem:
    kernel = kernels.expression(text, kind="step", **parameters)
    return Problem(initial, kernel, delta_t=1.0, steps=steps + 1, keep=keep, grid=Grid(boundary=boundary))


def _shift() -> Case:
    start = np.random.default_rng(3).random(1000)

    def check(history: Array) -> None:
        for k, state in enumerate(history):
            assert (state == np.roll(start, k)).all()

    return Case("shift", lambda: _expression("x[-1]", start, "periodic", 30, "all"), check)


def _shift_of_three() -> Case:
    def check(history: Array) -> None:
        assert history.tolist() == [np.roll([5, 6, 7], k).tolist() for k in range(12)]

    return Case("three cells", lambda: _expression("x[-1]", np.array([5, 6, 7]), "periodic", 11, "all"), check)


def _walk() -> Case:
    start = np.zeros(101)
    start[50] = 1

    def check(history: Array) -> None:
        assert history[0][::2].tolist() == [comb(50, j) / 2**50 for j in range(51)]
        assert not history[0][1::2].any()
        assert history[0][50].hex() == "0x1.cbe10d2b95e00p-4"

    return Case("walk", lambda: _expression("(x[-1] + x[+1]) / 2", start, "fixed 0", 50), check)


def _pascal() -> Case:
    start = np.zeros(125, np.int64)
    start[62] = 1

    def check(history: Array) -> None:
        assert history[0][::2].tolist() == [comb(62, j) for j in range(63)]
        assert history[0][62] == 465428353255261088

    return Case("Pascal's triangle", lambda: _expression("x[-1] + x[+1]", start, "fixed 0", 62), check)


def _rule(number: int, text: str, populations: dict[int, int], centre: str = "", ones: int | None = None) -> Case:
    size = 2049
    start = np.zeros(size, np.uint8)
    start[size // 2] = 1

    def check(history: Array) -> None:
        for k, population in populations.items():
            assert history[k].sum() == population
        assert "".join(map(str, history[: len(centre), size // 2])) == centre
        assert ones is None or history[:1000, size // 2].sum() == ones

    return Case(f"rule {number}", lambda: _expression(text, start, "fixed 0", 1000, "all"), check)


@stencil(boundary="fixed 0")
def life(x: Any) -> Any:
    """Conway's."""
    n = sum(x[i, j] for i in (-1, 0, 1) for j in (-1, 0, 1) if i or j)
    return np.where((n == 3) | ((n == 2) & (x[0, 0] == 1)), 1, 0)


def _cells(shape: tuple[int, int], place: tuple[int, int], *rows: str) -> Array:
    cells = np.zeros(shape, np.int64)
    for number, row in enumerate(rows):
        for column, sign in enumerate(row):
            cells[place[0] + number, place[1] + column] = sign == "O"
    return cells


def _pentomino() -> Case:
    start = _cells((130, 130), (64, 64), ".OO", "OO.", ".O.")

    def check(history: Array) -> None:
        assert history[0].sum() == 121

    return Case("R-pentomino", lambda: Problem(start, life, delta_t=1, steps=101, keep="last"), check)


def _glider() -> Case:
    start = _cells((40, 40), (10, 30), ".O.", "..O", "OOO")

    def check(history: Array) -> None:
        assert (history[0] == start).all()

    grid = Grid(boundary="periodic")
    return Case("glider on a torus", lambda: Problem(start, life, delta_t=1, steps=161, keep="last", grid=grid), check)


def _diehard() -> Case:
    start = _cells((70, 70), (34, 30), "......O.", "OO......", ".O...OOO")

    def check(history: Array) -> None:
        assert [bool(state.any()) for state in history] == [True, False]

    kept = "last:2"
    return Case("diehard", lambda: Problem(start, life, delta_t=1, steps=131, keep=kept), check)


def _heat() -> Case:
    n, r = 64, 0.2
    wave = np.cos(2 * pi * np.arange(n) / n)
    start = wave[:, None] * wave

    def check(history: Array) -> None:
        decay = (1 - 4 * r * 2 * np.sin(pi / n) ** 2) ** 200
        assert np.abs(history[0] - decay * start).max() <= 1e-12

    return Case("heat", lambda: _expression("x + r * laplace(x)", start, "periodic", 200, r=r), check)


def _edge(boundary: str, start: Array, decay: float) -> Case:
    def check(history: Array) -> None:
        assert np.abs(history[0] - decay**500 * start).max() <= 1e-12

    return Case(boundary, lambda: _expression("x + 0.25 * dxx(x)", start, boundary, 500), check)


def _edges() -> list[Case]:
    i, m, n = np.arange(50), 3, 50
    mirror = 1 - np.sin(pi * m / 98) ** 2
    return [
        _edge("fixed 0", np.sin(pi * m * (i + 1) / 51), 0.9914865498419508),
        _edge("no-flux", np.cos(pi * m * (i + 0.5) / n), 0.9911436253643443),
        _edge("mirror", np.cos(pi * m * i / 49), float(mirror)),
        _edge("wall 0", np.sin(pi * m * (i + 0.5) / n), 1 - (1 - cos(pi * m / n)) / 2),
    ]


def wave(x: Any) -> Any:
    """Make a step at a Courant number of 1."""
    return {"u": x["u"][-1] + x["u"][1] - x["p"], "p": x["u"]}


def _wave(boundary: str, half: int, sign: int) -> Case:
    start = np.zeros(40, [("u", np.int64), ("p", np.int64)])
    start["u"][5:9] = [1, 3, 2, 1]
    start["p"] = np.roll(start["u"], -1)

    def check(history: Array) -> None:
        assert (history["u"][half] == sign * start["u"][::-1]).all()
        assert (history["u"][2 * half] == start["u"]).all()

    kernel = stencil(wave)
    grid = Grid(boundary=boundary)
    return Case(f"wave, {boundary}", lambda: Problem(start, kernel, delta_t=1, steps=2 * half + 1, grid=grid), check)


def _ulam() -> Case:
    start = np.zeros((140, 140), np.uint8)
    start[70, 70] = 1
    counts = [1, 5, 9, 21, 25, 37, 49, 85, 89, 101, 113, 149, 161, 197, 233, 341, 345]

    def check(history: Array) -> None:
        found = history.sum(axis=(1, 2))
        assert found[: len(counts)].tolist() == counts
        assert found[[31, 63]].tolist() == [1365, 5461]

    text = "where(x[-1] + x[1] + x[0, -1] + x[0, 1] == 1, 1, x)"
    return Case("Ulam–Warburton", lambda: _expression(text, start, "fixed 0", 63, "all"), check)


def star(x: Any, row: Any, column: Any) -> Any:
    """Make an iteration of the stencil of the Parallel Research Kernels: a star of radius 2."""
    a = x["a"]
    total = sum((a[i] - a[-i] + a[0, i] - a[0, -i]) * (1 / (4 * i)) for i in (1, 2))
    inside = (row >= 2) & (row < 98) & (column >= 2) & (column < 98)
    return {"out": x["out"] + np.where(inside, total, 0.0), "a": a + 1.0}


def _star() -> Case:
    start = np.zeros((100, 100), [("a", float), ("out", float)])
    start["a"] = np.add.outer(np.arange(100.0), np.arange(100.0))

    def check(history: Array) -> None:
        assert abs(np.abs(history["out"][0]).sum() / 96**2 - 22.0) < 1e-8

    grid = Grid(boundary="fixed 0")
    return Case("star", lambda: Problem(start, stencil(star), delta_t=1, steps=12, keep="last", grid=grid), check)


def _fisher(cells: int, error: float) -> Case:
    speed, length, until = 5 / np.sqrt(6), 60.0, 5.0
    spacing = length / cells
    steps = round(until / (0.2 * spacing**2))

    def exact(x: Array, t: float) -> Array:
        return (1 + np.exp((x - 20.0 - speed * t) / np.sqrt(6))) ** -2.0

    x = (np.arange(cells) + 0.5) * spacing

    def check(history: Array) -> None:
        found = np.abs(history[0] - exact(x, until)).max()
        assert abs(found - error) < 0.05 * error

    kernel = kernels.expression("x + delta_t * (dxx(x) + x * (1 - x))", kind="step")
    grid = Grid(spacing=spacing, origin=spacing / 2, boundary="no-flux")

    def problem() -> Problem:
        return Problem(exact(x, 0.0), kernel, delta_t=until / steps, steps=steps + 1, keep="last", grid=grid)

    return Case(f"Fisher–KPP, {cells} cells", problem, check)


def lorenz(x: Any, delta_t: float) -> Any:
    """Make a step of Lorenz' model of 1996 by the classical method of Runge and Kutta, of rows with those around."""

    def rate(x: Any) -> Any:  # two cells before and one after are cut off
        return (x[3:] - x[:-3]) * x[1:-2] - x[2:-1] + 8.0

    k1 = rate(x)
    k2 = rate(x[2:-1] + delta_t / 2 * k1)
    k3 = rate(x[4:-2] + delta_t / 2 * k2)
    k4 = rate(x[6:-3] + delta_t * k3)
    return x[8:-4] + delta_t / 6 * (k1[6:-3] + 2 * k2[4:-2] + 2 * k3[2:-1] + k4)


def _lorenz(moved: bool) -> Case:
    start = np.full(40, 8.0)
    start[19] += 0.01 * moved

    def check(history: Array) -> None:
        if moved:
            assert abs(history[0][0] + 2.278219517767485) < 1e-9
            assert abs(history[0][19] - 6.625081689542557) < 1e-9
        else:
            assert (history[0] == 8.0).all()

    kernel = kernels.function(lorenz, kind="step", reach=((8, 4),), boundary="periodic")
    name = "Lorenz-96" + (", moved" if moved else ", at rest")
    return Case(name, lambda: Problem(start, kernel, delta_t=0.05, steps=101, keep="last"), check)


CASES = [
    _shift(),
    _shift_of_three(),
    _walk(),
    _pascal(),
    _rule(90, "x[-1] != x[1]", {k: 2 ** k.bit_count() for k in range(1001)}),
    _rule(
        30,
        "x[-1] != (x or x[1])",
        {1000: 1001},
        "1101110011000101100100111010111001110101011000011001010110101011",
        481,
    ),
    _rule(110, "(x or x[1]) and not (x[-1] and x and x[1])", {10: 6, 100: 52, 1000: 587}),
    _pentomino(),
    _glider(),
    _diehard(),
    _heat(),
    *_edges(),
    _wave("fixed 0", 41, -1),
    _wave("no-flux", 40, 1),
    _ulam(),
    _star(),
    _fisher(150, 0.01679),
    _fisher(300, 0.004234),
    _lorenz(False),
    _lorenz(True),
]
