"""Compile LLVM assembly for this processor, cache the object code on disk, and load it.

LLVM comes with llvmlite, the library that Numba compiles with; Numba itself is not needed here, and takes ten
times as long. What is kept on disk is found by a digest of all that it depends on: the assembly, llvmlite and
the kind of processor, so that nodes of several kinds can share one folder.
"""

from __future__ import annotations

import hashlib
import os
import platform
from contextlib import suppress
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from llvmlite.binding import ModuleRef, TargetMachine

_FORMAT = "simsplit object code 1"
_DIGEST = 32  # bytes of SHA-256
_TOLD_OF_A_CORE = 8192  # bytes of /proc/cpuinfo: at least the first core
_KINDS = ("vendor_id", "cpu family", "model", "model name", "stepping", "flags", "Features", "CPU ")


@cache
def missing() -> str | None:
    """Return why nothing can be compiled here, or None."""
    import importlib.util

    return None if importlib.util.find_spec("llvmlite") is not None else "numba is not installed"


@cache
def _environment() -> str:
    """Return what the code of an assembly depends on: the compiler and the kind of processor, without loading LLVM."""
    import importlib.util

    found = importlib.util.find_spec("llvmlite")
    assert found is not None, "call missing() first"  # noqa: S101, a mistake in simsplit
    assert found.origin is not None  # noqa: S101, for the type checker: a package has a file
    status = os.stat(found.origin)  # noqa: PTH116, pathlib is not worth loading for this
    try:
        file = os.open("/proc/cpuinfo", os.O_RDONLY)
        try:
            text = os.read(file, _TOLD_OF_A_CORE).decode(errors="replace").partition("\n\n")[0]
        finally:
            os.close(file)
        processor = "\n".join(line for line in text.splitlines() if line.startswith(_KINDS))
    except OSError:
        processor = platform.processor()
    facts = [_FORMAT, found.origin, f"{status.st_mtime_ns} {status.st_size}", platform.machine(), processor]
    return "\n".join(facts)


def key(assembly: str) -> str:
    """Return what stands for the code of an assembly on this machine."""
    return hashlib.sha256(f"{_environment()}\n{assembly}".encode()).hexdigest()


def _machine() -> TargetMachine:
    """Return LLVM's compiler for this processor: a new one, since what loads code keeps it."""
    import llvmlite.binding as llvm

    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    target = llvm.Target.from_triple(llvm.get_process_triple())
    features = llvm.get_host_cpu_features().flatten()
    return target.create_target_machine(cpu=llvm.get_host_cpu_name(), features=features, opt=2)


def compiled(assembly: str) -> bytes:
    """Return the object code of an assembly.

    Raises
    ------
    RuntimeError
        What LLVM says, if the assembly is wrong: a fault of simsplit.
    """
    import llvmlite.binding as llvm

    machine = _machine()
    module = llvm.parse_assembly(assembly)
    module.verify()
    _optimize(module, machine)
    code: bytes = machine.emit_object(module)
    return code


def _optimize(module: ModuleRef, machine: TargetMachine) -> None:
    """Put variables into registers; the loops are written with vectors as they should be."""
    import llvmlite.binding as llvm

    builder = llvm.create_pass_builder(machine, llvm.create_pipeline_tuning_options(speed_level=2))
    passes = llvm.create_new_function_pass_manager()
    passes.add_sroa_pass()
    passes.add_instruction_combine_pass()
    passes.add_simplify_cfg_pass()
    for function in module.functions:
        if not function.is_declaration:
            passes.run(function, builder)


@lru_cache(maxsize=64)
def link(code: bytes, names: tuple[str, ...], arguments: tuple[Any, ...]) -> tuple[Callable[..., None], ...]:
    """Return functions of object code.

    Parameters
    ----------
    code : bytes
        As `compiled` gave it, on a processor of the same kind.
    names : tuple of str
    arguments : tuple of ctypes types
        Of each of them.
    """
    import ctypes

    import llvmlite.binding as llvm

    engine = llvm.create_mcjit_compiler(llvm.parse_assembly(""), _machine())
    engine.add_object_file(llvm.ObjectFileRef.from_data(code))
    engine.finalize_object()
    kind = ctypes.CFUNCTYPE(None, *arguments)
    functions = tuple(kind(engine.get_function_address(name)) for name in names)
    for function in functions:
        function.owner = engine  # type: ignore[attr-defined]  # the code lives as long as it
    return functions


def folder() -> str | None:
    """Return where compiled code is kept: SIMSPLIT_CACHE_DIR, or simsplit in the user's folder for caches.

    None if SIMSPLIT_CACHE_DIR is empty, or if there is no such folder.
    """
    chosen = os.environ.get("SIMSPLIT_CACHE_DIR")
    if chosen is not None:
        return os.path.expanduser(chosen) or None  # noqa: PTH111, pathlib is not worth loading for this
    above = os.path.expanduser(os.environ.get("XDG_CACHE_HOME") or "~/.cache")  # noqa: PTH111, the same
    return os.path.join(above, "simsplit") if os.path.isabs(above) else None  # noqa: PTH117, PTH118, the same


def kept(name: str) -> bytes | None:
    """Return the object code that is kept on disk, whole, or None."""
    where = folder()
    if where is None:
        return None
    try:
        with open(os.path.join(where, f"{name}.o"), "rb") as file:  # noqa: PTH118, PTH123, the same
            content = file.read()
    except OSError:
        return None
    digest, code = content[:_DIGEST], content[_DIGEST:]
    return code if hashlib.sha256(code).digest() == digest else None


def keep(name: str, code: bytes) -> None:
    """Keep object code on disk: whole or not at all, and without complaint where that cannot be."""
    where = folder()
    if where is None:
        return
    import tempfile

    with suppress(OSError):
        os.makedirs(where, mode=0o700, exist_ok=True)  # noqa: PTH103, the same
        handle, temporary = tempfile.mkstemp(".tmp", f"{name}-", where)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(hashlib.sha256(code).digest() + code)
            os.replace(temporary, os.path.join(where, f"{name}.o"))  # noqa: PTH105, PTH118, the same
        except BaseException:
            with suppress(OSError):
                os.unlink(temporary)  # noqa: PTH108, the same
            raise
