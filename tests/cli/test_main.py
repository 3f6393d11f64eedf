"""The command line as a whole: what holds for every command."""

from __future__ import annotations

import errno
import io
import os
import sys
from typing import TYPE_CHECKING

import pytest

from simsplit import OutputError
from simsplit.cli import main
from simsplit.util import formatting as text
from tests.support.environment import forget_launchers

if TYPE_CHECKING:
    from pathlib import Path

PRINTING = [
    ["--help"],
    ["--version"],
    ["plot", "--help"],
    ["remote", "--help"],
    ["remote", "ping", "--help"],
    ["remote", "ping"],
    ["run", "--serial"],
    ["run", "--serial", "--json"],
    ["run", "--serial", "-o", "h.zarr"],
    ["run", "--serial", "--overwrite", "-o", "runs/b"],
    ["resume", "--serial", "runs/a"],
    ["verify", "--serial"],
    ["plan", "--ranks", "2"],
    ["plan", "--ranks", "2", "--json"],
    ["doctor", "--serial"],
    ["doctor", "--serial", "--json"],
    ["bench", "--serial", "--size", "9", "--steps", "2", "--rounds", "1"],
    ["example", "lorenz"],
    ["show", "runs/a"],
    ["show", "runs/a", "--json"],
    ["plot", "runs/a", "-o", "picture.png"],
    ["runs", "runs"],
    ["runs", "runs", "--json"],
    ["runs", "none"],
    ["job", "--ntasks-per-node", "2", "--time", "10"],
    ["sweep", "table.csv"],
    ["sweep", "table.csv", "--row", "1"],
    ["collect", "runs"],
]


class Full(io.StringIO):
    """A stdout on a full disk."""

    def write(self, _: str) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a run, a table and an empty folder."""
    with pytest.MonkeyPatch.context() as patch:
        forget_launchers(patch)
        folder = tmp_path_factory.mktemp("main")
        patch.chdir(folder)
        main(["run", "--serial", "--quiet", "-o", "runs/a"])
    (folder / "none").mkdir()
    (folder / "table.csv").write_text("name,steps\nfirst,3\nsecond,4\n")
    return folder


@pytest.mark.parametrize("words", PRINTING, ids=" ".join)
def test_whatever_stdout_takes_every_command_ends_as_it_should(
    monkeypatch: pytest.MonkeyPatch, folder: Path, words: list[str]
) -> None:
    forget_launchers(monkeypatch)
    monkeypatch.chdir(folder)
    written = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(written, encoding="ascii"))
    assert main(words) == 0
    assert written.getvalue().endswith(b"\n")
    monkeypatch.setattr(sys, "stdout", None)
    assert main(words) == 0
    monkeypatch.setattr(sys, "stdout", Full())
    discarded: list[bool] = []
    monkeypatch.setattr(text, "discard_stdout", lambda: discarded.append(True))
    if words[0] == "remote":  # says it by itself
        assert main(words) == OutputError.exit_status
    else:
        with pytest.raises(OutputError, match=r"^cannot write to stdout: No space left on device$"):
            main(words)
    assert discarded
