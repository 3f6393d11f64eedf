"""The runner of the tests that need Slurm, where there is none: it says so, and is no failure."""

from __future__ import annotations

import os
import sys

import pytest

from . import __main__ as runner
from . import cluster


@pytest.fixture(autouse=True)
def without_slurm(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have no Slurm, and no arguments."""
    monkeypatch.setattr(cluster, "PROGRAMS", ("slurmctld-that-is-nowhere",))
    monkeypatch.setattr(sys, "argv", ["tests.slurm"])


def test_who_may_not_install_is_told_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert runner.main() == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("SKIPPED: the tests that need Slurm, for slurmctld-that-is-nowhere cannot be found")
    assert lines[1] == "To run them: apt-get install --no-install-recommends slurmctld slurmd slurm-client munge"
    assert lines[-1] == "0 passed, 0 failed, 1 skipped"


def test_an_installation_that_fails_says_why_and_is_tried_with_new_lists(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    commands: list[list[str]] = []

    def refuse(command: list[str], **_: object) -> object:
        commands.append(command)
        return type("Done", (), {"returncode": 100, "stderr": "E: Unable to locate package slurmctld\n"})

    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(runner.shutil, "which", lambda name, **_: f"/usr/bin/{name}" if name == "apt-get" else None)
    monkeypatch.setattr(runner.subprocess, "run", refuse)
    assert runner.main() == 0
    assert [command[1] for command in commands] == ["install", "update", "install"]
    assert "E: Unable to locate package slurmctld\n" in capsys.readouterr().out
