"""examples/first-hours: what a scientist tries first, with the figures that are to come out."""

from __future__ import annotations

import os
import re
from math import exp, pi
from typing import TYPE_CHECKING

import numpy as np
import pytest

from tests.support.launching import BIN, ROOT, environment, run

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.launch, pytest.mark.once]

FOLDER = ROOT / "examples" / "first-hours"


def output(name: str, folder: Path, *launcher: str, told: str = "") -> str:
    """Run an example in a folder, in an environment that is activated; return what it prints.

    It tells `told` on stderr, to which a launcher may add; without it, nothing.
    """
    program = str(BIN / "python") if name.endswith(".py") else "sh"
    activated = environment() | {"PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}"}
    ended = run([*launcher, program, str(FOLDER / name)], cwd=folder, env=activated)
    assert ended.status == 0, ended.err
    assert told in ended.err if told else ended.err == ""
    return ended.out


def test_each_example_is_tested() -> None:
    assert {path.name for path in FOLDER.iterdir() if path.is_file()} == {
        "bifurcation.sh",
        "pi.py",
        "stop_and_go.sh",
        "sweep.sh",
    }


def test_pi_is_the_same_on_any_number_of_ranks(tmp_path: Path) -> None:
    alone = output("pi.py", tmp_path)
    assert output("pi.py", tmp_path, str(BIN / "mpiexec"), "-n", "3") == alone
    assert abs(float(alone.removeprefix("pi is about ")) - pi) < 5 * 1.64 / np.sqrt(2e7)  # five standard errors


def test_a_bifurcation_diagram(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    assert output("bifurcation.sh", tmp_path) == "written to bifurcation.png\n"
    assert (tmp_path / "bifurcation.png").read_bytes().startswith(b"\x89PNG")
    last, r = np.load(tmp_path / "runs" / "logistic" / "history.npy"), np.load(tmp_path / "r.npy")
    fixed = r < 2.95
    np.testing.assert_allclose(last[:, fixed], np.broadcast_to(1 - 1 / r[fixed], (300, fixed.sum())), atol=1e-12)


def test_a_run_is_stopped_and_goes_on(tmp_path: Path) -> None:
    told = "simsplit: stopped by the time limit after 1 of 500 steps. Continue with: mpiexec -n 3 simsplit resume"
    assert output("stop_and_go.sh", tmp_path, told=told) == "finished: 2 starts, 500 steps, the same bits\n"


def test_a_sweep(tmp_path: Path) -> None:
    found = dict(re.findall(r"^(\w+): (.*) at t = 4.9$", output("sweep.sh", tmp_path), re.MULTILINE))
    assert found == {name: f"{exp(-rate * 4.9):.6f}" for name, rate in (("slow", 0.1), ("medium", 0.5), ("fast", 2.0))}
