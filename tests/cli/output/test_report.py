"""What a run prints: a table for people, JSON for programs."""

from __future__ import annotations

import io
import json
import re
from typing import Any

import numpy as np
import pytest

from simsplit import Problem, Result, Verification, __version__, kernels
from simsplit.bounds import bounds
from simsplit.cli.output.report import as_json, as_table
from simsplit.engine import Timings
from tests.support.blocks import history_of

IDENTICAL = Verification(5, 35, 0, 0, None, 0.0)
DIFFERENT = Verification(5, 35, 1, 2, (3, 4), 7.0)


def make(
    initial: Any = None, steps: int = 5, kernel: Any = None, seed: int = 0, **changes: Any
) -> tuple[Problem, Result]:
    """Return the tutorial's problem and its result on four ranks, but for the changes."""
    kernel = kernels.affine(offset=3, multiplier=5) if kernel is None else kernel
    array = np.arange(7.0) if initial is None else initial
    problem = Problem(array, kernel, delta_t=0.5, steps=steps, seed=seed)
    history = history_of(problem)
    values: dict[str, Any] = {
        "history": history,
        "time_grid": (problem.start_time, problem.delta_t, problem.steps),
        "kept": problem.kept,
        "ranks": 4,
        "bounds": bounds(len(array), 4),
        "hosts": ["n1", "n1", "n2", "n2"],
        "library": "MPICH 5.0.2",
        "timings": Timings(scatter=0.00012, compute=1.5, gather=0.0123, steps=2e-6),
        "nbytes": {"initial": 56, "history": history.nbytes, "scattered": 40, "gathered": 200},
        "verification": IDENTICAL,
        "transport": "shared",
        "transport_reason": "4 ranks on 2 nodes",
        "shares": {"compute": 0.75, "communication": 0.25, "output": 0.0},
    }
    return problem, Result(**(values | changes))


def table(problem: Problem, result: Result, output: str | None = None) -> list[str]:
    """Return the lines of the table."""
    out = io.StringIO()
    as_table(problem, result, output, out)
    assert out.getvalue().endswith("\n")
    lines = out.getvalue().splitlines()
    assert [line for line in lines if line != line.rstrip()] == []
    return lines


def report(problem: Problem, result: Result, output: str | None = None) -> dict[str, Any]:
    """Return what the JSON says."""
    out = io.StringIO()
    as_json(problem, result, output, out)
    assert out.getvalue().count("\n") == 1
    assert out.getvalue().endswith("\n")
    return json.loads(out.getvalue())  # type: ignore[no-any-return]


def test_the_tutorials_table() -> None:
    rows = [
        ("    0     0", "[0. 0. 0. 0. 0. 0. 0.]"),
        ("    1   0.5", "[ 1.5  4.   6.5  9.  11.5 14.  16.5]"),
        ("    2     1", "[ 3.  8. 13. 18. 23. 28. 33.]"),
        ("    3   1.5", "[ 4.5 12.  19.5 27.  34.5 42.  49.5]"),
        ("    4     2", "[ 6. 16. 26. 36. 46. 56. 66.]"),
    ]
    head, *lines = table(*make())
    assert head == (
        f"simsplit {__version__} · 4 ranks on 2 nodes · MPICH 5.0.2 · map kernel affine: (offset + x * multiplier) * t"
        ", offset 3, multiplier 5"
    )
    assert lines == [
        "7 rows of float64 · 5 steps · rank 0: rows 0–1 · 1: rows 2–3 · 2: rows 4–5 · 3: row 6",
        "",
        f" step     t  {'4 ranks':36}  one process",
        *(f"{step}  {values:36}  {values}" for step, values in rows),
        "",
        "scatter 0.12 ms · compute 1.5 s · gather 12.3 ms · history 280 B, 0.14 GB/s",
        "transport shared (4 ranks on 2 nodes) · compute 75% · communication 25% · output 0%",
        "backend NumPy",
        "identical: 5 of 5 steps, 35 of 35 values, bit for bit",
    ]


@pytest.mark.parametrize("kernel", [kernels.affine(offset=3, multiplier=5), kernels.logistic(rate=0.5)])
def test_kept_steps_are_shown_by_their_numbers(kernel: kernels.Kernel) -> None:
    problem, result = make(kernel=kernel, steps=8)
    assert result.history is not None
    kept = Problem(problem.initial, kernel, delta_t=0.5, steps=8, keep="every:3")
    result = result.replace(history=result.history[::3], kept=kept.kept)
    lines = table(kept, result)
    assert lines[1].startswith("7 rows of float64 · 8 steps, of which 3 kept (every:3) · rank 0")
    assert [line[:11] for line in lines[4:7]] == ["    0     0", "    3   1.5", "    6     3"]
    for line in lines[4:7]:  # the ranks' result and that of one process
        left, _, right = line[11:].partition("]")
        assert left.split() == right.removesuffix("]").split()
    assert report(kept, result)["problem"]["keep"] == "every:3"


def test_one_process_beside_it_is_computed_anew_and_not_copied() -> None:
    problem, result = make(verification=DIFFERENT)
    assert result.history is not None
    result.history[1] = 7.0
    lines = table(problem, result)
    assert lines[5] == f"    1   0.5  {'[7. 7. 7. 7. 7. 7. 7.]':36}  [ 1.5  4.   6.5  9.  11.5 14.  16.5]"
    assert lines[-1] == str(DIFFERENT)


def test_without_verification_there_is_one_column_and_no_verdict() -> None:
    lines = table(*make(verification=None, ranks=1, bounds=[(0, 7)], hosts=["n1"], library=None))
    assert lines[0].startswith(f"simsplit {__version__} · 1 rank on 1 node · no MPI · map kernel affine")
    assert lines[1] == "7 rows of float64 · 5 steps · rank 0: rows 0–6"
    assert lines[3:5] == [" step     t  1 rank", "    0     0  [0. 0. 0. 0. 0. 0. 0.]"]
    assert lines[-3].startswith("scatter ")


def test_large_arrays_are_abbreviated_as_numpy_does_it_and_the_rest_is_not_touched() -> None:
    initial = np.arange(1000.0)
    problem, result = make(initial, steps=2)
    initial[3:-3] = np.nan  # a reference for the whole array would show it in the width of the columns
    row = "[1.5000e+00 4.0000e+00 6.5000e+00 ... 2.4940e+03 2.4965e+03 2.4990e+03]"
    assert table(problem, result)[5] == f"    1   0.5  {row}  {row}"


def test_rows_of_several_values_take_several_lines_side_by_side() -> None:
    lines = table(*make(np.arange(4.0).reshape(2, 2), steps=2))
    assert lines[1].startswith("2 rows of 2 float64 · 2 steps · rank 0: row 0 · 1: row 1 · 2: no rows · 3: no rows")
    assert lines[3:8] == [
        " step     t  4 ranks      one process",
        "    0     0  [[0. 0.]     [[0. 0.]",
        "              [0. 0.]]     [0. 0.]]",
        "    1   0.5  [[1.5 4. ]   [[1.5 4. ]",
        "              [6.5 9. ]]   [6.5 9. ]]",
    ]


@pytest.mark.parametrize(
    ("shape", "text"),
    [((0,), "0 rows of float64"), ((1200,), "1,200 rows of float64"), ((3, 4, 5), "3 rows of 4 × 5 float64")],
)
def test_the_array_is_described_by_its_rows(shape: tuple[int, ...], text: str) -> None:
    assert table(*make(np.zeros(shape), steps=1))[1].startswith(f"{text} · 1 step · ")


def test_many_steps_are_abbreviated_and_counted() -> None:
    lines = table(*make(steps=21, verification=None))
    numbers = [line.split()[0] for line in lines[4:] if re.match(r" +[0-9…]", line)]
    assert numbers == ["0", "1", "2", "…", "18", "19", "20"]
    assert "    …  15 steps are not shown" in lines
    whole = table(*make(steps=20, verification=None))
    assert [line.split()[0] for line in whole[4:24]] == [str(k) for k in range(20)]


def test_many_ranks_are_abbreviated() -> None:
    eight = table(*make(np.zeros(16), ranks=8, bounds=bounds(16, 8)))[1]
    assert " · ".join(f"{rank}: rows {2 * rank}–{2 * rank + 1}" for rank in range(8)) in eight
    nine = table(*make(np.zeros(18), ranks=9, bounds=bounds(18, 9)))[1]
    assert nine.endswith(
        "rank 0: rows 0–1 · 1: rows 2–3 · 2: rows 4–5 · … · 6: rows 12–13 · 7: rows 14–15 · 8: rows 16–17"
    )


def test_where_there_are_no_steps_there_is_no_table() -> None:
    lines = table(*make(steps=0))
    assert lines[2] == ""
    assert lines[3].startswith("scatter ")
    problem, result = make(reductions={"mean": np.arange(5.0)}, history=np.empty((0, 7)), kept=range(0))
    lines = table(problem, result)
    assert [line.split() for line in lines[2:5]] == [[], ["step", "t", "mean"], ["0", "0", "0."]]
    assert not any("4 ranks  " in line for line in lines)


def test_rows_of_several_axes_take_a_line_each_and_few_steps_are_shown() -> None:
    problem, result = make(np.arange(240.0).reshape(10, 8, 3), steps=9)
    lines = table(problem, result)
    assert len(lines) < 60
    assert "a line is a row of 8 × 3 values" in lines
    assert "    …  3 steps are not shown" in lines
    (first,) = [line for line in lines if line.startswith("    1   0.5  ")]
    assert first.count("[[  1.5   4.    6.5 ...  54.   56.5  59. ]") == 2  # of the ranks, and of one process


@pytest.mark.parametrize(("verification", "written"), [(None, True), (IDENTICAL, True), (DIFFERENT, False)])
def test_an_output_is_named_only_if_it_was_written(verification: Verification | None, written: object) -> None:
    problem, result = make(verification=verification)
    assert any(line.endswith(" · written to h.npy") for line in table(problem, result, "h.npy")) is written
    assert report(problem, result, "h.npy")["output"] == ("h.npy" if written else None)
    assert report(problem, result)["output"] is None


def test_the_json_says_everything_in_plain_numbers() -> None:
    assert report(*make(np.zeros((7, 2), ">f4"), nbytes={"initial": 56, "history": 560}), "h.npy") == {
        "simsplit": __version__,
        "problem": {
            "kernel": "affine",
            "kind": "map",
            "parameters": {"offset": 3.0, "multiplier": 5.0},
            "shape": [7, 2],
            "dtype": "float32",
            "delta_t": 0.5,
            "start_time": 0.0,
            "steps": 5,
            "seed": 0,
            "keep": "all",
            "reduce": [],
            "reduce_over": "rows",
        },
        "ranks": 4,
        "nodes": 2,
        "bounds": [[0, 2], [2, 4], [4, 6], [6, 7]],
        "mpi": "MPICH 5.0.2",
        "bytes": {"initial": 56, "history": 560},
        "seconds": {"scatter": 0.00012, "compute": 1.5, "gather": 0.0123, "output": 0.0, "steps": 2e-6},
        "bytes_per_second": 280e6,
        "shares": {"compute": 0.75, "communication": 0.25, "output": 0.0},
        "waited": None,
        "transport": "shared",
        "transport_reason": "4 ranks on 2 nodes",
        "reductions": {},
        "backend": "NumPy",
        "note": None,
        "identical": True,
        "verification": "identical: 5 of 5 steps, 35 of 35 values, bit for bit",
        "output": "h.npy",
    }


@pytest.mark.parametrize(
    ("verification", "identical", "text"),
    [(None, None, None), (IDENTICAL, True, str(IDENTICAL)), (DIFFERENT, False, str(DIFFERENT))],
)
def test_the_json_has_the_verdict(verification: Verification | None, identical: object, text: str | None) -> None:
    found = report(*make(verification=verification, library=None))
    assert found["identical"] is identical
    assert found["verification"] == text
    assert found["mpi"] is None


def test_parameters_by_row_are_described_and_complex_ones_written_as_text() -> None:
    kernel = kernels.affine(offset=np.zeros((7,), np.float32), multiplier=1j)
    problem, result = make(kernel=kernel, seed=11)
    assert table(problem, result)[0].endswith("offset by row, multiplier 0+1j")
    found = report(problem, result)["problem"]
    assert found["parameters"] == {"offset": "array of float32, shape (7,)", "multiplier": "1j"}
    assert found["seed"] == 11


@pytest.mark.parametrize("length", [7, 40])
def test_a_step_kernel_is_shown_beside_one_process_too(length: int) -> None:
    kernel = kernels.logistic(rate=np.linspace(0.5, 1.5, length), capacity=2)
    problem, result = make(np.linspace(0.1, 0.9, length), steps=25, kernel=kernel)
    lines = table(problem, result)
    rows = [re.split(r"  +(?=\[)", line) for line in lines if re.match(r" +[0-9]+ +[0-9]", line)]
    assert len(rows) == 6
    assert all(found == expected for _, found, expected in rows)
    assert report(problem, result)["problem"]["kind"] == "step"


def test_random_numbers_are_drawn_anew_for_the_rows_that_are_shown() -> None:
    problem, result = make(np.ones(40), steps=4, kernel=kernels.gbm(), seed=5)
    rows = [line.split("  [")[1:] for line in table(problem, result) if re.match(r" +[0-9]+ +[0-9]", line)]
    assert len(rows) == 4
    assert all(found.strip() == expected.strip() for found, expected in rows)


def test_fields_are_named_and_shown_beside_one_process() -> None:
    def swap(x: Any) -> Any:
        result = x.copy()
        result["b"] = x["b"] + 1
        return result

    problem, result = make(np.zeros(2, [("a", "f8"), ("b", "i4")]), steps=2, kernel=kernels.function(swap, kind="step"))
    lines = table(problem, result)
    assert lines[0].endswith("· step kernel swap: swap(x)")
    assert lines[1].startswith("2 rows of {a: float64, b: int32} · 2 steps")
    assert lines[5] == "    1   0.5  [(0., 1) (0., 1)]  [(0., 1) (0., 1)]"
    assert report(problem, result)["problem"]["dtype"] == "{a: float64, b: int32}"
