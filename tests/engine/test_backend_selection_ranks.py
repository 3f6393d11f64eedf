"""Compiled code on 1 to 4 ranks: one compiles for all, all decide alike, and the bits are those of one process."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import simsplit
from simsplit import InputError, Problem, SimsplitError, kernels
from simsplit.backends.llvm import object_code as machine_code
from simsplit.engine import backend_selection as backend
from tests.support.blocks import history_of

if TYPE_CHECKING:
    from pathlib import Path

    from mpi4py.MPI import Intracomm

    from simsplit.kernels import Kernel


pytestmark = [
    pytest.mark.mpi,
    pytest.mark.skipif(machine_code.missing() is not None, reason="Numba is not installed"),
]


@pytest.fixture
def comm() -> Intracomm:
    from mpi4py import MPI

    return MPI.COMM_WORLD


def run(comm: Intracomm, problem: Problem, name: Any = "numba", **options: Any) -> simsplit.Result:
    return simsplit.run(problem, comm=comm, backend=name, **options)


@pytest.mark.parametrize("shape", [(0,), (3,), (1001,), (5000, 3)])
@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    "kernel",
    [
        kernels.affine(offset=0.1, multiplier=-1.7),
        kernels.expression("where(x > 0, x / (row + 1), -x) * t"),
        kernels.expression("x + x * (1 - x) * delta_t", kind="step"),
        kernels.lorenz(),
    ],
)
def test_the_history_is_that_of_one_process(
    comm: Intracomm, kernel: Kernel, shape: tuple[int, ...], stream: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if kernel.name == "lorenz" and shape[1:] != (3,):
        shape = (*shape, 3)
    monkeypatch.setattr(backend, "STREAM", 0 if stream else 2**60)
    initial = np.random.default_rng(5).normal(size=shape)
    initial.flat[::500] = np.nan
    problem = Problem(initial if comm.rank == 0 else None, kernel, delta_t=0.03, steps=7)
    result = run(comm, problem, verify=True, transport="shared")  # in a window that was used before, if it can be
    assert result.backend.startswith(f"numba ({kernel.name}, ")
    if result.history is not None:
        assert result.history.tobytes() == history_of(Problem(initial, kernel, delta_t=0.03, steps=7)).tobytes()


def test_parameters_by_row_go_with_their_rows(comm: Intracomm) -> None:
    initial, offset = np.arange(3000.0).reshape(1000, 3), np.linspace(0, 1, 1000, dtype=np.float32)
    whole = kernels.affine(offset=offset, multiplier=initial)
    own = whole if comm.rank == 0 else kernels.affine(offset=None, multiplier=None)
    result = run(comm, Problem(initial if comm.rank == 0 else None, own, delta_t=0.3, steps=4), verify=True)
    if result.history is not None:
        assert result.history.tobytes() == history_of(Problem(initial, whole, delta_t=0.3, steps=4)).tobytes()


def test_one_rank_compiles_and_the_others_load(
    comm: Intracomm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = comm.bcast(str(tmp_path))
    monkeypatch.setenv("SIMSPLIT_CACHE_DIR", folder)
    compile_it, calls = machine_code.compiled, []

    def counted(text: str) -> bytes:
        calls.append(text)
        return compile_it(text)

    monkeypatch.setattr(machine_code, "compiled", counted)
    problem = Problem(np.arange(9.0), kernels.expression("x * 3 - t * x"), delta_t=0.5, steps=3)
    run(comm, problem)
    assert comm.allgather(len(calls)) == [0] * (comm.size - 1) + [1]
    run(comm, problem)  # from disk
    assert comm.allgather(len(calls)) == [0] * (comm.size - 1) + [1]
    comm.Barrier()  # before a rank removes the folder


def test_each_kind_of_machine_gets_its_own_code(comm: Intracomm, monkeypatch: pytest.MonkeyPatch) -> None:
    """The ranks with an odd number believe that their processor is another."""
    facts = machine_code._environment()
    monkeypatch.setattr(machine_code, "_environment", lambda: f"{facts}\n{comm.rank % 2}")
    compile_it, calls = machine_code.compiled, []

    def counted(text: str) -> bytes:
        calls.append(text)
        return compile_it(text)

    monkeypatch.setattr(machine_code, "compiled", counted)
    result = run(comm, Problem(np.arange(9.0), kernels.affine(), delta_t=0.5, steps=3), verify=True)
    assert result.backend == "numba (affine, 216 B)"
    assert comm.allgather(len(calls)) == [0, 0, 1, 1][-comm.size :]


def test_if_one_rank_has_no_compiler_numpy_is_taken_by_all(comm: Intracomm, monkeypatch: pytest.MonkeyPatch) -> None:
    last = comm.rank == comm.size - 1
    monkeypatch.setattr(machine_code, "missing", lambda: "numba is not installed" if last else None)
    problem = Problem(np.arange(200_000.0 * comm.size), kernels.affine(), delta_t=0.5, steps=4)
    assert run(comm, problem, "auto").backend == "NumPy: numba is not installed"
    with pytest.raises(InputError, match="numba is not installed") as caught:
        run(comm, problem)
    assert comm.allgather(str(caught.value)) == [str(caught.value)] * comm.size


def test_other_bits_on_one_rank_are_a_reason_for_all(comm: Intracomm, monkeypatch: pytest.MonkeyPatch) -> None:
    import simsplit.backends.llvm as package

    agrees, last = package.passes_self_test, comm.rank == comm.size - 1
    monkeypatch.setattr(package, "passes_self_test", lambda *arguments: agrees(*arguments) and not last)
    monkeypatch.setattr(backend, "LOADING", 0.0)
    monkeypatch.setattr(backend, "LOADING_AGAIN", 0.0)
    problem = Problem(np.arange(200_000.0 * comm.size), kernels.affine(), delta_t=0.5, steps=4)
    assert run(comm, problem, "auto").backend == "NumPy: the compiled code gives other bits on this machine"


@pytest.mark.parametrize("where", ["compiled", "link"])
def test_a_compiler_that_fails_is_an_error_on_all_ranks(
    comm: Intracomm, where: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    failing = comm.size - 1 if where == "compiled" else 0

    def fail(*_: Any) -> None:
        raise OSError("the library is broken")

    if comm.rank == failing:
        monkeypatch.setattr(machine_code, where, fail)
    problem = Problem(np.arange(9.0), kernels.affine(), delta_t=0.5, steps=3)
    with pytest.raises(SimsplitError, match="the library is broken") as caught:
        run(comm, problem)
    assert [failure.rank for failure in caught.value.failures] == [failing]
    assert comm.allreduce(1) == comm.size  # and nobody waits


def test_another_backend_on_one_rank_is_refused(comm: Intracomm) -> None:
    if comm.size == 1:
        return
    problem = Problem(np.arange(9.0), kernels.affine(), delta_t=0.5, steps=3)
    with pytest.raises(InputError, match=r"backend on rank.* 1 differ"):
        run(comm, problem, "numpy" if comm.rank == 1 else "auto")


@pytest.mark.parametrize("name", ["numpy", "numba"])
@pytest.mark.parametrize("rows", [4, 5, 1001])
@pytest.mark.parametrize("text", ["clip(x, p, 1)", "clip(x, -1, p)", "clip(x, 0/t, 1)", "clip(x, 0.0, 1) + t"])
def test_zeros_and_nan_of_bounds_are_those_of_one_process(comm: Intracomm, text: str, rows: int, name: str) -> None:
    """Of a rank that has one row, too."""
    initial = np.resize([-0.0, 0.0, 1.0, -1.0, -0.0], (rows, 3))
    bounds = np.resize([0.0, -0.0], rows)
    bounds[3:4] = np.nan
    kernel = kernels.expression(text, p=bounds) if "p" in text.replace("clip", "") else kernels.expression(text)
    problem = Problem(initial, kernel, delta_t=1.0, steps=3)
    result = run(comm, problem, name)
    if comm.rank == 0:
        assert result.history is not None
        assert result.history.tobytes() == history_of(problem).tobytes()
    if "0/t" in text:
        with pytest.raises(simsplit.KernelError, match=r"at step 0, t = 0\.0") as caught:
            run(comm, Problem(initial, kernel, delta_t=1.0, steps=3, nan="error"), name)
        assert caught.value.exit_status == 4


@pytest.mark.parametrize("name", ["numpy", "numba"])
def test_a_number_that_leaves_its_dtype_is_an_error_at_its_step(comm: Intracomm, name: str) -> None:
    problem = Problem(np.zeros(5000, np.int8), kernels.expression("x * 0 + k"), delta_t=0.5, steps=200)
    with pytest.raises(simsplit.KernelError, match=r"at step 128, t = 64\.0"):
        run(comm, problem, name)
