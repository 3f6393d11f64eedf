"""The lid-driven cavity at Reynolds number 100, beside the table of Ghia, Ghia and Shin.

The table is from J. Comput. Phys. 48, 1982, 387.

    mpiexec -n 2 python examples/grids/cavity.py [cells along a side]

The fluid in a box is dragged along by the lid, row 0, until it flows steadily. With 129 cells, the default and those of
the table, it takes some minutes.
"""

import sys

import numpy as np
from lattice_boltzmann import moments, problem

import simsplit

LID = 0.1  # cells a step
GHIA = [("along", 0.5, -0.20581), ("up", 0.8047, -0.24533), ("up", 0.2344, 0.17527)]  # of the lid's speed


def cavity(n, turns=25):
    """Return the flow in a box of n × n cells after as many times as the lid takes to pass it."""
    solid = np.ones((n + 2, n + 2), bool)
    solid[1:-1, 1:-1] = False
    drag = np.zeros(solid.shape)
    drag[0] = LID
    return problem(solid, 0.5 + 3 * LID * n / 100, 0.0, round(turns * n / LID), drag=drag)


def profiles(populations):
    """Return the speeds along the vertical line through the middle, from below, and up along the horizontal one."""
    density, (down, right) = moments(populations[1:-1, 1:-1])
    n = len(density)
    middle = slice((n - 1) // 2, n // 2 + 1)  # two cells if the line goes between them
    along = (right / density)[::-1, middle].mean(1) / LID
    up = -(down / density)[middle].mean(0) / LID
    return {"along": along, "up": up}


def main():
    """Let it flow, and print it beside the table."""
    n = int(sys.argv[1]) if len(sys.argv) > 1 else 129
    result = simsplit.run(cavity(n))
    if result.history is not None:  # on root
        speeds = profiles(result.history[0])
        for name, place, expected in GHIA:
            found = np.interp(place, (np.arange(n) + 0.5) / n, speeds[name])
            print(f"{name:5} at {place:.4f}: {found:8.5f}, in the table {expected:8.5f}")


if __name__ == "__main__":
    simsplit.script(main)
