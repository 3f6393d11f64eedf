"""``simsplit plan``: known before anything runs."""

from __future__ import annotations

import json
import tracemalloc
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from simsplit import InputError
from simsplit.cli import main
from simsplit.util import memory_limits as memory

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(autouse=True)
def plenty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have 1 GB of memory left."""
    monkeypatch.setattr("simsplit.runs.planning.available", lambda: 10**9)
    monkeypatch.setattr(memory, "available", lambda **_: 10**9)


def plan(capsys: pytest.CaptureFixture[str], *arguments: Any) -> dict[str, Any]:
    """Return the plan for programs."""
    assert main(["plan", "--json", *map(str, arguments)]) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def test_the_tutorial_on_four_ranks(capsys: pytest.CaptureFixture[str]) -> None:
    found = plan(capsys, "--ranks", 4, "--ranks-per-node", 4)
    assert found["rows"] == {"most": 2, "least": 1, "ranks_with_most": 3}
    assert found["bytes"]["initial"] == 56
    assert found["bytes"]["history"] == 280
    assert found["bytes"]["scattered"] == 40
    assert found["bytes"]["gathered_each_step"] == 40
    assert found["bytes"]["rank_0"] == 336
    assert found["bytes"]["other_rank"] == 16 + 5 * 2 * 8
    assert found["bytes"]["node_of_rank_0"] == 336 + 3 * 96
    assert (found["fits"], found["obstacles"]) == (True, [])


def test_the_table_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", "--ranks", "4", "--ranks-per-node", "2", "--size", "8000000"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "array     8,000,000 rows, float64 · 64 MB"
    assert lines[2] == "history   5 steps of float64 · 320 MB on rank 0"
    assert lines[3] == "parts     2,000,000 rows (16 MB) on each of 4 ranks"
    assert lines[6] == "moves     48 MB from rank 0 at the start · 48 MB to it each step"
    assert lines[7] == (
        "counts    rows of a part 2,000,000, displacement in rows 6,000,000, rows 8,000,000, bytes of a row 8: "
        "fits every MPI library"
    )
    assert lines[8] == "verdict   fits"


def test_the_plan_says_map_or_step_and_doubts_a_map_kernel_that_knows_no_time(
    capsys: pytest.CaptureFixture[str],
) -> None:
    found = plan(capsys, "--ranks", 2, "--kernel", "x * delta_t")
    assert (found["kernel"], found["kind"]) == ("expression", "map")
    assert found["note"].endswith('Did you mean --kind step (kind="step")?')
    found = plan(capsys, "--ranks", 2, "--kernel", "x * delta_t", "--kind", "step")
    assert (found["kind"], found["note"]) == ("step", None)
    assert main(["plan", "--ranks", "2", "--kernel", "x + 1"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[1] == "kernel    expression, map, 0 parameters"
    assert lines[-1].startswith("note      all 5 steps are the same: the map kernel expression asks for neither t, ")


def test_what_is_not_kept_takes_no_memory(capsys: pytest.CaptureFixture[str]) -> None:
    found = plan(capsys, "--ranks", 4, "--steps", 100, "--keep", "every:30")
    assert (found["steps"], found["kept_steps"]) == (100, 4)
    assert found["bytes"]["history"] == 4 * 56
    assert found["bytes"]["gathered_each_step"] == 40
    assert main(["plan", "--ranks", "4", "--steps", "100", "--keep", "every:30"]) == 0
    assert "history   4 steps of 100 of float64 · 224 B on rank 0\n" in capsys.readouterr().out


@contextmanager
def in_little_memory() -> Iterator[None]:
    """Require that nothing is gone through or kept for each of a million ranks."""
    tracemalloc.start()
    try:
        yield
        assert tracemalloc.get_traced_memory()[1] < 4 * 10**6  # a list of a million takes twice that
    finally:
        tracemalloc.stop()


def test_a_million_ranks_and_a_peta_row_take_no_longer_than_a_few(capsys: pytest.CaptureFixture[str]) -> None:
    with in_little_memory(), pytest.raises(InputError, match="the node of rank 0 needs 16 PB, but 1 GB"):
        main(["plan", "--json", "--ranks", "1000000", "--size", str(10**15), "--steps", "1"])
    found = json.loads(capsys.readouterr().out)
    assert found["rows"] == {"most": 10**9, "least": 10**9, "ranks_with_most": 10**6}
    assert found["bytes"]["scattered"] == 8 * (10**15 - 10**9)
    assert found["max_count"] == 10**15


def test_who_gets_how_much_is_said_of_all_ranks_in_short(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("simsplit.runs.planning.available", lambda: None)
    for ranks, size, text in [
        (4, 7, "2 rows (16 B) on ranks 0–2, 1 (8 B) on rank 3"),
        (3, 7, "3 rows (24 B) on rank 0, 2 (16 B) on ranks 1–2"),
        (9, 7, "1 row (8 B) on ranks 0–6, 0 (0 B) on ranks 7–8"),
        (10**6, 10**15 - 1, "1,000,000,000 rows (8 GB) on ranks 0–999,998, 999,999,999 (8 GB) on rank 999,999"),
    ]:
        with in_little_memory():
            assert main(["plan", "--ranks", str(ranks), "--size", str(size)]) == 0
        assert f"parts     {text}\n" in capsys.readouterr().out


def test_parameters_by_row_and_other_nodes_are_counted(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--ranks", 5, "--ranks-per-node", 2, "--set", "offset=[1,2,3,4,5,6,7]"]
    without, found = plan(capsys, *arguments[:4])["bytes"], plan(capsys, *arguments)["bytes"]
    assert found["parameters"] == 56
    assert found["rank_0"] == without["rank_0"] + 56
    assert found["other_rank"] == without["other_rank"] + 16
    assert found["scattered"] == without["scattered"] + 40
    assert found["other_node"] == 2 * found["other_rank"]
    assert found["largest_part"] == 16
    assert plan(capsys, "--ranks", 2, "--ranks-per-node", 2)["bytes"]["other_node"] == 0


@pytest.mark.parametrize(("size", "fits"), [(2**31 - 1, True), (2**31, False)])
def test_counts_are_compared_with_what_libraries_take(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, size: int, *, fits: bool
) -> None:
    monkeypatch.setattr("simsplit.runs.planning.available", lambda: None)
    found = plan(capsys, "--ranks", 4, "--size", size, "--steps", 1)
    assert found["counts"]["rows"] == found["max_count"] == size
    assert found["counts"]["rows of a part"] == -(-size // 4)
    assert found["counts"]["displacement in rows"] == size - size // 4
    assert found["fits_32_bit_counts"] == fits


@pytest.mark.parametrize("dtype", [[("a", "i2"), ("b", "f8")], [("a", "f4", (3,)), ("b", [("c", "?")])]])
def test_fields_are_planned_with_their_names(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dtype: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    aligned = np.dtype(dtype, align=True)
    np.save("start.npy", np.zeros(5, aligned))
    (tmp_path / "model_of_plan.py").write_text("def same(x):\n    return x\n")
    command = [
        "--ranks",
        2,
        "--input",
        "start.npy",
        "--kernel",
        "model_of_plan:same",
        "--import-from",
        ".",
        "--steps",
        3,
    ]
    found = plan(capsys, *command)
    assert found["dtype"] == found["history_dtype"]
    assert found["dtype"].startswith("{a: ")
    assert found["bytes"]["initial"] == 5 * aligned.itemsize
    assert found["bytes"]["history"] == 15 * np.dtype(dtype).itemsize


def test_what_only_newer_libraries_count_to_is_said(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("simsplit.runs.planning.available", lambda: None)
    assert main(["plan", "--ranks", "2", "--size", str(2**31), "--dtype", "int8"]) == 0
    assert "split where the MPI library has 32-bit counts" in capsys.readouterr().out


@pytest.mark.parametrize("dtype", ["float32", ">f8", "int16"])
def test_of_a_file_only_the_header_is_read(capsys: pytest.CaptureFixture[str], tmp_path: Path, dtype: str) -> None:
    np.save(tmp_path / "start.npy", np.zeros((10, 3), dtype))
    found = plan(capsys, "--ranks", 3, "--kernel", "lorenz", "--input", tmp_path / "start.npy")
    assert found["shape"] == [10, 3]
    assert found["history_dtype"] == ("float32" if dtype == "float32" else "float64")


def test_the_state_of_a_step_kernel_counts(capsys: pytest.CaptureFixture[str]) -> None:
    by_map = plan(capsys, "--ranks", 2, "--size", 10, "--kernel", "x * t")["bytes"]
    by_step = plan(capsys, "--ranks", 2, "--size", 10, "--kernel", "x * 1.0", "--kind", "step")["bytes"]
    assert by_step["other_rank"] - by_map["other_rank"] == 5 * 8


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("--kernel nope", "there is no kernel 'nope'"),
        ("--kernel lorenz", "the last axis must have 3 values"),
        ("--input missing.npy", "there is no such file"),
        ("--dtype f7", "--dtype must be a numeric or complex NumPy dtype"),
        ("--set offset=short.npy", "parameter offset has 3 rows, but the array has 7"),
    ],
)
def test_a_wrong_problem_is_refused(
    arguments: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    np.save("short.npy", np.zeros(3))
    with pytest.raises(InputError, match=message):
        main(["plan", "--ranks", "4", *arguments.split()])


@pytest.mark.parametrize("more", ["-o h.zarr", "-o h.h5 --verify", "-o runs/a --format zarr --hang-after 0"])
@pytest.mark.parametrize("kind", ["map", "step"])
def test_of_a_history_that_all_ranks_write_rank_0_holds_a_tile(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, more: str, kind: str
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("simsplit.util.durable.free_bytes", lambda _: 10**12)
    sizes = ["--ranks", 4, "--size", 10**6, "--steps", 10**4, "--kernel", "x * 0.5", "--kind", kind]
    found = plan(capsys, *sizes, *more.split())
    assert (found["output"], found["history_on_rank_0"]) == (more.split()[1], False)
    assert found["bytes"]["history"] == 8 * 10**10
    assert found["bytes"]["rank_0"] < 5 * 10**7
    assert (found["bytes"]["gathered_each_step"], found["bytes"]["disk_left"]) == (0, 10**12)
    assert main(["plan", *map(str, sizes), "--quiet", *more.split()]) == 0
    assert capsys.readouterr().out == ""
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("ranks", "size", "rows"), [(4, 10, (3, 1, 3)), (4, 12, (3, 3, 4)), (5, 3, (1, 0, 3)), (3, 5, (2, 1, 2))]
)
def test_rows_of_a_zarr_store_stay_together_in_chunks(
    capsys: pytest.CaptureFixture[str], ranks: int, size: int, rows: tuple[int, int, int]
) -> None:
    found = plan(capsys, "--ranks", ranks, "--size", size, "-o", "h.zarr")["rows"]
    assert tuple(found.values()) == rows


def test_a_disk_that_is_too_small_is_told_also_to_programs(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("simsplit.util.durable.free_bytes", lambda _: 279)
    folder = str(tmp_path / "not/there/yet")
    reason = f"the history takes 280 B, but 279 B are left on the disk of {folder}"
    with pytest.raises(InputError) as caught:
        main(["plan", "--ranks", "2", "--json", "-o", folder])
    found = json.loads(capsys.readouterr().out)
    assert (found["fits"], found["obstacles"]) == (False, [reason])
    assert (str(caught.value), caught.value.exit_status) == (f"the plan does not fit: {reason}.", 2)
    with pytest.raises(InputError):
        main(["plan", "--ranks", "2", "-o", folder])
    lines = capsys.readouterr().out.splitlines()
    assert lines[2] == f"history   5 steps of float64 · 280 B, written by all ranks · in {folder}, 279 B left there"
    assert lines[-1] == f"verdict   does not fit: {reason}"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("-o h.zarr --overwrite", "--overwrite is for a run in a run directory, but there is the file h.zarr"),
        ("-o runs/a --transport shared", "--transport shared is for a history on rank 0"),
        ("-o h.txt", "the output must be a file that ends in .npy"),
        ("--expect-ranks 3", "the plan is for 4 ranks: leave out --serial and --expect-ranks"),
        ("--serial", "the plan is for 4 ranks: leave out --serial and --expect-ranks"),
    ],
)
def test_what_a_run_refuses_is_refused(arguments: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        main(["plan", "--ranks", "4", *arguments.split()])
