"""What the tests that submit jobs share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from .jobs import CONFIGURATION, Submitter

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(autouse=True)
def _needs_a_cluster(request: pytest.FixtureRequest) -> None:
    if request.node.get_closest_marker("slurm") and not CONFIGURATION:
        pytest.skip("needs the Slurm cluster of `make test-slurm`")


@pytest.fixture(params=["mpich", "openmpi"])
def on_each(request: pytest.FixtureRequest, tmp_path: Path) -> Submitter:
    """Submit jobs that use either MPI library."""
    return Submitter(tmp_path, request.param)


@pytest.fixture
def submit(tmp_path: Path) -> Submitter:
    """Submit jobs that use MPICH."""
    return Submitter(tmp_path)
