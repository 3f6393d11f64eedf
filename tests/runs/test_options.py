"""Options of a run: what each may be, and what does not go with what."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from simsplit import InputError
from simsplit.runs.options import RunOptions, checked_options, kind_of


@pytest.mark.parametrize(
    ("output", "kind"),
    [
        (None, "memory"),
        ("h.npy", "npy"),
        ("h.NPY", "npy"),
        ("a/h.zarr", "zarr"),
        ("h.h5", "h5"),
        ("h.hdf5", "h5"),
        ("runs/a", "directory"),
        ("runs/v1.2", "directory"),
        ("runs/.hidden", "directory"),
    ],
)
def test_the_name_says_what_an_output_is(output: str | None, kind: str) -> None:
    assert kind_of(output) == kind
    assert RunOptions(output=output).kind == kind


@pytest.mark.parametrize("output", ["h.txt", "h.npz", "a/h.csv"])
def test_a_file_of_another_kind_is_refused(output: str) -> None:
    with pytest.raises(InputError, match=r"must be a file that ends in \.npy, \.zarr, \.h5, \.hdf5, or a folder"):
        kind_of(output)


def test_a_path_is_a_text_from_here_on() -> None:
    assert checked_options(output=Path("runs/a")).output == "runs/a"
    with pytest.raises(InputError, match=r"output must be a path, such as 'history\.npy', not 3"):
        checked_options(output=3)


@pytest.mark.parametrize(
    "given",
    [
        {"overwrite": True},
        {"accept_changes": True},
        {"checkpoint_every": "5min"},
        {"time_limit": 0},
        {"hang_after": 60},
        {"format": "zarr"},
    ],
    ids=lambda given: next(iter(given)),
)
@pytest.mark.parametrize("output", [None, "h.npy"])
def test_what_is_for_run_directories_is_refused_elsewhere_by_the_users_name(
    given: dict[str, Any], output: str | None
) -> None:
    assert checked_options(output="runs/a", **given).kind == "directory"
    (name,) = given
    with pytest.raises(InputError, match=f"^--{name} is for a run in a run directory, but there is ") as caught:
        checked_options(lambda word: f"--{word}", output=output, **given)
    assert ("no output" if output is None else "the file h.npy") in str(caught.value)


@pytest.mark.parametrize("output", ["h.zarr", "h.h5", "runs/a"])
def test_a_way_to_root_is_refused_where_all_ranks_write(output: str) -> None:
    with pytest.raises(InputError, match="transport shared is for a history on rank 0, but all ranks write to"):
        checked_options(output=output, transport="shared")
    assert checked_options(output="h.npy", transport="shared").transport == "shared"


def test_the_calculators_use_numpy() -> None:
    with pytest.raises(InputError, match="backend numba does not go with via remote"):
        checked_options(via="remote", backend="numba")


def test_all_of_them_are_compared_between_ranks() -> None:
    assert RunOptions().fingerprint().keys() == set(RunOptions.fields())
    assert checked_options(verify=True).fingerprint() != checked_options().fingerprint()
