"""Conway's game of life from a pattern file: python life.py [PATTERN.rle [STEPS]]."""

import sys
from pathlib import Path

import numpy as np
from rle import read_rle

import simsplit


@simsplit.stencil(boundary="fixed 0")
def life(x):
    """Make a step: a cell lives with three live neighbours, or with two if it lived before."""
    n = sum(x[i, j] for i in (-1, 0, 1) for j in (-1, 0, 1) if i or j)
    return np.where((n == 3) | ((n == 2) & (x[0, 0] == 1)), 1, 0)


def board(path, size=200):
    """Return a pattern in the middle of dead cells."""
    pattern = read_rle(path)
    cells = np.zeros((size, size), np.int64)
    top, left = (size - pattern.shape[0]) // 2, (size - pattern.shape[1]) // 2
    cells[top : top + len(pattern), left : left + pattern.shape[1]] = pattern
    return cells


def main():
    """Print how many cells live."""
    path = sys.argv[1] if len(sys.argv) > 1 else Path(__file__).with_name("gosper_gun.rle")
    steps = int(sys.argv[2]) if len(sys.argv) > 2 else 90
    problem = simsplit.Problem(
        board(path), life, delta_t=1, steps=steps + 1, keep="last", reduce="sum", reduce_over="cells"
    )
    result = simsplit.run(problem)
    if result.history is not None:  # on root
        population = result.reductions["sum"]
        for k in range(0, steps + 1, 15):
            print(f"step {k:4}: {population[k]} cells")


if __name__ == "__main__":
    simsplit.script(main)
