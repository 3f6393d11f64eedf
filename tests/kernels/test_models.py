"""The models against analytic solutions, and against SciPy's integrators."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from scipy.integrate import solve_ivp
from scipy.special import expit

from simsplit import InputError, KernelError, Problem, run
from simsplit.kernels import Kernel, gbm, logistic, lorenz, oscillator, sir
from simsplit.kernels.random import RandomStream

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt

    Array = npt.NDArray[Any]

SPAN = 2.0  # units of time
MODELS = {
    "logistic": (logistic, (5,)),
    "sir": (sir, (5, 3)),
    "oscillator": (oscillator, (5, 2)),
    "lorenz": (lorenz, (5, 3)),
    "gbm": (gbm, (5,)),
}


def history(kernel: Kernel, initial: Any, *, delta_t: float, steps: int, **changes: Any) -> Array:
    """Run in one process; the history is verified."""
    problem = Problem(initial, kernel, delta_t=delta_t, steps=steps, **changes)
    result = run(problem, serial=True, verify=True)
    assert result.history is not None
    return result.history


def at_the_end(kernel: Kernel, initial: Any, steps: int) -> Array:
    """Return the state after `SPAN`, reached in so many steps."""
    final: Array = history(kernel, initial, delta_t=SPAN / steps, steps=steps + 1)[-1]
    return final


def error(kernel: Kernel, initial: Any, expected: Array, steps: int) -> float:
    """Return the greatest relative error after `SPAN`."""
    return float(np.abs(at_the_end(kernel, initial, steps) / expected - 1).max())


def has_order_four(kernel: Kernel, initial: Any, expected: Array, steps: int) -> bool:
    """Return whether half the step has a sixteenth of the error, but for terms of higher order."""
    coarse, fine, finest = (error(kernel, initial, expected, steps * factor) for factor in (1, 2, 4))
    assert finest > 1e-13, "rounding would be seen"
    return 13 < coarse / fine < 21 and 14 < fine / finest < 18


def integrated(derivative: Callable[[float, Array], Any], initial: Array, rows: int) -> Array:
    """Integrate each row by SciPy's method of order 8, to tolerances far below those that are tested."""
    ends = [
        solve_ivp(
            lambda _, x, row=row: derivative(row, x), (0, SPAN), initial[row], method="DOP853", rtol=1e-13, atol=1e-14
        ).y[:, -1]
        for row in range(rows)
    ]
    return np.array(ends)


RATE, CAPACITY = np.array([0.5, 1.0, 1.5, -0.7]), np.array([1.0, 2.0, 0.5, 3.0])
START = np.array([0.1, 0.4, 0.9, 1.2])


def test_logistic_growth_is_the_logistic_function() -> None:
    """Relative error below 1e-8 for 100 steps in two units of time; order 4."""
    kernel = logistic(rate=RATE, capacity=CAPACITY)
    grown = np.exp(RATE * SPAN)
    expected = CAPACITY * START * grown / (CAPACITY + START * (grown - 1))
    below = START < CAPACITY
    same = CAPACITY * expit(RATE * SPAN + np.log(START / np.abs(CAPACITY - START)))
    np.testing.assert_allclose(expected[below], same[below], rtol=1e-14)
    assert not below.all()
    assert error(kernel, START, expected, 100) < 1e-8
    assert has_order_four(kernel, START, expected, 20)


def test_logistic_growth_tends_to_the_capacity_and_rests_there() -> None:
    found = history(logistic(rate=2.0, capacity=4.0), [0.0, 4.0, 0.01], delta_t=0.1, steps=300)
    assert found[:, 0].tolist() == [0.0] * 300
    assert found[:, 1].tolist() == [4.0] * 300
    assert abs(found[-1, 2] - 4.0) < 1e-12


OMEGA, ZETA = np.array([1.0, 2.0, 3.0, 1.5]), np.array([0.0, 0.1, 1.0, 2.0])


def oscillation(x: Array, v: Array, t: float) -> Array:
    """Return position and velocity: undamped, damped, critical, overdamped alike, with complex roots."""
    omega, zeta = OMEGA.astype(complex), ZETA.astype(complex)
    critical = ZETA == 1.0
    root = np.sqrt(zeta**2 - 1)
    root[critical] = 1.0  # anything; not used
    one, two = omega * (-zeta + root), omega * (-zeta - root)
    a = (v - two * x) / (one - two)
    b = x - a
    position = a * np.exp(one * t) + b * np.exp(two * t)
    velocity = one * a * np.exp(one * t) + two * b * np.exp(two * t)
    c = v + OMEGA * x
    position[critical] = ((x + c * t) * np.exp(-OMEGA * t))[critical]
    velocity[critical] = ((c - OMEGA * (x + c * t)) * np.exp(-OMEGA * t))[critical]
    assert np.abs(position.imag).max() < 1e-15
    return np.stack([position.real, velocity.real], axis=-1)


def test_oscillators_are_the_solutions_for_every_damping() -> None:
    """Relative error below 1e-6 for 200 steps in two units of time; order 4."""
    kernel = oscillator(omega=OMEGA, zeta=ZETA)
    initial = np.array([[1.0, 0.3], [-0.5, 0.2], [0.7, 0.2], [1.0, -1.0]])
    expected = oscillation(initial[:, 0], initial[:, 1], SPAN)
    assert error(kernel, initial, expected, 200) < 1e-6
    assert has_order_four(kernel, initial, expected, 40)


def test_an_undamped_oscillator_keeps_its_energy() -> None:
    """To 1e-7 over ten periods of 200 steps each."""
    found = history(oscillator(omega=2 * np.pi), [[1.0, 0.0]], delta_t=1 / 200, steps=2001)[:, 0]
    energy = found[:, 1] ** 2 + (2 * np.pi * found[:, 0]) ** 2
    assert np.abs(energy / energy[0] - 1).max() < 1e-7
    np.testing.assert_allclose(found[::200, 0], 1.0, rtol=1e-5)


BETA, GAMMA = np.array([0.3, 2.0, 5.0]), np.array([0.1, 0.5, 2.0])
REGIONS = np.array([[990.0, 10.0, 0.1], [80.0, 15.0, 5.0], [1.0, 0.01, 0.5]])


def test_epidemics_are_those_of_scipy() -> None:
    """Relative error below 1e-6 for 100 steps in two units of time; order 4."""

    def derivative(row: int, x: Array) -> list[float]:
        infections = BETA[row] * x[0] * x[1] / x.sum()
        return [-infections, infections - GAMMA[row] * x[1], GAMMA[row] * x[1]]

    expected = integrated(derivative, REGIONS, 3)
    kernel = sir(beta=BETA, gamma=GAMMA)
    assert error(kernel, REGIONS, expected, 100) < 1e-6
    assert has_order_four(kernel, REGIONS, expected, 20)


def test_epidemics_lose_nobody_and_end_as_kermack_and_mckendrick_say() -> None:
    """The final size obeys log(S0 / S) = R0 (1 - S / N + ...) exactly; here to 1e-6."""
    found = history(sir(beta=0.5, gamma=0.2), [[999.0, 1.0, 0.0]], delta_t=0.1, steps=3001)[:, 0]
    np.testing.assert_allclose(found.sum(axis=1), 1000.0, rtol=1e-12)
    susceptible, infected, removed = found[-1]
    assert infected < 1e-6
    assert abs(np.log(999.0 / susceptible) - 0.5 / 0.2 * removed / 1000.0) < 1e-6


def test_lorenz_systems_are_those_of_scipy() -> None:
    """Relative error below 1e-5 for 2000 steps in two units of time (the error grows as chaos does); order 4."""
    sigma, rho, beta = np.array([10.0, 9.0, 10.0]), np.array([28.0, 14.0, 0.5]), np.array([8 / 3, 2.0, 8 / 3])
    initial = np.array([[1.0, 1.0, 1.0], [-3.0, 2.0, 20.0], [2.0, 1.0, 0.5]])

    def derivative(row: int, x: Array) -> list[float]:
        return [
            sigma[row] * (x[1] - x[0]),
            x[0] * (rho[row] - x[2]) - x[1],
            x[0] * x[1] - beta[row] * x[2],
        ]

    expected = integrated(derivative, initial, 3)
    kernel = lorenz(sigma=sigma, rho=rho, beta=beta)
    assert error(kernel, initial, expected, 2000) < 1e-5
    assert has_order_four(kernel, initial, expected, 800)


def test_lorenz_systems_rest_at_their_fixed_points() -> None:
    """Where rho is between 1 and 24.74 the two of them attract."""
    found = history(lorenz(rho=14.0), [[0.0, 0.0, 0.0], [1.0, 2.0, 3.0]], delta_t=0.01, steps=8001)
    assert not found[:, 0].any()
    x, y, z = found[-1, 1]
    assert abs(z - 13.0) < 1e-6
    assert abs(x - y) < 1e-6
    assert abs(x * x - 8 / 3 * 13.0) < 1e-5


@pytest.mark.parametrize("name", ["logistic", "sir", "oscillator", "lorenz"])
def test_each_row_has_its_own_parameters(name: str) -> None:
    make, shape = MODELS[name]
    initial = np.random.default_rng(7).uniform(0.5, 1.5, shape)
    rng = np.random.default_rng(8)
    parameters = {parameter: rng.uniform(0.2, 1.0, 5) for parameter in make().parameters}
    together = history(make(**parameters), initial, delta_t=0.1, steps=5)
    for row in range(5):
        own = make(**{parameter: float(values[row]) for parameter, values in parameters.items()})
        alone = history(own, initial[row : row + 1], delta_t=0.1, steps=5)
        assert alone.tobytes() == np.ascontiguousarray(together[:, row : row + 1]).tobytes()


@pytest.mark.parametrize("name", ["sir", "oscillator", "lorenz"])
def test_rows_may_hold_several_systems(name: str) -> None:
    make, (_, components) = MODELS[name]
    initial = np.random.default_rng(7).uniform(0.5, 1.5, (4, 3, components))
    first = next(iter(make().parameters))
    by_row = np.linspace(0.2, 1.0, 4)
    for parameter in (by_row, by_row[:, None], by_row[:, None, None], np.linspace(0.2, 1.0, 12).reshape(4, 3, 1)):
        found = history(make(**{first: parameter}), initial, delta_t=0.1, steps=4)
        each = np.broadcast_to(parameter.reshape(4, -1), (4, 3)).ravel()
        flat = history(make(**{first: each}), initial.reshape(12, components), delta_t=0.1, steps=4)
        assert found.tobytes() == flat.tobytes()


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "longdouble"])
def test_floats_stay_what_they_are(name: str, dtype: str) -> None:
    make, shape = MODELS[name]
    found = history(make(), np.full(shape, 0.5, dtype), delta_t=0.125, steps=4)
    assert found.dtype == dtype
    assert np.isfinite(found).all()
    assert (found[-1] != found[0]).any()
    exact = history(make(), np.full(shape, 0.5), delta_t=0.125, steps=4)
    tolerance = 20 * max(np.finfo(dtype).eps, np.finfo(float).eps)
    np.testing.assert_allclose(found.astype(float), exact, rtol=float(tolerance))


@pytest.mark.parametrize("name", MODELS)
def test_whole_numbers_become_floats(name: str) -> None:
    make, shape = MODELS[name]
    found = history(make(), np.full(shape, 2, np.int8), delta_t=0.125, steps=4)
    assert found.dtype == np.float64
    assert found.tobytes() == history(make(), np.full(shape, 2.0), delta_t=0.125, steps=4).tobytes()


@pytest.mark.parametrize("dtype", ["?", "i1", "u1", "i2", "i8"])
@pytest.mark.parametrize("state", ["f4", "f8"])
@pytest.mark.parametrize("name", MODELS)
def test_parameters_that_are_whole_numbers_do_not_overflow(name: str, state: str, dtype: str) -> None:
    make, shape = MODELS[name]
    values = np.array([1, 0, 1, 1, 1] if dtype == "?" else [1, 13, 20, 100, 120]).astype(dtype)
    whole = dict.fromkeys(make().parameters, values)
    if name == "logistic":
        whole["capacity"] = np.array([1, 100, 7, 120, 3] if dtype != "?" else [1] * 5).astype(dtype)
    exact = {parameter: value.astype(float) for parameter, value in whole.items()}
    initial = np.random.default_rng(7).uniform(0.5, 1.5, shape).astype(state)
    found = history(make(**whole), initial, delta_t=2.0**-10, steps=3)
    expected = history(make(**exact), initial.astype(float), delta_t=2.0**-10, steps=3)
    assert found.dtype == np.result_type(state, 0.0, dtype)
    np.testing.assert_allclose(found, expected, rtol=1e-4 if found.dtype == np.float32 else 1e-13)


@pytest.mark.parametrize(
    ("kernel", "shape", "components"),
    [
        (sir(), (5,), "S, I, R"),
        (sir(), (5, 2), "S, I, R"),
        (oscillator(), (5, 3), "x, v"),
        (lorenz(), (3, 1), "x, y, z"),
        (lorenz(), (5, 3, 2), "x, y, z"),
        (lorenz(), (0, 2), "x, y, z"),
    ],
)
def test_rows_of_other_components_are_refused(kernel: Kernel, shape: tuple[int, ...], components: str) -> None:
    with pytest.raises(InputError) as caught:
        history(kernel, np.ones(shape), delta_t=0.1, steps=2)
    assert str(caught.value) == (
        f"a row of the kernel {kernel.name} is ({components}), so the last axis must have "
        f"{len(components.split(', '))} values, but the array has rows of shape {shape[1:]}"
    )


def test_a_parameter_with_a_value_for_each_component_is_refused() -> None:
    with pytest.raises(InputError) as caught:
        history(sir(beta=np.ones((5, 3))), np.ones((5, 3)), delta_t=0.1, steps=2)
    assert str(caught.value) == (
        "parameter beta of the kernel sir goes with whole rows, so its last axis cannot have 3 values; "
        "give one value a row"
    )


def test_gbm_has_the_mean_and_variance_of_theory() -> None:
    """Of 40,000 paths, each within 4 standard errors: log x_k ~ N(log x0 + (mu - sigma²/2) t, sigma² t)."""
    paths, mu, sigma = 40_000, 0.3, 0.4
    found = history(gbm(mu=mu, sigma=sigma), np.full(paths, 2.0), delta_t=0.25, steps=9, seed=21)
    assert (found[0] == 2.0).all()
    for k in range(1, 9):
        t = 0.25 * k
        logarithm = np.log(found[k] / 2.0)
        assert abs(logarithm.mean() - (mu - sigma**2 / 2) * t) < 4 * sigma * np.sqrt(t / paths)
        assert abs(logarithm.var(ddof=1) / (sigma**2 * t) - 1) < 4 * np.sqrt(2 / (paths - 1))
        spread = np.exp(mu * t) * np.sqrt(np.expm1(sigma**2 * t) / paths)
        assert abs((found[k] / 2.0).mean() - np.exp(mu * t)) < 4 * spread
    steps = np.diff(np.log(found), axis=0)
    assert np.abs(np.corrcoef(steps) - np.eye(8)).max() < 5 / np.sqrt(paths)


def test_gbm_is_exact_whatever_the_step() -> None:
    """One step of 2 units of time and 20 of 0.1 have the same distribution: two moments within 4 standard errors."""
    paths = 40_000
    for steps in (1, 20):
        logarithm = np.log(at_the_end(gbm(mu=-0.2, sigma=0.5), np.ones(paths), steps))
        assert abs(logarithm.mean() + (0.2 + 0.125) * SPAN) < 4 * 0.5 * np.sqrt(SPAN / paths)
        assert abs(logarithm.var(ddof=1) / (0.25 * SPAN) - 1) < 4 * np.sqrt(2 / (paths - 1))


def test_gbm_is_what_its_formula_says() -> None:
    initial = np.linspace(1.0, 2.0, 6).reshape(3, 2)
    mu, sigma = np.array([0.1, 0.2, 0.3]), np.array([[0.1, 0.2], [0.3, 0.4], [0.5, 0.6]])
    found = history(gbm(mu=mu, sigma=sigma), initial, delta_t=0.5, steps=3, seed=6)
    for k in range(2):
        noise = RandomStream(6, k, 0, 3).normal(2)
        factor = np.exp((mu[:, None] - sigma**2 / 2) * 0.5 + sigma * np.sqrt(0.5) * noise)
        np.testing.assert_allclose(found[k + 1], found[k] * factor, rtol=1e-14)


def test_gbm_without_volatility_is_plain_growth() -> None:
    found = history(gbm(mu=0.5, sigma=0.0), np.ones(3), delta_t=0.5, steps=3)
    np.testing.assert_allclose(found[2], np.exp(0.5), rtol=1e-14)


def test_the_seed_decides() -> None:
    one, again, other = (history(gbm(), np.ones(9), delta_t=0.5, steps=3, seed=seed) for seed in (1, 1, 2))
    assert one.tobytes() == again.tobytes()
    assert not (one[1:] == other[1:]).any()


def test_an_equation_without_a_derivative_says_so() -> None:
    from simsplit.kernels.models import Equation

    with pytest.raises(KernelError, match="NotImplementedError"):
        history(Equation(), np.ones(3), delta_t=0.1, steps=3)
