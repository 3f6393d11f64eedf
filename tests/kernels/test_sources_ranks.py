"""Ranks whose kernels have other files behind them do not run together."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

import simsplit
from simsplit.kernels import load

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.mpi(min_size=2)


@pytest.mark.parametrize("changed", ["helper", "late"])
def test_another_helper_on_one_rank_is_refused_on_all(tmp_path: Path, changed: str) -> None:
    from mpi4py import MPI

    last = MPI.COMM_WORLD.rank == MPI.COMM_WORLD.size - 1
    front, helper, late = (f"sources_ranks_{word}_{changed}" for word in ("front", "helper", "late"))
    (tmp_path / f"{helper}.py").write_text("def g(x): return x + 3\n")
    (tmp_path / f"{late}.py").write_text("factor = 2\n")
    (tmp_path / f"{front}.py").write_text(
        f"from {helper} import g\ndef f(x):\n    from {late} import factor\n    return factor * g(x)\n"
    )
    kernel = load(f"{front}:f", folder=str(tmp_path))
    result = simsplit.run(simsplit.Problem(np.arange(7.0), kernel, delta_t=0.5, steps=2))
    assert result.history is None or result.history[1].tolist() == (2 * (np.arange(7.0) + 3)).tolist()
    if last:
        (tmp_path / f"{helper if changed == 'helper' else late}.py").write_text("def g(x): return x + 4\nfactor = 2\n")
    kernel = load(f"{front}:f", folder=str(tmp_path))
    with pytest.raises(simsplit.InputError, match="not the same on all ranks: source of the kernel on rank"):
        simsplit.run(simsplit.Problem(np.arange(7.0), kernel, delta_t=0.5, steps=2))
