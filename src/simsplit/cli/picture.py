"""Pictures: an empty figure of matplotlib, and saving it."""

from __future__ import annotations

from typing import Any

from .. import extras
from ..errors import InputError, OutputError


def figure(width: float, height: float) -> Any:
    """Return an empty figure, so many inches wide and high.

    Raises
    ------
    InputError
        If matplotlib is missing.
    """
    module = extras.load("matplotlib.figure", "pictures need matplotlib", "plot")
    return module.Figure(figsize=(width, height), layout="constrained")


def save(drawn: Any, output: str) -> None:
    """Save a figure in the format that the name of the file asks for.

    Raises
    ------
    InputError
        If matplotlib does not know the format.
    OutputError
        If the file cannot be written.
    """
    try:
        drawn.savefig(output, dpi=150)
    except ValueError as error:
        raise InputError(f"cannot draw {output}: {error}") from error
    except OSError as error:
        raise OutputError(f"cannot write {output}: {error.strerror or error}. Name a file in a writable folder.") from (
            error
        )
