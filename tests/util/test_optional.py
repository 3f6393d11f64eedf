"""Packages that need not be there."""

from __future__ import annotations

import sys

import pytest

from simsplit import InputError
from simsplit.util import optional as extras


def test_what_is_there_is_loaded() -> None:
    assert extras.load("json.decoder", "nobody needs json", "none") is sys.modules["json.decoder"]


def test_what_is_missing_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(InputError, match=r"^HDF5 needs h5py \(.*\)\. Install it with: pip install 'simsplit\[hdf5\]'$"):
        extras.load("h5py", "HDF5 needs h5py", "hdf5")
