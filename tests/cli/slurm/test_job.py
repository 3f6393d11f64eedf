"""``simsplit job``: what the script asks of Slurm, and what it starts. That it runs is shown in ``tests/slurm``."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simsplit import InputError
from simsplit.cli import main
from simsplit.cli.parser import parse
from simsplit.cli.slurm.job import clock
from simsplit.util import job_script
from tests.support.launching import LIMIT, ROOT
from tests.support.profiles import examples

if TYPE_CHECKING:
    from pathlib import Path


def script(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """Return the script for some arguments."""
    assert main(["job", *arguments]) == 0
    return capsys.readouterr().out


def asked(text: str) -> dict[str, str]:
    """Return the options of sbatch in a script."""
    return dict(re.findall(r"^#SBATCH --([\w-]+)=?(.*)$", text, re.MULTILINE))


def test_it_asks_for_what_was_said_and_for_what_the_plan_takes(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    problem = tmp_path / "my problem.toml"
    problem.write_text("size = 8000000\nsteps = 10\n")
    wanted = "--nodes 4 --ntasks-per-node 32 --cpus-per-task 2 --time 2:00:00 --account acc-1 --partition long"
    text = script(capsys, str(problem), *wanted.split())
    found = asked(text)
    bytes_of_arrays = 8e6 * 8 + 31 * 62500 * 8 + 32 * 62500 * 8 * 4  # root's array, the parts, and a tile of each
    memory = int(found.pop("mem").removesuffix("M")) * 2**20
    assert bytes_of_arrays + 32 * 200e6 < memory < 1.5 * bytes_of_arrays + 32 * 300e6
    assert found == {
        "job-name": "my_problem",
        "output": "%x-%j.out",
        "open-mode": "append",
        "requeue": "",
        "signal": "B:USR1@120",
        "account": "acc-1",
        "partition": "long",
        "nodes": "4",
        "ntasks-per-node": "32",
        "cpus-per-task": "2",
        "time": "02:00:00",
    }
    assert f'set -- {shlex.quote(str(problem))} "$@"\n' in text


def test_below_the_header_it_is_the_script_of_jobs(capsys: pytest.CaptureFixture[str]) -> None:
    text = script(capsys, "--ntasks-per-node", "2", "--time", "10")
    mark = "\nset -euo pipefail\n"
    assert text.partition(mark)[2] == (ROOT / "jobs" / "run.sbatch").read_text().partition(mark)[2]
    assert "#SBATCH" not in text.partition(mark)[2]


def test_memory_and_warning_grow_with_the_problem(capsys: pytest.CaptureFixture[str]) -> None:
    step = ("--kernel", "x * 1.01", "--kind", "step", "--ntasks-per-node", "2", "--time", "1-0", "--steps", "3")
    small, large = (asked(script(capsys, *step, "--size", size)) for size in ("1000", "4000000000"))
    arrays = 4e9 * 8 * 2.5  # root's array, the other part, and both parts of the state; the history is on disk
    more = (int(large["mem"].removesuffix("M")) - int(small["mem"].removesuffix("M"))) * 2**20
    assert arrays < more < 1.2 * arrays
    assert small["signal"] == "B:USR1@120"
    assert large["signal"] == "B:USR1@440"  # 32 GB of state, at 100 MB/s
    short = asked(script(capsys, "--ntasks-per-node", "2", "--time", "3"))
    assert short["signal"] == "B:USR1@60"  # not before it has begun


def test_without_a_time_it_is_estimated(capsys: pytest.CaptureFixture[str]) -> None:
    text = script(capsys, "--ntasks-per-node", "2")
    assert asked(text)["time"] == "00:10:00"
    assert "times that is asked for" in text
    longer = asked(script(capsys, "--ntasks-per-node", "2", "--size", str(10**11), "--steps", "1000"))
    assert longer["time"] > "1-00:00:00"


def test_a_grid_is_estimated_with_its_neighbours(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--grid", "300x200", "--boundary", "rows=periodic", "--boundary", "columns=no-flux"]
    nodes = ["--nodes", "1", "--ntasks-per-node", "2"]
    text = script(capsys, *nodes, *words, "--kernel", "x + 0.1 * laplace(x)", "--kind", "step", "--steps", "1000")
    assert re.fullmatch(r"\d+:\d\d:\d\d", asked(text)["time"])
    assert "--boundary rows=periodic" in text
    script(capsys, *nodes, "--size", "300", "--initial", "exp(-row / 10)", "--steps", "1000")


def test_variables_have_defaults_that_can_be_overridden(capsys: pytest.CaptureFixture[str]) -> None:
    text = script(capsys, "--ntasks-per-node=1", "--time=5", "--launch", "srun --mpi=pmix", "-o", "runs/it's")
    lines = [line for line in text.splitlines() if re.match("SIMSPLIT_[A-Z]+=", line)]
    assert len(lines) == 3
    shown = 'printf "%s\\n" "$SIMSPLIT_SETUP" "$SIMSPLIT_LAUNCH" "$SIMSPLIT_RUN"'
    program = "\n".join([*lines, shown])
    assert bash(program) == f"{sys.prefix}\nsrun --mpi=pmix\nruns/it's\n"
    assert bash("SIMSPLIT_LAUNCH=mpirun\n" + program).splitlines()[1] == "mpirun"


def bash(program: str) -> str:
    """Return what a program prints."""
    done = subprocess.run(
        ["/bin/bash", "-euc", program], capture_output=True, timeout=LIMIT, check=True, env={"PATH": "/usr/bin:/bin"}
    )
    return done.stdout.decode()


@examples(25)
@given(st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=20))
def test_whatever_is_given_reaches_the_run_as_it_is(value: str) -> None:
    options = parse(["job", "--ntasks-per-node=1", f"--kernel={value}", "--steps", "3"])
    assert options.error is None
    program = job_script.compose(ROOT / "jobs" / "run.sbatch", [], {}, [], options.words, "")
    assert bash(f"{program}\nprintf '%s\\0' \"$@\"") == f"--kernel={value}\0--steps\x003\0"


def test_shellcheck_finds_nothing(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    program = shutil.which("shellcheck", path=f"{ROOT / '.venv-lint' / 'bin'}:/usr/bin")
    if program is None:
        pytest.skip("needs shellcheck, which `make lint` installs")
    file = tmp_path / "job.sh"
    given = ("--kernel", "x * t", "-o", "it's a run", "--launch", "srun --mpi=pmi2")
    file.write_text(script(capsys, "--ntasks-per-node=1", "--time=5", *given))
    found = subprocess.run([program, str(file)], capture_output=True, text=True, timeout=LIMIT, check=False)
    assert (found.returncode, found.stdout) == (0, "")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("", "the following arguments are required: --ntasks-per-node"),
        ("--ntasks-per-node 0", "--ntasks-per-node: must be an integer of 1 or more, not '0'"),
        ("--ntasks-per-node 2 --time 30s", "--time: must be a time of a minute to a year, such as 90 (minutes)"),
        ("--ntasks-per-node 2 --time 0:59", "not '0:59'"),
        ("--ntasks-per-node 2 --time 367-0", "not '367-0'"),
        ("--ntasks-per-node 2 --account a$b", "--account: must be a name, without spaces and quotes, not 'a$b'"),
        ("--ntasks-per-node 2 --sizze 3", "unknown argument --sizze. Did you mean --size? (see: simsplit job --help)"),
        ("--ntasks-per-node 2 a.json", "a problem file must end in .toml, not 'a.json'"),
        ("--ntasks-per-node 2 missing.toml", "cannot read the problem missing.toml: No such file"),
        ("--ntasks-per-node 2 --steps -1", "--steps: must be an integer of 0 or more, not '-1'"),
        ("--ntasks-per-node 2 --transport gatherv", "--transport gatherv is for a history on rank 0"),
        ("--ntasks-per-node 2 -o h.npy", "the output of a job is a folder for everything about the run, not 'h.npy'"),
        ("--ntasks-per-node 2 -o runs.final", "the output must be a file that ends in .npy"),
        ("--ntasks-per-node 2 --serial", "the job starts 2 ranks: leave out --serial and --expect-ranks"),
        ("--ntasks-per-node 2 --expect-ranks 3", "the job starts 2 ranks: leave out --serial and --expect-ranks"),
        ("--ntasks-per-node 2 --kernel lorenz", "the last axis must have 3 values"),
        ("--ntasks-per-node 2 --kernel two:rows --import-from .", "how long it takes cannot be tried here"),
    ],
)
def test_what_is_wrong_is_named(arguments: str, message: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "two.py").write_text("def rows(x, t):\n    return x * 1.0 if len(x) == 1 else 1 // 0\n")
    with pytest.raises(InputError) as raised:
        main(["job", *arguments.split()])
    assert message in str(raised.value)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90", 5400), ("2:30", 150), ("2:00:00", 7200), ("1-12", 129600), ("1-2:3", 93780), ("1-2:3:4", 93784)],
)
def test_times_are_those_of_slurm(text: str, seconds: int) -> None:
    assert parse(["job", "--ntasks-per-node=1", "--time", text]).time == seconds
    assert parse(["job", "--ntasks-per-node=1", "--time", clock(seconds)]).time == seconds


def test_without_slurm_submitting_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(InputError, match="cannot submit: there is no sbatch here"):
        main(["job", "--ntasks-per-node=1", "--time=5", "--submit"])


def test_what_slurm_says_is_handed_on(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sbatch = tmp_path / "sbatch"
    sbatch.write_text("#!/bin/sh\nread -r first\n[ \"$first\" = '#!/bin/bash' ] && [ $# = 1 ] && echo '17;cluster'\n")
    sbatch.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    assert script(capsys, "--ntasks-per-node=1", "--time=5", "--submit") == "17\n"
    sbatch.write_text("#!/bin/sh\necho 'sbatch: error: invalid account' >&2\nexit 1\n")
    with pytest.raises(InputError, match="Slurm does not take the job:\nsbatch: error: invalid account"):
        main(["job", "--ntasks-per-node=1", "--time=5", "--submit"])
