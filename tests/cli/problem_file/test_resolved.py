"""The resolved problem: read again, it is the same in every bit."""

from __future__ import annotations

import os

from hypothesis import given
from hypothesis import strategies as st

from simsplit.cli.parser import Options
from simsplit.cli.problem_file.resolved import absolute, as_toml
from simsplit.cli.problem_file.settings import Settings, resolve

FLOATS = st.floats(allow_nan=False, allow_infinity=False)
WORDS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
NAMES = st.from_regex(r"[a-z][a-z_0-9]{0,8}", fullmatch=True)
NUMBERS = st.integers(-(2**63) + 1, 2**63 - 1) | FLOATS | st.complex_numbers(allow_nan=False, allow_infinity=False)


@given(
    settings=st.builds(
        Settings,
        kernel=WORDS,
        parameters=st.dictionaries(NAMES, NUMBERS | st.lists(FLOATS, max_size=4)),
        kind=st.sampled_from([None, "map", "step"]),
        size=st.none() | st.integers(0, 2**63),
        dtype=st.none() | WORDS,
        delta_t=FLOATS,
        start_time=FLOATS,
        steps=st.integers(0, 2**62),
        seed=st.integers(0, 2**64 - 1),
        nan=st.sampled_from(["allow", "error"]),
        unit=st.none() | WORDS,
        digests=st.dictionaries(WORDS, WORDS),
    )
)
def test_what_is_written_is_read_again(settings: Settings) -> None:
    read = resolve(Options(problem="problem.toml"), as_toml(settings)).replace(origins={})
    assert read == settings
    assert repr(read) == repr(settings)  # signed zeros, and integers that are no floats


def test_paths_become_absolute_and_where_results_go_is_left_out() -> None:
    settings = Settings(
        kernel="m:f", input="a.npy", import_from=".", output="runs/a", format="zarr", parameters={"r": "r.npy", "s": 1}
    )
    here = os.getcwd()  # noqa: PTH109, a text is wanted
    moved = absolute(settings)
    assert (moved.input, moved.import_from, moved.parameters) == (f"{here}/a.npy", here, {"r": f"{here}/r.npy", "s": 1})
    text = as_toml(moved)
    assert "output" not in text
    assert "zarr" not in text
    read = resolve(Options(problem="/elsewhere/problem.toml"), text)
    assert (read.input, read.import_from, read.parameters) == (moved.input, here, moved.parameters)
