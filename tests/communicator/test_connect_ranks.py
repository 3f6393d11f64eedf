"""Runs that must not be there beside another: of a second thread, of a kernel, in a child of a rank."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from threading import Event
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import simsplit
from simsplit import InputError, LaunchError, Problem, kernels
from simsplit.cli import main

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from mpi4py.MPI import Intracomm

pytestmark = [pytest.mark.mpi(min_size=2), pytest.mark.timeout(100)]

PATIENCE = 60.0  # seconds, which only a hang takes
TWO_THREADS = "two runs on one communicator at the same time, of two threads"


@pytest.fixture
def comm() -> Intracomm:
    from mpi4py import MPI

    return MPI.COMM_WORLD


def product(x: Any, t: float) -> Any:
    """Multiply by the time."""
    return x * t


def ran(comm: Intracomm | None, function: Callable[..., Any] = product) -> str:
    """Run a small simulation; return what came of it."""
    problem = Problem(np.arange(7.0), kernels.function(function, name="product"), delta_t=0.5, steps=3)
    try:
        result = simsplit.run(problem, comm=comm)
    except InputError as error:
        return str(error)
    assert result.history is None or result.history[2].tolist() == np.arange(7.0).tolist()
    return "done"


@pytest.mark.parametrize("world", [True, False])
@pytest.mark.parametrize("where", ["first", "last", "all"])
def test_a_run_of_a_second_thread_is_refused_on_all_ranks(comm: Intracomm, where: str, world: bool) -> None:
    """Though the second thread comes while the first one runs on some ranks, and on the others after it."""
    meets = where == "all" or comm.rank == (0 if where == "first" else comm.size - 1)
    inside, may_go_on = Event(), Event()
    used = None if world else comm.Dup()

    def slow(x: Any, t: float) -> Any:
        inside.set()
        assert may_go_on.wait(PATIENCE)
        return x * t

    with ThreadPoolExecutor(1) as pool:
        if not meets:
            may_go_on.set()
        first = pool.submit(ran, used, slow)
        if meets:
            assert inside.wait(PATIENCE)
            second = ran(used)
            may_go_on.set()
            assert first.result(PATIENCE).startswith(TWO_THREADS)
        else:
            assert first.result(PATIENCE).startswith(TWO_THREADS)
            second = ran(used)
    assert second.startswith(TWO_THREADS)
    assert "comm=MPI.COMM_WORLD.Dup()" in second
    assert ran(used) == "done"
    if used is not None:
        used.Free()


def test_many_threads_at_once_leave_nobody_waiting(comm: Intracomm) -> None:
    with ThreadPoolExecutor(6) as pool:
        found = [future.result(PATIENCE) for future in [pool.submit(ran, comm) for _ in range(6)]]
    assert all(each == "done" or each.startswith(TWO_THREADS) for each in found)
    everyone = comm.allgather(sorted(found))
    assert all(each == everyone[0] for each in everyone)
    assert ran(comm) == "done"


def test_threads_with_a_communicator_each_run_side_by_side(comm: Intracomm) -> None:
    own = [comm.Dup() for _ in range(3)]
    with ThreadPoolExecutor(3) as pool:
        assert [future.result(PATIENCE) for future in [pool.submit(ran, each) for each in own]] == ["done"] * 3
    for each in own:
        each.Free()


def test_a_kernel_cannot_run_on_the_ranks_that_compute_it(comm: Intracomm) -> None:
    def nested(x: Any, t: float) -> Any:
        if t > 0 or comm.rank == 0:
            raise RuntimeError(ran(comm))
        return x * t

    with pytest.raises(simsplit.KernelError, match="a kernel cannot start a run on the ranks that compute it"):
        simsplit.run(Problem(np.arange(7.0), nested, delta_t=0.5, steps=3), comm=comm)
    assert ran(comm) == "done"


def test_a_kernel_may_run_in_its_own_process(comm: Intracomm) -> None:
    def nested(x: Any, t: float) -> Any:
        inner = simsplit.run(Problem(np.ones(2), product, delta_t=0.5, steps=3), serial=True).history
        assert inner is not None
        return x * t * inner[2, 0]

    assert ran(comm, nested) == "done"


def test_the_ranks_may_use_the_communicator_after_an_error(comm: Intracomm) -> None:
    def broken(_x: Any, t: float) -> Any:
        raise InputError(f"not for me: {t}")

    assert ran(comm, broken).startswith("not for me")
    assert ran(comm) == "done"


def test_a_freed_communicator_is_told_from_other_things(comm: Intracomm) -> None:
    freed = comm.Dup()
    freed.Free()
    assert ran(freed).startswith("comm is COMM_NULL: it was freed, or this rank is none of its ranks.")
    assert ran(comm) == "done"


def of_child(work: Callable[[], object]) -> str:
    """Do something in a forked child; return the error that it ended with."""
    reads, writes = os.pipe()
    if (pid := os.fork()) == 0:
        try:
            work()
        except BaseException as error:  # noqa: BLE001, the parent looks at it
            os.write(writes, f"{type(error).__name__}: {error}".encode())
        finally:
            os._exit(0)
    os.close(writes)
    with os.fdopen(reads) as end:
        text = end.read()
    os.waitpid(pid, 0)
    return text


def test_a_forked_child_of_a_rank_is_none(comm: Intracomm) -> None:
    problem = Problem(np.arange(7.0), kernels.affine(), delta_t=0.5, steps=3)
    for given in (None, comm):
        text = of_child(lambda given=given: simsplit.run(problem, comm=given))  # type: ignore[misc]
        assert text.startswith(f"{LaunchError.__name__}: this process was forked from a rank, and must not talk to the")
        assert "serial=True" in text
    assert of_child(simsplit.remote.join).startswith("LaunchError: this process was forked from a rank")
    assert of_child(lambda: simsplit.run(problem, serial=True)) == ""
    assert ran(comm) == "done"


def test_a_kernel_of_the_command_cannot_run_on_its_ranks_either(comm: Intracomm, tmp_path: Path) -> None:
    text = (
        "import simsplit\ndef f(x):\n    problem = simsplit.Problem(x, simsplit.kernels.affine(), delta_t=1, steps=1)\n"
    )
    (tmp_path / "connect_nested.py").write_text(f"{text}    return simsplit.run(problem).history[0]\n")
    folder = comm.bcast(str(tmp_path), root=0)
    with pytest.raises(InputError, match=r"^a kernel cannot start a run on the ranks that compute it"):
        main(["run", "--quiet", "--kernel", "connect_nested:f", "--import-from", folder])
    assert ran(comm) == "done"
