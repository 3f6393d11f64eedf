"""Each built-in kernel on 1 to 4 ranks, parts of uneven lengths: the bits of one process, and the right numbers.

The references know nothing of simsplit: analytic solutions, or SciPy's method of order 8 with a tolerance of
1e-12. Each row has its own parameters, so that a row on the wrong rank would be seen.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import simsplit
from simsplit import Problem, kernels
from simsplit.kernels.registry import BUILT_IN

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt
    from mpi4py.MPI import Intracomm

    Array = npt.NDArray[Any]

pytestmark = pytest.mark.mpi

SPAN = 1.0  # unit of time


@pytest.fixture
def comm() -> Intracomm:
    from mpi4py import MPI

    return MPI.COMM_WORLD


def affine(x: Array, p: dict[str, Array]) -> Array:
    return (p["offset"] + x * p["multiplier"]) * SPAN


def logistic(x: Array, p: dict[str, Array]) -> Array:
    return p["capacity"] / (1 + (p["capacity"] / x - 1) * np.exp(-p["rate"] * SPAN))


def oscillator(x: Array, p: dict[str, Array]) -> Array:
    """Return position and velocity of a damped one; zeta is below 1."""
    decay, omega = p["zeta"] * p["omega"], p["omega"] * np.sqrt(1 - p["zeta"] ** 2)
    cosine = x[:, 0]
    sine = (x[:, 1] + decay * cosine) / omega
    c, s = np.cos(omega * SPAN), np.sin(omega * SPAN)
    position = cosine * c + sine * s
    velocity = omega * (sine * c - cosine * s) - decay * position
    return np.exp(-decay * SPAN)[:, None] * np.stack([position, velocity], axis=1)


def sir(x: Array, p: dict[str, Array]) -> Array:
    def derivative(row: int, y: Array) -> list[float]:
        infections, removals = p["beta"][row] * y[0] * y[1] / y.sum(), p["gamma"][row] * y[1]
        return [-infections, infections - removals, removals]

    return integrated(derivative, x)


def lorenz(x: Array, p: dict[str, Array]) -> Array:
    def derivative(row: int, y: Array) -> list[float]:
        sigma, rho, beta = (p[name][row] for name in ("sigma", "rho", "beta"))
        return [sigma * (y[1] - y[0]), y[0] * (rho - y[2]) - y[1], y[0] * y[1] - beta * y[2]]

    return integrated(derivative, x)


def integrated(derivative: Callable[[int, Array], Any], x: Array) -> Array:
    from scipy.integrate import solve_ivp

    return np.array(
        [
            solve_ivp(
                lambda _, y, row=row: derivative(row, y), (0, SPAN), start, method="DOP853", rtol=1e-12, atol=1e-12
            ).y[:, -1]
            for row, start in enumerate(x)
        ]
    )


def gbm(x: Array, p: dict[str, Array]) -> Array:
    """Draw with NumPy's own Philox, row by row, by the definition in `RandomStream`, and go through the steps."""
    steps, h = STEPS["gbm"], SPAN / STEPS["gbm"]
    path = x.copy()
    for step in range(steps):
        for row in range(len(x)):
            counter = np.array([row, 0, 0, 0], np.uint64)
            one, other = np.random.Philox(key=np.array([SEED, step], np.uint64), counter=counter).random_raw(2)
            uniform, turn = ((int(one) >> 11) + 1) * 2.0**-53, (int(other) >> 11) * 2.0**-53
            noise = np.sqrt(-2 * np.log(uniform)) * np.cos(2 * np.pi * turn)
            mu, sigma = p["mu"][row], p["sigma"][row]
            path[row] *= np.exp((mu - sigma**2 / 2) * h + sigma * np.sqrt(h) * noise)
    return path


SEED = 11
REFERENCES = {
    "affine": affine,
    "gbm": gbm,
    "logistic": logistic,
    "lorenz": lorenz,
    "oscillator": oscillator,
    "sir": sir,
}
STEPS = {"affine": 1, "gbm": 4, "logistic": 100, "lorenz": 250, "oscillator": 100, "sir": 100}
TOLERANCES = {"affine": 0.0, "gbm": 1e-13, "logistic": 1e-9, "lorenz": 1e-5, "oscillator": 1e-7, "sir": 1e-8}
RANGES = {"zeta": (0.1, 0.9), "sigma": (0.2, 9.0), "rho": (1.0, 14.0)}


def test_each_built_in_kernel_has_a_reference() -> None:
    assert {*REFERENCES} == {*STEPS} == {*TOLERANCES} == {*BUILT_IN}


@pytest.mark.parametrize("rows", [1, 5, 11])
@pytest.mark.parametrize("name", BUILT_IN)
def test_each_built_in_kernel_gives_the_right_numbers_on_any_ranks(comm: Intracomm, name: str, rows: int) -> None:
    rng = np.random.default_rng(rows)
    values = {p: rng.uniform(*RANGES.get(p, (0.3, 2.0)), rows) for p in kernels.load(name).parameters}
    width = {"sir": (3,), "oscillator": (2,), "lorenz": (3,)}.get(name, ())
    initial = rng.uniform(0.5, 1.5, (rows, *width))
    root = comm.rank == 0
    kernel = kernels.load(name, **(values if root else dict.fromkeys(values)))
    problem = Problem(initial if root else None, kernel, delta_t=SPAN / STEPS[name], steps=STEPS[name] + 1, seed=SEED)
    result = simsplit.run(problem, comm=comm, verify=True)
    assert result.verification is not None
    assert result.verification.identical
    if result.history is not None:
        assert result.ranks == comm.size
        expected = REFERENCES[name](initial, values)
        np.testing.assert_allclose(result.history[-1], expected, rtol=TOLERANCES[name], atol=TOLERANCES[name])
