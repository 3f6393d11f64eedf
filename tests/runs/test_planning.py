"""What a run would take, from Python; the command line's is tested in tests/cli/commands/test_plan.py."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import simsplit
from simsplit import InputError, kernels
from simsplit.cli import main
from simsplit.runs import planning

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(autouse=True)
def plenty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the same memory left each time."""
    monkeypatch.setattr(planning, "available", lambda: 10**9)
    monkeypatch.setattr(planning, "shm_available", lambda: None)


def make(**given: Any) -> simsplit.Problem:
    return simsplit.Problem(
        **{"initial": np.arange(1000.0), "kernel": kernels.affine(), "delta_t": 0.5, "steps": 4} | given
    )


def test_it_is_what_the_command_line_prints(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = str(tmp_path / "h.zarr")
    words = [
        "--ranks",
        "5",
        "--ranks-per-node",
        "2",
        "--size",
        "1000",
        "--steps",
        "4",
        "--reduce",
        "mean,std",
        "-o",
        output,
    ]
    assert main(["plan", *words]) == 0
    printed = capsys.readouterr().out
    assert main(["plan", "--json", *words]) == 0
    values = json.loads(capsys.readouterr().out)
    found = simsplit.plan(make(reduce="mean,std"), ranks=5, ranks_per_node=2, output=output)
    assert [line for line in str(found).splitlines() if "left there" not in line] == [
        line for line in printed.rstrip("\n").splitlines() if "left there" not in line
    ]
    found_values = json.loads(json.dumps(found.to_dict()))
    for each in (values, found_values):
        del each["bytes"]["disk_left"]
    assert found_values == values


@pytest.mark.parametrize(("reduce", "nbytes"), [("", 0), ("mean", 32), ("mean,std,min", 96)])
def test_reductions_count_on_root_and_on_the_disk(reduce: str, nbytes: int, monkeypatch: pytest.MonkeyPatch) -> None:
    found, without = simsplit.plan(make(reduce=reduce)), simsplit.plan(make())
    assert found.reductions == nbytes
    assert found.root - without.root == nbytes
    monkeypatch.setattr(planning.durable, "free_bytes", lambda _: 32_000)
    obstacles = simsplit.plan(make(reduce=reduce), output="h.npy").obstacles
    assert bool(obstacles) == (nbytes > 0)
    assert all(text.startswith("history and reductions take 32") for text in obstacles)


def test_only_a_row_is_looked_at() -> None:
    seen = []

    def kernel(x: Any, t: float) -> Any:
        seen.append(x.shape)
        return x * t

    found = simsplit.plan(make(kernel=kernel, initial=np.zeros((10, 3))), ranks=3)
    assert found.plan.bounds == [(0, 4), (4, 7), (7, 10)]
    assert set(seen) <= {(1, 3)}


def test_what_does_not_fit_is_told() -> None:
    found = simsplit.plan(make(steps=10**9))
    assert found.obstacles == ["the node of rank 0 needs 8 TB, but 1 GB of memory are left here"]
    assert found._repr_html_().startswith("<table><caption>plan</caption>")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"ranks": 0}, "ranks must be an integer of 1 or more, not 0"),
        ({"ranks_per_node": "two"}, "ranks_per_node must be an integer"),
        ({"sped": 1}, "sped is no option of a run. Give some of verify, output,"),
        ({"format": "zarr"}, "format is for a run in a run directory"),
        ({"output": "h.txt"}, "the output must be a file that ends in"),
    ],
)
def test_a_wrong_argument_is_named(given: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        simsplit.plan(make(), **given)


@pytest.mark.parametrize("problem", [None, 3, "problem.toml"])
def test_what_is_no_problem_is_refused(problem: Any) -> None:
    with pytest.raises(InputError, match=r"problem must be a simsplit\.Problem"):
        simsplit.plan(problem)
