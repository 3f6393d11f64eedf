"""``simsplit`` as people start it: what it prints, what it writes, how it ends."""

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

RANKS = [1, 2, 3, 4]
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


def simsplit(ranks: int, *arguments: object) -> Ended:
    """Run the command line under mpiexec."""
    return run(mpiexec(ranks, *SIMSPLIT, *arguments))


@pytest.mark.parametrize("ranks", RANKS)
def test_without_arguments_it_is_the_simulation_of_the_tutorial(ranks: int) -> None:
    ended = simsplit(ranks)
    assert (ended.status, ended.err) == (0, "")
    lines = ended.out.splitlines()
    for k, (t, values) in enumerate(STEPS):
        assert " ".join(lines[4 + k].split()) == " ".join(f"{k} {t} {values} {values}".split())
    assert f"{ranks} rank{'s' if ranks > 1 else ''} on 1 node" in lines[0]
    assert f" · {WHO[ranks]}" in lines[1]
    assert lines[-1] == "identical: 5 of 5 steps, 35 of 35 values, bit for bit"


def test_more_ranks_than_rows() -> None:
    ended = simsplit(4, "run", "--size", 2, "--verify")
    assert ended.status == 0
    assert "rank 0: row 0 · 1: row 1 · 2: no rows · 3: no rows" in ended.out
    assert ended.out.endswith("identical: 5 of 5 steps, 10 of 10 values, bit for bit\n")


def test_no_rows_at_all() -> None:
    ended = simsplit(3, "run", "--size", 0, "--verify")
    assert ended.status == 0
    assert ended.out.endswith("identical: 5 of 5 steps, 0 of 0 values, bit for bit\n")


def test_large_arrays_are_abbreviated() -> None:
    ended = simsplit(2, "run", "--size", 100_000, "--steps", 2)
    assert "[1.500000e+00 4.000000e+00 6.500000e+00 ... 2.499940e+05 2.499965e+05 2.499990e+05]" in ended.out
    assert len(ended.out) < 1000


@pytest.mark.parametrize("ranks", RANKS)
def test_json_says_all_in_one_object(ranks: int, tmp_path: Path) -> None:
    file = tmp_path / "history.npy"
    ended = simsplit(
        ranks, "run", "--json", "--size", 10, "--offset", -1.5, "--multiplier", "1e-3", "--delta-t", 0.1,
        "--start-time", -2, "--steps", 3, "--dtype", "float32", "--verify", "--output", file,
    )  # fmt: skip
    assert (ended.status, ended.err) == (0, "")
    assert ended.out.count("\n") == 1
    report = json.loads(ended.out)
    assert report["problem"] == {
        "kernel": "affine", "kind": "map", "parameters": {"offset": -1.5, "multiplier": 0.001}, "shape": [10],
        "dtype": "float32", "delta_t": 0.1, "start_time": -2.0, "steps": 3, "seed": 0, "keep": "all", "reduce": [],
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
    assert report["output"] == str(file)
    x, t = np.arange(10, dtype=np.float32), [-2 + k * 0.1 for k in range(3)]
    expected = np.stack([(-1.5 + x * 0.001) * time for time in t])
    assert np.load(file).tobytes() == expected.tobytes()


def test_quiet_prints_nothing() -> None:
    ended = simsplit(2, "run", "--quiet", "--verify")
    assert (ended.status, ended.out, ended.err) == (0, "", "")


@pytest.mark.parametrize("ranks", [1, 3])
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
def test_an_array_from_a_file(array: np.ndarray, ranks: int, tmp_path: Path) -> None:
    np.save(tmp_path / "start.npy", array)
    ended = simsplit(
        ranks, "run", "--input", tmp_path / "start.npy", "--output", tmp_path / "out.npy", "--verify", "--quiet"
    )
    assert (ended.status, ended.err) == (0, "")
    written = np.load(tmp_path / "out.npy")
    native = array.astype(array.dtype.newbyteorder("="))
    expected = np.stack([(3.0 + native * 5.0) * (k * 0.5) for k in range(5)])
    assert written.dtype == expected.dtype
    assert written.shape == (5, *array.shape)
    assert np.ascontiguousarray(written).tobytes() == expected.tobytes()


def test_ranks_give_the_bytes_of_one_process(tmp_path: Path) -> None:
    files = [tmp_path / f"{ranks}.npy" for ranks in (0, *RANKS)]
    options = ("run", "--quiet", "--size", 1003, "--offset", 0.1, "--multiplier", -1.7, "--delta-t", 0.3)
    assert run([str(BIN / "python"), *SIMSPLIT, *map(str, options), "--output", str(files[0]), "--serial"]).status == 0
    for ranks in RANKS:
        assert simsplit(ranks, *options, "--output", files[ranks]).status == 0
    assert len({file.read_bytes() for file in files}) == 1


def test_an_output_of_that_name_is_replaced(tmp_path: Path) -> None:
    file = tmp_path / "history.npy"
    file.write_text("old")
    assert simsplit(2, "run", "--quiet", "--output", file).status == 0
    assert np.load(file).shape == (5, 7)


def test_the_expected_number_of_ranks_is_right() -> None:
    ended = run(mpiexec(2, *SIMSPLIT, "run", "--quiet"), env=environment(SIMSPLIT_EXPECT_RANKS="2"))
    assert (ended.status, ended.err) == (0, "")


@pytest.mark.parametrize("ranks", [1, 3])
def test_by_remote_objects_the_bits_are_the_same_and_the_cost_is_told(ranks: int, tmp_path: Path) -> None:
    options = ("run", "--size", 1003, "--offset", 0.1, "--delta-t", 0.3, "--output")
    assert simsplit(ranks, *options, tmp_path / "collective.npy", "--quiet").status == 0
    ended = simsplit(ranks, *options, tmp_path / "remote.npy", "--via", "remote", "--verify")
    assert (ended.status, ended.err) == (0, "")
    assert (tmp_path / "remote.npy").read_bytes() == (tmp_path / "collective.npy").read_bytes()
    calculators = max(1, ranks - 1)
    assert f"\nby remote objects: {pluralize(calculators, 'calculator')} · {6 * calculators} calls · " in ended.out
    assert ended.out.endswith("identical: 5 of 5 steps, 5,015 of 5,015 values, bit for bit\n")


def test_by_remote_objects_an_error_is_one_of_all_ranks() -> None:
    ended = simsplit(3, "run", "--via", "remote", "--kernel", "x * t")
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
    options: tuple[str, ...], status: int, said: str, tmp_path: Path
) -> None:
    np.save(tmp_path / "nan.npy", [0, 1, np.nan])
    options = tuple(str(tmp_path / word) if word == "nan.npy" else word for word in options)
    for way in ("remote", "collective"):
        ended = simsplit(2, "run", "--via", way, *options)
        assert ended.status == status, ended.err
        assert said in ended.err
        assert ended.err.count("simsplit: ") == 1


def test_by_remote_objects_the_steps_that_are_kept_are_the_same(tmp_path: Path) -> None:
    for way in ("remote", "collective"):
        file = tmp_path / f"{way}.npy"
        ended = simsplit(
            3, "run", "--kernel", "logistic", "--keep", "every:2", "--output", file, "--via", way, "--quiet"
        )
        assert (ended.status, ended.err) == (0, "")
    assert (tmp_path / "remote.npy").read_bytes() == (tmp_path / "collective.npy").read_bytes()


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
    command = f"{BIN / 'python'} -m simsplit run --steps 100000 --json --size 100 | head -c 1; echo ${{PIPESTATUS[0]}}"
    ended = run(["bash", "-c", command])
    assert (ended.out, ended.err) == ("{0\n", "")
