"""Shallow water: a drop falls into a square basin without ends, by the scheme of Lax and Friedrichs."""

import numpy as np

import simsplit

SIZE, GRAVITY = 100, 9.81


def flux(h, along, across):
    """Return what flows of height, momentum along and momentum across."""
    return along, along**2 / h + 0.5 * GRAVITY * h**2, along * across / h


@simsplit.stencil(boundary="periodic")
def shallow_water(x, delta_t, spacing):
    """Make a step: the mean of four neighbours, less the differences of the fluxes."""

    def cells(i, j):
        return x["h"][i, j], x["hu"][i, j], x["hv"][i, j]

    up, down, left, right = cells(-1, 0), cells(1, 0), cells(0, -1), cells(0, 1)
    f = [b - a for a, b in zip(flux(*up), flux(*down), strict=True)]
    g = [b - a for a, b in zip(flux(left[0], left[2], left[1]), flux(right[0], right[2], right[1]), strict=True)]
    mean = [(a + b + c + d) / 4 for a, b, c, d in zip(up, down, left, right, strict=True)]
    rate = delta_t / (2 * spacing)
    return {
        "h": mean[0] - rate * f[0] - rate * g[0],
        "hu": mean[1] - rate * f[1] - rate * g[2],
        "hv": mean[2] - rate * f[2] - rate * g[1],
    }


def basin(drop):
    """Return water of a depth of 1 m at rest, with a drop on it."""
    start = np.zeros((SIZE, SIZE), [("h", float), ("hu", float), ("hv", float)])
    place = np.arange(SIZE) - SIZE / 2
    start["h"] = 1 + drop * np.exp(-np.add.outer(place**2, place**2) / 40)
    return start


def main():
    """Run 10 s, and print how the mass is kept."""
    kernel = shallow_water(spacing=0.1)
    problem = simsplit.Problem(basin(0.4), kernel, delta_t=0.01, steps=1001, keep="every:250")
    result = simsplit.run(problem, verify=True)
    if result.history is not None:  # on root
        mass = result.history["h"].sum(axis=(1, 2))
        print(f"the mass changes by {abs(mass / mass[0] - 1).max():.0e} of itself")
        print(result.verification)


if __name__ == "__main__":
    simsplit.script(main)
