"""``jobs/remote.sbatch``: name server, objects and client as one job."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from .jobs import BY_SRUN

if TYPE_CHECKING:
    from pathlib import Path

    from .jobs import Submitter

pytestmark = pytest.mark.slurm

_CALCULATORS = """
from simsplit import remote


@remote.expose
class Calculator:
    def add(self, a, b):
        return a + b
"""
_CLIENT = """
import sys

from simsplit import remote

with remote.join() as here:
    objects = [here.proxy(f"MPINAME:{sys.argv[1]}_{rank}") for rank in range(1, here.size - 1)]
    print([each.add(rank, 10) for rank, each in enumerate(objects)], sys.argv[2:])
    if "fail" in sys.argv:
        objects[0].add(1, "a text")
"""
_PROGRAMS = ("calculators:Calculator", "client.py")


@pytest.fixture(autouse=True)
def programs(tmp_path: Path) -> None:
    """Write a class to serve and its client."""
    (tmp_path / "calculators.py").write_text(_CALCULATORS)
    (tmp_path / "client.py").write_text(_CLIENT)


def test_three_programs_are_one_job(on_each: Submitter) -> None:
    job = on_each("remote.sbatch", *_PROGRAMS, "calculator", "it's two words", options="--nodes=2 --ntasks=4")
    assert job.ended() == ("COMPLETED", 0), job.output
    assert '[10, 11] ["it\'s two words"]\n' in job.output


def test_srun_starts_them_too_by_other_names(submit: Submitter) -> None:
    variables = {**BY_SRUN, "SIMSPLIT_NAME": "worker_{rank}"}
    job = submit("remote.sbatch", *_PROGRAMS, "worker", "it's", "x*", options="--nodes=2 --ntasks=4", **variables)
    assert job.ended() == ("COMPLETED", 0), job.output
    assert "[10, 11] [\"it's\", 'x*']\n" in job.output


def test_a_client_that_fails_fails_the_job(submit: Submitter) -> None:
    job = submit("remote.sbatch", *_PROGRAMS, "calculator", "fail", options="--ntasks=3")
    state, status = job.ended()
    assert state == "FAILED"
    assert status != 0
    assert "TypeError" in job.output


@pytest.mark.parametrize(
    ("arguments", "tasks", "message"),
    [
        (_PROGRAMS[:1], 3, "give a class and a client"),
        (_PROGRAMS, 2, "2 tasks are too few: a name server, an object and a client take 3"),
    ],
)
def test_what_is_wrong_is_named(submit: Submitter, arguments: tuple[str, ...], tasks: int, message: str) -> None:
    job = submit("remote.sbatch", *arguments, options=f"--ntasks={tasks}")
    assert job.ended() == ("FAILED", 2)
    assert message in job.output
