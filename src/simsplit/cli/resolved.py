"""The problem file of a run directory: the settings with nothing left to defaults, and digests of the files."""

from __future__ import annotations

import json
import os
from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .settings import Settings

_ELSEWHERE = ("output", "format")  # where results go is no part of the problem
_TABLES = ("parameters", "digests")


def absolute(settings: Settings) -> Settings:
    """Return the settings with paths that do not depend on the current folder."""
    changes: dict[str, Any] = {}
    for name in ("input", "import_from"):
        value = getattr(settings, name)
        if value is not None:
            changes[name] = os.path.abspath(value)  # noqa: PTH100, a text is wanted
    parameters = {
        name: os.path.abspath(value) if isinstance(value, str) else value  # noqa: PTH100, the same
        for name, value in settings.parameters.items()
    }
    return replace(settings, **changes, parameters=parameters)


def as_toml(settings: Settings) -> str:
    """Return the settings as the text of a problem file."""
    lines = ["# Written by simsplit: what was run, with nothing left to defaults."]
    for each in fields(settings):
        value = getattr(settings, each.name)
        if value is not None and each.name not in (*_ELSEWHERE, *_TABLES):
            lines.append(f"{each.name} = {_value(value)}")
    for table in _TABLES:
        entries = getattr(settings, table)
        if entries:
            lines.extend(["", f"[{table}]", *(f"{_text(name)} = {_value(value)}" for name, value in entries.items())])
    return "\n".join(lines) + "\n"


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, complex):
        return _text(str(value))
    if isinstance(value, list | tuple):
        return f"[{', '.join(_value(each) for each in value)}]"
    return repr(value)


def _text(text: str) -> str:
    """Write a text as TOML's basic strings are written, which are those of JSON but for one character."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
