"""Slurm scripts that are printed: a header made for one job, and below it the body of a script of ``jobs/``.

The package has links to those scripts, and an installed one copies of them, beside the modules that print them.
"""

from __future__ import annotations

import re
import shlex
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

_BODY = "set -euo pipefail\n"  # the line that the body begins with


def body_of(file: Path) -> str:
    """Return what follows the header of a script."""
    return file.read_text("utf-8").partition(_BODY)[2]


def compose(
    file: Path,
    about: Iterable[str],
    asked: Mapping[str, str | None],
    settings: Iterable[str],
    words: Sequence[str],
    body: str | None = None,
) -> str:
    """Return a script.

    Parameters
    ----------
    file : Path
        The script whose header and body it takes.
    about : iterable of str
        What its header says to people, line by line.
    asked : mapping of str to str or None
        What it asks of sbatch, in place of what `file` asks or beside it; a value begins with "=". None is left out.
    settings : iterable of str
        Lines before its body.
    words : sequence of str
        Arguments that go before those it is submitted with.
    body : str, optional
        Instead of that of `file`.
    """
    header = file.read_text("utf-8").partition(_BODY)[0]
    fixed = dict(re.findall(r"^#SBATCH --([\w-]+)(.*)$", header, re.MULTILINE))
    setup = [default("SIMSPLIT_SETUP", sys.prefix)] if sys.prefix != sys.base_prefix else []
    given = [f'set -- {shlex.join(words)} "$@"'] if words else []
    return "\n".join(
        [
            "#!/bin/bash",
            *(f"# {line}".rstrip() for line in about),
            "#",
            *(f"#SBATCH --{name}{value}" for name, value in {**fixed, **asked}.items() if value is not None),
            "",
            *setup,
            *settings,
            *given,
            "",
            _BODY + (body_of(file) if body is None else body),
        ]
    )


def default(name: str, value: str) -> str:
    """Return the line that gives a variable a value, unless it has one."""
    return f"{name}=${{{name}:-{shlex.quote(value)}}}"
