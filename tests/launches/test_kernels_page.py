"""docs/kernels.md: each program and each command in it runs."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

import pytest

from simsplit.backends.llvm import object_code as machine_code
from tests.support.launching import BIN, ROOT, environment, run

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.launch, pytest.mark.once]

TEXT = (ROOT / "docs" / "kernels.md").read_text()
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)
SOURCES = [source for language, source in BLOCKS if language == "python"]
MODULES = {source.split()[1]: source for source in SOURCES if source.startswith("# ")}
PROGRAMS = [source for source in SOURCES if not source.startswith("# ")]
COMMANDS = [line[2:] for language, block in BLOCKS if language == "console" for line in block.splitlines()]


def test_there_are_snippets() -> None:
    assert (len(PROGRAMS), len(COMMANDS)) == (7, 9)
    assert {*MODULES} == {"growth.py", "mymodel.py"}


@pytest.mark.parametrize(
    "source", PROGRAMS, ids=["each", "function", "class", "methods", "constant", "parameters", "fields"]
)
def test_the_programs_run(source: str, tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(source)
    if "numba" in source and machine_code.missing() is not None:
        pytest.skip("Numba is not installed")
    ended = run([str(BIN / "python"), "program.py"], cwd=tmp_path)
    assert (ended.status, ended.err) == (0, "")
    assert all(line.startswith("identical: ") for line in ended.out.splitlines())
    assert ended.out


@pytest.mark.parametrize("command", COMMANDS)
def test_the_commands_run(command: str, tmp_path: Path) -> None:
    for name, source in MODULES.items():
        (tmp_path / name).write_text(source)
    ended = run(["bash", "-c", command], cwd=tmp_path, env=environment(PATH=f"{BIN}:{os.environ['PATH']}"))
    assert (ended.status, ended.err) == (0, "")
    if "example" not in command:
        assert ended.out.splitlines()[-1].startswith("identical: ")
