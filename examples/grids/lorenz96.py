"""Lorenz' model of 1996: a ring of 40 cells, by the classical method of Runge and Kutta in one function."""

import numpy as np

import simsplit


def rate(x):
    """Return the rate of change of a ring's cells, without the first two and the last one."""
    return (x[3:] - x[:-3]) * x[1:-2] - x[2:-1] + 8.0


def runge_kutta(x, delta_t):
    """Make a step: each of the four stages takes two cells before and one after."""
    k1 = rate(x)
    k2 = rate(x[2:-1] + delta_t / 2 * k1)
    k3 = rate(x[4:-2] + delta_t / 2 * k2)
    k4 = rate(x[6:-3] + delta_t * k3)
    return x[8:-4] + delta_t / 6 * (k1[6:-3] + 2 * k2[4:-2] + 2 * k3[2:-1] + k4)


def main():
    """Move one cell by 0.01, and print where that leads to after 100 steps."""
    start = np.full(40, 8.0)
    start[19] += 0.01
    kernel = simsplit.kernels.function(runge_kutta, kind="step", reach=((8, 4),), boundary="periodic")
    result = simsplit.run(simsplit.Problem(start, kernel, delta_t=0.05, steps=101, keep="last"), verify=True)
    if result.history is not None:  # on root
        print(f"x0 = {result.history[0, 0]:.9f}, x19 = {result.history[0, 19]:.9f}")
        print(result.verification)


if __name__ == "__main__":
    simsplit.script(main)
