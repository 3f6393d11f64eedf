"""docs/grids.md: each program and each command in it runs, and its tables say what the code does."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

import pytest

from simsplit.grids.boundary import PLAIN, WITH_VALUE
from simsplit.kernels.expressions.vocabulary import OPERATORS
from tests.support.launching import BIN, ROOT, environment, mpiexec, run

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.launch, pytest.mark.once]

TEXT = (ROOT / "docs" / "grids.md").read_text()
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)
PROGRAMS = [source for language, source in BLOCKS if language == "python"]
COMMANDS = [line[2:] for language, block in BLOCKS if language == "console" for line in block.splitlines()]


def test_the_commands_run_from_top_to_bottom(tmp_path: Path) -> None:
    (tmp_path / "heat.toml").write_text(next(block for language, block in BLOCKS if language == "toml"))
    assert len(COMMANDS) == 9
    for command in COMMANDS:
        ended = run(["bash", "-c", command], cwd=tmp_path, env=environment(PATH=f"{BIN}:{os.environ['PATH']}"))
        assert (ended.status, ended.err) == (0, ""), command
        if "verify" in command:
            assert "identical: " in ended.out.splitlines()[-1] or "runs/heat" in ended.out.splitlines()[-1]


@pytest.mark.parametrize("ranks", [0, 3, 5, 7])
@pytest.mark.parametrize("source", PROGRAMS, ids=["life", "gray-scott", "padded"])
def test_the_programs_run(source: str, ranks: int, tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(source)
    program = ["program.py"]
    ended = run(mpiexec(ranks, *program) if ranks else [str(BIN / "python"), *program], cwd=tmp_path)
    assert (ended.status, ended.err) == (0, "")
    assert all(line.startswith("identical: ") for line in ended.out.splitlines())
    assert ended.out


def test_every_boundary_and_every_operator_is_there() -> None:
    named = " ".join(re.findall(r"`([^`\n]+)`", TEXT))
    assert {*PLAIN, *WITH_VALUE} <= {*re.findall(r"[a-z-]+", named)}
    assert {name for name in OPERATORS if name[:2] not in ("dy", "dz")} <= {*re.findall(r"\w+", named)}
