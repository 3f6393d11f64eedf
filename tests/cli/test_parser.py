"""Which options are accepted, and what is said about the others."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

import simsplit
from simsplit import InputError
from simsplit.cli.parser import Options, parse
from tests.support.arrays import FINITE
from tests.support.profiles import examples

OPTIONS = [
    "--kernel",
    "--kind",
    "--import-from",
    "--offset",
    "--multiplier",
    "--seed",
    "--nan",
    "--keep",
    "--reduce",
    "--transport",
    "--block-size",
    "--via",
    "--size",
    "--input",
    "--dtype",
    "--delta-t",
    "--start-time",
    "--steps",
    "--output",
    "--verify",
    "--quiet",
    "--json",
    "--serial",
    "--expect-ranks",
]


def message(*arguments: str) -> str:
    """Return what is said about wrong arguments."""
    parsed = parse(arguments)
    assert isinstance(parsed, Options)
    assert type(parsed.error) is InputError
    return str(parsed.error)


def test_without_arguments_the_tutorial_is_verified() -> None:
    assert parse([]) == Options(verify=True)
    assert parse(["run"]) == Options()
    assert {getattr(Options(), option[2:].replace("-", "_")) for option in OPTIONS[:14] if option != "--via"} == {None}


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ("--offset 1 --multiplier 2", Options(offset=1.0, multiplier=2.0)),
        ("--offset=1e-3", Options(offset=0.001)),
        ("--size 0", Options(size=0)),
        ("--size 8000000 --dtype float32", Options(size=8_000_000, dtype="float32")),
        ("--delta-t .25 --start-time 10 --steps 0", Options(delta_t=0.25, start_time=10.0, steps=0)),
        ("--input a.npy --output b.npy", Options(input="a.npy", output="b.npy")),
        ("--verify --quiet --json --serial", Options(verify=True, quiet=True, json=True, serial=True)),
        ("--expect-ranks 4", Options(expect_ranks=4)),
        ("--steps 1 --steps 2", Options(steps=2)),
        (
            "--offset -1 --multiplier -2.5e-3 --start-time -.5",
            Options(offset=-1.0, multiplier=-0.0025, start_time=-0.5),
        ),
        ("--delta-t -1_000", Options(delta_t=-1000.0)),
        ("--input -1", Options(input="-1")),
        ("a.toml --steps 2", Options(problem="a.toml", steps=2)),
        ("--kernel lorenz --set rho=3 --set sigma=-1", Options(kernel="lorenz", set=("rho=3", "sigma=-1"))),
        ("--kernel m:f --kind step --import-from .", Options(kernel="m:f", kind="step", import_from=".")),
        ("--seed 7 --nan error", Options(seed=7, nan="error")),
        ("--keep every:3 --reduce mean,std", Options(keep="every:3", reduce="mean,std")),
        ("--transport shared --block-size 4096", Options(transport="shared", block_size=4096)),
        ("--check-rows no", Options(check_rows=False)),
        ("--check-rows yes", Options(check_rows=True)),
    ],
)
def test_options_mean_what_they_say(arguments: str, expected: Options) -> None:
    assert parse(["run", *arguments.split()]) == expected


@examples(100)
@given(value=FINITE, name=st.sampled_from(["offset", "multiplier", "delta-t", "start-time"]))
def test_every_float_comes_through_as_it_is_with_or_without_an_equals_sign(value: float, name: str) -> None:
    for arguments in ([f"--{name}", repr(value)], [f"--{name}={value!r}"], [f"--{name}", f"{value:.17e}"]):
        parsed = parse(["run", "--quiet", *arguments, "--verify"])
        assert isinstance(parsed, Options)
        assert parsed.error is None
        assert getattr(parsed, name.replace("-", "_")).hex() == value.hex()
        assert (parsed.quiet, parsed.verify) == (True, True)


@examples(60)
@given(value=st.integers(-(10**30), 10**30), name=st.sampled_from(["size", "steps", "expect-ranks"]))
def test_whole_numbers_are_accepted_from_their_least_on(value: int, name: str) -> None:
    least = 1 if name == "expect-ranks" else 0
    parsed = parse(["run", f"--{name}", str(value)])
    assert isinstance(parsed, Options)
    if value >= least:
        assert getattr(parsed, name.replace("-", "_")) == value
    else:
        assert f"argument --{name}: must be an integer of {least} or more, not '{value}'" in str(parsed.error)


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        ("run --offset x", ["argument --offset: must be a finite number, not 'x'", "simsplit run --help"]),
        ("run --offset nan", ["argument --offset: must be a finite number, not 'nan'"]),
        ("run --multiplier -inf", ["argument --multiplier: must be a finite number, not '-inf'"]),
        ("run --delta-t 1e999", ["argument --delta-t: must be a finite number, not '1e999'"]),
        ("run --start-time 1,5", ["argument --start-time: must be a finite number, not '1,5'"]),
        ("run --steps 2.5", ["argument --steps: must be an integer of 0 or more, not '2.5'"]),
        ("run --steps -1", ["argument --steps: must be an integer of 0 or more, not '-1'"]),
        ("run --size 1e-6", ["argument --size: must be an integer of 0 or more, not '1e-6'"]),
        ("run --size inf", ["argument --size: must be an integer of 0 or more, not 'inf'"]),
        ("run --steps 3 --until 2", ["argument --until: not allowed with argument --steps"]),
        ("run --expect-ranks 0", ["argument --expect-ranks: must be an integer of 1 or more, not '0'"]),
        ("run --check-rows false", ["argument --check-rows: must be yes or no, not 'false'"]),
        ("run --size 3 --input a.npy", ["--input: not allowed with argument --size"]),
        ("run --offset", ["argument --offset: expected one argument"]),
        ("run --verify=yes", ["argument --verify: ignored explicit argument 'yes'"]),
        ("run --verfy", ["unknown argument --verfy. Did you mean --verify?", "simsplit run --help"]),
        ("run --deltat=3", ["unknown argument --deltat=3. Did you mean --delta-t?"]),
        ("run --off 3", ["unknown argument --off. Did you mean --offset?"]),
        ("run --dt 3", ["unknown argument --dt. Did you mean --delta-t?"]),
        ("run --t-end 3", ["unknown argument --t-end. Did you mean --steps?"]),
        ("run --rate=1", ["unknown argument --rate=1. A parameter of the kernel is given by --set rate=…"]),
        ("job --ntasks-per-node 2 --rate 1", ["unknown argument --rate. A parameter of the kernel is given by --set"]),
        ("run --output -o", ["argument --output/-o: expected one argument"]),
        ("run --xyzzy", ["unknown argument --xyzzy. (see: simsplit run --help)"]),
        ("run 7", ["a problem file must end in .toml, not '7'", "simsplit run --help"]),
        ("run --offset 1 -2", ["a problem file must end in .toml, not '-2'"]),
        ("run a.toml b.toml", ["unknown argument b.toml. (see: simsplit run --help)"]),
        ("run --kind maps", ["argument --kind: invalid choice: 'maps' (choose from 'map', 'step')"]),
        ("run --nan ignore", ["argument --nan: invalid choice: 'ignore' (choose from 'allow', 'error')"]),
        ("run --seed -1", ["argument --seed: must be an integer of 0 or more, not '-1'"]),
        ("plan", ["the following arguments are required: --ranks", "simsplit plan --help"]),
        ("plan --ranks 0", ["argument --ranks: must be an integer of 1 or more, not '0'"]),
        ("plan --ranks 4 --submit", ["unknown argument --submit. (see: simsplit plan --help)"]),
        ("example", ["the following arguments are required: KERNEL", "simsplit example --help"]),
        ("doctor --ranks 4", ["unknown argument --ranks. Did you mean --expect-ranks?"]),
        ("ruin", ["invalid choice: 'ruin'", "'run'", "'remote'", "simsplit --help"]),
        ("--verify", ["no command", "--verify", "Give one: simsplit run", "simsplit --help"]),
        ("--quiet run --steps 3", ["--quiet stands before the command run. Put it after.", "simsplit --help"]),
        ("--quiet run --help", ["--quiet stands before the command run."]),
    ],
)
def test_a_wrong_option_is_named_with_what_is_accepted_and_where_to_look(arguments: str, parts: list[str]) -> None:
    text = message(*arguments.split())
    for part in parts:
        assert part in text
    assert "(see: simsplit" in text
    assert len(text.splitlines()) == 1


@pytest.mark.parametrize("kernel", ["-x**2", "-x", "-o*x", "-(x)", "-1", "-offset", "-.5*x", "- x"])
def test_a_kernel_may_begin_with_a_minus(kernel: str) -> None:
    for words in (["run", "--kernel", kernel, "--quiet"], ["run", f"--kernel={kernel}", "--quiet"]):
        parsed = parse(words)
        assert (parsed.error, parsed.kernel, parsed.quiet) == (None, kernel, True)
    parsed = parse(["job", "--ntasks-per-node", "2", "--kernel", kernel, "-o", "runs/a"])
    assert (parsed.error, parsed.kernel, parsed.output) == (None, kernel, "runs/a")
    assert parsed.words == (f"--kernel={kernel}",)


def test_help_lists_the_command_examples_and_every_exit_status() -> None:
    for flag in ("--help", "-h"):
        answer = parse([flag]).answer
        assert answer is not None
        assert "run a simulation" in answer
        assert "mpiexec -n 4 simsplit" in answer
        assert re.search(r"\n +remote +serve and call remote objects\n", answer)
        for kind in ("InputError", "LaunchError", "KernelError", "OutputError", "VerificationError"):
            assert re.search(rf"\b{getattr(simsplit, kind).exit_status} \w", answer)
        assert "7 a remote object could not be called" in answer
        assert "130 interrupted" in answer
        assert answer.endswith("\n")


def test_help_of_run_lists_every_option_with_its_default() -> None:
    answer = parse(["run", "--steps", "3", "--help"]).answer
    assert answer is not None
    for option in OPTIONS:
        assert re.search(rf"{option}[ ,\n]", answer)
    text = " ".join(answer.split())
    for name, default in [("O", "3"), ("M", "5"), ("D", "0.5"), ("T", "0"), ("S", "5"), ("N", "7")]:
        assert re.search(rf"--[a-z-]+ {name} [^()]*\(default {default}\)", text)


@pytest.mark.parametrize("width", [60, 100])
def test_help_is_as_wide_as_the_terminal(width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    answer = parse(["run", "--help"]).answer
    assert answer is not None
    assert width - 10 < max(len(line) for line in answer.splitlines()) <= width


def test_the_version_is_that_of_the_package() -> None:
    assert parse(["--version"]) == Options(answer=f"simsplit {simsplit.__version__}\n")


@examples(100)
@given(
    arguments=st.lists(
        st.sampled_from(
            [*OPTIONS, "run", "-1", "-1e5", "x.npy", "3", "--", "-", "", "--help", "--version", "-q", "--x=-1"]
        ),
        max_size=6,
    )
)
def test_whatever_is_given_there_is_an_answer_and_never_an_exit(arguments: list[str]) -> None:
    parsed = parse(arguments)
    assert isinstance(parsed, Options)
    assert parse(arguments).answer == parsed.answer
