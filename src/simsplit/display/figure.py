"""Create and save matplotlib figures."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO

from ..errors import InputError
from ..util import durable as disk
from ..util import optional as extras


def figure(width: float, height: float) -> Any:
    """Return an empty figure, so many inches wide and high.

    Raises
    ------
    InputError
        If matplotlib is missing.
    """
    module = extras.import_optional("matplotlib.figure", "pictures need matplotlib", "plot")
    return module.Figure(figsize=(width, height), layout="constrained")


def agg() -> Any:
    """Return the module that draws figures into memory.

    Raises
    ------
    InputError
        If matplotlib is missing.
    """
    return extras.import_optional("matplotlib.backends.backend_agg", "pictures need matplotlib", "plot")


def save(drawn: Any, output: str | BinaryIO) -> None:
    """Save a figure in the format that the name of the file asks for; it appears whole or not at all.

    Into an open file it is a small PNG.

    Raises
    ------
    InputError
        If matplotlib does not know the format, or cannot draw values as great.
    OutputError
        If the file cannot be written.
    """
    if not isinstance(output, str):
        drawn.savefig(output, format="png", dpi=60)
        return
    target = Path(output).absolute()
    content = BytesIO()
    try:
        drawn.savefig(content, format=target.suffix[1:] or "png", dpi=150)
    except (ValueError, OverflowError) as error:  # it knows no such format, or the values are too great for it
        raise InputError(f"cannot draw {output}: {error}") from error
    with disk.as_output_error(output, "Name a file in a writable folder."):
        disk.atomic_write_bytes(target, content.getvalue())
