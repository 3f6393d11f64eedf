"""``simsplit run`` on all ranks: what it prints, what it writes, how it ends."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from simsplit import Problem, kernels, run
from simsplit.util.formatting import pluralize

if TYPE_CHECKING:
    from tests.support.session import Program

pytestmark = [pytest.mark.mpi, pytest.mark.timeout(120)]

WHO = {
    1: "rank 0: rows 0–6",
    2: "rank 0: rows 0–3 · 1: rows 4–6",
    3: "rank 0: rows 0–2 · 1: rows 3–4 · 2: rows 5–6",
    4: "rank 0: rows 0–1 · 1: rows 2–3 · 2: rows 4–5 · 3: row 6",
}
STEPS = [
    ("0", "[0. 0. 0. 0. 0. 0. 0.]"),
    ("0.5", "[ 1.5  4.   6.5  9.  11.5 14.  16.5]"),
    ("1", "[ 3.  8. 13. 18. 23. 28. 33.]"),
    ("1.5", "[ 4.5 12.  19.5 27.  34.5 42.  49.5]"),
    ("2", "[ 6. 16. 26. 36. 46. 56. 66.]"),
]


def test_without_arguments_it_is_the_simulation_of_the_tutorial(program: Program) -> None:
    ended, ranks = program(), program.world.size
    assert (ended.status, ended.err) == (0, "")
    lines = ended.out.splitlines()
    for k, (t, values) in enumerate(STEPS):
        assert " ".join(lines[4 + k].split()) == " ".join(f"{k} {t} {values} {values}".split())
    assert f"{pluralize(ranks, 'rank')} on 1 node" in lines[0]
    assert f" · {WHO[ranks]}" in lines[1]
    assert lines[-1] == "identical: 5 of 5 steps, 35 of 35 values, bit for bit"


@pytest.mark.parametrize("size", [0, 1, 2])
def test_ranks_without_rows_take_part(program: Program, size: int) -> None:
    ended, ranks = program("run", "--size", size, "--verify"), program.world.size
    assert ended.status == 0
    shares = [f"{rank}: row {rank}" if rank < size else f"{rank}: no rows" for rank in range(ranks)]
    assert size > ranks or f"rank {' · '.join(shares)}" in ended.out
    assert ended.out.endswith(f"identical: 5 of 5 steps, {5 * size} of {5 * size} values, bit for bit\n")


def test_large_arrays_are_abbreviated(program: Program) -> None:
    ended = program("run", "--size", 100_000, "--steps", 2)
    assert "[1.500000e+00 4.000000e+00 6.500000e+00 ... 2.499940e+05 2.499965e+05 2.499990e+05]" in ended.out
    assert len(ended.out) < 1000


def test_json_says_all_in_one_object(program: Program) -> None:
    ended, ranks = (
        program(
            "run", "--json", "--size", 10, "--offset", -1.5, "--multiplier", "1e-3", "--delta-t", 0.1,
            "--start-time", -2, "--steps", 3, "--dtype", "float32", "--verify", "--output", "history.npy",
        ),
        program.world.size,
    )  # fmt: skip
    assert (ended.status, ended.err) == (0, "")
    assert ended.out.count("\n") == 1
    report = json.loads(ended.out)
    assert report["problem"] == {
        "kernel": "affine", "kind": "map", "parameters": {"offset": -1.5, "multiplier": 0.001}, "shape": [10],
        "dtype": "float32", "delta_t": 0.1, "start_time": -2.0, "steps": 3, "seed": 0, "keep": "all", "reduce": [],
        "reduce_over": "rows",
    }  # fmt: skip
    assert (report["ranks"], report["nodes"]) == (ranks, 1)
    assert report["bounds"][0] == [0, -(-10 // ranks)]
    assert report["bounds"][-1][1] == 10
    assert report["mpi"].startswith(("MPICH", "Open MPI"))
    away = 10 - report["bounds"][0][1]
    assert report["bytes"] == {"initial": 40, "history": 120, "scattered": 4 * away, "gathered": 12 * away}
    assert set(report["seconds"]) == {"scatter", "compute", "gather", "output", "steps"}
    assert all(seconds >= 0 for seconds in report["seconds"].values())
    assert report["identical"] is True
    assert report["verification"] == "identical: 3 of 3 steps, 30 of 30 values, bit for bit"
    assert report["output"] == "history.npy"
    x, t = np.arange(10, dtype=np.float32), [-2 + k * 0.1 for k in range(3)]
    expected = np.stack([(-1.5 + x * 0.001) * time for time in t])
    assert np.load("history.npy").tobytes() == expected.tobytes()


def test_quiet_prints_nothing(program: Program) -> None:
    ended = program("run", "--quiet", "--verify")
    assert (ended.status, ended.out, ended.err) == (0, "", "")


@pytest.mark.parametrize(
    "array",
    [
        np.arange(23, dtype=">f8"),
        np.asfortranarray(np.arange(24.0).reshape(8, 3)),
        np.arange(30, dtype=np.int16).reshape(5, 2, 3),
        np.asfortranarray(np.arange(12).reshape(6, 2) * (1 + 2j)).astype(">c8"),
        np.zeros((0, 4), np.float32),
    ],
    ids=["big-endian", "Fortran order", "int16, 3 axes", "big-endian complex64, Fortran order", "empty"],
)
def test_an_array_from_a_file(program: Program, array: np.ndarray) -> None:
    save(program, "start.npy", array)
    ended = program("run", "--input", "start.npy", "--output", "out.npy", "--verify", "--quiet")
    assert (ended.status, ended.err) == (0, "")
    written = np.load("out.npy")
    native = array.astype(array.dtype.newbyteorder("="))
    expected = np.stack([(3.0 + native * 5.0) * (k * 0.5) for k in range(5)])
    assert written.dtype == expected.dtype
    assert written.shape == (5, *array.shape)
    assert np.ascontiguousarray(written).tobytes() == expected.tobytes()


def save(program: Program, name: str, array: np.ndarray) -> None:
    """Write a file that all ranks find."""
    if program.world.rank == 0:
        np.save(name, array)
    program.world.allgather(None)


def test_ranks_give_the_bytes_of_one_process(program: Program) -> None:
    options = ("--size", 1003, "--offset", 0.1, "--multiplier", -1.7, "--delta-t", 0.3)
    assert program("run", "--quiet", *options, "--output", "ranks.npy").status == 0
    kernel = kernels.affine(offset=0.1, multiplier=-1.7)
    problem = Problem(np.arange(1003.0), kernel, delta_t=0.3, steps=5)
    one = f"one-{program.world.rank}.npy"
    run(problem, serial=True, output=one)
    assert Path(one).read_bytes() == Path("ranks.npy").read_bytes()


def test_an_output_of_that_name_is_replaced(program: Program) -> None:
    if program.world.rank == 0:
        Path("history.npy").write_text("old")
    assert program("run", "--quiet", "--output", "history.npy").status == 0
    assert np.load("history.npy").shape == (5, 7)


def test_the_expected_number_of_ranks_is_right(program: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SIMSPLIT_EXPECT_RANKS", str(program.world.size))
    ended = program("run", "--quiet")
    assert (ended.status, ended.err) == (0, "")


def test_by_remote_objects_the_bits_are_the_same_and_the_cost_is_told(program: Program) -> None:
    options = ("run", "--size", 1003, "--offset", 0.1, "--delta-t", 0.3, "--output")
    assert program(*options, "collective.npy", "--quiet").status == 0
    ended = program(*options, "remote.npy", "--via", "remote", "--verify")
    assert (ended.status, ended.err) == (0, "")
    assert Path("remote.npy").read_bytes() == Path("collective.npy").read_bytes()
    calculators = max(1, program.world.size - 1)
    assert f"\nby remote objects: {pluralize(calculators, 'calculator')} · {6 * calculators} calls · " in ended.out
    assert ended.out.endswith("identical: 5 of 5 steps, 5,015 of 5,015 values, bit for bit\n")


def test_by_remote_objects_an_error_is_one_of_all_ranks(program: Program) -> None:
    ended = program("run", "--via", "remote", "--kernel", "x * t")
    assert ended.status == 2
    assert "simsplit: the kernel expression is not known to the calculators by name." in ended.err
    assert ended.err.count("simsplit: ") == 1


@pytest.mark.parametrize(
    ("options", "status", "said"),
    [
        (("--output", "nowhere/history.npy"), 5, "there is no folder"),
        (("--output", "history.txt"), 2, "ends in .npy"),
        (("--steps", "1000000000000"), 2, "of memory are left"),
        (("--input", "nan.npy", "--nan", "error"), 4, "are not a number, the first is row 2"),
    ],
)
def test_by_remote_objects_what_is_wrong_is_found_as_by_collective_calls(
    program: Program, options: tuple[str, ...], status: int, said: str
) -> None:
    save(program, "nan.npy", np.array([0, 1, np.nan]))
    for way in ("remote", "collective"):
        ended = program("run", "--via", way, *options)
        assert ended.status == status, ended.err
        assert said in ended.err
        assert ended.err.count("simsplit: ") == 1


def test_by_remote_objects_the_steps_that_are_kept_are_the_same(program: Program) -> None:
    for way in ("remote", "collective"):
        options = ("--kernel", "logistic", "--keep", "every:2", "--output", f"{way}.npy", "--via", way, "--quiet")
        ended = program("run", *options)
        assert (ended.status, ended.err) == (0, "")
    assert Path("remote.npy").read_bytes() == Path("collective.npy").read_bytes()


def test_help_is_printed_once(program: Program) -> None:
    ended = program("run", "--help")
    assert ended.status == 0
    assert ended.out.count("--expect-ranks") == 2  # in the usage and in the list
