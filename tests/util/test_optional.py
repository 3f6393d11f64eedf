"""Packages that need not be there."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from simsplit import InputError
from simsplit.util import optional as extras

if TYPE_CHECKING:
    from pathlib import Path


def test_what_is_there_is_loaded() -> None:
    assert extras.import_optional("json.decoder", "nobody needs json", "none") is sys.modules["json.decoder"]


def test_what_is_missing_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(InputError, match=r"^HDF5 needs h5py \(.*\)\. Install it with: pip install 'simsplit\[hdf5\]'$"):
        extras.import_optional("h5py", "HDF5 needs h5py", "hdf5")


@pytest.mark.parametrize("error", ["ValueError", "ImportError", "AttributeError"])
def test_what_does_not_fit_what_else_is_there_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: str
) -> None:
    (tmp_path / "unfit.py").write_text(f"raise {error}('numpy.dtype size changed\\nand more')\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(InputError) as caught:
        extras.import_optional("unfit", "Unfit needs unfit", "none")
    assert str(caught.value) == (
        "Unfit needs unfit, which is installed but cannot be imported (numpy.dtype size changed). "
        "Upgrade it: pip install --upgrade unfit"
    )
