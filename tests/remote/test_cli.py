"""The command line: several programs in one job."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from simsplit.errors import InputError
from simsplit.remote import cli as commands
from tests.support.launching import BIN, ROOT, Ended, mpiexec, run

if TYPE_CHECKING:
    from pathlib import Path


MODULE = """
from simsplit import remote

@remote.expose
class Calculator:
    def add(self, a, b):
        return a + b
    @property
    def scale(self):
        return 1.0

class Hidden:
    pass
"""

CLIENT = """
from simsplit import remote
with remote.join() as here:
    calculators = [here.proxy(f"MPINAME:calculator_{rank}") for rank in (1, 2)]
    futures = [calculator.add.submit(number, 1) for number, calculator in enumerate(calculators)]
    print([future.result() for future in futures])
"""

SERVE = ["serve", "module:Calculator", "--name", "calculator_{rank}", "--tag", "fast"]


def job(folder: Path, *programs: tuple[int, list[str]]) -> Ended:
    """Run several programs in one job."""
    (folder / "module.py").write_text(MODULE)
    (folder / "client.py").write_text(CLIENT)
    command = [mpiexec(1)[0]]
    for ranks, words in programs:
        start = words if words[0].endswith(".py") else ["-m", "simsplit.remote", *words]
        command += [":"] if len(command) > 1 else []
        command += ["-n", str(ranks), str(BIN / "python"), *start]
    return run(command, cwd=folder)


def test_a_script_starts_the_three_as_one_job(capsys: pytest.CaptureFixture[str]) -> None:
    assert commands.main(["--script", "module:Calculator", "my client.py", "3"]) == 0
    text = capsys.readouterr().out
    body = "set -euo pipefail\n"
    assert text.partition(body)[2] == (ROOT / "jobs" / "remote.sbatch").read_text().partition(body)[2]
    assert "set -- module:Calculator 'my client.py' 3 \"$@\"\n" in text
    assert commands.main(["--script"]) == 0
    assert "  sbatch --ntasks=6 remote.sh module:Class client.py\n" in capsys.readouterr().out
    assert commands.main(["--script", "module:Calculator"]) == 2
    assert "give a class and a client, or neither" in capsys.readouterr().err


@pytest.mark.launch
def test_three_programs_are_one_job(tmp_path: Path) -> None:
    ended = job(tmp_path, (1, ["nameserver"]), (2, SERVE), (1, ["client.py"]))
    assert ended.status == 0, ended.err
    lines = sorted(ended.out.splitlines())
    assert lines == ["MPI:Calculator-1@1 calculator_1", "MPI:Calculator-1@2 calculator_2", "[1, 2]"]


@pytest.mark.launch
@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["list", "--expect", "1", "--tag", "fast"], ["calculator_1  MPI:Calculator-1@1"]),
        (["methods", "MPINAME:calculator_1"], ["add()", "scale"]),
        (["call", "MPIMETA:fast", "add", "[1]", "[2.5]"], ["[1, 2.5]"]),
        (["call", "MPINAME:calculator_1", "add", "a", "b"], ["'ab'"]),
    ],
)
def test_a_command_asks_and_prints(tmp_path: Path, words: list[str], expected: list[str]) -> None:
    ended = job(tmp_path, (1, ["nameserver"]), (1, SERVE), (1, words))
    assert ended.status == 0, ended.err
    printed = [line for line in ended.out.splitlines() if not line.startswith("MPI:")]
    assert printed == expected


@pytest.mark.launch
def test_ping_reaches_every_rank(tmp_path: Path) -> None:
    ended = job(tmp_path, (1, ["nameserver"]), (1, ["ping"]))
    assert ended.status == 0, ended.err
    assert [line.split()[:2] for line in ended.out.splitlines()] == [["rank", "0"], ["rank", "1"]]
    assert ended.out.count("µs") == 2


@pytest.mark.launch
@pytest.mark.parametrize(
    ("programs", "status", "said"),
    [
        ([(1, ["nameserver"]), (1, ["serve", "module:Hidden"])], 2, "nothing of module:Hidden is exposed"),
        ([(1, ["ping", "0"]), (1, ["nameserver"])], 2, "the name server is rank 0, and this is rank 1"),
        ([(1, ["nameserver"]), (1, ["call", "MPI:other@0", "add"])], 7, "rank 0 serves no object 'other'"),
    ],
)
def test_a_program_that_fails_says_why_and_the_job_ends(
    tmp_path: Path, programs: list[tuple[int, list[str]]], status: int, said: str
) -> None:
    ended = job(tmp_path, *programs)
    assert ended.status == status
    assert said in ended.err
    assert "Traceback" not in ended.err


@pytest.mark.parametrize("target", ["module", ":Class", "module:", "no_such_module:Class", "simsplit.remote:Nothing"])
def test_a_target_that_cannot_be_loaded_is_named(target: str) -> None:
    with pytest.raises(InputError, match=r"names no class|cannot be loaded"):
        commands.load(target)
    with pytest.raises(InputError, match="nothing of json:JSONDecoder is exposed"):
        commands.load("json:JSONDecoder")
