"""Waves in a basin with a breakwater: two time levels as fields, and an obstacle as a parameter by row."""

import numpy as np

import simsplit
from simsplit.kernels.operators import laplace

SHAPE = (120, 160)


@simsplit.stencil(boundary="mirror")
def wave(x, solid, courant):
    """Make a step: `u` is the level of the water, `before` that of the step before."""
    u = x["u"]
    after = 2 * u - x["before"] + courant**2 * laplace(u)
    return {"u": np.where(solid, 0.0, after), "before": u}


def breakwater():
    """Return where the wall stands: across the basin, with a gap."""
    solid = np.zeros(SHAPE, bool)
    solid[:, 80] = True
    solid[50:70, 80] = False
    return solid


def main():
    """Let a crest run against the wall, and print how high the water stands before and behind it."""
    start = np.zeros(SHAPE, [("u", float), ("before", float)])
    start["u"] = np.exp(-(((np.arange(160) - 30) / 6.0) ** 2))
    start["before"] = np.roll(start["u"], -1, axis=1)  # it moves to the right
    kernel = wave(solid=breakwater(), courant=0.5)
    problem = simsplit.Problem(start, kernel, delta_t=0.5, steps=201, keep="every:40")
    result = simsplit.run(problem, verify=True)
    if result.history is not None:  # on root
        level = np.abs(result.history["u"][-1])
        print(f"before the wall {level[:, :80].max():.6f}, behind it {level[:, 81:].max():.6f}")
        print(result.verification)


if __name__ == "__main__":
    simsplit.script(main)
