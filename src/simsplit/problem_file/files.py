"""Load and save problems as files."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import InputError
from ..history.stored_array import StoredArray, stored_array
from ..kernels.constants import Constant, unwrapped
from ..kernels.expressions.kernel import ExpressionKernel
from ..kernels.expressions.rows import ExpressionRows
from ..kernels.functions import FunctionKernel
from ..kernels.registry import BUILT_IN, RESERVED
from ..util.formatting import format_bytes
from .build import make, text_of
from .grids import settings_of as settings_of_grid
from .resolved import absolute, as_toml
from .settings import OWN_KERNEL, Settings, settings_from, with_steps

if TYPE_CHECKING:
    from types import ModuleType

    import numpy.typing as npt

    from ..kernels import Kernel
    from ..problem import Problem

    Array = npt.NDArray[Any]

_PACKAGE = __name__.partition(".")[0]
_INSTALLED = ("site-packages", "dist-packages")  # folders that Python looks in anyway


def load(path: str | os.PathLike[str]) -> Problem:
    """Return the problem that a problem file describes. Not collective: every process may load it.

    Parameters
    ----------
    path : path-like
        A TOML file, as the command line and `Problem.save` read and write it. Paths in it are relative to its folder.
        What it says on how and where to run (output, backend and so on) is not taken: give that to `run`.

    Returns
    -------
    Problem
        Of an array in a file nothing is read: each rank reads its rows when it runs.

    Raises
    ------
    InputError
        If the file, or what it names, cannot be read or is wrong.
    """
    name = os.fsdecode(path)
    return make(with_steps(settings_from(text_of(name), name)), root=True)


def save(problem: Problem, path: str | os.PathLike[str]) -> None:
    """Write a problem file; see `Problem.save`."""
    from ..history.formats.npy import NpyOutput
    from ..util import durable as disk

    target = Path(path)
    if problem.origin is None and problem.initial is None:
        raise InputError("the problem has no initial array: save it on the rank that has one.")
    settings, arrays = settings_of(problem)
    if settings.kernel.startswith(OWN_KERNEL):
        raise InputError(
            f"the kernel {problem.kernel.name} cannot be saved: {why_own(problem.kernel)}. Put a function into a "
            'module of its own and import it from there, or write an expression, such as kernels.expression("x * 0.5").'
        )
    names = {name: f"{target.stem}.{name}.npy" for name in arrays}
    text = as_toml(with_arrays(absolute(settings), names))
    if not target.parent.is_dir():
        raise InputError(f"cannot save the problem {target}: there is no folder {target.parent}.")
    for name, array in arrays.items():
        NpyOutput(target.with_name(names[name]), array.nbytes).write(np.ascontiguousarray(array))
    with disk.as_output_error(f"the problem {target}", "Name a file in a writable folder."):
        disk.atomic_write_bytes(target, text.encode())


def settings_of(problem: Problem) -> tuple[Settings, dict[str, Array]]:
    """Return the settings that describe a problem, and the arrays in memory that they leave out.

    Parameters
    ----------
    problem : Problem
        With its arrays.

    Returns
    -------
    settings : Settings
        The kernel begins with `OWN_KERNEL` if it has no name by which another program can get it.
    arrays : dict of str to ndarray
        The initial array by the name "initial", and parameters by theirs.

    Raises
    ------
    InputError
        If something cannot stand in a problem file.
    """
    if problem.origin is not None:
        return problem.origin, {}
    kernel, initial = problem.kernel, problem.initial
    arrays: dict[str, Array] = {}
    source = _path_of(initial)
    computed = initial if isinstance(initial, ExpressionRows) else None
    if source is None and computed is None:
        arrays["initial"] = initial if isinstance(initial, np.ndarray) else _read(initial)
    for name, value in kernel.parameters.items():
        if name == "initial" or name in RESERVED:
            raise InputError(f"a parameter called {name} cannot stand in a problem file. Rename it.")
        if isinstance(value, np.ndarray | Constant):
            arrays[name] = unwrapped(value)
        elif isinstance(value, np.generic):
            raise InputError(f"parameter {name} is a {value.dtype}, which a problem file cannot hold. Give an array.")
    text, folder = _spelled(kernel)
    settings = Settings(
        kernel=f"{OWN_KERNEL}{kernel.name}" if text is None else text,
        parameters={name: value for name, value in kernel.parameters.items() if name not in arrays},
        constants={name: [] for name, value in kernel.parameters.items() if isinstance(value, Constant)},
        kind=kernel.kind,
        import_from=folder,
        input=source,
        initial=None if computed is None else computed.text,
        size=len(computed) if computed is not None and computed.ndim == 1 else None,
        dtype=None if computed is None else str(computed.dtype),
        result_dtype=_result_dtype(kernel),
        delta_t=problem.delta_t,
        start_time=problem.start_time,
        steps=problem.steps,
        seed=problem.seed,
        nan=problem.nan,
        keep=problem.keep,
        reduce=",".join(problem.reduce),
        reduce_over=problem.reduce_over,
        grid=settings_of_grid(problem.grid, problem.kernel.boundary, None if computed is None else computed.shape),
    )
    return settings, arrays


def _result_dtype(kernel: Kernel) -> str | None:
    """Return the dtype that a function is said to give, if a problem file can hold it."""
    dtype = getattr(kernel, "dtype", None) if isinstance(kernel, FunctionKernel) else None
    return None if dtype is None or dtype.names is not None else str(dtype)


def with_arrays(settings: Settings, files: dict[str, str]) -> Settings:
    """Return the settings with the files of arrays, by the names that `settings_of` gave them."""
    constants = {name: files.get(name, value) for name, value in settings.constants.items()}
    by_row = {name: file for name, file in files.items() if name != "initial" and name not in constants}
    settings = settings.replace(parameters={**settings.parameters, **by_row}, constants=constants)
    if "initial" not in files:
        return settings
    return settings.replace(input=files["initial"], size=None, dtype=None)


def source_digest(problem: Problem, settings: Settings) -> str | None:
    """Return the digest of the user's code behind the kernel, as the kernel of a problem that is loaded has it."""
    kernel = problem.kernel
    if kernel.source is None and type(kernel) is FunctionKernel and ":" in settings.kernel:
        from ..kernels.sources import digest
        from ..kernels.user_module import files_of

        return digest(files_of(settings.kernel.partition(":")[0], kernel.function, settings.import_from))
    return kernel.source


def why_own(kernel: Kernel) -> str:
    """Return why a kernel has no name by which another program can get it."""
    if not isinstance(kernel, FunctionKernel) or kernel.is_by_row:
        return f"it is an object of the class {type(kernel).__name__}, which a program has made"
    function = kernel.function
    if getattr(function, "__name__", "") == "<lambda>":
        return "it is a lambda, which has no name"
    if getattr(function, "__closure__", None):
        return "it is a closure, which only the program that made it has"
    return "its function is not one that other programs can import"


def _spelled(kernel: Kernel) -> tuple[str | None, str | None]:
    """Return what a problem file calls a kernel, and the folder of its module; None for one of the program's own."""
    if type(kernel).__module__.startswith(f"{_PACKAGE}.kernels.") and kernel.name in BUILT_IN:
        return kernel.name, None
    if type(kernel) is ExpressionKernel:
        text = str(kernel.source)
        return f"({text})" if text in BUILT_IN else text, None
    if type(kernel) is not FunctionKernel:
        return None, None
    function = kernel.function
    home = getattr(function, "__module__", None) or ("numpy" if isinstance(function, np.ufunc) else "")
    name = getattr(function, "__qualname__", None) or getattr(function, "__name__", "")
    module = sys.modules.get(home)
    found: Any = module
    for part in str(name).split("."):
        found = getattr(found, part, None)
    if module is None or home == "__main__" or found is not function:
        return None, None
    importable, folder = _folder_of(module)
    return (f"{home}:{name}", folder) if importable else (None, None)


def _folder_of(module: ModuleType) -> tuple[bool, str | None]:
    """Return whether another program can import a module, and the folder that Python has to look in for it."""
    file = getattr(module, "__file__", None)
    if file is None:
        return True, None  # it is part of Python
    path = Path(file).resolve()
    parts = module.__name__.split(".")
    path = path.parent if path.stem == "__init__" else path
    if [*path.parts[-len(parts) : -1], path.name.partition(".")[0]] != parts:
        return False, None  # it was loaded from a file of another name
    folder = path.parents[len(parts) - 1]
    is_found = folder.name in _INSTALLED or folder == Path(os.__file__).resolve().parent
    return True, None if is_found or "lib-dynload" in path.parts else str(folder)


def _path_of(initial: Any) -> str | None:
    """Return the path of a file that holds the initial array and nothing before or after it; None if there is none."""
    if not isinstance(initial, StoredArray) or initial.stored is not None or initial.entry is not None:
        return None
    return initial.path if stored_array(initial.path) == initial else None


def _read(initial: Any) -> Array:
    """Return the whole of an array that is not in memory."""
    from ..util.memory_limits import require_memory

    nbytes = initial.dtype.itemsize * int(np.prod(initial.shape, dtype=object))
    require_memory(nbytes, f"the initial array of {format_bytes(nbytes)}", "Give it as a .npy, .zarr or .h5 file.")
    return np.asarray(initial.rows(0, len(initial)))
