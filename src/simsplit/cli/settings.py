"""The problem, as a file and the options say it: options override the file, the file overrides the defaults.

A key of the file is the option's name with underscores, and ``[parameters]`` stands for ``--set``. Paths
in a file are relative to its folder, those of options to the current one.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any, Literal

from ..checks import number
from ..errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .parser import Options

PATHS = ("input", "output", "import_from")


@dataclass(frozen=True, slots=True)
class Settings:
    """What is simulated.

    Attributes
    ----------
    kernel : str
        Built in, ``package.module:function``, or an expression.
    parameters : dict of str to number, list or str
        Of the kernel: a number, a value for each row, or the ``.npy`` file that has one for each row.
    kind : {"map", "step"} or None
        Of a function or an expression; None is "map".
    import_from : str or None
        Folder that modules may be in.
    size : int or None
        Start from 0 … size - 1 …
    input : str or None
        … or from the array in this ``.npy`` file.
    dtype : str or None
        Of the initial array; None is float64, or that of the file.
    delta_t, start_time : float
        In your unit of time.
    steps : int
    seed : int
        Of random numbers.
    nan : {"allow", "error"}
        Whether a result that is not a number ends the run.
    keep : str
        Which steps the history holds: "all", "last", "none" or "every:K".
    reduce : str
        What is computed over all rows of every step, such as "mean,std".
    output : str or None
        The ``.npy`` file that the history is written to.
    backend : {"auto", "numpy", "numba"}
        What does the arithmetic.
    transport : {"auto", "gatherv", "shared"}
        How the results come to root.
    block_size : int or None
        Bytes of the result of a step that are computed at a time.
    """

    kernel: str = "affine"
    parameters: dict[str, Any] = field(default_factory=dict)
    kind: Literal["map", "step"] | None = None
    import_from: str | None = None
    size: int | None = None
    input: str | None = None
    dtype: str | None = None
    delta_t: float = 0.5
    start_time: float = 0.0
    steps: int = 5
    seed: int = 0
    nan: Literal["allow", "error"] = "allow"
    keep: str = "all"
    reduce: str = ""
    output: str | None = None
    backend: Literal["auto", "numpy", "numba"] = "auto"
    transport: Literal["auto", "gatherv", "shared"] = "auto"
    block_size: int | None = None


def resolve(options: Options, text: str | None) -> Settings:
    """Return what the options and the text of the problem file say.

    Raises
    ------
    InputError
        If one of them is wrong; the message names the file and the key, or the option.
    """
    settings = Settings() if text is None or options.problem is None else _from_file(text, options.problem)
    changes: dict[str, Any] = {}
    for each in fields(Settings):
        value = getattr(options, each.name, None)
        if value is not None:
            changes[each.name] = value
    if "size" in changes:
        changes["input"] = None
    elif "input" in changes:
        changes["size"] = None
    kernel = changes.get("kernel", settings.kernel)
    parameters = {} if kernel != settings.kernel else dict(settings.parameters)
    parameters.update(_set(options.set))
    for name in ("offset", "multiplier"):
        value = getattr(options, name)
        if value is not None:
            if kernel != "affine":
                raise InputError(f"--{name} is for the kernel affine. Use --set {name}={value:g} instead.")
            parameters[name] = value
    return replace(settings, **changes, parameters=parameters)


def _set(texts: Sequence[str]) -> dict[str, Any]:
    """Return the parameters of ``--set NAME=VALUE``."""
    parameters: dict[str, Any] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name.isidentifier():
            raise InputError(f"--set must be NAME=VALUE, such as --set rate=0.5, not {text!r}")
        if name in parameters:
            raise InputError(f"--set {name} is given twice. Give each parameter once.")
        parameters[name] = value if value.endswith(".npy") else _number(name, value)
    return parameters


def _number(name: str, text: str) -> Any:
    for kind in (int, float, complex):
        try:
            return number(f"--set {name}", kind(text))
        except ValueError as error:
            if isinstance(error, InputError):
                raise
    raise InputError(f"--set {name} must be a number or a .npy file, not {text!r}")


def _from_file(text: str, path: str) -> Settings:
    import tomllib

    import msgspec

    try:
        document = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise InputError(f"{path}: this is not TOML: {error or 'nested too deeply'}") from None
    known = {each.name: each for each in fields(Settings)}
    for key in document:
        if key not in known:
            raise InputError(f"{path}: unknown key `{key}`. {_near(key, list(known))}")
    try:
        checked = msgspec.convert(document, Settings)
    except msgspec.ValidationError as error:
        message, _, where = str(error).partition(" - at `$.")
        key = where.rstrip("`")
        raise InputError(f"{path}: `{key}`: {message[:1].lower()}{message[1:]}. {_accepted(key)}") from None
    if checked.size is not None and checked.input is not None:
        raise InputError(f"{path}: `size` and `input` exclude each other: give one of them")
    folder = os.path.dirname(path)  # noqa: PTH120, pathlib is not worth loading for this
    moved: dict[str, Any] = {
        name: os.path.join(folder, value)  # noqa: PTH118, the same
        for name in PATHS
        if (value := getattr(checked, name)) is not None
    }
    parameters = {
        name: os.path.join(folder, value) if isinstance(value, str) else value  # noqa: PTH118, the same
        for name, value in checked.parameters.items()
    }
    return replace(checked, **moved, parameters=parameters)


def _near(key: str, known: list[str]) -> str:
    import difflib

    near = difflib.get_close_matches(key, known, n=1, cutoff=0.5)
    hint = f"Did you mean `{near[0]}`?  " if near else ""
    return f"{hint}Known: {', '.join(known)}.  (see: simsplit example affine)"


def _accepted(key: str) -> str:
    accepted = {
        "kind": '"map" or "step" is accepted.',
        "nan": '"allow" or "error" is accepted.',
        "keep": '"all", "last", "none" or "every:K" is accepted.',
        "backend": '"auto", "numpy" or "numba" is accepted.',
        "transport": '"auto", "gatherv" or "shared" is accepted.',
        "block_size": "A whole number of bytes is accepted.",
        "size": "A whole number is accepted.",
        "steps": "A whole number is accepted.",
        "seed": "A whole number is accepted.",
        "delta_t": "A number is accepted.",
        "start_time": "A number is accepted.",
        "parameters": "A table of names and values is accepted.",
    }
    return accepted.get(key, "A text in quotes is accepted.")
