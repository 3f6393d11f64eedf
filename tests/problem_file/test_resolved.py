"""The resolved problem: read again, it is the same in every bit."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simsplit import InputError, StoppedError
from simsplit.cli import main
from simsplit.cli.parser import Options
from simsplit.problem_file.resolved import absolute, as_toml
from simsplit.problem_file.settings import Settings, resolve
from tests.support.environment import forget_launchers

if TYPE_CHECKING:
    from pathlib import Path

FLOATS = st.floats(allow_nan=False, allow_infinity=False)
WORDS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
NAMES = st.from_regex(r"[a-z][a-z_0-9]{0,8}", fullmatch=True)
NUMBERS = st.integers(-(2**63), 2**65) | FLOATS | st.complex_numbers(allow_nan=False, allow_infinity=False)


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


@pytest.mark.parametrize("imports", ["from {} import g", "def f(x):\n    from {} import g\n    return g(x)"])
def test_a_run_is_not_resumed_with_another_helper_of_its_kernel(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, imports: str
) -> None:
    forget_launchers(monkeypatch)
    front, helper = (f"resolved_{word}_{len(imports)}" for word in ("front", "helper"))
    (tmp_path / f"{front}.py").write_text(imports.format(helper) + "\n")
    (tmp_path / f"{helper}.py").write_text("def g(x): return x + 3\n")
    run = ["--kernel", f"{front}:{'f' if 'def' in imports else 'g'}", "--import-from", str(tmp_path), "--steps", "9"]
    folder = str(tmp_path / "run")
    with pytest.raises(StoppedError):
        main(["run", "--serial", "--quiet", *run, "--time-limit", "0", "-o", folder])
    (tmp_path / f"{helper}.py").write_text("def g(x): return x + 4\n")
    with pytest.raises(InputError, match="changed since the run began: the source of the kernel") as caught:
        main(["resume", "--serial", "--quiet", folder])
    assert "(its module, or what that imports from beside it)" in str(caught.value)
    assert main(["resume", "--serial", "--quiet", "--accept-changes", folder]) == 0
