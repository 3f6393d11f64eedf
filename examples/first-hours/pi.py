"""Pi by Monte Carlo: each row throws 1,000 darts a step, and the mean over all rows and steps is pi / 4."""

import numpy as np

import simsplit


def hits(x, random):
    """Add the share of darts that hit the quarter of a circle."""
    a, b = random.uniform(1000), random.uniform(1000)
    return x + (a**2 + b**2 < 1).sum(axis=1) / 1000


def main():
    """Run it on all ranks, and print the mean on rank 0."""
    steps = 21  # step 0 is the initial array
    kernel = simsplit.kernels.function(hits, kind="step")
    result = simsplit.run(
        simsplit.Problem(np.zeros(1000), kernel, delta_t=1, steps=steps, keep="none", reduce="mean", seed=7)
    )
    if result.reductions:  # on root
        print(f"pi is about {4 * result.reductions['mean'][-1] / (steps - 1):.4f}")


if __name__ == "__main__":
    simsplit.script(main)
