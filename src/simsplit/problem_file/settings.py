"""Settings of a problem. Options override the problem file, which overrides the defaults.

A key of the file is the option's name with underscores, and ``[parameters]`` stands for ``--set``. Paths
in a file are relative to its folder, those of options to the current one. Numbers in brackets, in a file
as in an option, are an array.
"""

from __future__ import annotations

import os
from collections.abc import Mapping  # noqa: TC003, msgspec looks at the types of the fields
from typing import TYPE_CHECKING, Any, Literal, Protocol

from ..errors import InputError
from ..options import BY_NAME, PARAMETER_TABLES, check_key
from ..util.records import Record
from ..util.validation import near, number, user_path

if TYPE_CHECKING:
    from collections.abc import Sequence

_MOST_STEPS = 2**53  # so far floats hold every whole number
OWN_KERNEL = "own kernel: "  # how a run directory calls a kernel that only the program that made it has
PATHS = ("input", "output", "import_from")
_EXCLUDING = (("size", "input"), ("initial", "input"), ("fill", "input"), ("fill", "initial"), ("steps", "until"))


class Settings(Record):
    """What is simulated.

    Attributes
    ----------
    kernel : str
        Built in, ``package.module:function``, or an expression.
    parameters : dict of str to number, list or str
        Of the kernel: a number, a value for each row, or the ``.npy`` file that has one for each row.
    constants : dict of str to number, list or str
        Parameters that are the same for all rows: an array, or the ``.npy`` file that has it.
    grid : dict of str to object
        Shape, spacing, origin and boundary of the grid, as `Grid` takes them; empty if there is none.
    kind : {"map", "step"} or None
        Of a function or an expression; None is "map".
    import_from : str or None
        Folder that modules may be in.
    size : int or None
        Start from 0 … size - 1 …
    input : str, list or None
        … or from the array in this ``.npy`` file, or from these rows.
    initial : str or None
        … or from this expression of the number of the row, `size` rows of it.
    fill : float or None
        … or from this number in each of `size` rows; it becomes the expression `initial`.
    dtype : str or None
        Of the initial array; None is float64, or that of the ``.npy`` file.
    result_dtype : str or None
        Of what a function of the user's own returns; None if it is to be tried.
    delta_t, start_time : float
        In your unit of time.
    steps : int
    until : float or None
        In place of `steps`: the time up to which they go.
    seed : int
        Of random numbers.
    nan : {"allow", "error"}
        Whether a result that is not a number ends the run.
    keep : str
        Which steps the history holds: "all", "last", "none" or "every:K".
    reduce : str
        What is computed over all rows of every step, such as "mean,std".
    reduce_over : {"rows", "cells"}
        Whether over all rows, or over all cells of a grid.
    time_unit, unit : str or None
        Of time and of the values, for people.
    output : str or None
        The file that the history is written to, or the run directory.
    format : {"npy", "zarr", "h5"} or None
        Of the history in a run directory; None is "npy".
    backend : {"auto", "numpy", "numba"}
        What does the arithmetic.
    transport : {"auto", "gatherv", "shared"}
        How the results come to root.
    depth : int, "auto" or None
        Steps between two exchanges of rows; None is "auto".
    block_size : int or None
        Bytes of the result of a step that are computed at a time.
    check_rows : bool
        Look whether a function or a class of the user's own is row-local.
    digests : dict of str to str
        Of the files behind the problem, as a run directory's ``problem.toml`` has them: they must not have changed.
    origins : dict of str to str
        Where each parameter was given, for messages; no key of a file.
    """

    kernel: str = "affine"
    parameters: Mapping[str, Any] = {}
    constants: Mapping[str, Any] = {}
    grid: Mapping[str, Any] = {}
    kind: Literal["map", "step"] | None = None
    import_from: str | None = None
    size: int | None = None
    input: str | list[Any] | None = None
    initial: str | None = None
    fill: float | None = None
    dtype: str | None = None
    result_dtype: str | None = None
    delta_t: float = 0.5
    start_time: float = 0.0
    steps: int = 5
    until: float | None = None
    seed: int = 0
    nan: Literal["allow", "error"] = "allow"
    keep: str = "all"
    reduce: str = ""
    reduce_over: Literal["rows", "cells"] = "rows"
    time_unit: str | None = None
    unit: str | None = None
    output: str | None = None
    format: Literal["npy", "zarr", "h5"] | None = None
    backend: Literal["auto", "numpy", "numba"] = "auto"
    transport: Literal["auto", "gatherv", "shared"] = "auto"
    depth: int | str | None = None
    block_size: int | None = None
    check_rows: bool = True
    digests: Mapping[str, str] = {}
    origins: Mapping[str, str] = {}


class Given(Protocol):
    """Options that override a problem file: an attribute for each key, None where it is not given, and these."""

    @property
    def problem(self) -> str | None:
        """The path of the problem file."""

    @property
    def set(self) -> tuple[str, ...]:
        """Parameters, each ``NAME=VALUE``."""

    @property
    def constant(self) -> tuple[str, ...]:
        """Constants, each ``NAME=VALUE``."""

    @property
    def grid(self) -> str | None:
        """The cells of a grid."""

    @property
    def spacing(self) -> str | None:
        """Between them."""

    @property
    def origin(self) -> str | None:
        """The coordinate of the first one."""

    @property
    def boundary(self) -> tuple[str, ...]:
        """What lies beyond the edges."""

    @property
    def offset(self) -> float | None:
        """Of the kernel affine."""

    @property
    def multiplier(self) -> float | None:
        """Of the kernel affine."""


KEYS = tuple(name for name in Settings.fields() if name != "origins")


def resolve(options: Given, text: str | None) -> Settings:
    """Return what the options and the text of the problem file say.

    Raises
    ------
    InputError
        If one of them is wrong; the message names the file and the key, or the option.
    """
    settings = Settings() if text is None or options.problem is None else settings_from(text, options.problem)
    changes: dict[str, Any] = {}
    for key in KEYS:
        value = getattr(options, key, None) if key != "grid" else None
        if value is not None:
            check_key(key, BY_NAME[key].spelled, value)
            changes[key] = value
    if str(changes.get("input", "")).startswith("["):
        changes["input"] = _listed("--input", changes["input"])
    if options.grid is not None:
        for other in {"size", "input"} & changes.keys():
            raise InputError(f"--grid: not allowed with argument --{other}: the array has the shape of the grid")
        changes |= {"size": None, "input": None}
    changes["grid"] = _grid(options, settings, sized="size" in changes)
    _replace_others(changes)
    if (found := _kernel_in_file(changes.get("kernel", ""), ".")) is not None:
        changes["kernel"], changes["import_from"] = found
    kernel = changes.get("kernel", settings.kernel)
    parameters, constants, origins = _parameters(options, settings, same=kernel == settings.kernel)
    for name in ("offset", "multiplier"):
        value = getattr(options, name)
        if value is not None:
            if kernel != "affine":
                raise InputError(f"--{name} is for the kernel affine. Use --set {name}={value:g} instead.")
            parameters[name], origins[name] = value, f"--{name}"
    return with_steps(settings.replace(**changes, parameters=parameters, constants=constants, origins=origins))


def _grid(options: Given, settings: Settings, *, sized: bool) -> Mapping[str, Any]:
    """Return the grid; an option that says how many rows there are takes the place of the shape in a file."""
    before = {name: value for name, value in settings.grid.items() if name != "shape" or not sized}
    given = (options.grid, options.spacing, options.origin, options.boundary)
    if not any(given):
        return before
    from .grids import of_options

    return of_options(*given, before)


def _parameters(
    options: Given, settings: Settings, *, same: bool
) -> tuple[dict[str, Any], dict[str, Any], dict[str, str]]:
    """Return parameters, constants and their origins: those of the file, if of the `same` kernel, and those given."""
    file = settings if same else Settings()
    by_set, by_constant = _given("--set", options.set), _given("--constant", options.constant)
    for name in by_set.keys() & by_constant.keys():
        raise InputError(f"{name} is given by --set and by --constant. Give it once.")
    parameters = {name: value for name, value in file.parameters.items() if name not in by_constant} | by_set
    constants = {name: value for name, value in file.constants.items() if name not in by_set} | by_constant
    origins = {name: settings.origins[name] for name in (*file.parameters, *file.constants)}
    origins |= {name: f"--set {name}" for name in by_set} | {name: f"--constant {name}" for name in by_constant}
    return parameters, constants, origins


def _kernel_in_file(text: str, folder: str) -> tuple[str, str] | None:
    """Return the kernel ``module:function`` and the folder of ``model.py:function``; None if it is something else."""
    file, _, function = text.rpartition(":")
    if not file.endswith(".py") or not function.isidentifier():
        return None
    path, name = os.path.split(os.path.join(folder, user_path(file)))  # noqa: PTH118, pathlib is not worth loading
    if not name.removesuffix(".py").isidentifier():
        raise InputError(f"the kernel {text}: {name} is no name of a module, which Python could import. Rename it.")
    return f"{name.removesuffix('.py')}:{function}", path


def _replace_others(changes: dict[str, Any]) -> None:
    """Let an option take the place of keys of the file that say the same in another way."""
    if changes.get("input") is not None:
        for name in {"initial", "fill"} & changes.keys():
            raise InputError(f"--{name}: not allowed with argument --input")
        changes |= {"size": None, "initial": None}
    elif {"size", "initial", "fill"} & {name for name, value in changes.items() if value is not None}:
        changes["input"] = None
    if "fill" in changes:
        if "initial" in changes:
            raise InputError("--fill: not allowed with argument --initial")
        changes["initial"] = _filling(changes.pop("fill"))
    if "steps" in changes:
        changes["until"] = None


def _filling(value: float) -> str:
    """Return the expression that fills an array of any dtype that holds a number."""
    return f"{int(value)}" if value.is_integer() and abs(value) <= _MOST_STEPS else repr(value)


def with_steps(settings: Settings) -> Settings:
    """Return the settings with the number of steps that go up to the time `until`.

    Raises
    ------
    InputError
        If there is none.
    """
    if settings.until is None:
        return settings
    span = settings.until - settings.start_time
    last = span / settings.delta_t if settings.delta_t else 0.0
    if last < 0 or (not last and span):
        raise InputError(
            f"until {settings.until:g} cannot be reached from start_time {settings.start_time:g} by steps of "
            f"{settings.delta_t:g}. Give a later time, or another delta_t."
        )
    if last > _MOST_STEPS:
        raise InputError(f"until {settings.until:g} takes more than {_MOST_STEPS:,} steps of {settings.delta_t:g}.")
    near_whole = round(last)  # a time that is meant to be that of a step may round to just before it
    whole = near_whole if abs(last - near_whole) < 1e-9 * max(1.0, last) else int(last)
    return settings.replace(steps=whole + 1, until=None)


def _given(option: str, texts: Sequence[str]) -> dict[str, Any]:
    """Return the parameters of ``--set NAME=VALUE``, or of ``--constant``, by name."""
    many = "a value for each row" if option == "--set" else "an array that is the same for all rows"
    parameters: dict[str, Any] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name.isidentifier():
            example = "rate=0.5" if option == "--set" else "contacts=contacts.npy"
            raise InputError(f"{option} must be NAME=VALUE, such as {option} {example}, not {text!r}")
        if name in parameters:
            raise InputError(f"{option} {name} is given twice. Give each parameter once.")
        if value.startswith("["):
            parameters[name] = _listed(f"{option} {name}", value)
        elif value.endswith(".npy"):
            parameters[name] = user_path(value)
        elif (found := _number(f"{option} {name}", value)) is not None:
            parameters[name] = found
        else:
            raise InputError(
                f"{option} {name} must be a number, numbers in brackets ([0.1, 0.2, 0.3], {many}) or a .npy "
                f"file, not {value!r}"
            )
    return parameters


def _number(option: str, text: str) -> Any:
    """Return the number that a text is, or None if it is none."""
    for kind in (int, float, complex):
        try:
            return number(option, kind(text))
        except ValueError as error:
            if isinstance(error, InputError):
                raise
    return None


def _listed(option: str, text: str) -> list[Any]:
    """Return numbers in brackets; within them may stand brackets again, for rows of several values."""
    from re import findall

    whole: list[Any] = []
    opened = [whole]  # the list that is being read is the last one
    free = True  # for a value: at the start, and after a comma
    for word in findall(r"[\[\],]|[^\[\],\s]+", text):
        if word == "]" and len(opened) > 1:
            opened.pop()
            free = False
        elif word == "," and not free and len(opened) > 1:
            free = True
        elif word == "[" and free:
            opened[-1].append([])
            opened.append(opened[-1][-1])
        elif free and len(opened) > 1 and (value := _number(option, word)) is not None:
            opened[-1].append(value)
            free = False
        else:
            raise InputError(f"{option} must be numbers in brackets, such as [0.1, 0.2], but in {text} stands {word!r}")
    if len(opened) > 1:
        raise InputError(f"{option} must be numbers in brackets, such as [0.1, 0.2], but {text} does not end")
    first: list[Any] = whole[0]
    return first


def settings_from(text: str, path: str) -> Settings:
    """Return what the text of a problem file says.

    Raises
    ------
    InputError
        If it is wrong; the message names the file and the key.
    """
    from typing import TypedDict, get_type_hints

    import msgspec

    document = _document(text, path)
    try:
        table = TypedDict("table", get_type_hints(Settings), total=False)  # type: ignore[misc]  # for mypy it is dynamic
        values: dict[str, Any] = msgspec.convert(document, table)
    except msgspec.ValidationError as error:
        message, _, where = str(error).partition(" - at `$.")
        key = where.rstrip("`")
        raise InputError(f"{path}: `{key}`: {message[:1].lower()}{message[1:]}. {_accepted(key)}") from None
    for key, value in values.items():
        where = f"{path}: `{key}`"
        if key in PARAMETER_TABLES:
            values[key] = {name: _numbers(f"{where}: {name}", each) for name, each in value.items()}
        elif isinstance(value, list):
            values[key] = _numbers(where, value)
        check_key(key, where, values[key])
    checked = Settings(**values)
    if "grid" in values:
        from .grids import check_file

        check_file(values, path)
    for one, other in _EXCLUDING:
        if one in values and other in values:
            raise InputError(f"{path}: `{one}` and `{other}` exclude each other: give one of them")
    folder = os.path.dirname(path)  # noqa: PTH120, pathlib is not worth loading for this
    moved: dict[str, Any] = {
        name: os.path.join(folder, user_path(value))  # noqa: PTH118, the same
        for name in PATHS
        if isinstance(value := getattr(checked, name), str)
    }
    if checked.fill is not None:
        moved |= {"initial": _filling(checked.fill), "fill": None}
    tables, origins = _tables(checked, path, folder)
    moved |= tables
    if (found := _kernel_in_file(checked.kernel, folder)) is not None:
        moved |= {"kernel": found[0], "import_from": found[1] or "."}
    return checked.replace(**moved, origins=origins)


def _tables(checked: Settings, path: str, folder: str) -> tuple[dict[str, Any], dict[str, str]]:
    """Return parameters and constants with the paths of their files, and where each was given."""
    moved: dict[str, Any] = {}
    origins: dict[str, str] = {}
    for table_name in PARAMETER_TABLES:
        given = getattr(checked, table_name)
        for name in given:
            if name in origins:
                raise InputError(f"{path}: `{table_name}.{name}` is a parameter, too. Give it once.")
            origins[name] = f"{path}: `{table_name}.{name}`"
        moved[table_name] = {
            name: os.path.join(folder, user_path(value)) if isinstance(value, str) else value  # noqa: PTH118, the same
            for name, value in given.items()
        }
    return moved, origins


def _document(text: str, path: str) -> dict[str, Any]:
    """Return the keys of a problem file, all of which are known, with their values."""
    import tomllib

    try:
        document = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise InputError(f"{path}: this is not TOML: {error or 'nested too deeply'}") from None
    for key, value in document.items():
        if key not in KEYS:
            raise InputError(f"{path}: unknown key `{key}`. {_hint(key, value)}")
        if isinstance(value, float) and value.is_integer() and key in BY_NAME and BY_NAME[key].type == "integer":
            document[key] = int(value)  # 1e6
    return document


def _numbers(name: str, value: Any) -> Any:
    """Return a value of a file with numbers for the texts that TOML has to write for complex ones."""
    if isinstance(value, list):
        return [_numbers(name, each) for each in value]
    found = _number(name, value) if isinstance(value, str) else None
    return value if found is None else found


def _hint(key: str, value: Any) -> str:
    """Say what to write instead of an unknown key."""
    hint = ""
    if (found := near(key, KEYS)) is not None:
        hint = f"Did you mean `{found}`?  "
    elif isinstance(value, int | float | list) and not isinstance(value, bool):
        hint = "A parameter of the kernel stands under [parameters].  "
    return f"{hint}Known: {', '.join(KEYS)}.  (see: simsplit example affine)"


def _accepted(key: str) -> str:
    others = {
        "digests": "A table of names and digests is accepted.",
        "parameters": "A table of names and values is accepted.",
        "constants": "A table of names and arrays is accepted.",
        "grid": "A table of shape, spacing, origin and boundary is accepted.",
    }
    if key in others:  # grid is an option, too, of another form
        return others[key]
    return BY_NAME[key].says_accepted if key in BY_NAME else "A text in quotes is accepted."
