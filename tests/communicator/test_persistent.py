"""Persistent messages are for MPI; their contract is that of communicators. Here: what is long is sent in pieces."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from simsplit.communicator import persistent

mpi = pytest.importorskip("mpi4py.MPI")


def test_what_is_long_is_sent_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(persistent, "_PIECE", 10)
    comm = mpi.COMM_SELF.Dup()
    sent, found = np.arange(7.0), np.zeros(7)
    fields = np.zeros(3, [("a", "i2"), ("b", "f8")])
    more: Any = fields.copy()
    fields["a"] = [1, 2, 3]
    messages = persistent.PersistentMessages(
        mpi, comm, [(0, sent), (0, fields), (0, sent[:0])], [(0, found), (0, more), (0, found[:0])]
    )
    for _ in range(2):
        found[...] = 0
        messages.start()
        messages.test()
        messages.finish()
        assert found.tolist() == sent.tolist()
        assert more["a"].tolist() == [1, 2, 3]
    messages.start()
    messages.close()
    messages.close()
    comm.Free()
