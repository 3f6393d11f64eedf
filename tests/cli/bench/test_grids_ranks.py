"""``simsplit bench --grid``: what is measured and told, on any number of ranks."""

from __future__ import annotations

import json
from typing import Any

import pytest

from simsplit import InputError
from simsplit.cli.bench.grids import lines, measure
from simsplit.cli.commands import bench
from simsplit.cli.parser import parse
from simsplit.communicator import connect

pytestmark = pytest.mark.mpi


@pytest.mark.parametrize("shape", [(40,), (12, 9), (6, 5, 4)])
def test_steps_of_a_grid_are_measured_on_more_and_more_ranks(shape: tuple[int, ...]) -> None:
    world = connect()
    found = measure(world, shape, 3, 1)
    ranks = [each["ranks"] for each in found["simsplit"]]
    assert ranks[0] == 1
    assert ranks[-1] == world.size
    cells = 1
    for n in shape:
        cells *= n
    for each in (found["one_process"], *found["simsplit"]):
        assert each["rate"] == cells * 3 / each["seconds"] > 0
    table = lines(found)
    assert table[0] == f"{' × '.join(map(str, shape))} float64, 3 steps, medians of 1 rounds"
    assert sum(line.startswith("simsplit, ") for line in table) == len(ranks)
    assert all("reach 1" in line for line in table if line.startswith("simsplit, "))


def test_the_command_prints_json(capsys: pytest.CaptureFixture[str]) -> None:
    world = connect()
    bench.command(parse(["bench", "--grid", "20x10", "--steps", "2", "--rounds", "1", "--json"]))
    out = capsys.readouterr().out
    if world.rank == 0:
        found: Any = json.loads(out)
        assert found["grid"] == [20, 10]
    for words, message in ((["--grid", "ax3"], "--grid must be"), (["--grid", "3", "--size", "5"], "not allowed with")):
        with pytest.raises(InputError, match=message):
            bench.command(parse(["bench", *words]))
