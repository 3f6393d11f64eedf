"""``simsplit example``: files that are right as they are."""

from __future__ import annotations

import tomllib
from typing import TYPE_CHECKING

import numpy as np
import pytest

from simsplit import InputError
from simsplit.cli import main
from simsplit.cli.settings import Settings
from simsplit.kernels.loading import BUILT_IN
from tests.environment import forget_launchers

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(autouse=True)
def ordinary_start(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forget whatever launched the tests."""
    forget_launchers(monkeypatch)


@pytest.mark.parametrize("name", BUILT_IN)
def test_each_example_runs_and_is_verified(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["example", name]) == 0
    text = capsys.readouterr().out
    width = {"sir": 3, "lorenz": 3, "oscillator": 2}.get(name)
    if width:
        assert f"of shape (n, {width})" in text
        np.save(tmp_path / "start.npy", np.linspace(1, 2, 5 * width).reshape(5, width))
    (tmp_path / "problem.toml").write_text(text)
    assert main(["run", "--serial", "--verify", "--delta-t", "0.01", str(tmp_path / "problem.toml")]) == 0
    assert capsys.readouterr().out.splitlines()[-1].startswith("identical: 5 of 5 steps")


def test_an_example_explains_every_key(capsys: pytest.CaptureFixture[str]) -> None:
    main(["example", "affine"])
    text = capsys.readouterr().out
    for key in Settings.__dataclass_fields__:
        assert f"{key} = " in text or f"[{key}]" in text
    assert all("#" in line for line in text.splitlines() if line)
    assert set(tomllib.loads(text)) <= set(Settings.__dataclass_fields__)


def test_there_is_no_example_of_what_is_not_built_in() -> None:
    with pytest.raises(InputError, match=r"there is no example 'lorentz'. Give one of affine, gbm, logistic, lorenz"):
        main(["example", "lorentz"])
