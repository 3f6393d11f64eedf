"""What a kind of file cannot hold is found before anything is made, in one process."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from simsplit import InputError, Problem
from simsplit.communicator import connect
from simsplit.kernels import function
from simsplit.runs.api import run
from tests.support.runs import execute

if TYPE_CHECKING:
    from pathlib import Path

NESTED = np.zeros(4, [("n", "i4"), ("v", "f8", (3,))])
CHINESE = np.zeros(4, [("速度", "f8")])
WIDE = np.zeros((4, *(1,) * 31))
MANY = np.zeros(4, [(f"a rather long name of a field, number {number}", "f8") for number in range(2000)])


def same(x: Any) -> Any:
    return x


@pytest.mark.parametrize(
    ("initial", "form", "words"),
    [
        (NESTED, "zarr", "Zarr cannot hold a history of 2 axes and dtype "),
        (np.zeros(4, "g"), "zarr", "Zarr cannot hold a history of 2 axes and dtype float128"),
        (WIDE, "h5", "HDF5 cannot hold a history of 33 axes and dtype float64: "),
        (MANY, "h5", "HDF5 cannot hold a history of 2 axes and dtype "),
        (CHINESE, "npy", "the names of its fields must be in Latin letters"),
    ],
)
def test_what_a_format_cannot_hold_is_refused_and_nothing_is_lost(
    tmp_path: Path, initial: Any, form: str, words: str
) -> None:
    alone = connect(serial=True)
    old, path = tmp_path / "e", tmp_path / f"h.{form}"
    execute(Problem(np.arange(3.0), function(same), delta_t=1.0, steps=2), alone, output=old)
    before = {found: found.read_bytes() for found in tmp_path.rglob("*") if found.is_file()}
    problem = Problem(initial, function(same), delta_t=1.0, steps=2)
    with pytest.raises(InputError, match=words):
        execute(problem, alone, output=old, format=form, overwrite=True)
    with pytest.raises(InputError, match=words):
        run(problem, serial=True, output=path)
    assert {found: found.read_bytes() for found in tmp_path.rglob("*") if found.is_file()} == before


@pytest.mark.parametrize("form", ["zarr", "h5", "npy"])
@pytest.mark.parametrize("initial", [NESTED, CHINESE, WIDE, np.zeros((0, 3)), np.zeros(4, ">c8"), np.zeros(4, "?")])
def test_what_is_not_refused_can_be_written(tmp_path: Path, initial: Any, form: str) -> None:
    problem = Problem(initial, function(same), delta_t=1.0, steps=2)
    try:
        execute(problem, connect(serial=True), output=tmp_path / f"h.{form}", verify=True)
    except InputError as error:
        assert "cannot hold" in str(error)  # noqa: PT017, what is refused is tested above
    assert [path.name for path in tmp_path.glob(".*")] == []
