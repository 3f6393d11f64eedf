"""``simsplit sweep``: what a table of parameters means, and what is said of a wrong one."""

from __future__ import annotations

import csv
import io
import re
import shutil
import tomllib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simsplit import InputError, LaunchError
from simsplit.cli import main
from simsplit.cli.slurm.sweep import Row, read
from tests.support.environment import forget_launchers
from tests.support.launching import BIN, ROOT, environment, run
from tests.support.profiles import examples

TABLE = "name,rate,steps,input\nslow, 0.5 ,3,\nfast,-1e-3,,start.npy\n"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_column_is_an_option_or_a_parameter(folder: Path) -> None:
    (folder / "table.csv").write_text(TABLE)
    assert read(Path("table.csv")) == [
        Row("slow", ["--set", "rate=0.5", "--steps=3"]),
        Row("fast", ["--set", "rate=-1e-3", "--input=start.npy"]),
    ]


def test_toml_says_the_same(folder: Path) -> None:
    (folder / "table.toml").write_text('[[run]]\nname = "slow"\nrate = 0.5\nsteps = 3\n[[run]]\nrate = -1e-3\n')
    assert read(Path("table.toml")) == [
        Row("slow", ["--set", "rate=0.5", "--steps=3"]),
        Row("2", ["--set", "rate=-0.001"]),
    ]


def test_rows_without_names_sort_by_their_numbers(folder: Path) -> None:
    (folder / "table.csv").write_text("seed\n" + "".join(f"{seed}\n" for seed in range(10)))
    assert [row.name for row in read(Path("table.csv"))] == ["01", "02", "03", "04", "05", "06", "07", "08", "09", "10"]


def test_a_spreadsheet_s_file_is_read(folder: Path) -> None:
    (folder / "table.csv").write_bytes(b'\xef\xbb\xbfname,kernel\r\na,"where(x > 1, x, t)"\r\n,\r\n')
    assert read(Path("table.csv")) == [Row("a", ["--kernel=where(x > 1, x, t)"])]


def test_the_overview_says_what_would_run_and_how_to_submit_it(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "table.csv").write_text(TABLE)
    np.save(folder / "start.npy", np.arange(3.0))
    assert main(["sweep", "table.csv", "--kernel", "x * rate"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "runs/table/slow  --kernel 'x * rate' --set rate=0.5 --steps=3",
        "runs/table/fast  --kernel 'x * rate' --set rate=-1e-3 --input=start.npy",
        "run here  simsplit sweep table.csv --kernel 'x * rate' --run",
        "submit    simsplit sweep table.csv --kernel 'x * rate' --script > sweep.sh && sbatch --ntasks=4 sweep.sh",
    ]


def test_a_script_gets_a_line_for_the_directory_and_for_each_argument(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "table.csv").write_text(TABLE)
    assert main(["sweep", "table.csv", "--kernel", "x * rate", "--row", "2", "--runs", "here"]) == 0
    assert capsys.readouterr().out == "here/fast\n--set\nrate=-1e-3\n--input=start.npy\n"


def test_a_kernel_of_one_s_own_is_not_tried_on_every_row(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "slow.py").write_text("def grow(x, t, rate):\n    raise AssertionError('it takes ten minutes')\n")
    (folder / "table.csv").write_text("rate\n1\n2\n")
    arguments = ["sweep", "table.csv", "--kernel", "slow:grow", "--import-from", "."]
    assert main(arguments) == 0
    assert len(capsys.readouterr().out.splitlines()) == 4
    (folder / "table.csv").write_text("rate,sped\n1,\n2,3\n")
    with pytest.raises(InputError, match=r"row 2: --set sped: .* has no parameter sped"):
        main([*arguments, "--run"])
    assert not (folder / "runs").exists()


@pytest.mark.launch
@pytest.mark.once
def test_the_script_is_an_array_job_that_needs_no_other_file(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "my table.csv").write_text("name,rate\na,1\nb,2\nc,3\n")
    assert main(["sweep", "my table.csv", "--kernel", "x * rate", "--script", "--runs", "it's"]) == 0
    text = capsys.readouterr().out
    asked = dict(re.findall(r"^#SBATCH --([\w-]+)=?(.*)$", text, re.MULTILINE))
    assert (asked["array"], asked["job-name"], asked["signal"]) == ("1-3%3", "my_table", "B:USR1@120")
    assert "SIMSPLIT_JOBS" not in text
    assert text.endswith((ROOT / "jobs" / "run.sbatch").read_text().partition("set -euo pipefail\n")[2])
    (folder / "sweep.sh").write_text(text)
    for name in ("simsplit", "mpiexec"):
        (folder / name).write_text(
            '#!/bin/bash\n[[ $1 != sweep ]] || exec python -m simsplit "$@"\nprintf "%s|" "$@"\n'
        )
        (folder / name).chmod(0o755)
    (folder / "setup.sh").write_text(f"PATH={folder}:$PATH\n")
    variables = environment(
        SLURM_ARRAY_TASK_ID="2", SLURM_JOB_ID="7", SLURM_JOB_NAME="s", SLURM_NTASKS="4", SIMSPLIT_SETUP="setup.sh"
    )
    variables["PATH"] = f"{BIN}:{variables['PATH']}"
    ended = run(["bash", "sweep.sh", "--steps", "3"], cwd=folder, env=variables)
    assert (ended.status, ended.err) == (0, "")
    assert ended.out == "-n|4|simsplit|run|--kernel|x * rate|--steps|3|--set|rate=2|-o|it's/b|"
    if (shellcheck := shutil.which("shellcheck", path=f"{ROOT / '.venv-lint' / 'bin'}:/usr/bin")) is not None:
        found = run([shellcheck, "sweep.sh"], cwd=folder)
        assert (found.status, found.out) == (0, "")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["-j", "2"], "-j and -n are for --run"),
        (["--script", "-n", "2"], "-j and -n are for --run"),
        (["--run", "--row", "1"], "not allowed with argument"),
        (["--run", "-n", "0"], "-n/--ranks: must be an integer of 1 or more, not '0'"),
        (["--run", "-n", "2", "--serial"], r"each row has 2 ranks \(-n\): leave out --serial and --expect-ranks"),
        (["--run", "--json"], "--json is for one run"),
        (["--run", "-o", "a"], "row 1: -o: each row has a run directory of its own"),
    ],
)
def test_options_that_do_not_fit_are_refused(
    folder: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], message: str
) -> None:
    forget_launchers(monkeypatch)
    (folder / "table.csv").write_text("offset\n1\n2\n")
    with pytest.raises(InputError, match=message):
        main(["sweep", "table.csv", *arguments])
    monkeypatch.setenv("PMI_SIZE", "1")
    with pytest.raises(LaunchError, match=r"an mpiexec of MPICH's kind has started it\. Leave that out"):
        main(["sweep", "table.csv", "--run"])
    assert not (folder / "runs").exists()


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("table.csv", "", "this is not CSV: it is empty"),
        ("table.csv", "name,rate\n", "has no rows"),
        ("table.csv", "name,rate\na,1,2\n", "row 1 has 3 cells, but there are 2 columns: name, rate"),
        ("table.csv", "rate,rate\n1,2\n", "two columns have one name: rate, rate"),
        ("table.csv", 'name\n"a\n', "this is not CSV: unexpected end of data"),
        ("table.csv", "name\na\nb\na\n", "rows 1 and 3 have one name, 'a'"),
        ("table.csv", "name\n../a\n", "row 1: the name '../a' is no good for a folder"),
        ("table.csv", "name\n.\n", "row 1: the name '.' is no good for a folder"),
        ("table.csv", "offset,ofset\n1,2\n", "row 1: --set ofset: the kernel affine has no parameter ofset. Did you"),
        ("table.csv", "step\n1\n", "row 1: --set step: the kernel affine has no parameter step; it has offset"),
        ("table.csv", "output\na.npy\n", "row 1: each row has a run directory of its own"),
        ("table.csv", "keep\nall\nsome\n", 'row 2: keep must be "all", "last"'),
        ("table.csv", "transport\nshared\n", "row 1: --transport shared is for a history on rank 0"),
        ("table.csv", "dtype\nfloat33\n", "row 1: --dtype must be a numeric or complex NumPy dtype"),
        ("table.csv", "input\nno.npy\n", "row 1: cannot read the input no.npy: there is no such file"),
        ("table.csv", "my rate\n1\n", "row 1: 'my rate' is neither an option of simsplit run nor a parameter"),
        ("table.csv", "steps\n3\nmany\n", "row 2: argument --steps: must be an integer of 0 or more, not 'many'"),
        ("table.csv", 'kernel\n"a\nb"\n', "row 1: kernel: 'a\\nb' holds what cannot be printed"),
        ("table.toml", "[[run]\n", "this is not TOML"),
        ("table.toml", "steps = 3\n", "has a [[run]] for each of them, and nothing else"),
        ("table.toml", "[[run]]\nrate = [1, 2]\n", "row 1: `rate` must be a number or a text, not [1, 2]"),
        ("table.txt", "name\na\n", "a table must end in .csv or .toml, not 'table.txt'"),
        ("table.csv", None, "cannot read the table table.csv: No such file or directory"),
    ],
)
def test_what_is_wrong_is_named(folder: Path, name: str, text: str | None, message: str) -> None:
    if text is not None:
        (folder / name).write_text(text)
    with pytest.raises(InputError) as raised:
        main(["sweep", name])
    assert message in str(raised.value)


def test_there_is_no_row_beyond_the_last(folder: Path) -> None:
    (folder / "table.csv").write_text(TABLE)
    with pytest.raises(InputError, match=r"has 2 rows: there is no row 3\. Submit: --array=1-2%2"):
        main(["sweep", "table.csv", "--row", "3"])


@examples(50)
@given(
    st.lists(
        st.tuples(st.floats(allow_nan=False, allow_infinity=False), st.text("ab '\"$;#\\,", min_size=1).map(str.strip)),
        min_size=1,
        max_size=5,
    )
)
def test_both_forms_give_the_values_as_they_are(cells: list[tuple[float, str]]) -> None:
    text = io.StringIO(newline="")
    csv.writer(text).writerows([["rate", "dtype"], *((repr(rate), dtype) for rate, dtype in cells)])
    Path("given.csv").write_text(text.getvalue())
    rows = read(Path("given.csv"))
    expected = [["--set", f"rate={rate!r}", *([f"--dtype={dtype}"] if dtype else [])] for rate, dtype in cells]
    assert [row.words for row in rows] == expected

    quoted = [(rate, dtype.replace("\\", "\\\\").replace('"', '\\"')) for rate, dtype in cells]
    toml = "".join(f'[[run]]\nrate = {rate!r}\ndtype = "{dtype}"\n' for rate, dtype in quoted)
    tomllib.loads(toml)
    Path("given.toml").write_text(toml)
    assert read(Path("given.toml")) == rows
