"""docs/cluster.md: Slurm accepts each command in it, and the others run."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

import pytest

from tests.support.launching import BIN, ROOT, environment, run

from .jobs import CONFIGURATION, Submitter

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.slurm

TEXT = (ROOT / "docs" / "cluster.md").read_text()
BLOCKS = re.findall(r"^ *```(\w+)\n(.*?)^ *```$", TEXT, re.MULTILINE | re.DOTALL)
COMMANDS = [line[2:] for language, block in BLOCKS if language == "console" for line in block.splitlines()]
NOT_HERE = ("module ", "python -m venv ", "pip ", "export MPI4PY_LIBMPI=")  # of another cluster
SUBMITTING = 10


def test_the_commands_run_and_what_is_submitted_is_accepted(tmp_path: Path) -> None:
    (tmp_path / "problem.toml").write_text("size = 10\n")
    (tmp_path / "table.csv").write_text(next(block for language, block in BLOCKS if language == "text"))
    (tmp_path / "jobs").symlink_to(ROOT / "jobs")
    variables = environment(PATH=f"{BIN}:{os.environ['PATH']}", SLURM_CONF=CONFIGURATION)
    submitted = 0
    for command in COMMANDS:
        if command.startswith(NOT_HERE):
            continue
        tried = re.sub(r"(^| )sbatch ", r"\1sbatch --test-only ", command)
        tried = tried.removesuffix(" --submit")  # which tests/slurm/test_job.py does
        submitted += tried != command
        ended = run(["bash", "-c", tried], cwd=tmp_path, env=variables)
        assert ended.status == 0, f"{command}\n{ended.err}"
    assert submitted == SUBMITTING


@pytest.mark.skipif(os.geteuid() != 0, reason="sbcast needs node daemons that run as root")
def test_each_node_gets_a_copy_of_the_environment(submit: Submitter, tmp_path: Path) -> None:
    setup = next(block for language, block in BLOCKS if language == "bash" and "sbcast" in block)
    assert "/tmp" in setup
    (tmp_path / "setup.sh").write_text(setup.replace("/tmp", f"{tmp_path}/disk"))
    (tmp_path / "disk").mkdir()
    (tmp_path / "env" / "bin").mkdir(parents=True)
    (tmp_path / "env" / "bin" / "activate").write_text("echo activated on $SLURM_JOB_NUM_NODES nodes\n")
    assert run(["tar", "-cf", "env.tar", "env"], cwd=tmp_path).status == 0
    job = submit("collect.sbatch", options="--nodes=2 --ntasks=2", SIMSPLIT_SETUP="setup.sh")
    job.wait()
    assert "activated on 2 nodes" in job.output
    assert len(list((tmp_path / "disk").glob("env-*.tar"))) == 1  # of one node: they share this disk
    assert (tmp_path / "disk" / "env" / "bin" / "activate").exists()


@pytest.mark.parametrize("path", re.findall(r"\]\(([^)]+)\)", TEXT))
def test_links_lead_somewhere(path: str) -> None:
    assert (ROOT / "docs" / path).exists()
