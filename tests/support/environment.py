"""The environment of an ordinary start, whatever started the tests."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest

VARIABLES = (
    "HYDI_CONTROL_FD",
    "MPI_LOCALNRANKS",
    "MPI_LOCALRANKID",
    "OMPI_COMM_WORLD_RANK",
    "OMPI_COMM_WORLD_SIZE",
    "PMI_RANK",
    "PMI_SIZE",
    "SIMSPLIT_EXPECT_RANKS",
    "SLURM_PROCID",
    "SLURM_STEP_NUM_TASKS",
)


def forget_launchers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take out what launchers and the user's expectation leave in the environment."""
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
