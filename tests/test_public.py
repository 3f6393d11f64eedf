"""The public names, and what importing them costs."""

from __future__ import annotations

import inspect
import pkgutil
import subprocess
import sys
from importlib import import_module

import pytest

import simsplit
from tests.support.launching import LIMIT


@pytest.mark.parametrize("name", simsplit.__all__)
def test_every_public_name_can_be_imported_and_is_documented(name: str) -> None:
    value = getattr(simsplit, name)
    assert value.__doc__
    assert value.__doc__.strip()


def test_names_come_from_their_modules() -> None:
    for name in simsplit.__all__:
        value = getattr(simsplit, name)
        if not isinstance(value, str) and name not in {"bounds", "errors", "kernels", "remote"}:
            assert getattr(import_module(value.__module__), name) is value
    assert simsplit.bounds is import_module("simsplit.bounds")
    assert simsplit.kernels is import_module("simsplit.kernels")
    assert simsplit.remote is import_module("simsplit.remote")
    assert simsplit.errors.InputError is simsplit.InputError


def test_dir_lists_the_public_names_sorted() -> None:
    assert dir(simsplit) == sorted(simsplit.__all__)
    assert list(simsplit.__all__) == sorted(simsplit.__all__)
    assert len(set(simsplit.__all__)) == len(simsplit.__all__)
    assert dir(simsplit.kernels) == sorted(simsplit.kernels.__all__)
    assert {"expression", "function", "lorenz"} <= set(dir(simsplit.kernels))


def test_no_module_hides_a_name_once_it_is_imported() -> None:
    for package in (simsplit, simsplit.kernels):
        modules = {module.name for module in pkgutil.iter_modules(package.__path__)}
        functions = {name for name in package.__all__ if not inspect.ismodule(getattr(package, name))}
        assert not modules & (functions - {"affine"})  # which the package imports itself, after its module


def test_an_unknown_attribute_is_named() -> None:
    with pytest.raises(AttributeError, match=r"^module 'simsplit' has no attribute 'problems'$"):
        _ = simsplit.problems
    assert not hasattr(simsplit, "numpy")


@pytest.mark.parametrize("module", ["simsplit", "simsplit.bounds", "simsplit.errors", "simsplit.util.memory_limits"])
def test_importing_what_needs_no_arrays_loads_neither_numpy_nor_mpi4py(module: str) -> None:
    code = f"import sys, {module}; print(sorted({{'numpy', 'mpi4py', 'argparse'}} & set(sys.modules)))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=LIMIT, check=True)
    assert found.stdout == "[]\n"


def test_a_run_in_one_process_never_imports_mpi4py_nor_what_it_does_not_use() -> None:
    code = """
import sys
import simsplit
problem = simsplit.Problem([0.0, 1.0], simsplit.kernels.affine(), delta_t=0.5, steps=2)
assert simsplit.run(problem, serial=True).history.shape == (2, 2)
unused = {"mpi4py", "simsplit.history.formats.npy", "simsplit.verification", "simsplit.cli", "traceback"}
print(sorted(unused & set(sys.modules)))
"""
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=LIMIT, check=True)
    assert found.stdout == "[]\n"


def modules(code: str) -> set[str]:
    """Return the names of the modules that are loaded after some code."""
    code = f"{code}; import sys; print(*sys.modules)"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=LIMIT, check=True)
    return set(found.stdout.split())


# Every rank of a job loads what is here from one file system: think twice before adding to it.
LOADED_BY_A_RUN = {
    "argparse",
    "array",
    "errno",
    "gettext",
    "locale",
    "mmap",
    "resource",
    "signal",
    "simsplit",
    "threading",
}
MODULES_OF_A_RUN = 61  # among them one of a line for each room


@pytest.mark.parametrize("options", ["'--quiet'", "'--quiet', '--serial', '--kernel', 'affine', '--offset', '1'"])
def test_a_run_loads_little_beside_numpy_and_mpi4py(options: str) -> None:
    bare = modules("import numpy; from mpi4py import MPI")
    ours = modules(f"from simsplit.cli import main; main(['run', {options}])") - bare
    packages = {name.partition(".")[0] for name in ours}
    assert {name for name in packages if not name.startswith("_")} <= LOADED_BY_A_RUN
    assert {"mpi4py", "simsplit.engine.time_loop"} & (ours | bare) == {"mpi4py", "simsplit.engine.time_loop"}
    own = {name for name in ours if name.startswith("simsplit")}
    assert len(own) <= MODULES_OF_A_RUN, sorted(own)
    assert not any(name.startswith(("simsplit.remote", "simsplit.backends.llvm")) for name in own)


def test_star_import_gives_the_public_names() -> None:
    names: dict[str, object] = {}
    exec("from simsplit import *", names)  # noqa: S102, the statement under test
    assert set(simsplit.__all__) <= set(names)
