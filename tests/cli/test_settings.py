"""What a problem file and the options say together."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simsplit import InputError
from simsplit.cli.parser import Options, parse
from simsplit.cli.settings import Settings, resolve

FILE = """
kernel = "lorenz"
input = "start.npy"
delta_t = 0.01
steps = 100
[parameters]
rho = 20
sigma = [1.0, 2.0]
beta = "beta.npy"
"""


def settings_of(text: str | None, *arguments: str, path: str = "problem.toml") -> Settings:
    """Return what a file and options say."""
    options = parse(["run", *([] if text is None else [path]), *arguments])
    assert options.error is None
    return resolve(options, text)


def refusal(text: str | None, *arguments: str) -> str:
    """Return the message of what is refused."""
    with pytest.raises(InputError) as caught:
        settings_of(text, *arguments)
    return str(caught.value)


def test_without_both_there_are_the_defaults_of_the_tutorial() -> None:
    settings = settings_of(None)
    assert settings == Settings()
    assert (settings.kernel, settings.delta_t, settings.start_time, settings.steps) == ("affine", 0.5, 0.0, 5)


def test_a_file_overrides_the_defaults() -> None:
    settings = settings_of(FILE)
    assert (settings.kernel, settings.input, settings.delta_t, settings.steps) == ("lorenz", "start.npy", 0.01, 100)
    assert settings.parameters == {"rho": 20, "sigma": [1.0, 2.0], "beta": "beta.npy"}
    assert settings.start_time == 0.0
    assert settings_of('keep = "every:10"').keep == "every:10"
    assert settings_of('keep = "every:10"', "--keep", "last").keep == "last"


def test_options_override_the_file() -> None:
    settings = settings_of(FILE, "--steps", "7", "--set", "rho=28", "--nan", "error", "--start-time", "0")
    assert (settings.steps, settings.delta_t, settings.nan) == (7, 0.01, "error")
    assert settings.parameters == {"rho": 28, "sigma": [1.0, 2.0], "beta": "beta.npy"}


def test_another_kernel_takes_none_of_the_parameters_in_the_file() -> None:
    assert settings_of(FILE, "--kernel", "affine", "--offset", "2").parameters == {"offset": 2.0}


def test_size_and_input_override_each_other() -> None:
    by_size = settings_of(FILE, "--size", "9")
    assert (by_size.size, by_size.input) == (9, None)
    by_input = settings_of("size = 9", "--input", "x.npy")
    assert (by_input.size, by_input.input) == (None, "x.npy")


def test_paths_in_a_file_are_relative_to_it_and_those_of_options_are_not() -> None:
    settings = settings_of(FILE, "--output", "out.npy", path="runs/a/problem.toml")
    assert settings.input == "runs/a/start.npy"
    assert settings.parameters["beta"] == "runs/a/beta.npy"
    assert settings.output == "out.npy"
    assert settings_of('import_from = "."', path="runs/a.toml").import_from == "runs/."


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("delta_T = 1", ["problem.toml: unknown key `delta_T`. Did you mean `delta_t`?", "simsplit example affine"]),
        ("frobnicate = 1", ["problem.toml: unknown key `frobnicate`. Known: kernel, parameters, kind"]),
        ("[kernel]\nname = 3", ["problem.toml: `kernel`: expected `str`, got `object`"]),
        ('steps = "5"', ["problem.toml: `steps`: expected `int`, got `str`. A whole number is accepted."]),
        ("steps = 5.5", ["`steps`: expected `int`, got `float`"]),
        ("steps = true", ["`steps`: expected `int`, got `bool`"]),
        ('delta_t = "small"', ["`delta_t`: expected `float`, got `str`. A number is accepted."]),
        ('kind = "maps"', ["`kind`: invalid enum value 'maps'", '"map" or "step" is accepted.']),
        ("keep = 3", ["`keep`: expected `str`, got `int`", '"all", "last", "none" or "every:K" is accepted.']),
        ('nan = "no"', ["`nan`: invalid enum value 'no'", '"allow" or "error" is accepted.']),
        ("dtype = 64", ["`dtype`: expected `str | null`, got `int`. A text in quotes is accepted."]),
        ("parameters = 3", ["`parameters`: expected `object`, got `int`. A table of names and values is accepted."]),
        ("size = 3\ninput = 'a.npy'", ["`size` and `input` exclude each other"]),
        ("steps =", ["problem.toml: this is not TOML: Invalid value (at "]),
        ("steps = 1\nsteps = 2", ["problem.toml: this is not TOML: Cannot overwrite a value (at "]),
        ("a = " + "[" * 5000, ["this is not TOML"]),
    ],
)
def test_what_is_wrong_in_a_file_is_named_with_what_is_accepted(text: str, parts: list[str]) -> None:
    message = refusal(text)
    for part in parts:
        assert part in message
    assert len(message.splitlines()) == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("--set rate", "--set must be NAME=VALUE, such as --set rate=0.5, not 'rate'"),
        ("--set 2=3", "--set must be NAME=VALUE, such as --set rate=0.5, not '2=3'"),
        ("--set =3", "--set must be NAME=VALUE, such as --set rate=0.5, not '=3'"),
        ("--set rate=fast", "--set rate must be a number or a .npy file, not 'fast'"),
        ("--set rate=nan", "--set rate must be a finite number, not nan"),
        ("--set rate=1e999", "--set rate must be a finite number, not inf"),
        ("--set rate=1 --set rate=2", "--set rate is given twice. Give each parameter once."),
        ("--kernel lorenz --offset 3", "--offset is for the kernel affine. Use --set offset=3 instead."),
    ],
)
def test_a_parameter_that_is_wrong_is_named(arguments: str, message: str) -> None:
    assert refusal(None, *arguments.split()) == message


@given(
    value=st.integers(-(2**62), 2**62)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.complex_numbers(allow_nan=False, allow_infinity=False, max_magnitude=1e300)
)
def test_every_number_comes_through(value: Any) -> None:
    found = settings_of(None, "--set", f"rate={value!r}".replace("(", "").replace(")", "")).parameters["rate"]
    assert found == value
    assert type(found) is type(value)


@given(st.text(max_size=60))
def test_whatever_stands_in_a_file_there_is_an_answer(text: str) -> None:
    found: Settings | InputError
    try:
        found = settings_of(text)
    except InputError as error:
        found = error
    assert isinstance(found, Settings) or str(found).startswith("problem.toml: ")


def test_options_know_each_setting() -> None:
    assert {name for name in Settings.__dataclass_fields__ if not hasattr(Options(), name)} == {"parameters"}
