"""Built-in row-local models. Each row is one system; the state at t gives that at t + delta_t.

Differential equations are stepped by the classical method of Runge and Kutta of order 4 (W. Kutta,
Zeitschrift für Mathematik und Physik 46, 1901, 435-453): its error over a given time goes with delta_t to
the fourth power. The arithmetic is + − × ÷ alone, so that the bits do not depend on the split.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import InputError
from .base import Kernel, require_unstructured

if TYPE_CHECKING:
    import numpy.typing as npt

    from .base import Block
    from .tracing import TracedArray

    Array = npt.NDArray[Any]


class Equation(Kernel):
    """``dx/dt = f(x)``, stepped by the classical Runge-Kutta method."""

    kind = "step"
    takes_constants = False

    def derivative(self, x: Array, block: Block) -> Array:
        """Return dx/dt, of the shape of `x`."""
        raise NotImplementedError

    def result_dtype(self, x: Array, block: Block) -> np.dtype[Any]:
        """Return the dtype of the state; refuse rows of other components."""
        require_unstructured(self.name, x)
        if self.components and x.shape[-1:] != (len(self.components),):
            raise InputError(
                f"a row of the kernel {self.name} is ({', '.join(self.components)}), so the last axis must have "
                f"{len(self.components)} values, but the array has rows of shape {x.shape[1:]}"
            )
        for name, value in block.parameters.items() if self.components else ():
            if isinstance(value, np.ndarray) and value.shape[-1] != 1:
                raise InputError(
                    f"parameter {name} of the kernel {self.name} goes with whole rows, so its last axis cannot have "
                    f"{value.shape[-1]} values; give one value a row"
                )
        return super().result_dtype(x, block)

    def evaluate(self, x: Array, block: Block, out: Array) -> None:
        """Make one step."""
        np.add(x, self._increment(x, block), out=out)

    def trace(self, x: TracedArray, block: Block, dtype: np.dtype[Any]) -> TracedArray:
        """Make one step of values that record it."""
        result: TracedArray = x + self._increment(x, block)
        return result

    def _increment(self, x: Any, block: Block) -> Any:
        h = block.delta_t
        k1 = self.derivative(x, block)
        k2 = self.derivative(x + k1 * (h / 2), block)
        k3 = self.derivative(x + k2 * (h / 2), block)
        k4 = self.derivative(x + k3 * h, block)
        return (k1 + 2.0 * (k2 + k3) + k4) * (h / 6)


def _floating(value: Any, dtype: npt.DTypeLike) -> Any:
    """Return a parameter; an array of whole numbers as one of `dtype`, so that its products do not overflow."""
    return value if isinstance(value, int | float | complex) or value.dtype.kind not in "biu" else value.astype(dtype)


def _component(value: Any, dtype: npt.DTypeLike) -> Any:
    """Return a parameter, so shaped that it goes with one component of each row."""
    return _floating(value if isinstance(value, int | float | complex) else value[..., 0], dtype)


class Logistic(Equation):
    """Logistic growth. Made by `logistic`."""

    name = "logistic"
    formula = "dx/dt = rate * x * (1 - x / capacity)"

    def derivative(self, x: Array, block: Block) -> Array:
        """Return dx/dt."""
        rate, capacity = (_floating(block[name], x.dtype) for name in ("rate", "capacity"))
        result: Array = rate * x * (1.0 - x / capacity)
        return result


def logistic(*, rate: Any = 1.0, capacity: Any = 1.0) -> Logistic:
    """Return logistic growth: ``dx/dt = rate * x * (1 - x / capacity)``.

    P.-F. Verhulst, Correspondance mathématique et physique 10, 1838, 113-121.

    Parameters
    ----------
    rate : number, or array_like of shape (n, ...)
        Growth at small x, in 1 / unit of time.
    capacity : number, or array_like of shape (n, ...)
        The x that it tends to, in the unit of x.

    Raises
    ------
    InputError
        If a parameter is neither a finite number nor an array of numbers.
    """
    return Logistic(rate=rate, capacity=capacity)


class SIR(Equation):
    """An epidemic in each row. Made by `sir`."""

    name = "sir"
    formula = "dS/dt = -beta S I / N, dI/dt = beta S I / N - gamma I, dR/dt = gamma I"
    components = ("S", "I", "R")

    def derivative(self, x: Array, block: Block) -> Array:
        """Return dx/dt."""
        susceptible, infected, removed = x[..., 0], x[..., 1], x[..., 2]
        people = susceptible + infected + removed
        beta, gamma = (_component(block[name], x.dtype) for name in ("beta", "gamma"))
        infections = beta * susceptible * infected / people
        removals = gamma * infected
        return np.stack([-infections, infections - removals, removals], axis=-1)


def sir(*, beta: Any = 0.3, gamma: Any = 0.1) -> SIR:
    """Return an epidemic in each row: susceptible, infected and removed people of one region, shape (n, 3).

    W. O. Kermack and A. G. McKendrick, Proceedings of the Royal Society A 115, 1927, 700-721,
    doi:10.1098/rspa.1927.0118, with the contacts of a person independent of the number of people.

    Parameters
    ----------
    beta : number, or array_like of shape (n,)
        Infectious contacts of one infected person, in 1 / unit of time.
    gamma : number, or array_like of shape (n,)
        Removals of one infected person, in 1 / unit of time.

    Raises
    ------
    InputError
        If a parameter is neither a finite number nor an array of numbers.
    """
    return SIR(beta=beta, gamma=gamma)


class Oscillator(Equation):
    """A damped oscillator in each row. Made by `oscillator`."""

    name = "oscillator"
    formula = "dx/dt = v, dv/dt = -omega^2 x - 2 zeta omega v"
    components = ("x", "v")

    def derivative(self, x: Array, block: Block) -> Array:
        """Return dx/dt."""
        omega, zeta = (_component(block[name], x.dtype) for name in ("omega", "zeta"))
        position, velocity = x[..., 0], x[..., 1]
        return np.stack([velocity, -(omega * omega) * position - 2.0 * zeta * omega * velocity], axis=-1)


def oscillator(*, omega: Any = 1.0, zeta: Any = 0.0) -> Oscillator:
    """Return a damped harmonic oscillator in each row: position and velocity, shape (n, 2).

    Parameters
    ----------
    omega : number, or array_like of shape (n,)
        Angular frequency without damping, in 1 / unit of time.
    zeta : number, or array_like of shape (n,)
        Damping ratio, without unit; 1 is critical.

    Raises
    ------
    InputError
        If a parameter is neither a finite number nor an array of numbers.
    """
    return Oscillator(omega=omega, zeta=zeta)


class Lorenz(Equation):
    """A Lorenz system in each row. Made by `lorenz`."""

    name = "lorenz"
    formula = "dx/dt = sigma (y - x), dy/dt = x (rho - z) - y, dz/dt = x y - beta z"
    components = ("x", "y", "z")

    def derivative(self, x: Array, block: Block) -> Array:
        """Return dx/dt."""
        sigma, rho, beta = (_component(block[name], x.dtype) for name in ("sigma", "rho", "beta"))
        first, second, third = x[..., 0], x[..., 1], x[..., 2]
        rates = [sigma * (second - first), first * (rho - third) - second, first * second - beta * third]
        return np.stack(rates, axis=-1)


def lorenz(*, sigma: Any = 10.0, rho: Any = 28.0, beta: Any = 8.0 / 3.0) -> Lorenz:
    """Return a Lorenz system in each row: x, y and z, shape (n, 3).

    E. N. Lorenz, Journal of the Atmospheric Sciences 20, 1963, 130-141.

    Parameters
    ----------
    sigma, rho, beta : number, or array_like of shape (n,)
        Without unit, as are x, y, z and the time.

    Raises
    ------
    InputError
        If a parameter is neither a finite number nor an array of numbers.
    """
    return Lorenz(sigma=sigma, rho=rho, beta=beta)


class GeometricBrownianMotion(Kernel):
    """A random path in each row. Made by `gbm`."""

    name = "gbm"
    kind = "step"
    takes_constants = False
    formula = "x * exp((mu - sigma^2 / 2) delta_t + sigma sqrt(delta_t) Z)"

    def result_dtype(self, x: Array, block: Block) -> np.dtype[Any]:
        """Return the dtype of the state, as NumPy promotes."""
        require_unstructured(self.name, x)
        return super().result_dtype(x, block)

    def evaluate(self, x: Array, block: Block, out: Array) -> None:
        """Make one step, exact in distribution whatever delta_t."""
        h = block.delta_t
        mu, sigma = (_floating(block[name], np.float64) for name in ("mu", "sigma"))
        noise = block.random.normal(*x.shape[1:])
        np.multiply(x, np.exp((mu - sigma * sigma / 2) * h + sigma * np.sqrt(h) * noise), out=out, casting="same_kind")


def gbm(*, mu: Any = 0.0, sigma: Any = 0.2) -> GeometricBrownianMotion:
    """Return a geometric Brownian motion in each value: ``dx = mu x dt + sigma x dW``.

    P. A. Samuelson, Industrial Management Review 6, 1965, 13-39. The random numbers are those of the
    problem's seed (see `RandomStream`), the same for any number of ranks.

    Parameters
    ----------
    mu : number, or array_like of shape (n, ...)
        Drift, in 1 / unit of time.
    sigma : number, or array_like of shape (n, ...)
        Volatility, in 1 / square root of the unit of time.

    Raises
    ------
    InputError
        If a parameter is neither a finite number nor an array of numbers.
    """
    return GeometricBrownianMotion(mu=mu, sigma=sigma)
