"""What a problem file and the options say together."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simsplit import InputError
from simsplit.cli.parser import Options, parse
from simsplit.problem_file.build import make
from simsplit.problem_file.settings import KEYS, Settings, resolve

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


def test_texts_of_a_file_are_the_numbers_that_options_make_of_them() -> None:
    text = 'input = ["(1+2j)", 3]\n[parameters]\na = "0.5"\nb = "(1+2j)"\nc = [["2j", 1.0]]\n'
    settings = settings_of(text)
    assert settings.input == [1 + 2j, 3]
    assert settings.parameters == {"a": 0.5, "b": 1 + 2j, "c": [[2j, 1.0]]}
    assert isinstance(settings.parameters["a"], float)


@pytest.mark.parametrize("option", ["--input", "--output"])
def test_what_a_file_must_not_be_an_option_must_not_be(option: str) -> None:
    with pytest.raises(InputError, match=f"^{option} must be a path, not ''$"):
        settings_of(None, option, "")


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
        ("dt = 1", ["problem.toml: unknown key `dt`. Did you mean `delta_t`?"]),
        ("t_end = 1.0", ["problem.toml: unknown key `t_end`. Did you mean `steps`?"]),
        ("rate = 1", ["problem.toml: unknown key `rate`. A parameter of the kernel stands under [parameters]."]),
        ("size = -1", ["problem.toml: `size` must be an integer of 0 or more, not -1"]),
        ("steps = -1", ["problem.toml: `steps` must be an integer of 0 or more, not -1"]),
        ("seed = -1", ["problem.toml: `seed` must be an integer of 0 or more, not -1"]),
        ("block_size = 0", ["problem.toml: `block_size` must be an integer of 1 or more, not 0"]),
        ("delta_t = nan", ["problem.toml: `delta_t` must be a finite real number, not nan"]),
        ("start_time = -inf", ["problem.toml: `start_time` must be a finite real number, not -inf"]),
        ("input = [1.0, nan]", ["problem.toml: `input`: each value must be a finite number, not nan"]),
        ("input = ''", ["problem.toml: `input` must be a path, not ''"]),
        ("output = ''", ["problem.toml: `output` must be a path, not ''"]),
        ('output = "a\\u0000"', ["problem.toml: `output` must be a path, not 'a\\x00'"]),
        ("[parameters]\na = inf", ["problem.toml: `parameters`: a must be a finite number, not inf"]),
        ("[parameters]\na = [[1], [inf]]", ["problem.toml: `parameters`: a must be a finite number, not inf"]),
        ("[parameters]\na = 1979-05-27", ["`parameters`: a must be a finite number, not datetime.date(1979, 5, 27)"]),
        ("[constants]\na = 'much'", ["`constants`: a must be a number, a list, or a .npy file, not 'much'"]),
        ("[parameters]\na = 1\n[constants]\na = [1]", ["`constants.a` is a parameter, too. Give it once."]),
        ("[parameters]\na = 'much'", ["`parameters`: a must be a number, a list, or a .npy file, not 'much'"]),
        ("xyz = true", ["problem.toml: unknown key `xyz`. Known: kernel, parameters, constants, grid, kind"]),
        ("[kernel]\nname = 3", ["problem.toml: `kernel`: expected `str`, got `object`"]),
        ('steps = "5"', ["problem.toml: `steps`: expected `int`, got `str`. A whole number is accepted."]),
        ("steps = 5.5", ["`steps`: expected `int`, got `float`"]),
        ("steps = true", ["`steps`: expected `int`, got `bool`"]),
        ('delta_t = "small"', ["`delta_t`: expected `float`, got `str`. A number is accepted."]),
        ('kind = "maps"', ["`kind`: invalid enum value 'maps'", '"map" or "step" is accepted.']),
        (
            "keep = 3",
            ["`keep`: expected `str`, got `int`", '"all", "last", "none", "last:N" or "every:K" is accepted.'],
        ),
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
        (
            "--set rate=fast",
            (
                "--set rate must be a number, numbers in brackets ([0.1, 0.2, 0.3], a value for each row) or a .npy "
                "file, not 'fast'"
            ),
        ),
        *(
            (
                f"--set rate={text}",
                f"--set rate must be numbers in brackets, such as [0.1, 0.2], but in {text} stands {word!r}",
            )
            for text, word in [
                ("[1,fast]", "fast"),
                ("[1,,2]", ","),
                ("[,1]", ","),
                ("[1]]", "]"),
                ("[1],2", ","),
                ("[1]2", "2"),
                ("[[1][2]]", "["),
                ("[1,[a]]", "a"),
                ("[1,b.npy]", "b.npy"),
            ]
        ),
        ("--set rate=[1,[2]", "--set rate must be numbers in brackets, such as [0.1, 0.2], but [1,[2] does not end"),
        ("--set rate=[1,nan]", "--set rate must be a finite number, not nan"),
        ("--input [1,a]", "--input must be numbers in brackets, such as [0.1, 0.2], but in [1,a] stands 'a'"),
        ("--set rate=nan", "--set rate must be a finite number, not nan"),
        ("--set rate=1e999", "--set rate must be a finite number, not inf"),
        ("--set rate=1 --set rate=2", "--set rate is given twice. Give each parameter once."),
        ("--set rate=1 --constant rate=[2]", "rate is given by --set and by --constant. Give it once."),
        ("--constant rate", "--constant must be NAME=VALUE, such as --constant contacts=contacts.npy, not 'rate'"),
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
    assert {name for name in KEYS if not hasattr(Options(), name)} == {"parameters", "constants", "digests"}
    assert {*KEYS, "origins"} == {*Settings.fields()}


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("[0.1,0.2,0.3]", [0.1, 0.2, 0.3]),
        ("[ 1 , -2e3, 1j ,]", [1, -2000.0, 1j]),
        ("[[1,2],[3,4]]", [[1, 2], [3, 4]]),
        ("[]", []),
        ("[" * 5000 + "]" * 5000, None),
    ],
)
def test_numbers_in_brackets_are_arrays(text: str, values: Any) -> None:
    found = settings_of(None, "--set", f"offset={text}", "--input", text)
    if values is not None:
        assert found.parameters == {"offset": values}
        assert found.input == values


@given(st.recursive(st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(2**62), 2**62), st.lists))
def test_every_list_of_numbers_comes_through(values: Any) -> None:
    assert settings_of(None, "--set", f"rate={values}").parameters["rate"] == values


def test_a_list_of_rows_in_a_file_is_the_input() -> None:
    assert settings_of("input = [[1, 2], [3, 4]]", path="runs/a.toml").input == [[1, 2], [3, 4]]


@pytest.mark.parametrize(
    ("text", "arguments", "message"),
    [
        (
            FILE + "roh = 3\n",
            "",
            "problem.toml: `parameters.roh`: the kernel lorenz has no parameter roh. Did you mean rho?",
        ),
        (
            FILE,
            "--set betas=3",
            "--set betas: the kernel lorenz has no parameter betas. Did you mean beta? It has sigma, ",
        ),
        (
            "[parameters]\nscale = 1",
            "",
            "problem.toml: `parameters.scale`: the kernel affine has no parameter scale; it ",
        ),
        (None, "--kernel math:fabs --set a=1", "--set a: the function math:fabs has no parameter a; it has none"),
        ("kernel='bisect:bisect_left'\n[parameters]\nloo=1", "", "problem.toml: `parameters.loo`"),
        (
            "input = ['a']",
            "",
            "problem.toml: `input`: each value must be a finite number, not 'a'",
        ),
        ("input = [[1], [2, 3]]", "", "input must be a .npy file or rows of one length"),
        ("input = [1.5]\ndtype = 'int8'", "", "but its numbers are float64, which int8 does not hold"),
    ],
)
def test_an_unknown_parameter_is_named_with_its_place_and_the_nearest(text: Any, arguments: str, message: str) -> None:
    with pytest.raises(InputError) as caught:
        make(settings_of(text, *arguments.split()), root="[" in (text or "").partition("\n")[0])
    assert message in str(caught.value)
