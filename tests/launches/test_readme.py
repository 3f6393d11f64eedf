"""README: each program in it runs, each command in it is accepted, and what it shows is what is printed."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

import pytest

from tests.support.launching import BIN, ROOT, SIMSPLIT, environment, mpiexec, run

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.launch, pytest.mark.once]

TEXT = (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)
PROGRAMS = [source for language, source in BLOCKS if language == "python"]
COMMANDS = [line[2:] for language, block in BLOCKS if language == "console" for line in block.splitlines()]
NOT_HERE = ("make ", "module ", "python -m venv ", "pip install ", "sbatch ")  # what other tests show, or a cluster


def test_there_are_snippets() -> None:
    assert len(PROGRAMS) == 4
    assert sum(not command.startswith(NOT_HERE) for command in COMMANDS) == 14


@pytest.mark.parametrize("ranks", [1, 3])
@pytest.mark.parametrize("source", PROGRAMS, ids=["affine", "observer", "Decay", "remote"])
def test_the_programs_run(source: str, ranks: int, tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(source)
    ended = run(mpiexec(ranks, tmp_path / "program.py"))
    assert (ended.status, ended.err) == (0, "")
    stopped = re.fullmatch(r"stopped by an observer after \d+ of 500 steps 0\.99\d+\n", ended.out)
    assert ended.out.count("identical: ") == 1 or ended.out == "3 7\n" or stopped


def test_the_commands_run(tmp_path: Path) -> None:
    variables = environment(PATH=f"{BIN}:{os.environ['PATH']}")
    for command in COMMANDS:
        if not command.startswith(NOT_HERE):
            ended = run(["bash", "-c", command], cwd=tmp_path, env=variables)
            assert (ended.status, ended.err) == (0, ""), command


def test_what_make_run_prints_is_shown() -> None:
    shown = next(block for _, block in BLOCKS if block.startswith("simsplit 0.1.0 · 4 ranks"))
    printed = run(mpiexec(4, *SIMSPLIT)).out

    def essence(text: str) -> list[str]:
        text = re.sub(r"(MPICH|Open MPI) [\d.]+", "MPI", text)
        text = re.sub(r"\S+ GB/s", "R GB/s", re.sub(r"\d+%", "S%", text))
        return re.sub(r"(scatter|compute|gather) \S+ m?s", r"\1", text).splitlines()

    assert essence(shown) == essence(printed)


def test_every_option_is_in_the_table() -> None:
    usage = run([str(BIN / "python"), *SIMSPLIT, "run", "--help"]).out
    options = set(re.findall(r"--[a-z-]+", usage)) - {"--help"}
    assert options == set(re.findall(r"^\| `(--[a-z-]+)", TEXT, re.MULTILINE))


def test_every_exit_status_is_in_the_table() -> None:
    from simsplit import errors

    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and hasattr(kind, "exit_status")]
    ours = {kind.exit_status for kind in kinds} - {errors.SimsplitError.exit_status}
    shown = {int(number) for number in re.findall(r"^\| (\d+) \|", TEXT, re.MULTILINE)}
    assert shown == ours | {0, errors.INTERRUPTED}


@pytest.mark.parametrize("path", re.findall(r"\]\(([^)]+)\)", TEXT))
def test_links_lead_somewhere(path: str) -> None:
    file, _, heading = path.partition("#")
    assert (ROOT / file).exists()
    if heading:
        headings = re.findall(r"^#+ (.*)$", (ROOT / file).read_text(), re.MULTILINE)
        assert heading in [re.sub(r"[^a-z0-9 -]", "", each.lower()).replace(" ", "-") for each in headings]


def test_every_module_is_in_the_picture() -> None:
    picture = next(block for _, block in BLOCKS if block.startswith("src/simsplit/"))
    modules = {path.name + ("/" if path.is_dir() else "") for path in (ROOT / "src" / "simsplit").iterdir()}
    named = set(re.findall(r"[\w]+(?:\.py|/)", picture.partition("\n")[2]))
    assert {name for name in modules if name.endswith((".py", "/"))} - {"__init__.py", "__pycache__/"} == named
