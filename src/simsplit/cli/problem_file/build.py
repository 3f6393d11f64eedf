"""From settings to a problem: the initial array and the kernel, read on root."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

from ...errors import InputError
from ...kernels.base import UnknownParameterError
from ...kernels.registry import RESERVED, load
from ...problem import Problem
from ...util.dtypes import is_numeric, spelled
from ...util.memory_limits import require

if TYPE_CHECKING:
    import numpy.typing as npt

    from ...kernels import Kernel
    from .settings import Settings

    Array = npt.NDArray[Any]

DEFAULT_SIZE = 7


def make(settings: Settings, *, root: bool, in_memory: bool = False) -> Problem:
    """Return the problem; the arrays are on root only, those in files not even there, unless `in_memory`.

    Not collective.

    Raises
    ------
    InputError
        If a value is wrong or a file cannot be read.
    """
    return Problem(
        initial(settings, in_memory=in_memory) if root else None,
        kernel(settings, root=root),
        delta_t=settings.delta_t,
        steps=settings.steps,
        start_time=settings.start_time,
        seed=settings.seed,
        nan=settings.nan,
        keep=settings.keep,
        reduce=settings.reduce,
    )


def kernel(settings: Settings, *, root: bool) -> Kernel:
    """Return the kernel; of parameters that are arrays only root has the values."""
    for name in settings.parameters:
        if name in RESERVED or not name.isidentifier():
            raise InputError(f"a parameter cannot be called {name!r}. Rename it.")
    parameters = {name: _parameter(name, value, root=root) for name, value in settings.parameters.items()}
    try:
        return load(settings.kernel, kind=settings.kind, folder=settings.import_from, **parameters)
    except UnknownParameterError as error:
        raise InputError(f"{settings.origins[error.parameter]}: {error}") from None


def _parameter(name: str, value: Any, *, root: bool) -> Any:
    if isinstance(value, str):
        if not value.endswith(".npy"):
            raise InputError(f"parameter {name} must be a number, a list, or a .npy file, not {value!r}")
        if not root:
            return None
        from ...history.formats.npy import read_npy

        return read_npy(value)
    if isinstance(value, list):
        return value if root else None
    return value


def initial(settings: Settings, *, in_memory: bool = False) -> Any:
    """Return the initial array, or one in a file, of which each rank will read its rows."""
    wanted = None if settings.dtype is None else dtype(settings.dtype)
    if settings.input is None:
        size = DEFAULT_SIZE if settings.size is None else settings.size
        return _counting(size, np.dtype(np.float64) if wanted is None else wanted)
    if isinstance(settings.input, list):
        return listed(settings.input, wanted)
    if settings.output is not None and _same_file(settings.input, settings.output):
        raise InputError(f"--output would replace the input {settings.input}. Name another file.")
    from ...history.formats.npy import read_npy
    from ...history.stored_array import StoredArray, stored_array

    stored = stored_array(settings.input)
    array: Any = stored
    if stored is None or stored.dtype.names is not None:  # fields may have padding, which no rank is to see
        array = read_npy(settings.input) if stored is None or stored.format == "npy" else stored.rows(0, len(stored))
    if wanted is not None and is_numeric(array.dtype):  # the problem refuses what is not
        if array.dtype.names is not None:
            raise InputError(
                f"--dtype {settings.dtype}: the values in {settings.input} have fields, {spelled(array.dtype)}. "
                "Leave --dtype out, or write a file of one field."
            )
        if not np.can_cast(array.dtype, wanted, casting="same_kind"):
            raise InputError(
                f"--dtype {settings.dtype}: the {array.dtype} of {settings.input} would lose more than precision"
            )
        array = array.astype(wanted, copy=False)
    if in_memory and isinstance(array, StoredArray):
        require(array.nbytes, f"the input {settings.input}", "Use a node with more memory.")
        return array.rows(0, len(array))
    return array


def listed(rows: list[Any], wanted: np.dtype[Any] | None) -> Array:
    """Return the array of rows that stand in a file or an option."""
    try:
        array = np.asarray(rows)
        if array.dtype.kind not in "iufc":
            raise ValueError("there is something else than numbers in it")  # noqa: TRY301, told like what NumPy raises
        if wanted is None:
            wanted = np.result_type(array.dtype, np.float64)
        if not np.can_cast(array.dtype, wanted, casting="same_kind"):
            raise ValueError(f"its numbers are {array.dtype}, which {wanted} does not hold")  # noqa: TRY301, the same
        return array.astype(wanted)
    except (ValueError, TypeError, OverflowError) as error:
        raise InputError(
            f"input must be a .npy file or rows of one length, such as [1, 2, 3] or [[1, 2], [3, 4]], but {error}"
        ) from None


def dtype(name: str) -> np.dtype[Any]:
    """Return the dtype that is called `name`."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # NumPy warns of some old names, which are refused anyway
        try:
            found = np.dtype(name)
        except (TypeError, ValueError, SyntaxError):
            found = None
    if found is None or found.names is not None or not is_numeric(found):
        raise InputError(f"--dtype must be a numeric or complex NumPy dtype, such as float32, not {name!r}")
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
    require(size * dtype.itemsize, f"the array of --size {size}", "Choose a smaller --size, or more memory.")
    if kind == "b":
        return np.array([False, True][:size])
    return np.arange(size, dtype=dtype.newbyteorder("=")).astype(dtype, copy=False)


def _same_file(one: str, other: str) -> bool:
    from pathlib import Path

    try:
        return Path(one).samefile(other)
    except OSError:
        return False
