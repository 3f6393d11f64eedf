"""Build a problem from settings; root reads the arrays and the kernel."""

from __future__ import annotations

import os
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import InputError
from ..kernels.base import UnknownParameterError
from ..kernels.constants import constant
from ..kernels.registry import RESERVED, load
from ..problem import Problem
from ..util.dtypes import as_array, dtype_label, first_rounded, is_numeric
from ..util.memory_limits import require_memory
from .settings import OWN_KERNEL

if TYPE_CHECKING:
    import numpy.typing as npt

    from ..grids.grid import Grid
    from ..history.stored_array import StoredArray
    from ..kernels import Kernel
    from ..rundir.recorded_run import RecordedRun
    from .settings import Settings

    Array = npt.NDArray[Any]

DEFAULT_SIZE = 7
_DIGITS = 18  # of the number of a step


def make(settings: Settings, *, root: bool, in_memory: bool = False) -> Problem:
    """Return the problem; the arrays are on root only, those in files not even there, unless `in_memory`.

    Not collective.

    Raises
    ------
    InputError
        If a value is wrong or a file cannot be read.
    """
    problem = Problem(
        initial(settings, in_memory=in_memory) if root else None,
        kernel(settings, root=root),
        delta_t=settings.delta_t,
        steps=settings.steps,
        start_time=settings.start_time,
        seed=settings.seed,
        nan=settings.nan,
        keep=settings.keep,
        reduce=settings.reduce,
        reduce_over=settings.reduce_over,
        grid=_grid(settings),
    )
    problem.origin = settings
    return problem


def text_of(path: str) -> str:
    """Return the text of a problem file.

    Raises
    ------
    InputError
        If it cannot be read.
    """
    from pathlib import Path

    try:
        return Path(path).read_text("utf-8-sig")  # some editors write a mark of the byte order
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise InputError(
            f"cannot read the problem {path}: {reason}. Give a TOML file. (see: simsplit example affine)"
        ) from None


def kernel(settings: Settings, *, root: bool) -> Kernel:
    """Return the kernel; of parameters that are arrays only root has the values."""
    for name in (*settings.parameters, *settings.constants):
        if name in RESERVED or not name.isidentifier():
            raise InputError(f"a parameter cannot be called {name!r}. Rename it.")
    if settings.kernel.startswith(OWN_KERNEL):
        raise InputError(
            f"the kernel {settings.kernel.removeprefix(OWN_KERNEL)} is a program's own, which no file can give again. "
            'Give the problem from that program: simsplit.resume("FOLDER", problem=problem).'
        )
    parameters = {name: _parameter(name, value, root=root) for name, value in settings.parameters.items()}
    for name, value in settings.constants.items():
        read = _parameter(name, value, root=root)
        try:
            parameters[name] = None if read is None else constant(read)
        except InputError as error:
            raise InputError(f"{settings.origins.get(name, name)}: {error}") from None
    try:
        result = None if settings.result_dtype is None else dtype(settings.result_dtype, "--result-dtype")
        return load(settings.kernel, kind=settings.kind, folder=settings.import_from, dtype=result, **parameters)
    except UnknownParameterError as error:
        raise InputError(f"{settings.origins[error.parameter]}: {error}") from None


def _parameter(name: str, value: Any, *, root: bool) -> Any:
    if isinstance(value, str):
        if not value.endswith(".npy"):
            raise InputError(f"parameter {name} must be a number, a list, or a .npy file, not {value!r}")
        if not root:
            return None
        from ..history.formats.npy import read_npy
        from ..rundir.recorded_run import require_finished

        require_finished(value)
        return read_npy(value, f"the file of parameter {name},")
    if isinstance(value, list):
        return value if root else None
    return value


def parameter_by_row(run: RecordedRun, name: str) -> Array:
    """Return a parameter of a run that has one value for each row, shape (n,).

    Raises
    ------
    InputError
        If it is none; the message names those that are.
    """
    from ..rundir.directory import PROBLEM
    from .settings import settings_from

    path = str(run.path / PROBLEM)
    given = settings_from(text_of(path), path).parameters
    by_row = [known for known, value in given.items() if isinstance(value, str | list)]
    if name not in by_row:
        which = f": {', '.join(by_row)}" if by_row else ", of which this run has none"
        raise InputError(f"--against takes a parameter with a value for each row{which}; not {name}")
    values = np.asarray(_parameter(name, given[name], root=True))
    if values[:1].size != 1 or values.dtype.kind == "c":
        what = values.dtype if values[:1].size == 1 else values.shape[1:]
        raise InputError(f"--against takes a real parameter with one value a row, but {name} has values of {what}")
    return values.reshape(-1).astype(np.float64)


def initial(settings: Settings, *, in_memory: bool = False) -> Any:
    """Return the initial array, or one in a file, of which each rank will read its rows."""
    wanted = None if settings.dtype is None else dtype(settings.dtype)
    if settings.input is None:
        given = np.dtype(np.float64) if wanted is None else wanted
        shape = settings.grid.get("shape")
        size = DEFAULT_SIZE if settings.size is None else settings.size
        if settings.initial is not None or shape is not None:
            from ..grids.grid import Grid
            from ..kernels.expressions.rows import ExpressionRows

            text = settings.initial or ("random" if given.kind in "fc" else "random < 0.5")
            layout = Grid(shape, **_coordinates(settings)).layout(tuple(shape) if shape else (size,), {})
            found = ExpressionRows(text, layout.shape, given, settings.seed, layout.spacing, layout.origin)
            found.rows(0, min(1, len(found)))  # which refuses what is no such expression
            return found.rows(0, len(found)) if in_memory else found
        return _counting(size, given)
    if isinstance(settings.input, list):
        return listed(settings.input, wanted)
    from ..history.formats.npy import read_npy
    from ..history.stored_array import StoredArray, converted

    array: Any = stored(settings.input)
    if array is None:
        array = read_npy(settings.input)
    elif array.dtype.names is not None:  # fields may have padding, which no rank is to see
        require_memory(array.nbytes, f"the input {settings.input}", "Use a node with more memory.")
        array = array.rows(0, len(array))
    if wanted is not None and is_numeric(array.dtype):  # the problem refuses what is not
        if array.dtype.names is not None:
            raise InputError(
                f"--dtype {settings.dtype}: the values in {settings.input} have fields, {dtype_label(array.dtype)}. "
                "Leave --dtype out, or write a file of one field."
            )
        if not np.can_cast(array.dtype, wanted, casting="same_kind"):
            raise InputError(
                f"--dtype {settings.dtype}: the {array.dtype} of {settings.input} would lose more than precision"
            )
        array = array.astype(wanted) if isinstance(array, StoredArray) else converted(array, wanted, settings.input)
    if in_memory and isinstance(array, StoredArray):
        require_memory(array.nbytes, f"the input {settings.input}", "Use a node with more memory.")
        return array.rows(0, len(array))
    return array


def step_of_run(text: str) -> tuple[RecordedRun, int] | None:
    """Return which step of which run ``runs/a@500`` is, or ``runs/a``, the last; None if it is the path of a file."""
    from ..rundir.directory import RECORD
    from ..rundir.recorded_run import open_run

    if os.path.isfile(os.path.join(text, RECORD)):  # noqa: PTH113, PTH118, a text is at hand
        run = open_run(text)
        return run, run.last_step
    folder, at, step = text.rpartition("@")
    if not at or not step.isascii() or not step.isdecimal() or len(step) > _DIGITS or os.path.lexists(text):
        return None
    return open_run(folder), int(step)


def stored(text: str) -> StoredArray | None:
    """Return the array that an input is, of which nothing is read yet; None if only NumPy's own reader can tell.

    Raises
    ------
    InputError
        If there is none, or it is the history of a run that is not finished.
    """
    from ..history.stored_array import stored_array
    from ..rundir.recorded_run import require_finished

    found = step_of_run(text)
    if found is not None:
        run, step = found
        return run.step(step)
    require_finished(text)
    return stored_array(text)


def _grid(settings: Settings) -> Grid | None:
    if not settings.grid:
        return None
    from .grids import grid_of

    return grid_of(settings.grid)


def _coordinates(settings: Settings) -> dict[str, Any]:
    return {name: settings.grid[name] for name in ("spacing", "origin") if name in settings.grid}


def listed(rows: list[Any], wanted: np.dtype[Any] | None) -> Array:
    """Return the array of rows that stand in a file or an option."""
    try:
        array = as_array(rows)
        if array.dtype.kind not in "iufc":
            raise ValueError("there is something else than numbers in it")  # noqa: TRY301, told like what NumPy raises
        if wanted is None:
            wanted = np.result_type(array.dtype, np.float64)
            if array.dtype.kind in "iu" and (rounded := first_rounded(array)) is not None:
                raise ValueError(f"float64 would round {rounded}: give a dtype, {array.dtype}")  # noqa: TRY301, the same
        if array.dtype.kind in "iu" and wanted.kind in "iu":
            for each in [array.min(), array.max()] if array.size else []:
                if not np.iinfo(wanted).min <= int(each) <= np.iinfo(wanted).max:
                    raise ValueError(f"{wanted} does not hold {each}")  # noqa: TRY301, the same
            return array.astype(wanted)
        if not np.can_cast(array.dtype, wanted, casting="same_kind"):
            raise ValueError(f"its numbers are {array.dtype}, which {wanted} does not hold")  # noqa: TRY301, the same
        return array.astype(wanted)
    except (ValueError, TypeError, OverflowError) as error:
        raise InputError(
            f"input must be a .npy file or rows of one length, such as [1, 2, 3] or [[1, 2], [3, 4]], but {error}"
        ) from None


def dtype(name: str, option: str = "--dtype") -> np.dtype[Any]:
    """Return the dtype that is called `name`."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # NumPy warns of some old names, which are refused anyway
        try:
            found = np.dtype(name)
        except (TypeError, ValueError, SyntaxError):
            found = None
    if found is None or found.names is not None or found.subdtype is not None or not is_numeric(found):
        raise InputError(f"{option} must be a numeric or complex NumPy dtype, such as float32, not {name!r}")
    return found


def _counting(size: int, dtype: np.dtype[Any]) -> Array:
    """Return 0 … size-1."""
    kind = dtype.kind
    greatest = {"b": 1, "i": 0, "u": 0}.get(kind)
    if greatest is None:
        greatest = 2 ** (np.finfo(dtype).nmant + 1)  # beyond it not every whole number is there
    elif kind != "b":
        greatest = int(np.iinfo(dtype).max)
    if size - 1 > greatest:
        raise InputError(f"--size {size}: {dtype} holds whole numbers to {greatest} only. Choose a wider --dtype.")
    require_memory(size * dtype.itemsize, f"the array of --size {size}", "Choose a smaller --size, or more memory.")
    if kind == "b":
        return np.array([False, True][:size])
    return np.arange(size, dtype=dtype.newbyteorder("=")).astype(dtype, copy=False)
