"""A pytest plug-in: run the command line on all ranks of a session under mpiexec, as often as a test likes.

It does what a start under mpiexec does but for the start itself, and takes a hundredth of the time. That the next
call finds all ranks in step is shown on the way.
"""

from __future__ import annotations

import signal
import tempfile
from functools import partial
from typing import TYPE_CHECKING
from unittest import mock

import pytest

from tests.support.environment import VARIABLES
from tests.support.launching import Ended

if TYPE_CHECKING:
    from collections.abc import Iterator

    from simsplit.communicator import Communicator


class Program:
    """The program ``simsplit``, on all ranks.

    Attributes
    ----------
    world : Communicator
        All ranks.
    """

    def __init__(self, world: Communicator, capsys: pytest.CaptureFixture[str]) -> None:
        self.world = world
        self._capsys = capsys

    def __call__(self, *words: object) -> Ended:
        """Run it to its end, which must be the same on all ranks; return what they wrote together. Collective."""
        from simsplit import script
        from simsplit.cli import main

        self._capsys.readouterr()
        before = signal.getsignal(signal.SIGINT)
        alone = mock.patch("simsplit.program.abort_job", side_effect=AssertionError("not all ranks end by themselves"))
        try:
            with alone, pytest.raises(SystemExit) as ended:
                script(partial(main, [str(word) for word in words]))
        finally:
            signal.signal(signal.SIGINT, before)
        out, err = self._capsys.readouterr()
        ends = self.world.allgather((ended.value.code, out, err))
        assert len({status for status, _, _ in ends}) == 1, ends
        return Ended(ends[0][0], "".join(out for _, out, _ in ends), "".join(err for _, _, err in ends))


@pytest.fixture
def program(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Program]:
    """Go to an empty folder that all ranks have in common, as ranks that a launcher has started."""
    from simsplit.communicator import connect

    world = connect()
    as_launched(world, monkeypatch)
    folder = tempfile.TemporaryDirectory() if world.rank == 0 else None
    monkeypatch.chdir(world.bcast(None if folder is None else folder.name))
    yield Program(world, capsys)
    world.allgather(None)
    monkeypatch.undo()
    if folder is not None:
        folder.cleanup()


def as_launched(world: Communicator, monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave in the environment what a launcher leaves there, and nothing else."""
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PMI_SIZE", str(world.size))
    monkeypatch.setenv("PMI_RANK", str(world.rank))
