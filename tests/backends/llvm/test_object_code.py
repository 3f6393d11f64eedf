"""Object code: compiled without fused operations, kept on disk whole or not at all, loaded with and without LLVM."""

from __future__ import annotations

import ctypes
import platform
import re
import stat
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("llvmlite")

from simsplit import Problem, kernels
from simsplit.backends.llvm import assembly
from simsplit.backends.llvm import object_code as machine_code
from tests.support.compiling import loop_of

ON_X86_64 = pytest.mark.skipif(platform.machine() != "x86_64", reason="an assembly of x86-64")
DOUBLE = """
define void @double(ptr %at) nounwind {
  %one = load double, ptr %at
  %two = fmul double %one, 2.5
  store double %two, ptr %at
  ret void
}
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SIMSPLIT_CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path / "cache"


def call(function: object, value: float) -> float:
    number = ctypes.c_double(value)
    function(ctypes.addressof(number))  # type: ignore[operator]
    return number.value


@ON_X86_64
@pytest.mark.parametrize("kernel", [kernels.affine(), kernels.lorenz(), kernels.sir(), kernels.logistic()])
def test_nothing_is_fused(kernel: kernels.Kernel) -> None:
    shape = (4, len(getattr(kernel, "components", "")) or 1)
    text = assembly(loop_of(Problem(np.ones(shape), kernel, delta_t=0.5, steps=2)))
    assert not re.search(r"\b(fast|contract|reassoc|nnan|ninf|nsz|arcp|afn)\b", text)
    instructions = written(text)
    assert re.search(r"v?mul[ps]d", instructions)
    assert "fma" not in instructions
    assert "fms" not in instructions


@ON_X86_64
def test_large_results_go_past_the_cache() -> None:
    text = assembly(loop_of(Problem(np.ones(9), kernels.affine(), delta_t=0.5, steps=2)))
    plain, stream = re.split(r"^stream:", written(text), flags=re.MULTILINE)
    assert "movnt" not in plain
    assert "movnt" in stream
    assert "fence" in stream or "lock" in stream


def written(text: str) -> str:
    """Return the processor's instructions."""
    import llvmlite.binding as llvm

    module = llvm.parse_assembly(text)
    machine = machine_code._machine()
    machine_code._optimize(module, machine)
    instructions: str = machine.emit_assembly(module)
    return instructions


def test_code_runs() -> None:
    (function,) = machine_code.link(machine_code.compiled(DOUBLE), ("double",), (ctypes.c_void_p,))
    assert call(function, 3.0) == 7.5


def test_code_is_kept(folder: Path) -> None:
    assert machine_code.kept("name") is None
    machine_code.keep("name", b"some code")
    assert machine_code.kept("name") == b"some code"
    assert [path.name for path in folder.iterdir()] == ["name.o"]
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_torn_code_is_not_used(folder: Path) -> None:
    machine_code.keep("name", b"some code")
    whole = (folder / "name.o").read_bytes()
    for torn in (b"", whole[:10], whole[:-1], whole[:-1] + b"!"):
        (folder / "name.o").write_bytes(torn)
        assert machine_code.kept("name") is None


def test_where_nothing_can_be_kept_nothing_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("in the way")
    for where in (tmp_path / "file", "", "/proc/nothing/here"):
        monkeypatch.setenv("SIMSPLIT_CACHE_DIR", str(where))
        machine_code.keep("name", b"some code")
        assert machine_code.kept("name") is None


def test_the_folder_is_the_users(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SIMSPLIT_CACHE_DIR")
    monkeypatch.setenv("XDG_CACHE_HOME", "/somewhere")
    assert machine_code.folder() == "/somewhere/simsplit"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", "/home/me")
    assert machine_code.folder() == "/home/me/.cache/simsplit"
    monkeypatch.setenv("XDG_CACHE_HOME", "~/cache")
    assert machine_code.folder() == "/home/me/cache/simsplit"
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    assert machine_code.folder() is None
    monkeypatch.setenv("SIMSPLIT_CACHE_DIR", "~/code")
    assert machine_code.folder() == "/home/me/code"


def test_code_of_another_machine_is_not_found(monkeypatch: pytest.MonkeyPatch) -> None:
    here = machine_code.key(DOUBLE)
    assert machine_code.key(DOUBLE) == here
    assert machine_code.key(DOUBLE + "\n") != here
    facts = machine_code._environment()
    monkeypatch.setattr(machine_code, "_environment", lambda: facts.replace("flags", "flags avx1024"))
    assert machine_code.key(DOUBLE) != here
    assert platform.machine() in facts


@pytest.mark.skipif(not Path("/proc/cpuinfo").exists(), reason="a system that does not tell")
def test_the_processor_is_told_from_its_features() -> None:
    words = machine_code._environment().split()
    assert {"flags", "Features"} & set(words)


def test_many_write_at_once_and_none_reads_half(folder: Path) -> None:
    context = get_context("fork")
    writers = [context.Process(target=_write_often, args=(number,)) for number in range(4)]
    for writer in writers:
        writer.start()
    seen = set()
    while any(writer.is_alive() for writer in writers):
        seen.add(machine_code.kept("name"))
    for writer in writers:
        writer.join(60)
        assert writer.exitcode == 0
    assert seen <= {None, *(bytes([number]) * 100_000 for number in range(4))}
    assert [path.name for path in folder.iterdir()] == ["name.o"]


def _write_often(number: int) -> None:
    for _ in range(25):
        machine_code.keep("name", bytes([number]) * 100_000)
