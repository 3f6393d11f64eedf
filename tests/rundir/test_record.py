"""The record of a run: what ran where."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

from simsplit.rundir import record as provenance

if TYPE_CHECKING:
    import pytest


def test_a_record_says_what_ran_where_and_nothing_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("A_SECRET", "xyzzy")
    monkeypatch.setattr(sys, "argv", ["/usr/bin/simsplit", "run", "-o", "a b"])
    attempt = provenance.new_attempt(["h1", "h2", "h1"], "MPICH 5.0.2", 7)
    assert attempt["command"] == "simsplit run -o 'a b'"
    assert (attempt["ranks"], attempt["hosts"], attempt["from_step"]) == (3, {"h1": 2, "h2": 1}, 7)
    assert {"simsplit", "python", "numpy"} <= attempt["versions"].keys()
    assert "xyzzy" not in json.dumps(attempt)
    one, other = (provenance.new_record({"steps": 3}, {"path": "history.npy"}) for _ in range(2))
    assert one["run"] != other["run"]
    assert json.loads(json.dumps(one)) == one
