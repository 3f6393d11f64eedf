"""Ornstein-Uhlenbeck: 100,000 paths that noise drives and a spring holds, their mean and spread beside theory."""

from math import exp, sqrt

import numpy as np

import simsplit

THETA, SIGMA, START = 1.0, 0.5, 2.0  # the spring, the noise, and where all paths begin


def paths(x, delta_t, random):
    """Make one step, by its exact distribution."""
    decay = exp(-THETA * delta_t)
    return decay * x + SIGMA * sqrt((1 - decay**2) / (2 * THETA)) * random.normal()


def main():
    """Run it on all ranks; print mean and spread, and what theory says, at three times."""
    problem = simsplit.Problem(
        np.full(100_000, START),
        simsplit.kernels.function(paths, kind="step"),
        delta_t=0.05,
        steps=101,
        keep="none",
        reduce="mean,std",
        seed=1,
    )
    result = simsplit.run(problem)
    for step in (20, 50, 100) if result.reductions else ():  # on root
        t = problem.time(step)
        mean, spread = START * exp(-THETA * t), SIGMA * sqrt((1 - exp(-2 * THETA * t)) / (2 * THETA))
        found = result.reductions["mean"][step], result.reductions["std"][step]
        print(f"t = {t:g}: mean {found[0]:.4f}, theory {mean:.4f}; spread {found[1]:.4f}, theory {spread:.4f}")


if __name__ == "__main__":
    simsplit.script(main)
