"""The table of options: files, the command line and Python say the same."""

from __future__ import annotations

import inspect
from typing import Any, get_args, get_type_hints

import pytest

import simsplit
from simsplit import InputError
from simsplit.cli.parser import Options, parse
from simsplit.engine.backend_selection import Name
from simsplit.options import BY_NAME, TABLE, checked, one_of
from simsplit.problem_file.settings import KEYS, Settings, settings_from
from simsplit.runs.options import RunOptions

TYPES = {
    "integer": {int},
    "number": {float},
    "yes or no": {bool},
    "text": {str},
    "path": {str},
    "flag": {bool},
    "count": {int},
}
TABLES = {"parameters", "constants", "grid", "digests"}


def plain(hint: Any) -> set[Any]:
    """Return the plain types, or the choices, that a hint allows beside None."""
    return {each for each in get_args(hint) or (hint,) if each is not type(None)} - {None}


@pytest.mark.parametrize("option", TABLE, ids=[option.name for option in TABLE])
def test_the_types_of_settings_and_options_are_those_of_the_table(option: Any) -> None:
    hints = get_type_hints(Options)
    if option.name in set(KEYS) - TABLES:
        hint = get_type_hints(Settings)[option.name]
        found = set().union(*(plain(each) if get_args(each) else {each} for each in plain(hint)))
        expected = set(option.choices) if option.type == "choice" else TYPES[option.type]
        assert expected <= found
    assert option.name in hints
    assert parse(["run", option.spelled, "--"]).error is not None or option.type in ("flag", "text", "path", "several")


def test_every_key_of_a_problem_file_and_every_argument_of_run_is_in_the_table() -> None:
    assert set(KEYS) - TABLES <= BY_NAME.keys()
    assert set(RunOptions.fields()) <= BY_NAME.keys()
    assert set(get_args(Name)) == set(BY_NAME["backend"].choices)


def test_run_and_resume_take_the_options_with_their_defaults() -> None:
    of_run = inspect.signature(simsplit.run).parameters
    of_resume = inspect.signature(simsplit.resume).parameters
    assert set(RunOptions.fields()) <= of_run.keys()
    for name in RunOptions.fields():
        default = of_run[name].default
        assert default == RunOptions.__dict__.get(name, getattr(RunOptions(), name))
        if name in BY_NAME:
            assert checked(name, default) == default == (BY_NAME[name].default or default)
        if name in of_resume and name != "check_rows":  # which is as when the run began
            assert of_resume[name].default == default


@pytest.mark.parametrize("key", sorted(set(KEYS) - TABLES))
def test_a_file_says_of_each_key_what_is_accepted(key: str) -> None:
    with pytest.raises(InputError, match=f"^p.toml: `{key}`: .+ is accepted\\.$") as caught:
        settings_from(f"{key} = 1979-05-27T07:32:00Z\n", "p.toml")
    for choice in BY_NAME[key].choices:
        assert f'"{choice}"' in str(caught.value)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("format", "csv", 'format must be "npy", "zarr" or "h5", not \'csv\''),
        ("backend", None, 'backend must be "auto", "numpy" or "numba", not None'),
        ("progress", "bars", 'progress must be "auto", "bar", "lines" or "no", not \'bars\''),
        ("via", True, 'via must be "collective" or "remote", not True'),
        ("via", 3, 'via must be "collective" or "remote", not 3'),
        ("check_rows", "no", "check_rows must be True or False, not 'no'"),
        ("block_size", 0, "block_size must be an integer of 1 or more, not 0"),
        ("time_limit", "soon", "time_limit must be a time such as 90, 30s, 5min, 2h or 1d, not 'soon'"),
        ("checkpoint_every", "0 steps", "checkpoint_every must be a time such as 5min, or steps such as 500steps"),
    ],
)
def test_a_wrong_value_is_named_with_what_is_accepted(name: str, value: Any, message: str) -> None:
    with pytest.raises(InputError) as caught:
        checked(name, value)
    assert str(caught.value).startswith(message)


def test_choices_are_listed_as_in_a_sentence() -> None:
    assert one_of(("a", "b", 3)) == '"a", "b" or 3'
