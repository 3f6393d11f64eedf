"""Tests mirror the package: each test file leads to a module, and each new module has a test file."""

from __future__ import annotations

from pathlib import Path

import pytest

TESTS = Path(__file__).parent
SOURCE = TESTS.parent / "src" / "simsplit"
MODULES = {path.relative_to(SOURCE) for path in SOURCE.rglob("*.py") if path.name != "__init__.py"}
ELSEWHERE = {"launches", "slurm", "support"}  # programs that are started, jobs, helpers
FILES = sorted(
    path.relative_to(TESTS)
    for path in TESTS.rglob("test_*.py")
    if path.relative_to(TESTS).parts[0] not in ELSEWHERE | {Path(__file__).name}
)

# What several modules do together, or what no module has in its name.
OF_SEVERAL = {
    "cli/test_bad_input",
    "cli/test_main",
    "kernels/test_numba",
    "kernels/test_numba_functions",
    "remote/test_docs",
    "remote/test_edges",
    "remote/test_examples",
    "remote/test_package",
    "remote/test_security",
    "remote/wire/test_fuzz",
    "runs/test_grids",
    "runs/test_pairs",
    "runs/test_structured",
    "test_docstrings",
    "test_faults",
    "test_fuzz",
    "test_public",
}

# Modules that are tested by the tests of what uses them. This list only gets shorter.
WITHOUT = {
    "__main__.py",
    "_version.py",
    "backends/llvm/codegen.py",
    "backends/llvm/ir.py",
    "backends/llvm/loop_spec.py",
    "backends/llvm/lowering.py",
    "cli/bench/figure.py",
    "cli/bench/measure.py",
    "cli/commands/plot.py",
    "cli/commands/resume.py",
    "cli/commands/runs.py",
    "cli/options/run.py",
    "cli/options/run_directory.py",
    "cli/options/slurm.py",
    "cli/output/summary.py",
    "communicator/datatypes.py",
    "communicator/interrupts.py",
    "communicator/node.py",
    "communicator/probing.py",
    "engine/executors.py",
    "engine/interfaces.py",
    "engine/local_part.py",
    "history/formats/hdf5.py",
    "history/formats/zarr_v3.py",
    "history/stored_array.py",
    "kernels/result_dtype.py",
    "kernels/tracing.py",
    "kernels/user_module.py",
    "problem_file/build.py",
    "remote/__main__.py",
    "remote/client/batch.py",
    "remote/client/futures.py",
    "remote/client/proxy.py",
    "remote/dispatcher.py",
    "remote/link/backoff.py",
    "remote/link/identity.py",
    "remote/server/context.py",
    "remote/server/daemon.py",
    "remote/server/objects.py",
    "remote/session.py",
    "remote/startup.py",
    "remote/wire/decoder.py",
    "remote/wire/encoder.py",
    "remote/wire/exceptions.py",
    "remote/wire/values.py",
    "rundir/recorded_run.py",
    "runs/description.py",
    "runs/destinations.py",
    "runs/journal.py",
    "runs/remote_run.py",
    "runs/run_directory.py",
    "runs/setup.py",
    "runs/shared_file.py",
    "runs/supervisor.py",
    "transport/interface.py",
    "util/forks.py",
}


def modules_of(file: Path) -> set[Path]:
    """Return the module that a test file is called by, its name or how it begins, or the modules of a package."""
    words = file.stem.removeprefix("test_").removesuffix("_ranks").split("_")
    for count in range(len(words), 0, -1):
        name = file.with_name("_".join(words[:count]))
        if name.with_suffix(".py") in MODULES:
            return {name.with_suffix(".py")}
        if (SOURCE / name).is_dir():
            return {module for module in MODULES if module.is_relative_to(name)}
    return set()


@pytest.mark.parametrize("file", FILES, ids=str)
def test_a_test_file_leads_to_its_module(file: Path) -> None:
    common = str(file.with_name(file.stem.removesuffix("_ranks")))
    assert bool(modules_of(file)) != (common in OF_SEVERAL), f"no module is called as {file} is"


def test_each_module_has_a_test_file() -> None:
    tested = {module for file in FILES for module in modules_of(file)}
    untested = {str(module) for module in MODULES - tested}
    assert untested - WITHOUT == set(), "add a test file that is called by the module"
    assert WITHOUT - untested == set(), "these have tests now: take them from the list"
