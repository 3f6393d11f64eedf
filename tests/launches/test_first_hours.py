"""examples/first-hours: what a scientist tries first, with the figures that are to come out."""

from __future__ import annotations

import importlib.util
import os
import re
from math import exp, pi, prod, sqrt
from typing import TYPE_CHECKING, Any

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
        "epidemic.py",
        "ornstein_uhlenbeck.py",
        "pi.py",
        "stop_and_go.sh",
        "sweep.sh",
        "work_queue.py",
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


def test_an_epidemic_is_as_scipy_has_it(tmp_path: Path) -> None:
    integrate = pytest.importorskip("scipy.integrate")
    spec = importlib.util.spec_from_file_location("epidemic", FOLDER / "epidemic.py")
    assert spec is not None
    assert spec.loader is not None
    example = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(example)
    *lines, verified = output("epidemic.py", tmp_path, str(BIN / "mpiexec"), "-n", "3").splitlines()
    assert verified.startswith("identical: ")
    for line, beta in zip(lines, (0.1, 0.5), strict=True):

        def rates(_t: float, y: Any, beta: float = beta) -> Any:
            x = y.reshape(1, 2, 3)
            return example.rates(x, np.full((1, 1, 1), beta), example.CONTACTS).reshape(-1)

        start = np.repeat([0.999, 0.001], 3)
        expected = integrate.solve_ivp(rates, (0, 100), start, method="DOP853", rtol=1e-12, atol=1e-14).y[:3, -1]
        np.testing.assert_allclose([float(word) for word in line.split()], 1 - expected, rtol=0, atol=1e-7)


def test_an_ensemble_of_paths_is_as_theory_has_it(tmp_path: Path) -> None:
    alone = output("ornstein_uhlenbeck.py", tmp_path)
    assert output("ornstein_uhlenbeck.py", tmp_path, str(BIN / "mpiexec"), "-n", "2") == alone
    found = re.findall(r"mean (\S+), theory (\S+); spread (\S+), theory (\S+)", alone)
    assert len(found) == 3
    for mean, its, spread, own in (map(float, each) for each in found):
        assert abs(mean - its) < 5 * own / sqrt(1e5) + 1e-4  # five standard errors, and the rounding of the text
        assert abs(spread - own) < 5 * own / sqrt(2e5) + 1e-4


def test_a_queue_of_work_is_done_by_whoever_is_free(tmp_path: Path) -> None:
    lines = output("work_queue.py", tmp_path, str(BIN / "mpiexec"), "-n", "3").splitlines()
    numbers = range(10**10, 10**10 + 20)
    assert [int(line.partition(" = ")[0]) for line in lines] == [*numbers]
    assert [prod(map(int, line.partition(" = ")[2].split(" × "))) for line in lines] == [*numbers]
