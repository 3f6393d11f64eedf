"""The resolved problem file of a run directory: no defaults left out, with digests of all files."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

from ..communicator import Agreement
from ..errors import InputError
from ..options import PARAMETER_TABLES
from ..rundir.directory import PROBLEM

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..communicator import Communicator
    from ..problem import Problem
    from .settings import Settings

_ELSEWHERE = ("output", "format", "origins")  # where results go is no part of the problem
_TABLES = (*PARAMETER_TABLES, "grid", "digests")


def absolute(settings: Settings) -> Settings:
    """Return the settings with paths that do not depend on the current folder."""
    changes: dict[str, Any] = {}
    for name in ("input", "import_from"):
        value = getattr(settings, name)
        if isinstance(value, str):
            changes[name] = os.path.abspath(value)  # noqa: PTH100, a text is wanted
    for table in PARAMETER_TABLES:
        changes[table] = {
            name: os.path.abspath(value) if isinstance(value, str) else value  # noqa: PTH100, the same
            for name, value in getattr(settings, table).items()
        }
    return settings.replace(**changes)


def complete(settings: Settings, problem: Problem) -> Settings:
    """Return the settings with nothing left to defaults."""
    from ..kernels.registry import BUILT_IN
    from .build import DEFAULT_SIZE, step_of_run

    changes: dict[str, Any] = {}
    if settings.kernel in BUILT_IN:
        own = {name: value for name, value in problem.kernel.parameters.items() if not hasattr(value, "shape")}
        changes["parameters"] = {**own, **settings.parameters}
    found = None if not isinstance(settings.input, str) else step_of_run(settings.input)
    if found is not None:  # the last step of a run is another one tomorrow
        changes["input"] = f"{found[0].path}@{found[1]}"
    if settings.input is None:
        if "shape" not in settings.grid:
            changes |= {"size": DEFAULT_SIZE if settings.size is None else settings.size}
        changes |= {"dtype": "float64" if settings.dtype is None else settings.dtype}
    return absolute(settings.replace(**changes))


def digests(settings: Settings, problem: Problem, communicator: Communicator) -> dict[str, str]:
    """Return the digests of what stands behind a problem. Collective."""
    from ..rundir.digest import digest_of_array, digest_of_file
    from .build import step_of_run, stored

    found = {} if problem.kernel.source is None else {"kernel": f"sha256:{problem.kernel.source}"}
    given = {**settings.parameters, **settings.constants}
    files = {f"parameter {name}": value for name, value in given.items() if isinstance(value, str)}
    if isinstance(settings.input, str):
        step = None
        with Agreement(communicator):
            if communicator.rank == 0 and step_of_run(settings.input) is not None:
                step = stored(settings.input)
        step = communicator.bcast((step,))[0]
        if step is None:
            files["input"] = settings.input
        else:  # the rest of its file may change
            found["input"] = digest_of_array(communicator, step)
    for name, path in files.items():
        found[name] = digest_of_file(communicator, path)
    return found


def require_unchanged(expected: Mapping[str, str], found: Mapping[str, str], problem: str = PROBLEM) -> None:
    """Refuse what is not the same as when the digests were taken.

    Parameters
    ----------
    expected, found : mapping of str to str
    problem : str
        What messages call the problem as a whole.

    Raises
    ------
    InputError
        With the names of what was changed.
    """
    names = {
        "kernel": "the source of the kernel (its module, or what that imports from beside it)",
        "problem": problem,
    }
    changed = [names.get(name, f"the file of {name}") for name in expected if found.get(name) != expected[name]]
    if changed:
        raise InputError(
            f"changed since the run began: {', '.join(changed)}. The results would not be of one problem. "
            "Undo the change, begin a new run, or go on all the same with --accept-changes (accept_changes=True)."
        )


def as_toml(settings: Settings) -> str:
    """Return the settings as the text of a problem file.

    Raises
    ------
    InputError
        If there is a text in them that is not UTF-8, which TOML cannot hold.
    """
    lines = ["# Written by simsplit: what was run, with nothing left to defaults."]
    for name in settings.fields():
        value = getattr(settings, name)
        if value is not None and name not in (*_ELSEWHERE, *_TABLES):
            lines.append(f"{name} = {_value(value)}")
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
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{_text(name)} = {_value(each)}" for name, each in value.items()) + " }"
    return repr(value)


def _text(text: str) -> str:
    """Write a text as TOML's basic strings are written, which are those of JSON but for one character."""
    if not text.isascii() and text.encode(errors="replace").decode() != text:
        raise InputError(
            f"{text!a} is not UTF-8, so that problem.toml in a run directory cannot hold it. Rename it, or give a "
            "link with another name."
        )
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
