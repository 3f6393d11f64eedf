"""Settings: checked when they are made, read from the environment, and documented."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from simsplit.errors import InputError
from simsplit.remote.settings import PREFIX, Settings


def test_variables_are_read_as_what_they_are_and_arguments_come_first() -> None:
    environment = {
        "SIMSPLIT_REMOTE_TIMEOUT": "2.5",
        "SIMSPLIT_REMOTE_WORKERS": "3",
        "SIMSPLIT_REMOTE_PICKLE": "Yes",
        "SIMSPLIT_REMOTE_PASSPHRASE": "open",
        "SIMSPLIT_REMOTE_ALLOWED_RANKS": "0, 2",
        "SIMSPLIT_REMOTE_ALLOWED_HOSTS": "a,b",
        "OTHER": "x",
    }
    settings = Settings.from_environment(environment, workers=1)
    assert settings == Settings(
        timeout=2.5,
        workers=1,
        pickle=True,
        passphrase="open",  # noqa: S106, a test
        allowed_ranks=frozenset({0, 2}),
        allowed_hosts=frozenset({"a", "b"}),
    )
    assert Settings.from_environment({PREFIX + "TIMEOUT": "none"}).timeout is None


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ({"SIMSPLIT_REMOTE_WORKERS": "many"}, "SIMSPLIT_REMOTE_WORKERS must be a int, not 'many'"),
        ({"SIMSPLIT_REMOTE_PICKLE": "maybe"}, "must be a bool"),
        ({"SIMSPLIT_REMOTE_TIMEOUT": "soon"}, "must be a float or None, not 'soon'"),
        ({"SIMSPLIT_REMOTE_TIMEOUT": "-1"}, "timeout must be 0 seconds or more"),
        ({"SIMSPLIT_REMOTE_SPEED": "9"}, "names no setting"),
        ({"SIMSPLIT_REMOTE_ALLOWED_RANKS": "a"}, "frozenset"),
    ],
)
def test_a_wrong_variable_is_named(environment: dict[str, str], said: str) -> None:
    with pytest.raises(InputError, match=said):
        Settings.from_environment(environment)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("timeout", 0),
        ("spin", float("nan")),
        ("longest_pause", 0),
        ("workers", -1),
        ("workers", 1.5),
        ("max_depth", 0),
        ("max_depth", 2**16),
        ("pickle", 1),
        ("passphrase", ""),
        ("allowed_ranks", {1}),
        ("allowed_hosts", frozenset({1})),
    ],
)
def test_a_wrong_value_is_refused_by_name(name: str, value: Any) -> None:
    with pytest.raises(InputError, match=name):
        Settings(**{name: value})


def test_a_passphrase_is_not_shown_and_nothing_is_changed() -> None:
    settings = Settings(passphrase="secret")  # noqa: S106, a test
    assert "secret" not in repr(settings)
    with pytest.raises(dataclasses.FrozenInstanceError):
        settings.workers = 5  # type: ignore[misc]


def test_every_setting_is_documented_with_its_default() -> None:
    text = Settings.__doc__ or ""
    for field in dataclasses.fields(Settings):
        assert f"    {field.name} : " in text
