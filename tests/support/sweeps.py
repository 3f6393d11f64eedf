"""A sweep whose runs can be made to fail and to take their time: on this machine, and on a cluster."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

_KERNELS = """
import time
from pathlib import Path


def grow(x, k, rate):
    if k == 2 and rate == 3 and Path("broken").exists():
        raise ArithmeticError("it broke")
    return x * rate


def slow(x, k, rate):
    if k:
        Path(f"reached-{{rate:g}}").touch()
    time.sleep({seconds})
    return x + rate
"""
GROW = ("--kernel", "kernels:grow", "--kind", "step", "--import-from", ".", "--size", "5")


def write_sweep(folder: Path, rates: Iterable[int], *, seconds: float) -> None:
    """Write the kernels, and a table of a run for each rate; that of rate 3 fails as long as there is a certain file.

    Parameters
    ----------
    folder : Path
    rates : iterable of int
    seconds : float
        That a step of the slow kernel takes.
    """
    (folder / "kernels.py").write_text(_KERNELS.format(seconds=seconds))
    (folder / "broken").touch()
    rows = [f"run-{rate},{rate},{4 + rate % 2}" for rate in rates]
    (folder / "table.csv").write_text("\n".join(["name,rate,steps", *rows, ""]))
