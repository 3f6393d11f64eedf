"""``simsplit example``: files that are right as they are."""

from __future__ import annotations

import tomllib
from typing import TYPE_CHECKING

import pytest

from simsplit import InputError
from simsplit.cli import main
from simsplit.kernels.registry import BUILT_IN, load
from simsplit.problem_file.settings import KEYS, Settings
from tests.support.environment import forget_launchers

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(autouse=True)
def ordinary_start(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forget whatever launched the tests."""
    forget_launchers(monkeypatch)


@pytest.mark.parametrize("name", BUILT_IN)
def test_each_example_runs_as_it_is_and_is_verified(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["example", name]) == 0
    (tmp_path / "problem.toml").write_text(capsys.readouterr().out)
    assert main(["run", "--serial", "--verify", "--nan", "error", str(tmp_path / "problem.toml")]) == 0
    out = capsys.readouterr().out
    assert f"kernel {name}: " in out
    assert out.splitlines()[-1].startswith("identical: 5 of 5 steps")


@pytest.mark.parametrize("name", BUILT_IN)
def test_an_example_explains_every_key_with_its_default(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    main(["example", name])
    text = capsys.readouterr().out
    lines = text.splitlines()
    document = tomllib.loads(text)
    assert set(document) <= set(KEYS)
    for key in set(KEYS) - {"digests"}:  # which simsplit writes
        assert f"{key} = " in text or f"[{key}]" in text
    kernel = load(name)
    assert document["parameters"] == kernel.parameters
    for key, value in kernel.parameters.items():
        (line,) = (line for line in lines if line.startswith(f"{key} = "))
        assert line.endswith(f"(default: {value:.6g})")
        assert "unit" in line
    for key in set(document) - {"parameters", "input"}:
        (line,) = (line for line in lines if line.startswith(f"{key} = "))
        assert "(default: " in line
    assert max(map(len, lines)) <= 110


def test_the_values_that_the_examples_call_defaults_are_the_defaults(capsys: pytest.CaptureFixture[str]) -> None:
    main(["example", "affine"])
    text = capsys.readouterr().out
    defaults = Settings()
    for key in ("start_time", "delta_t", "steps", "seed", "nan", "kernel"):
        (line,) = (line for line in text.splitlines() if line.startswith(f"{key} = "))
        default = line.rpartition("(default: ")[2].rstrip(")").strip('"')
        assert default == f"{getattr(defaults, key)}".removesuffix(".0")


def test_there_is_no_example_of_what_is_not_built_in() -> None:
    with pytest.raises(InputError, match=r"there is no example 'lorentz'. Give one of affine, gbm, logistic, lorenz"):
        main(["example", "lorentz"])
