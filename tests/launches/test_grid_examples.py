"""examples/grids: simulations that are worth looking at, with the figures that are to come out."""

from __future__ import annotations

import importlib.util
import sys
from math import cos, pi, sqrt
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import simsplit
from tests.support.launching import BIN, ROOT, SIMSPLIT, environment, mpiexec, run

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.launch, pytest.mark.once]

FOLDER = ROOT / "examples" / "grids"


def example(name: str) -> Any:
    """Return the module of an example."""
    sys.path.insert(0, str(FOLDER))
    try:
        spec = importlib.util.spec_from_file_location(f"example_{name}", FOLDER / f"{name}.py")
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    finally:
        sys.path.remove(str(FOLDER))
    return module


def outputs(name: str, *arguments: str) -> str:
    """Run an example alone and on three ranks; return what both print."""
    found = []
    for launcher in ([], [str(BIN / "mpiexec"), "-n", "3"]):
        ended = run([*launcher, str(BIN / "python"), str(FOLDER / f"{name}.py"), *arguments], env=environment())
        assert (ended.status, ended.err) == (0, "")
        found.append(ended.out)
    assert found[0] == found[1]
    return found[0]


def test_each_example_is_tested() -> None:
    assert {path.name for path in FOLDER.iterdir() if path.is_file()} == {
        "cavity.py",
        "gosper_gun.rle",
        "gray_scott.py",
        "heat.toml",
        "lattice_boltzmann.py",
        "life.py",
        "lorenz96.py",
        "r_pentomino.rle",
        "rle.py",
        "shallow_water.py",
        "waves.py",
    }


def test_heat_flows_out_at_the_cooled_side_alone(tmp_path: Path) -> None:
    command = [*mpiexec(3, *SIMSPLIT), "run", str(FOLDER / "heat.toml"), "--verify", "-o", str(tmp_path / "heat")]
    ended = run(command)
    assert ended.status == 0, ended.err
    opened = simsplit.open(tmp_path / "heat")
    mean = opened.reductions["mean"]
    assert mean.shape == (1001,)
    assert (np.diff(mean) < 0).all()
    # A wave along the joined sides, and a quarter of one across, decays at its own rate.
    a, b = 2 * pi / 100, pi / 2 / 100.5
    start = np.multiply.outer(np.cos(a * np.arange(100)), np.sin(b * (np.arange(100) + 1)))
    problem = simsplit.load(FOLDER / "heat.toml")
    again = simsplit.Problem(start, problem.kernel, delta_t=problem.delta_t, steps=501, keep="last", grid=problem.grid)
    decay = 1 - 0.2 * (4 - 2 * cos(a) - 2 * cos(b))
    found = simsplit.run(again, serial=True).history
    assert found is not None
    assert np.abs(found[0] - decay**500 * start).max() < 1e-12


def test_waves_pass_the_gap() -> None:
    first, verdict = outputs("waves").splitlines()
    assert first == "before the wall 1.487942, behind it 0.576441"
    assert verdict.startswith("identical")


def test_gray_scott_grows_and_rests_where_there_is_nothing() -> None:
    assert outputs("gray_scott").splitlines()[-1] == "step 2000: v is over 0.1 in 7980 of 16384 cells"
    module = example("gray_scott")
    start = module.seeded(16)
    start["u"], start["v"] = 1, 0
    kernel = module.gray_scott(feed=0.04, kill=0.06)
    history = simsplit.run(
        simsplit.Problem(start, kernel, delta_t=1.0, steps=50, grid=module.GRID), serial=True
    ).history
    assert history is not None
    assert (history == start).all()


def test_life_from_pattern_files(tmp_path: Path) -> None:
    gun = dict(line.removeprefix("step ").split(":") for line in outputs("life").splitlines())
    assert {int(k): cells.strip() for k, cells in gun.items()} == {
        0: "36 cells", 15: "42 cells", 30: "41 cells", 45: "47 cells", 60: "46 cells", 75: "52 cells", 90: "51 cells"
    }  # fmt: skip
    lines = outputs("life", str(FOLDER / "r_pentomino.rle"), "105").splitlines()
    assert lines[0] == "step    0: 5 cells"
    module = example("life")
    start = module.board(FOLDER / "r_pentomino.rle", 640)
    problem = simsplit.Problem(
        start, module.life, delta_t=1, steps=1151, keep="none", reduce="sum", reduce_over="cells"
    )
    population = simsplit.run(problem, serial=True).reductions["sum"]
    assert population[[100, 500, 821, 1000, 1103, 1150]].tolist() == [121, 174, 319, 156, 116, 116]
    assert population.argmax() == 821
    for text, message in [
        ("bo$!", "the first line must be like"),
        ("x = 2, y = 1\nboo!", "row 0 is beyond the size"),
        ("x = 2, y = 1\nbo", "must be written with b, o"),
        ("x = 2, y = 1\nbx!", "must be written with b, o"),
    ]:
        (tmp_path / "wrong.rle").write_text(text)
        with pytest.raises(ValueError, match=message):
            example("rle").read_rle(tmp_path / "wrong.rle")


def test_shallow_water_keeps_its_mass_and_a_lake_rests() -> None:
    first, verdict = outputs("shallow_water").splitlines()
    assert float(first.removeprefix("the mass changes by ").removesuffix(" of itself")) < 1e-13
    assert verdict.startswith("identical")
    module = example("shallow_water")
    kernel = module.shallow_water(spacing=0.1)
    problem = simsplit.Problem(module.basin(0.0), kernel, delta_t=0.01, steps=100, keep="last")
    history = simsplit.run(problem, serial=True).history
    assert history is not None
    assert (history[0] == module.basin(0.0)).all()


def test_lattice_boltzmann_flows_as_poiseuille_found() -> None:
    assert outputs("lattice_boltzmann").splitlines()[0] == "at most 0.004416, behind the cylinder 0.001065"
    module = example("lattice_boltzmann")
    height, fastest = 11, 0.05  # at this tau the parabola is exact, however few cells it has
    tau = 0.5 + sqrt(3 / 16)
    viscosity = (tau - 0.5) / 3
    force = 8 * viscosity * fastest / height**2
    solid = np.zeros((height + 1, 4), bool)
    solid[-1] = True  # the wall on both sides, for rows go round
    history = simsplit.run(module.problem(solid, tau, force, 2_500), serial=True).history
    assert history is not None
    y = np.arange(height) + 0.5
    expected = force / (2 * viscosity) * y * (height - y)
    found = module.velocity(history[0], force)[:-1]
    assert np.abs(found - expected[:, None]).max() / fastest < 1e-10


def test_a_driven_cavity_is_within_two_percent_of_the_lid_of_the_published_table() -> None:
    assert [line.split()[0] for line in outputs("cavity", "5").splitlines()] == ["along", "up", "up"]
    module = example("cavity")
    n = 17  # of 129, which take minutes and come within half a percent
    history = simsplit.run(module.cavity(n, turns=12), serial=True).history
    assert history is not None
    speeds = module.profiles(history[0])
    for name, place, published in module.GHIA:
        assert abs(np.interp(place, (np.arange(n) + 0.5) / n, speeds[name]) - published) < 0.02


def test_lorenz_96_comes_to_known_values() -> None:
    first, verdict = outputs("lorenz96").splitlines()
    assert first == "x0 = -2.278219518, x19 = 6.625081690"
    assert verdict.startswith("identical")
