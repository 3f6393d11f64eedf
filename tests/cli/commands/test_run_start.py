"""Where a run starts and ends: rows by an expression, steps up to a time, a kernel in a file, the state of a run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import simsplit
from simsplit import InputError
from simsplit.cli import main
from tests.support.environment import forget_launchers


@pytest.fixture(autouse=True)
def ordinary_start(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Go to an empty folder, and forget whatever launched the tests."""
    forget_launchers(monkeypatch)
    monkeypatch.chdir(tmp_path)


def test_steps_go_up_to_a_time() -> None:
    for words, steps in (
        (("--until", "2"), 5),
        (("--until", "1.9"), 4),
        (("--until", "0"), 1),
        (("--until", "0.3", "--delta-t", "0.1"), 4),  # 0.3 / 0.1 is less than 3
        (("--until", "-1", "--delta-t", "-0.25"), 5),
    ):
        assert main(["run", "--serial", "--quiet", *words, "-o", "until.npy"]) == 0
        assert len(np.load("until.npy")) == steps
    Path("until.toml").write_text("until = 1.0\nsize = 1e1\n")
    assert main(["run", "--serial", "--quiet", "until.toml", "-o", "until.npy"]) == 0
    assert np.load("until.npy").shape == (3, 10)
    assert main(["run", "--serial", "--quiet", "until.toml", "--steps", "2", "-o", "until.npy"]) == 0
    assert len(np.load("until.npy")) == 2
    for words, message in (
        (("--until", "-1"), "until -1 cannot be reached from start_time 0 by steps of 0.5"),
        (("--until", "1e300"), "until 1e.300 takes more than"),
        (("--until", "1", "--delta-t", "0"), "until 1 cannot be reached"),
    ):
        with pytest.raises(InputError, match=message):
            main(["run", "--serial", *words])
    Path("both.toml").write_text("until = 1.0\nsteps = 3\n")
    with pytest.raises(InputError, match="`steps` and `until` exclude each other"):
        main(["run", "--serial", "both.toml"])


def test_rows_are_computed_by_an_expression() -> None:
    words = ["run", "--serial", "--quiet", "--size", "5", "--initial", "row**2", "--kernel", "x", "--steps", "1"]
    assert main([*words, "-o", "rows.npy", "--verify"]) == 0
    assert np.load("rows.npy").tolist() == [[0, 1, 4, 9, 16]]
    with pytest.raises(InputError, match="--initial: not allowed with argument --input"):
        main(["run", "--serial", "--initial", "row", "--input", "rows.npy"])
    Path("rows.toml").write_text('initial = "row"\ninput = "rows.npy"\n')
    with pytest.raises(InputError, match="`initial` and `input` exclude each other"):
        main(["run", "--serial", "rows.toml"])


@pytest.mark.parametrize(
    ("text", "dtype", "value"),
    [
        ("0.3", "float64", 0.3),
        ("-2", "int8", -2),
        ("1e6", "int64", 10**6),
        ("1e300", "float64", 1e300),
        ("1", "?", True),
    ],
)
def test_rows_are_filled_with_a_number(text: str, dtype: str, value: Any) -> None:
    words = ["run", "--serial", "--quiet", "--kernel", "x", "--steps", "1", "--dtype", dtype]
    assert main([*words, "--size", "3", "--fill", text, "-o", "rows.npy", "--verify"]) == 0
    np.testing.assert_array_equal(np.load("rows.npy"), np.full((1, 3), value, dtype))
    Path("rows.toml").write_text(f"fill = {text}\nsize = 3\n")
    assert main([*words, "rows.toml", "-o", "again.npy"]) == 0
    assert Path("again.npy").read_bytes() == Path("rows.npy").read_bytes()


def test_what_fills_is_one_number_and_nothing_else_is_given() -> None:
    for words, message in (
        ("--fill 1 --input rows.npy", "--fill: not allowed with argument --input"),
        ("--fill 1 --initial row", "--fill: not allowed with argument --initial"),
        ("--fill much", "--fill"),
        ("--fill nan", "argument --fill: must be a finite number, not 'nan'"),
        ("--fill 0.5 --dtype int8", "which int8 does not hold"),
    ):
        with pytest.raises(InputError, match=message):
            main(["run", "--serial", *words.split()])
    for other in ("input = [1]", 'initial = "row"'):
        Path("both.toml").write_text(f"fill = 1\n{other}\n")
        with pytest.raises(InputError, match=r"`fill` and `(input|initial)` exclude each other"):
            main(["run", "--serial", "both.toml"])


def test_the_dtype_of_a_function_may_be_said() -> None:
    Path("model.py").write_text("def grow(x, k):\n    print(k, len(x))\n    return x * 2.0\nclass_ = int\n")
    words = ["run", "--serial", "--quiet", "--kernel", "model.py:grow", "--size", "3", "--result-dtype", "float64"]
    assert main([*words, "--steps", "2", "-o", "said"]) == 0
    assert 'result_dtype = "float64"' in Path("said/problem.toml").read_text()
    assert main(["run", "--serial", "--quiet", "said/problem.toml", "-o", "again.npy"]) == 0
    assert np.load("again.npy").tobytes() == np.load("said/history.npy").tobytes()
    assert simsplit.load("said/problem.toml").kernel.dtype == np.float64
    for kernel, dtype, message in (
        ("x * 2", "float64", r"result_dtype is for a function of your own; of the kernel x \* 2 it is known"),
        ("affine", "float64", "result_dtype is for a function of your own; of the kernel affine it is known"),
        ("model.py:grow", "float33", "--result-dtype must be a numeric or complex NumPy dtype"),
    ):
        with pytest.raises(InputError, match=message):
            main(["run", "--serial", "--kernel", kernel, "--result-dtype", dtype])


def test_a_kernel_is_a_function_in_a_file() -> None:
    Path("models").mkdir()
    Path("models/growth.py").write_text("def grow(x, rate):\n    return x * (1 + rate)\n")
    words = ["--kind", "step", "--set", "rate=1", "--size", "3", "--steps", "2", "--quiet"]
    assert main(["run", "--serial", "--kernel", "models/growth.py:grow", *words, "-o", "grown.npy"]) == 0
    assert np.load("grown.npy")[1].tolist() == [0, 2, 4]
    Path("models/p.toml").write_text('kernel = "growth.py:grow"\n')
    assert main(["run", "--serial", "models/p.toml", *words, "-o", "again.npy"]) == 0
    assert np.load("again.npy").tobytes() == np.load("grown.npy").tobytes()
    Path("models/not-a-name.py").touch()
    with pytest.raises(InputError, match=r"not-a-name.py is no name of a module, which Python could import"):
        main(["run", "--serial", "--kernel", "models/not-a-name.py:grow"])


def test_the_last_state_of_a_run_is_an_input_and_stays_the_same_one() -> None:
    assert main(["run", "--serial", "--quiet", "--size", "3", "--kernel", "x + 1", "--kind", "step", "-o", "e"]) == 0
    assert main(["run", "--serial", "--quiet", "--input", "e", "--kernel", "x", "--steps", "1", "-o", "f"]) == 0
    assert np.load("f/history.npy").tolist() == [[4, 5, 6]]
    assert f'input = "{Path.cwd()}/e@4"' in Path("f/problem.toml").read_text()
    assert main(["run", "--serial", "--quiet", "--keep", "last:2", "--steps", "7", "-o", "g"]) == 0
    assert np.load("g/history.npy").shape == (2, 7)
