"""From settings to a problem: the initial array and the kernel, read on root."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import InputError
from ..kernels.loading import RESERVED, load
from ..memory import require
from ..problem import NUMERIC, Problem

if TYPE_CHECKING:
    import numpy.typing as npt

    from ..kernels import Kernel
    from .settings import Settings

    Array = npt.NDArray[Any]

_DEFAULT_SIZE = 7


def make(settings: Settings, *, root: bool) -> Problem:
    """Return the problem; the arrays are on root only. Not collective.

    Raises
    ------
    InputError
        If a value is wrong or a file cannot be read.
    """
    return Problem(
        initial(settings) if root else None,
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
    return load(settings.kernel, kind=settings.kind, folder=settings.import_from, **parameters)


def _parameter(name: str, value: Any, *, root: bool) -> Any:
    if isinstance(value, str):
        if not value.endswith(".npy"):
            raise InputError(f"parameter {name} must be a number, a list, or a .npy file, not {value!r}")
        if not root:
            return None
        from ..store.npy import read_npy

        return read_npy(value)
    if isinstance(value, list):
        return value if root else None
    return value


def initial(settings: Settings) -> Array:
    """Return the initial array."""
    wanted = None if settings.dtype is None else dtype(settings.dtype)
    if settings.input is None:
        size = _DEFAULT_SIZE if settings.size is None else settings.size
        return _counting(size, np.dtype(np.float64) if wanted is None else wanted)
    if settings.output is not None and _same_file(settings.input, settings.output):
        raise InputError(f"--output would replace the input {settings.input}. Name another file.")
    from ..store.npy import read_npy

    array = read_npy(settings.input)
    if wanted is None or array.dtype.kind not in NUMERIC:  # which the problem refuses
        return array
    if not np.can_cast(array.dtype, wanted, casting="same_kind"):
        raise InputError(
            f"--dtype {settings.dtype}: the {array.dtype} of {settings.input} would lose more than precision"
        )
    return array.astype(wanted, copy=False)


def dtype(name: str) -> np.dtype[Any]:
    """Return the dtype that is called `name`."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # NumPy warns of some old names, which are refused anyway
        try:
            found = np.dtype(name)
        except (TypeError, ValueError, SyntaxError):
            found = None
    if found is None or found.kind not in NUMERIC:
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
