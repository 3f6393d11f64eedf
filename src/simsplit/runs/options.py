"""The run options that `run`, `resume` and the command line share."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from ..errors import InputError
from ..options import BY_NAME, checked
from ..util.records import Record

if TYPE_CHECKING:
    from collections.abc import Callable

SUFFIXES = {".npy": "npy", ".zarr": "zarr", ".h5": "h5", ".hdf5": "h5"}  # of an output that is a file
CHECKPOINT_EVERY = "5min"
HANG_AFTER = 600.0  # seconds
PROGRESS_EVERY = 10.0  # seconds
_FOR_DIRECTORIES = ("overwrite", "accept_changes", "checkpoint_every", "time_limit", "hang_after", "format")


class RunOptions(Record):
    """How a problem is run. The results do not depend on it. Made by `checked_options`.

    Attributes
    ----------
    verify, output, format, overwrite, accept_changes, checkpoint_every, time_limit, hang_after, progress,
    progress_every, transport, block_size, backend, via, check_rows, depth
        As the arguments of `run`; times in seconds. None where a default is to be taken.
    """

    verify: bool = False
    output: str | None = None
    format: str | None = None
    overwrite: bool = False
    accept_changes: bool = False
    checkpoint_every: str | float | None = None
    time_limit: float | None = None
    hang_after: float | None = None
    progress: bool | str = False
    progress_every: float | None = None
    transport: str = "auto"
    block_size: int | None = None
    backend: str = "auto"
    via: str = "collective"
    check_rows: bool = True
    depth: int | None = None

    @property
    def kind(self) -> str:
        """What the output is: "memory", "npy", "zarr", "h5" or "directory"."""
        return kind_of(self.output)

    @property
    def told(self) -> str:
        """How progress is told: "auto", "bar", "lines" or "no"."""
        return self.progress if isinstance(self.progress, str) else "auto" if self.progress else "no"

    def fingerprint(self) -> dict[str, str]:
        """Return the options as texts: what every rank must have the same of."""
        return {name: repr(getattr(self, name)) for name in self.fields()}


def checked_options(spell: Callable[[str], str] = str, **given: Any) -> RunOptions:
    """Return the options, if each is right and fits the others.

    Parameters
    ----------
    spell : callable
        Returns what the user calls an option, by its name.
    **given
        The arguments of `run` of these names.

    Raises
    ------
    InputError
        If a value is wrong, or is for another kind of output.
    """
    for name, value in given.items():
        given[name] = checked(name, value) if name in BY_NAME else bool(value)
    if given.get("depth") == "auto":
        given["depth"] = None
    options = RunOptions(**given | {"output": _path(given.get("output"))})
    _require_fitting(options, spell)
    return options


def _require_fitting(options: RunOptions, spell: Callable[[str], str]) -> None:
    """Refuse options that do not go with others."""
    output, kind = options.output, options.kind
    if kind != "directory":
        where = "no output" if output is None else f"the file {output}"
        for name in _FOR_DIRECTORIES:
            value = getattr(options, name)
            if value is not None and value is not False:  # 0 is a time
                what = f"{spell(name)} is for a run in a run directory, but there is {where}"
                raise InputError(f"{what}: give a folder ({spell('output')} FOLDER)")
    if options.transport != "auto" and kind not in ("memory", "npy"):
        raise InputError(
            f"{spell('transport')} {options.transport} is for a history on rank 0, but all ranks write to {output}. "
            f"Leave it out, or give {spell('output')} a file that ends in .npy."
        )
    if options.via == "remote" and options.backend == "numba":
        raise InputError(
            f"{spell('backend')} numba does not go with {spell('via')} remote, whose calculators use NumPy"
        )


def kind_of(output: str | None) -> str:
    """Return what an output is, as its name says: "memory", "npy", "zarr", "h5" or "directory".

    Raises
    ------
    InputError
        If it looks like a file of another kind.
    """
    if output is None:
        return "memory"
    suffix = os.path.splitext(output)[1]  # noqa: PTH122, pathlib is not worth loading for this
    kind = SUFFIXES.get(suffix.lower())
    if kind is not None:
        return kind
    if suffix[1:].isalpha():
        raise InputError(
            f"the output must be a file that ends in {', '.join(SUFFIXES)}, or a folder for everything about the run, "
            f"whose name must not end like that of a file, as {output!r} does with {suffix}"
        )
    return "directory"


def _path(output: Any) -> str | None:
    try:
        return None if output is None else os.fsdecode(output)
    except TypeError:
        raise InputError(f"output must be a path, such as 'history.npy', not {output!r}") from None
