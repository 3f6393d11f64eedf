"""A kernel that fails on the rank that has row 5, at step 3; run by ``simsplit.script``."""

import sys
import time
from pathlib import Path

import numpy as np

import simsplit


class Broken(simsplit.kernels.Kernel):
    """Fails as the argument of the program says."""

    def evaluate(self, x: np.ndarray, block: simsplit.kernels.Block, out: np.ndarray) -> None:
        """Copy, or fail."""
        if 5.0 in x and block.t == 3.0:
            fail(sys.argv[1])
        out[...] = x


def fail(how: str) -> None:
    """Fail."""
    if how == "divide":
        births, deaths = 1, 0
        print(births / deaths)
    elif how == "exit":
        sys.exit(7)
    elif how == "slow":
        Path(sys.argv[2]).write_text("ready")
        time.sleep(3600)


def main() -> None:
    """Run it."""
    initial = np.arange(8.0)
    try:
        simsplit.run(simsplit.Problem(initial, Broken(), delta_t=1.0, steps=6))
    except simsplit.KernelError as error:
        if sys.argv[2:] != ["caught"]:
            raise
        result = simsplit.run(simsplit.Problem(initial, simsplit.kernels.affine(), delta_t=1.0, steps=6), verify=True)
        print(f"rank {error.failures[0].rank} failed; then {result.verification}", flush=True)


if __name__ == "__main__":
    simsplit.script(main)
