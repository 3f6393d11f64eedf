"""Flow past a cylinder by the lattice Boltzmann method: D2Q9, bounce back half way, force after Guo, Zheng and Shi.

A cell holds nine populations after their collision, in an axis behind those of the grid. A step lets them move, turns
back those that come from a solid cell, and lets them collide (Phys. Rev. E 65, 2002, 046308).
"""

import numpy as np

import simsplit

C = np.array([(0, 0), (0, 1), (1, 0), (0, -1), (-1, 0), (1, 1), (1, -1), (-1, -1), (-1, 1)])  # rows, columns
OPPOSITE = [0, 3, 4, 1, 2, 7, 8, 5, 6]
W = np.array([4 / 9] + [1 / 9] * 4 + [1 / 36] * 4)


def moments(f):
    """Return density and momentum, each summed up in one order."""
    density = sum(f[..., i] for i in range(9))
    along = [sum(float(C[i, axis]) * f[..., i] for i in range(1, 9) if C[i, axis]) for axis in (0, 1)]
    return density, along


@simsplit.stencil(boundary="periodic")
def flow(x, solid, drag, tau, force):
    """Make a step: move, turn back, collide; the force, and how fast a solid cell drags, are along the columns."""
    f = np.empty(x.shape)
    for i, (row, column) in enumerate(C.tolist()):
        back = x[0, 0][..., OPPOSITE[i]] + 6 * W[i] * column * drag[-row, -column][..., 0]
        f[..., i] = np.where(solid[-row, -column][..., 0], back, x[-row, -column][..., i])
    density, (down, right) = moments(f)
    u, v = down / density, (right + force / 2) / density
    squares = 1.5 * (u * u + v * v)
    for i, (row, column) in enumerate(C.tolist()):
        cu = 3.0 * (row * u + column * v)
        equilibrium = W[i] * density * (1 + cu + 0.5 * cu * cu - squares)
        push = (1 - 0.5 / tau) * W[i] * (3.0 * (column - v) + 3.0 * cu * column) * force
        f[..., i] += (equilibrium - f[..., i]) / tau + push
    return f


def problem(solid, tau, force, steps, keep="last", drag=0.0):
    """Return a fluid at rest around solid cells, and the speed of each along the columns."""
    start = np.broadcast_to(W, (*solid.shape, 9)).copy()
    drag = np.broadcast_to(drag, solid.shape)[..., None].copy()
    kernel = flow(solid=solid[..., None], drag=drag, tau=tau, force=force)
    grid = simsplit.Grid(solid.shape, boundary="periodic")
    return simsplit.Problem(start, kernel, delta_t=1, steps=steps + 1, keep=keep, grid=grid)


def velocity(populations, force):
    """Return the velocity along the columns, of populations after a collision."""
    density, (_, right) = moments(populations)
    return (right - force / 2) / density


def main():
    """Let it flow through a channel with a cylinder in it, and print how fast."""
    rows, columns = np.indices((41, 120))
    solid = (rows == 0) | ((rows - 20) ** 2 + (columns - 30) ** 2 < 36)
    result = simsplit.run(problem(solid, 0.6, 1e-5, 300), verify=True)
    if result.history is not None:  # on root
        speed = np.where(solid, 0, velocity(result.history[0], 1e-5))
        print(f"at most {speed.max():.6f}, behind the cylinder {speed[20, 40]:.6f}")
        print(result.verification)


if __name__ == "__main__":
    simsplit.script(main)
