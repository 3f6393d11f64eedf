"""Import a kernel from a user's module."""

from __future__ import annotations

import importlib
import os
import sys
from contextlib import contextmanager
from importlib.machinery import PathFinder
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from ..errors import InputError
from .base import Kernel
from .sources import defining, digest, sources

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from importlib.machinery import ModuleSpec

    import numpy as np


def import_kernel(
    module: str,
    name: str,
    kind: Literal["map", "step"] | None,
    folder: str | None,
    parameters: dict[str, Any],
    dtype: np.dtype[Any] | None = None,
) -> Kernel:
    """Return the kernel that a module has by a name, with dots if it stands in a class. For the rest see `load`."""
    where = f"the kernel {module}:{name}"
    if folder is not None and not Path(folder).is_dir():
        raise InputError(f"{where} cannot be imported: there is no folder {folder}")
    try:
        with _path(folder):
            found: Any = importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name is not None and (module == error.name or module.startswith(f"{error.name}.")):
            raise InputError(
                f"{where} cannot be imported: there is no module {error.name}. Install it, set PYTHONPATH, or give "
                "the folder that it is in (--import-from DIR; the current folder is --import-from .)."
            ) from error
        raise InputError(f"{where} cannot be imported: {error}") from error
    except (Exception, SystemExit) as error:
        raise InputError(f"{where} cannot be imported: {type(error).__name__}: {error}") from error
    try:
        for part in name.split("."):
            found = getattr(found, part)
    except AttributeError as error:
        raise InputError(f"{where} cannot be used: the module {module} has no {name}") from error
    if dtype is not None and (isinstance(found, Kernel) or (isinstance(found, type) and issubclass(found, Kernel))):
        raise InputError(f"result_dtype is for a function; {where} says it by its method result_dtype. Leave it out.")
    kernel = _instantiate(where, found, kind, f"{module}:{name}", parameters, dtype)
    if kind not in (None, kernel.kind):
        raise InputError(f"{where} is a {kernel.kind} kernel, not a {kind} kernel")
    files = files_of(module, found, folder)
    kernel.source = digest(files)
    if folder is not None:
        _Later.look_in(str(Path(folder).resolve()), files)
    return kernel


def files_of(module: str, found: Any, folder: str | None) -> dict[str, str]:
    """Return the files of a module and of the one that defines what is found there; see `sources`."""
    return sources(folder, [each for each in (sys.modules[module], defining(found)) if each is not None])


def _instantiate(
    where: str,
    found: Any,
    kind: Literal["map", "step"] | None,
    name: str,
    parameters: dict[str, Any],
    dtype: np.dtype[Any] | None,
) -> Kernel:
    if isinstance(found, type) and issubclass(found, Kernel):
        try:
            return found(**parameters)
        except InputError:
            raise
        except Exception as error:
            with_them = f"{where} cannot be made with the parameters {sorted(parameters)}"
            raise InputError(f"{with_them}: {type(error).__name__}: {error}") from error
    stencils = sys.modules.get(f"{__package__}.stencils")
    if stencils is not None and isinstance(found, stencils.StencilKernel | stencils.StencilTemplate):
        if missing := [each for each in getattr(found, "missing", ()) if each not in parameters]:
            raise InputError(f"{where} wants {missing[0]}, which is not given. Give it as a parameter.")
        made: Kernel = found(**parameters)
        return made
    if isinstance(found, Kernel):
        if parameters:
            raise InputError(f"{where} is made already, and takes no parameters")
        return found
    from .functions import FunctionKernel

    return FunctionKernel(found, kind=kind or "map", name=name, dtype=dtype, **parameters)


@contextmanager
def _path(folder: str | None) -> Iterator[None]:
    """Let Python look in `folder`, and not in the current one, which ``python -m`` puts first.

    Nor does it look in the folders of earlier kernels, whose modules may have the same names.
    """
    before, finders = list(sys.path), list(sys.meta_path)
    sys.meta_path[:] = [finder for finder in finders if not isinstance(finder, _Later)]
    chosen = [str(Path(entry).absolute()) for entry in os.environ.get("PYTHONPATH", "").split(os.pathsep) if entry]
    if sys.path[:1] in ([""], [str(Path.cwd())]) and sys.path[0] not in chosen:
        del sys.path[0]
    if folder is not None:
        sys.path.insert(0, str(Path(folder).resolve()))
    importlib.invalidate_caches()
    try:
        yield
    finally:
        sys.path[:] = before
        sys.meta_path[:] = finders


class _Later:
    """Finds what a kernel imports from its own folder when it is called, though the folder is not on Python's path.

    Modules that the kernel's sources name come before others of the same name, as if the folder were first on the
    path. Any other module there is found only if there is none elsewhere: the folder hides nothing from simsplit.
    """

    def __init__(self, folder: str, names: set[str] | None) -> None:
        self.folder = folder
        self.names = names  # None is any

    def find_spec(self, name: str, path: object, target: object = None) -> ModuleSpec | None:
        """Return where a module of the folder is; those within packages are found by Python."""
        if path is not None or not (self.names is None or name in self.names):
            return None
        return PathFinder.find_spec(name, [self.folder])

    @classmethod
    def look_in(cls, folder: str, modules: Iterable[str]) -> None:
        """Let it look in a folder for good."""
        names = {name.partition(".")[0] for name in modules}
        for finder in sys.meta_path:
            if isinstance(finder, cls) and finder.folder == folder and finder.names is not None:
                finder.names |= names
                return
        sys.meta_path.insert(0, cls(folder, names))
        sys.meta_path.append(cls(folder, None))
