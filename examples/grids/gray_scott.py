"""Gray–Scott: two substances that diffuse and react, until spots divide (J. E. Pearson, Science 261, 1993, 189-192)."""

import numpy as np

import simsplit
from simsplit.kernels.operators import laplace

SIZE = 128
GRID = simsplit.Grid(spacing=2.5 / 256, boundary="periodic")


@simsplit.stencil
def gray_scott(x, feed, kill, delta_t):
    """Make a step of the method of Euler."""
    u, v = x["u"], x["v"]
    reaction = u[0, 0] * v[0, 0] ** 2
    return {
        "u": u[0, 0] + delta_t * (2e-5 * laplace(u) - reaction + feed * (1 - u[0, 0])),
        "v": v[0, 0] + delta_t * (1e-5 * laplace(v) + reaction - (feed + kill) * v[0, 0]),
    }


def seeded(size=SIZE):
    """Return u = 1 and v = 0, but in a square in the middle."""
    start = np.zeros((size, size), [("u", float), ("v", float)])
    start["u"] = 1
    middle = slice(size // 2 - 10, size // 2 + 10)
    start["u"][middle, middle], start["v"][middle, middle] = 0.5, 0.25
    return start


def main():
    """Make 2,000 steps, and print how far the pattern has come."""
    kernel = gray_scott(feed=0.04, kill=0.06)
    problem = simsplit.Problem(seeded(), kernel, delta_t=1.0, steps=2001, keep="every:500", grid=GRID)
    result = simsplit.run(problem)
    if result.history is not None:  # on root
        for k, state in zip(result.kept, result.history, strict=True):
            print(f"step {k:4}: v is over 0.1 in {int((state['v'] > 0.1).sum())} of {SIZE**2} cells")


if __name__ == "__main__":
    simsplit.script(main)
