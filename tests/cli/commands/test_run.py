"""The command ``simsplit run`` in one process."""

from __future__ import annotations

import errno
import io
import json
import os
import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import simsplit
from simsplit import InputError, KernelError, LaunchError, OutputError, VerificationError
from simsplit.cli import main
from simsplit.kernels import Affine
from simsplit.util import formatting as text
from simsplit.util import memory_limits as memory
from tests.support.arrays import COMPLEX, FLOATS, INTEGERS, NUMERIC
from tests.support.environment import forget_launchers
from tests.support.launching import LIMIT

module = import_module("simsplit.cli.commands.run")


@pytest.fixture(autouse=True)
def ordinary_start(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forget whatever launched the tests."""
    forget_launchers(monkeypatch)


def run(*arguments: Any) -> None:
    """Run in one process; the status is 0 or an error is raised."""
    assert main(["run", "--serial", *map(str, arguments)]) == 0


def error_of(kind: type[Exception], *arguments: Any) -> str:
    """Return the message of the error that these arguments lead to."""
    with pytest.raises(kind) as caught:
        run(*arguments)
    assert type(caught.value) is kind
    return str(caught.value)


def save(file: Path, array: Any) -> Path:
    """Save an array; return where."""
    np.save(file, array)
    return file


def history_of(tmp_path: Path, *arguments: Any) -> Any:
    """Return the history that a verified run writes."""
    output = tmp_path / "history.npy"
    run("--quiet", "--verify", "--output", output, *arguments)
    return np.load(output)


def test_the_tutorial_is_printed_with_one_process_beside_it(capsys: pytest.CaptureFixture[str]) -> None:
    run("--verify")
    out, err = capsys.readouterr()
    lines = out.splitlines()
    assert lines[0] == (
        f"simsplit {simsplit.__version__} · 1 rank on 1 node · no MPI · map kernel affine: "
        "(offset + x * multiplier) * t, offset 3, multiplier 5"
    )
    assert lines[1] == "7 rows of float64 · 5 steps · rank 0: rows 0–6"
    assert lines[3] == f" step     t  {'1 rank':36}  one process"
    assert lines[4] == f"    0     0  {'[0. 0. 0. 0. 0. 0. 0.]':36}  [0. 0. 0. 0. 0. 0. 0.]"
    assert lines[5].count("[ 1.5  4.   6.5  9.  11.5 14.  16.5]") == 2
    assert re.fullmatch(r"scatter \S+ m?s · compute \S+ m?s · gather \S+ m?s · history 280 B, \S+ GB/s", lines[10])
    assert re.fullmatch(r"transport gatherv \(one rank\) · compute \d+% · communication \d+% · output 0%", lines[11])
    assert lines[12:] == [
        "backend NumPy: too small to pay for a compiler",
        "identical: 5 of 5 steps, 35 of 35 values, bit for bit",
    ]
    assert err == ""


def test_quiet_prints_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    run("--quiet", "--verify")
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("quiet", [[], ["--quiet"]])
def test_json_is_one_object_on_one_line(capsys: pytest.CaptureFixture[str], quiet: list[str]) -> None:
    run("--json", "--verify", "--steps", 2, *quiet)
    out, err = capsys.readouterr()
    assert err == ""
    assert out.count("\n") == 1
    found = json.loads(out)
    assert found["problem"]["parameters"] == {"offset": 3.0, "multiplier": 5.0}
    assert (found["ranks"], found["bounds"], found["mpi"]) == (1, [[0, 7]], None)
    assert found["bytes"] == {"initial": 56, "history": 112, "scattered": 0, "gathered": 0}
    assert found["identical"] is True
    assert set(found["seconds"]) == {"scatter", "compute", "gather", "output", "steps"}
    assert found["bytes_per_second"] == 112 / found["seconds"]["steps"]
    assert set(found["shares"]) == {"compute", "communication", "output"}
    assert (found["transport"], found["transport_reason"]) == ("gatherv", "one rank")


@pytest.mark.parametrize("flag", ["--help", "--version"])
def test_an_answer_goes_to_stdout(capsys: pytest.CaptureFixture[str], flag: str) -> None:
    assert main([flag]) == 0
    out, err = capsys.readouterr()
    assert "simsplit" in out
    assert err == ""


def test_under_a_launcher_one_process_answers_for_all(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PMI_SIZE", "4")
    monkeypatch.setenv("PMI_RANK", "1")
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == ""
    monkeypatch.setenv("PMI_RANK", "0")
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"simsplit {simsplit.__version__}\n"


def test_the_arguments_are_those_of_the_process_by_default(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["simsplit", "--version"])
    assert main() == 0
    assert capsys.readouterr().out == f"simsplit {simsplit.__version__}\n"


def test_the_history_is_written_as_the_options_ask(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = tmp_path / "h.npy"
    run("--offset", -1, "--multiplier", 2, "--size", 4, "--delta-t", -0.5, "--start-time", 1, "--steps", 3,
        "--dtype", "float32", "--output", output)  # fmt: skip
    history = np.load(output)
    assert history.dtype == np.float32
    np.testing.assert_array_equal(history, [[-1, 1, 3, 5], [-0.5, 0.5, 1.5, 2.5], [0, 0, 0, 0]])
    assert capsys.readouterr().out.splitlines()[-3].endswith(f" · written to {output}")
    assert os.listdir(tmp_path) == ["h.npy"]  # noqa: PTH208, hidden files too


@pytest.mark.parametrize("dtype", [*NUMERIC, ">f8", ">i2", ">c8"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_any_numeric_input_gives_the_history_of_numpys_promotion(tmp_path: Path, dtype: str, order: Any) -> None:
    array = np.array(np.arange(12).reshape(4, 3) % 2, dtype, order=order)
    history = history_of(tmp_path, "--input", save(tmp_path / "a.npy", array))
    native = array.astype(array.dtype.newbyteorder("="))
    expected = np.array([(3.0 + native * 5.0) * (k * 0.5) for k in range(5)])
    assert history.dtype == expected.dtype == np.result_type(native.dtype, 0.0)
    np.testing.assert_array_equal(history, expected)


@pytest.mark.parametrize("dtype", [*INTEGERS, *FLOATS, *COMPLEX, ">f4", ">u2"])
def test_size_counts_up_in_any_dtype(tmp_path: Path, dtype: str) -> None:
    history = history_of(tmp_path, "--size", 9, "--dtype", dtype, "--steps", 2, "--delta-t", 1)
    np.testing.assert_array_equal(history[1], 3 + 5 * np.arange(9))
    assert history.dtype == np.result_type(np.dtype(dtype).newbyteorder("="), 0.0)


@pytest.mark.parametrize(
    ("size", "dtype", "greatest"),
    [(129, "int8", 127), (257, "uint8", 255), (32769, "int16", 32767), (3, "bool", 1), (2050, "float16", 2048)],
)
def test_a_size_that_the_dtype_cannot_count_to_is_refused(size: int, dtype: str, greatest: int) -> None:
    run("--quiet", "--steps", 1, "--size", size - 1, "--dtype", dtype)
    assert error_of(InputError, "--size", size, "--dtype", dtype) == (
        f"--size {size}: {dtype} holds whole numbers to {greatest} only. Choose a wider --dtype."
    )


def test_an_array_that_does_not_fit_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "available", lambda **_: 10**9)
    assert error_of(InputError, "--size", 10**12) == (
        "the array of --size 1000000000000 takes 8 TB, but 1 GB of memory are left. "
        "Choose a smaller --size, or more memory."
    )


@pytest.mark.parametrize(
    "dtype", ["float31", "str", "object", "M8[s]", "f8,f8", "", "1", "float32 float64", "U3", "(2,)f4", "(2,2)i1"]
)
def test_a_dtype_that_is_no_number_is_named(dtype: str) -> None:
    assert error_of(InputError, "--dtype", dtype) == (
        f"--dtype must be a numeric or complex NumPy dtype, such as float32, not {dtype!r}"
    )


@pytest.mark.parametrize(
    ("of_file", "dtype"), [("float64", "float32"), ("int64", "float16"), ("uint8", "complex64"), (">f8", "<f8")]
)
def test_dtype_converts_the_input_where_only_precision_is_lost(tmp_path: Path, of_file: str, dtype: str) -> None:
    file = save(tmp_path / "a.npy", np.arange(5).astype(of_file))
    history = history_of(tmp_path, "--input", file, "--dtype", dtype)
    assert history.dtype == np.dtype(dtype)
    np.testing.assert_array_equal(history[2], 3 + 5 * np.arange(5))


@pytest.mark.parametrize(
    ("of_file", "dtype"), [("complex128", "float64"), ("float64", "int64"), ("int64", "uint8"), ("uint8", "bool")]
)
def test_dtype_refuses_to_lose_more_than_precision(tmp_path: Path, of_file: str, dtype: str) -> None:
    file = save(tmp_path / "a.npy", np.zeros(5, of_file))
    assert error_of(InputError, "--input", file, "--dtype", dtype) == (
        f"--dtype {dtype}: the {of_file} of {file} would lose more than precision"
    )


@pytest.mark.parametrize("array", [np.array(["a"]), np.zeros(2, "M8[s]"), np.zeros(2, "f8,U4")], ids=repr)
def test_an_input_of_no_numbers_is_refused(tmp_path: Path, array: Any) -> None:
    file = save(tmp_path / "a.npy", array)
    assert f"must be of a numeric or complex dtype, not {array.dtype}" in error_of(InputError, "--input", file)


@pytest.mark.parametrize("array", [np.array(["1.5"]), np.array(["a"]), np.zeros(2, "M8[s]")], ids=repr)
def test_dtype_does_not_turn_an_input_of_no_numbers_into_numbers(tmp_path: Path, array: Any) -> None:
    file = save(tmp_path / "a.npy", array)
    assert str(array.dtype) in error_of(InputError, "--input", file, "--dtype", "float64")


def test_an_input_of_a_single_value_is_refused(tmp_path: Path) -> None:
    file = save(tmp_path / "a.npy", np.float64(3.5))
    assert "initial must have an axis 0" in error_of(InputError, "--input", file)


@pytest.mark.parametrize(
    ("rows", "dtype", "expected"),
    [
        ("[18446744073709551615, 1]", "uint64", [2**64 - 1, 1]),
        ("[9007199254740993, 1]", "int64", [2**53 + 1, 1]),
        ("[1, 2]", "uint8", [1, 2]),
        ("[100000000000000000000, 1]", None, [1e20, 1.0]),
        ("[9007199254740993, 1]", "float64", [2.0**53, 1.0]),
    ],
)
def test_whole_numbers_in_brackets_keep_their_value(
    tmp_path: Path, rows: str, dtype: str | None, expected: list[Any]
) -> None:
    options = ["--input", rows, "--kernel", "x", "--steps", 1, *([] if dtype is None else ["--dtype", dtype])]
    assert history_of(tmp_path, *options)[0].tolist() == expected
    file = tmp_path / "problem.toml"
    file.write_text(f'input = {rows}\nkernel = "x"\nsteps = 1\n' + ("" if dtype is None else f'dtype = "{dtype}"\n'))
    assert history_of(tmp_path, file)[0].tolist() == expected


@pytest.mark.parametrize(
    ("rows", "dtype", "message"),
    [
        ("[9007199254740993, 1]", None, "float64 would round 9007199254740993: give a dtype, int64"),
        ("[18446744073709551615]", None, "float64 would round 18446744073709551615: give a dtype, uint64"),
        ("[9007199254740993, 0.5]", None, "float64 would round 9007199254740993: write 9007199254740992.0 if that is"),
        ("[18446744073709551615]", "int64", "int64 does not hold 18446744073709551615"),
        ("[1, 300]", "int8", "int8 does not hold 300"),
        ("[1, -1]", "uint64", "uint64 does not hold -1"),
    ],
)
def test_whole_numbers_in_brackets_that_would_change_are_refused(rows: str, dtype: str | None, message: str) -> None:
    options = ["--input", rows, *([] if dtype is None else ["--dtype", dtype])]
    assert f", but {message}" in error_of(InputError, *options)


@pytest.mark.parametrize("order", ["C", "F"])
def test_a_narrower_dtype_must_hold_the_numbers_of_the_input(tmp_path: Path, order: Any) -> None:
    file = save(tmp_path / "a.npy", np.array([[1, 300], [2, 3]], order=order))
    assert error_of(InputError, "--input", file, "--dtype", "int8") == (
        f"--dtype int8: {file} holds 300, which int8 does not. Choose a wider --dtype."
    )
    options = ["--input", file, "--dtype", "int16", "--kernel", "x", "--steps", 1]
    assert history_of(tmp_path, *options)[0].tolist() == [[1, 300], [2, 3]]


def test_a_parameter_beyond_int64_is_not_rounded(tmp_path: Path) -> None:
    options = ["--dtype", "uint64", "--size", 2, "--kernel", "x+p", "--set", "p=9223372036854775809", "--steps", 1]
    assert history_of(tmp_path, *options)[0].tolist() == [2**63 + 1, 2**63 + 2]


def test_a_file_of_a_parameter_that_is_not_there_is_called_that(tmp_path: Path) -> None:
    missing, text = tmp_path / "p.npy", "cannot read the file of parameter offset, "
    assert error_of(InputError, "--set", f"offset={missing}").startswith(f"{text}{missing}: there is no such file.")
    with pytest.raises(InputError, match=f"^{text}"):
        main(["plan", "--ranks", "2", "--set", f"offset={missing}"])


def test_an_input_that_is_not_there_is_named(tmp_path: Path) -> None:
    file = tmp_path / "a.npy"
    assert error_of(InputError, "--input", file).startswith(f"cannot read the input {file}: there is no such file.")


@pytest.mark.parametrize("other", ["a.npy", "link.npy", "hard.npy", "folder/../a.npy"])
def test_an_output_that_would_replace_the_input_is_refused(tmp_path: Path, other: str) -> None:
    file = save(tmp_path / "a.npy", np.arange(3.0))
    (tmp_path / "folder").mkdir()
    (tmp_path / "link.npy").symlink_to(file)
    (tmp_path / "hard.npy").hardlink_to(file)
    assert error_of(InputError, "--input", file, "--output", tmp_path / other) == (
        f"--output would replace the input {file}. Name another file or folder."
    )
    np.testing.assert_array_equal(np.load(file), np.arange(3.0))


@pytest.mark.parametrize(
    ("output", "kind", "text"),
    [
        ("h.txt", InputError, "the output must be a file that ends in .npy"),
        ("missing/h.npy", OutputError, "there is no folder"),
        ("folder.npy", OutputError, "it is not a regular file"),
    ],
)
def test_an_output_that_cannot_be_written_is_refused(
    tmp_path: Path, output: str, kind: type[Exception], text: str
) -> None:
    (tmp_path / "folder.npy").mkdir()
    assert text in error_of(kind, "--output", tmp_path / output)


def test_a_wrong_option_is_raised_as_an_input_error() -> None:
    assert "argument --steps: must be an integer" in error_of(InputError, "--steps", "many")
    assert "is not finite" in error_of(InputError, "--delta-t", "1e308", "--steps", "9")


def test_another_number_of_ranks_than_expected_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    run("--quiet", "--expect-ranks", 1)
    assert "4 ranks expected" in error_of(LaunchError, "--expect-ranks", 4)
    monkeypatch.setenv("SIMSPLIT_EXPECT_RANKS", "3")
    assert "3 ranks expected" in error_of(LaunchError)


def test_a_result_that_differs_is_shown_not_written_and_an_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        Affine, "reference", lambda _, x, block, dtype: np.full(x.shape, block["offset"] - 100 + block.t, dtype)
    )
    output = tmp_path / "h.npy"
    message = error_of(VerificationError, "--verify", "--json", "--output", output)
    assert "DIFFERENT: 35 of 35 values in 5 of 5 steps, first at step 0, row 0, at most " in message
    found = json.loads(capsys.readouterr().out)
    assert (found["identical"], found["output"]) == (False, None)
    assert not output.exists()


def test_a_mark_of_the_byte_order_is_no_part_of_a_problem_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "p.toml").write_bytes(b"\xef\xbb\xbfsteps = 3\n")
    run(tmp_path / "p.toml", "--json")
    assert json.loads(capsys.readouterr().out)["problem"]["steps"] == 3


@pytest.mark.parametrize("rows", [0, 1, 2])
@pytest.mark.parametrize("suffix", ["npy", "zarr", "h5"])
def test_few_rows_of_a_file_are_verified(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], suffix: str, rows: int
) -> None:
    start = tmp_path / f"start.{suffix}"
    run("--size", rows, "--steps", "1", "--quiet", "--output", start)
    run("--verify", "--input", start)
    assert "identical: " in capsys.readouterr().out


class Full(io.StringIO):
    """A stdout that fails."""

    def __init__(self, code: int) -> None:
        super().__init__()
        self.code = code

    def write(self, _: str) -> int:
        raise OSError(self.code, os.strerror(self.code))


@pytest.fixture
def discarded(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Return a list that gets an entry when stdout is given up."""
    calls: list[bool] = []
    monkeypatch.setattr(text, "discard_stdout", lambda: calls.append(True))
    return calls


def test_a_stdout_that_is_full_is_an_output_error(monkeypatch: pytest.MonkeyPatch, discarded: list[bool]) -> None:
    monkeypatch.setattr(sys, "stdout", Full(errno.ENOSPC))
    assert error_of(OutputError) == "cannot write to stdout: No space left on device"
    assert discarded == [True]


def test_a_reader_that_had_enough_is_no_error(monkeypatch: pytest.MonkeyPatch, discarded: list[bool]) -> None:
    monkeypatch.setattr(sys, "stdout", Full(errno.EPIPE))
    run("--json")
    assert discarded == [True]


def test_an_old_locale_loses_the_signs_that_it_lacks_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    written = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(written, encoding="ascii"))
    run("--verify")
    assert b"7 rows of float64 ? 5 steps ? rank 0: rows 0?6\n" in written.getvalue()


def test_a_full_disk_behind_stdout_ends_the_program_with_status_5_and_one_message() -> None:
    with Path("/dev/full").open("w") as full:
        found = subprocess.run(
            [sys.executable, "-m", "simsplit", "run", "--serial"],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=LIMIT,
            check=False,
        )
    assert found.stderr == "simsplit: cannot write to stdout: No space left on device\n"
    assert found.returncode == 5


@pytest.mark.parametrize("output", [None, "history.npy", "history.zarr", "folder"])
def test_every_summary_says_map_or_step_and_doubts_a_map_kernel_that_knows_no_time(
    output: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    if output == "history.zarr":
        pytest.importorskip("zarr")
    monkeypatch.chdir(tmp_path)
    where = [] if output is None else ["--output", output]
    doubt = (
        "all 5 steps are the same: the map kernel expression asks for neither t, k nor random. "
        'Did you mean --kind step (kind="step")?'
    )
    for kind in ("map", "step"):
        run("--kernel", "x * 0.5", "--kind", kind, *where, *(["--overwrite"] if output == "folder" else []))
        out = capsys.readouterr().out
        assert f" · {kind} kernel expression: x * 0.5" in out
        assert (doubt in out) == (kind == "map")
        if output == "folder":
            assert main(["show", output]) == 0
            shown = capsys.readouterr().out
            assert f"\n{kind} kernel expression: x * 0.5\n" in shown
            assert (doubt in shown) == (kind == "map")


_ROLL = "import numpy as np\n\n\ndef heat(x, delta_t):\n    return x + delta_t * (np.roll(x, 1) - x)\n"


def test_rows_are_checked_unless_that_is_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mixing_rows.py").write_text(_ROLL)
    kernel = ("--kernel", "mixing_rows:heat", "--import-from", ".", "--kind", "step", "--quiet")
    for output in ("history.npy", "folder"):
        message = error_of(KernelError, *kernel, "--output", output)
        assert "the kernel mixing_rows:heat failed on rank 0 of 1 (host " in message
        assert "at step 1, t = 0.5 (from step 0, t = 0.0), row 1:" in message
        assert "reads neighbours" in message
    assert not Path("history.npy").exists()
    with pytest.raises(KernelError, match="reads neighbours"):
        main(["resume", "folder", "--serial"])
    assert main(["resume", "folder", "--serial", "--check-rows", "no", "--quiet"]) == 0
    run(*kernel, "--check-rows", "no", "--output", "history.npy")
    assert np.load("history.npy").shape == (5, 7)


def test_a_problem_file_says_whether_rows_are_checked(tmp_path: Path) -> None:
    (tmp_path / "mixing_rows.py").write_text(_ROLL)
    problem = tmp_path / "problem.toml"
    text = 'kernel = "mixing_rows:heat"\nimport_from = "."\nkind = "step"\ncheck_rows = '
    problem.write_text(f"{text}false")
    run(problem, "--quiet")
    assert "reads neighbours" in error_of(KernelError, problem, "--check-rows", "yes")
    problem.write_text(f'{text}"no"')
    assert "`check_rows`: expected `bool`, got `str`. true or false is accepted." in error_of(InputError, problem)
