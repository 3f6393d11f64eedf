"""``jobs/scaling.sbatch``: a table and a picture of 1, 2, 4 … ranks."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from .jobs import Submitter

pytestmark = pytest.mark.slurm


def test_one_job_measures_all_numbers_of_ranks(submit: Submitter) -> None:
    job = submit("scaling.sbatch", "--size", "1000", "--steps", "4", "--rounds", "2", options="--nodes=2 --ntasks=4")
    assert job.ended() == ("COMPLETED", 0), job.output
    measured = [int(ranks) for ranks in re.findall(r"^strong +(\d+) ", job.output, re.MULTILINE)]
    assert measured == [1, 2, 4]
    assert (job.folder / f"scaling-{job.number}.png").read_bytes().startswith(b"\x89PNG")
