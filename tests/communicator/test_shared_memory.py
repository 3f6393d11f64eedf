"""Memory that processes share, and that nothing can leave behind."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from simsplit.communicator.node import Node
from simsplit.communicator.serial import SerialCommunicator
from simsplit.communicator.shared_memory import SegmentOwner, attach
from tests.support.launching import LIMIT


def test_what_one_writes_the_other_reads() -> None:
    offer = SegmentOwner(10_000)
    other = attach(offer.address)
    offer.close()
    mine, theirs = offer.segment.lease(10_000), other.lease(10_000)
    mine[:] = 7
    assert theirs.tolist() == [7] * 10_000
    theirs[9_999] = 9
    assert mine[9_999] == 9


def test_another_process_opens_it_and_nothing_is_left_when_both_are_killed() -> None:
    code = """
import os, signal, sys
from simsplit.communicator.shared_memory import attach
memory = attach(eval(sys.argv[1])).lease(4096)
memory[:5] = list(b"there")
os.kill(os.getpid(), signal.SIGKILL)
"""
    offer = SegmentOwner(4096)
    assert Path(offer.address[0]).readlink() == Path("/memfd:simsplit (deleted)")  # it never had a name
    done = subprocess.run([sys.executable, "-c", code, repr(offer.address)], check=False, timeout=LIMIT)
    offer.close()
    assert done.returncode == -9
    assert offer.segment.lease(4096)[:5].tobytes() == b"there"


def test_a_segment_is_lent_as_long_as_any_view_is_there() -> None:
    offer = SegmentOwner(800)
    offer.close()
    segment = offer.segment
    assert not segment.is_leased
    memory = segment.lease(800)
    history = np.ndarray((10, 10), np.float64, memory)
    row = history[3:4].reshape(2, 5).T
    del memory, history
    assert segment.is_leased
    row[...] = 1.0
    del row
    gc.collect()
    assert not segment.is_leased


def test_memory_lives_on_in_an_array_when_the_segment_is_forgotten() -> None:
    offer = SegmentOwner(800)
    offer.close()
    memory = offer.segment.lease(800)
    del offer
    gc.collect()
    memory[:] = 3
    assert memory.sum() == 2400


def test_another_file_is_not_taken_for_it(tmp_path: Path) -> None:
    offer = SegmentOwner(100)
    path, device, number = offer.address
    with pytest.raises(OSError, match="is another file here"):
        attach((path, device, number + 1))
    with pytest.raises(FileNotFoundError):
        attach((str(tmp_path / "none"), device, number))
    offer.close()
    with pytest.raises(OSError, match="/proc"):
        attach(offer.address)


def test_a_segment_of_impossible_size_is_an_os_error_or_overflow() -> None:
    with pytest.raises((OSError, OverflowError, ValueError)):
        SegmentOwner(2**70)


def test_memory_that_is_no_longer_used_is_used_again_if_it_fits() -> None:
    node = Node(SerialCommunicator(), None, [[0]], 0)

    def share(nbytes: int) -> tuple[np.ndarray, bool]:
        window = node.share(nbytes)
        assert window is not None
        assert window.memory.shape == (nbytes,)
        return window.memory, window.warm

    one, warm = share(1000)
    one[:] = 5
    assert not warm
    two, warm = share(1000)  # the first is in use
    assert not warm
    two[:] = 6
    assert set(one) == {5}
    del one
    again, warm = share(900)
    assert warm
    assert set(again) == {5}
    del again, two
    assert not share(400)[1]  # both are too roomy, and are let go of
    assert len(node._pool) == 1
    assert not share(100_000)[1]
    assert len(node._pool) == 1


def test_where_there_is_no_shared_memory_there_is_no_window(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "memfd_create")
    assert Node(SerialCommunicator(), None, [[0]], 0).share(100) is None
