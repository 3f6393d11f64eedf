"""``simsplit`` as people start it. What it prints and writes otherwise: tests/cli/commands/test_run_ranks.py."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pytest

from simsplit.util.formatting import pluralize
from tests.support.launching import BIN, SIMSPLIT, Ended, environment, mpiexec, run

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.launch]


def simsplit(ranks: int, *arguments: object) -> Ended:
    """Run the command line under mpiexec."""
    return run(mpiexec(ranks, *SIMSPLIT, *arguments))


@pytest.mark.parametrize("ranks", [1, 3])
def test_without_arguments_it_is_the_simulation_of_the_tutorial(ranks: int) -> None:
    ended = simsplit(ranks)
    assert (ended.status, ended.err) == (0, "")
    assert ended.out.startswith("simsplit 0.1.0 · ")
    assert f" · {pluralize(ranks, 'rank')} on 1 node · " in ended.out.splitlines()[0]
    assert ended.out.endswith("identical: 5 of 5 steps, 35 of 35 values, bit for bit\n")


def test_json_and_a_file(tmp_path: Path) -> None:
    file = tmp_path / "history.npy"
    ended = simsplit(3, "run", "--json", "--verify", "--output", file)
    assert (ended.status, ended.err) == (0, "")
    assert ended.out.count("\n") == 1
    report = json.loads(ended.out)
    assert (report["ranks"], report["identical"], report["output"]) == (3, True, str(file))
    assert np.load(file).shape == (5, 7)


def test_by_remote_objects(tmp_path: Path) -> None:
    ended = simsplit(3, "run", "--via", "remote", "--verify", "--output", tmp_path / "remote.npy")
    assert (ended.status, ended.err) == (0, "")
    assert "\nby remote objects: 2 calculators · 12 calls · " in ended.out
    assert ended.out.endswith("identical: 5 of 5 steps, 35 of 35 values, bit for bit\n")


def test_the_command_is_installed() -> None:
    ended = run([str(BIN / "simsplit"), "--version"])
    assert ended.out.startswith("simsplit 0.")


def test_help_is_printed_once() -> None:
    ended = simsplit(3, "run", "--help")
    assert ended.status == 0
    assert ended.out.count("--expect-ranks") == 2  # in the usage and in the list


def test_a_terminal_that_knows_only_ascii_gets_the_table_all_the_same() -> None:
    ended = run(mpiexec(2, *SIMSPLIT), env=environment(PYTHONIOENCODING="ascii"))
    assert (ended.status, ended.err) == (0, "")
    assert "simsplit 0.1.0 ? 2 ranks on 1 node ? " in ended.out
    assert ended.out.endswith("identical: 5 of 5 steps, 35 of 35 values, bit for bit\n")


def test_a_reader_that_had_enough_is_no_error() -> None:
    python = BIN / "python"
    command = f"{python} -m simsplit run --steps 100000 --json --quiet --size 100 | head -c 1; echo ${{PIPESTATUS[0]}}"
    ended = run(["bash", "-c", command])
    assert (ended.out, ended.err) == ("{0\n", "")
