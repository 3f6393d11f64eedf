"""The command line on several ranks: one rank does what one can do, and a wrong word on one of them ends all."""

from __future__ import annotations

import tempfile
from typing import TYPE_CHECKING

import pytest

from simsplit import InputError
from simsplit.cli import main
from simsplit.communicator import Communicator, connect
from tests.support.environment import VARIABLES

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.mpi(min_size=2), pytest.mark.timeout(60)]


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> Iterator[Communicator]:
    """Go to a folder that all ranks have in common, with a run in it."""
    world = connect()
    for name in set(VARIABLES) - {"SIMSPLIT_EXPECT_RANKS"}:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PMI_SIZE", str(world.size))
    monkeypatch.setenv("PMI_RANK", str(world.rank))
    folder = tempfile.TemporaryDirectory() if world.rank == 0 else None
    monkeypatch.chdir(world.bcast(None if folder is None else folder.name))
    main(["run", "--quiet", "-o", "runs/a"])
    yield world
    world.allreduce_or(0)
    monkeypatch.undo()
    if folder is not None:
        folder.cleanup()


def test_one_rank_does_what_one_can_do(world: Communicator, capsys: pytest.CaptureFixture[str]) -> None:
    for words, first in [
        (["show", "runs/a"], "runs/a · finished"),
        (["runs", "runs"], "run     status"),
        (["example", "lorenz"], "# lorenz: "),
        (["plan", "--ranks", "5"], "array     7 rows"),
        (["job", "--ntasks-per-node", "2", "--time", "9"], "#!/bin/bash"),
        (["collect", "runs"], "run,status,"),
        (["--help"], "usage: simsplit"),
        (["remote", "--help"], "usage: simsplit remote"),
    ]:
        assert main(words) == 0
        out = capsys.readouterr().out
        assert out.startswith(first) if world.rank == 0 else out == ""


@pytest.mark.parametrize(
    ("words", "others", "message"),
    [
        ("show runs/none", "show runs/none", "runs/none is not a run directory"),
        ("show runs/a", "run", "are not those of rank 0"),
        ("run", "show runs/a", "are not those of rank 0"),
        ("show", "runs", "the following arguments are required: FOLDER"),
        ("--help", "run", "are not those of rank 0"),
        ("walk", "runs", "invalid choice: 'walk'"),
        ("run", "remote nameserver", "Start them as two jobs"),
        ("remote ping 0", "run", "Start them as two jobs"),
        ("remote ping --bogus", "show runs/a", "Start them as two jobs"),
    ],
)
def test_a_wrong_word_on_one_rank_ends_all(
    world: Communicator, capsys: pytest.CaptureFixture[str], words: str, others: str, message: str
) -> None:
    given = words if world.rank == world.size - 1 else others
    if given.startswith("remote"):  # says it by itself
        assert main(given.split()) == 2
        err = capsys.readouterr().err
        assert message in err if world.rank == 0 else err == ""
        return
    with pytest.raises(InputError, match=message) as caught:
        main(given.split())
    assert caught.value.is_collective
    assert caught.value.is_reporter == (world.rank == 0)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("ping 0 --bogus", "unrecognized arguments: --bogus (see: simsplit remote --help)"),
        ("ping zero", "invalid int value: 'zero'"),
        ("walk", "invalid choice: 'walk'"),
        ("serve", "the following arguments are required: module:Class"),
        ("", "the following arguments are required: command"),
        ("serve --help", "only prints its help"),
    ],
)
def test_a_wrong_word_to_a_program_of_remote_objects_ends_all(
    world: Communicator, capsys: pytest.CaptureFixture[str], words: str, message: str
) -> None:
    last = world.rank == world.size - 1
    status = main(["remote", *(words if last else "nameserver").split()])
    assert status == (0 if last and "--help" in words else 2)
    err = capsys.readouterr().err
    assert (message in err and err.count("\n") == 1) if world.rank == 0 else err == ""


@pytest.mark.parametrize("suffix", ["npy", "zarr", "h5"])
def test_the_rows_of_a_file_are_verified_where_each_rank_has_one(
    world: Communicator, capsys: pytest.CaptureFixture[str], suffix: str
) -> None:
    start = f"start.{suffix}"
    main(["run", "--size", str(world.size), "--keep", "last", "--steps", "1", "--quiet", "-o", start])
    for output in ([], ["-o", "h.npy"], ["-o", "h.zarr"], ["-o", f"runs/{suffix}"]):
        main(["run", "--verify", "--input", start, *output])
        told = capsys.readouterr().out
        assert world.rank > 0 or "\nidentical: 5 of 5 steps, " in told
