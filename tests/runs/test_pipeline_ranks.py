"""A run on 1 to 4 ranks: the same bits as from one process, and the same errors on every rank."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import simsplit.communicator
import simsplit.util.formatting
from simsplit import (
    InputError,
    KernelError,
    OutputError,
    Problem,
    SimsplitError,
    Verification,
    VerificationError,
    kernels,
)
from simsplit.kernels.random import RandomStream
from simsplit.kernels.registry import BUILT_IN
from simsplit.verification import bit_mismatch
from tests.support.blocks import history_of
from tests.support.runs import execute

if TYPE_CHECKING:
    from pathlib import Path

    from mpi4py.MPI import Intracomm

pytestmark = pytest.mark.mpi

DTYPES = ["?", "i1", "u8", ">i4", "f2", "f4", ">f8", "longdouble", "c8", ">c16", "clongdouble"]


@pytest.fixture
def comm() -> Intracomm:
    from mpi4py import MPI

    return MPI.COMM_WORLD


def simulation(initial: Any, **changes: Any) -> Problem:
    """Return a problem with times that are not exact in binary."""
    settings: dict[str, Any] = {"kernel": kernels.affine(offset=0.1, multiplier=-1.7), "delta_t": 0.3, "steps": 6}
    return Problem(initial, **{**settings, **changes})


def usable(comm: Intracomm) -> bool:
    """Return whether the communicator still works as it did."""
    result = simsplit.run(simulation(np.arange(5.0)), comm=comm)
    return (result.history is None) == (comm.rank > 0) and comm.allreduce(1) == comm.size


@pytest.mark.parametrize("shape", [(0,), (1,), (3,), (7,), (1001,), (13, 3), (5, 2, 2), (4, 0), (0, 2)])
def test_the_history_is_that_of_one_process(comm: Intracomm, shape: tuple[int, ...]) -> None:
    initial = np.random.default_rng(5).normal(size=shape)
    result = simsplit.run(simulation(initial if comm.rank == 0 else None), comm=comm, verify=True)
    assert result.verification is not None
    assert result.verification.identical
    assert result.ranks == comm.size
    assert result.bounds == simsplit.bounds.bounds(shape[0], comm.size)
    if comm.rank > 0:
        assert result.history is None
        return
    assert result.history is not None
    assert result.history.shape == (6, *shape)
    expected = np.stack([(0.1 + initial * -1.7) * (k * 0.3) for k in range(6)])
    assert not bit_mismatch(expected, result.history).any()


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("dtype", DTYPES)
def test_every_dtype_and_layout_gives_the_bits_of_one_process(comm: Intracomm, dtype: str, order: Any) -> None:
    initial = np.asarray(np.arange(-5, 16).reshape(7, 3) % 11, order=order).astype(dtype, order=order)
    result = simsplit.run(simulation(initial), comm=comm, verify=True)
    assert result.verification is not None
    assert str(result.verification) == "identical: 6 of 6 steps, 126 of 126 values, bit for bit"
    if result.history is not None:
        assert result.history.dtype == np.result_type(initial.dtype.newbyteorder("="), 0.0)


def test_the_input_stays_as_it_is(comm: Intracomm) -> None:
    initial = np.arange(7.0)
    simsplit.run(simulation(initial), comm=comm)
    assert initial.tolist() == [0, 1, 2, 3, 4, 5, 6]


def test_two_halves_of_the_ranks_run_different_problems(comm: Intracomm) -> None:
    odd = comm.rank % 2
    half = comm.Split(odd)
    result = simsplit.run(simulation(np.arange(7.0 + odd)), comm=half, verify=True)
    if half.rank == 0:
        assert result.history is not None
        assert result.history.shape == (6, 7 + odd)
    half.Free()


def test_no_steps_give_an_empty_history(comm: Intracomm) -> None:
    result = simsplit.run(simulation(np.arange(7.0), steps=0), comm=comm, verify=True)
    assert result.times.shape == (0,)
    if result.history is not None:
        assert result.history.shape == (0, 7)


class FailsInRow(kernels.Kernel):
    """Fails where a value is found, at a given time."""

    def __init__(self, value: float, error: BaseException) -> None:
        super().__init__()
        self.value = value
        self.error = error

    def evaluate(self, x: Any, block: Any, out: Any) -> None:
        """Copy, or fail."""
        if self.value in x and block.t > 1:
            raise self.error
        out[...] = x


def test_a_kernel_that_fails_on_the_last_rank_fails_on_all(comm: Intracomm) -> None:
    problem = simulation(np.arange(8.0), kernel=FailsInRow(7.0, ZeroDivisionError("by hand")), delta_t=0.5, steps=9)
    with pytest.raises(KernelError) as caught:
        simsplit.run(problem, comm=comm)
    text, last = str(caught.value), comm.size - 1
    lower = simsplit.bounds.part(8, comm.size, last)[0]
    assert f"the kernel FailsInRow failed on rank {last} of {comm.size} (host" in text
    assert f"at step 3, t = 1.5, rows {lower}–7:" in text
    assert "ZeroDivisionError: by hand" in text
    assert "raise self.error" in text
    assert "stepping.py" not in text
    assert [failure.rank for failure in caught.value.failures] == [last]
    assert usable(comm)


@pytest.mark.parametrize("error", [SystemExit(3), MemoryError("no room"), StopIteration(), KernelError("mine")])
def test_whatever_a_kernel_raises_is_a_kernel_that_failed(comm: Intracomm, error: BaseException) -> None:
    with pytest.raises(KernelError, match="the kernel FailsInRow failed on rank 0"):
        simsplit.run(simulation(np.zeros(5), kernel=FailsInRow(0.0, error), delta_t=1, steps=3), comm=comm)
    assert usable(comm)


def test_an_interrupt_in_the_kernel_interrupts_all(comm: Intracomm) -> None:
    with pytest.raises(KeyboardInterrupt):
        simsplit.run(simulation(np.arange(8.0), kernel=FailsInRow(7.0, KeyboardInterrupt())), comm=comm)
    assert usable(comm)


class WritesToInput(kernels.Kernel):
    """Breaks the contract."""

    def evaluate(self, x: Any, block: Any, out: Any) -> None:
        """Spoil the initial array."""
        x[...] = block.t
        out[...] = x


def test_a_kernel_cannot_write_to_the_initial_array(comm: Intracomm) -> None:
    initial = np.arange(8.0)
    with pytest.raises(KernelError, match="read-only"):
        simsplit.run(simulation(initial, kernel=WritesToInput()), comm=comm)
    assert initial.tolist() == list(range(8))


class DependsOnSplit(kernels.Kernel):
    """Not row-local: gives the mean of the rows that it sees."""

    def evaluate(self, x: Any, block: Any, out: Any) -> None:
        """Mix rows."""
        out[...] = x.mean() + block.t


@pytest.mark.mpi(min_size=2)
def test_a_kernel_that_is_not_row_local_is_found_out_and_nothing_is_written(
    comm: Intracomm, mpi_tmp_path: Path
) -> None:
    file = mpi_tmp_path / "history.npy"
    with pytest.raises(VerificationError, match=r"DIFFERENT: \d+ of 48 values in 6 of 6 steps, first at step 0, row 0"):
        simsplit.run(
            simulation(np.arange(8.0), kernel=DependsOnSplit()), comm=comm, verify=True, output=file, check_rows=False
        )
    assert not list(mpi_tmp_path.iterdir())
    assert usable(comm)


@pytest.mark.mpi(min_size=2)
@pytest.mark.parametrize("kind", ["map", "step"])
def test_a_kernel_that_mixes_rows_is_found_out_where_each_rank_has_one_row(comm: Intracomm, kind: Any) -> None:
    for rows in range(2, comm.size + 1):
        offset = np.arange(float(rows)) if comm.rank == 0 else None
        kernel = kernels.function(lambda x, offset: x.mean() + offset, kind=kind, name="mixes", offset=offset)
        problem = simulation(np.arange(float(rows)) if comm.rank == 0 else None, kernel=kernel)
        with pytest.raises(VerificationError, match=rf"DIFFERENT: \d+ of {6 * rows} values in [56] of 6 steps"):
            simsplit.run(problem, comm=comm, verify=True, check_rows=False)
    assert usable(comm)


@pytest.mark.mpi(min_size=2)
@pytest.mark.parametrize(
    ("change", "name"),
    [
        ({"delta_t": 0.4}, "delta_t"),
        ({"steps": 7}, "steps"),
        ({"start_time": 1.0}, "start_time"),
        ({"kernel": kernels.affine(offset=0.2, multiplier=-1.7)}, "parameter offset"),
        ({"kernel": WritesToInput()}, "kernel, parameter multiplier, parameter offset"),
        ({"seed": 3}, "seed"),
        ({"nan": "error"}, "nan"),
    ],
)
def test_a_problem_that_is_another_on_one_rank_is_refused(comm: Intracomm, change: dict[str, Any], name: str) -> None:
    last = comm.size - 1
    problem = simulation(np.arange(5.0), **(change if comm.rank == last else {}))
    with pytest.raises(InputError, match=rf"not the same on all ranks: {name} on rank {last} differ from rank 0"):
        simsplit.run(problem, comm=comm)
    assert usable(comm)


@pytest.mark.mpi(min_size=2)
@pytest.mark.parametrize("value", [0.5, np.zeros(5), None], ids=["number", "array", "None"])
def test_a_parameter_that_is_an_array_on_root_only_may_be_none_elsewhere_and_nothing_else(
    comm: Intracomm, value: Any
) -> None:
    rate = np.arange(5.0) if comm.rank == 0 else value
    problem = simulation(np.arange(5.0) if comm.rank == 0 else None, kernel=kernels.affine(offset=rate))
    if isinstance(value, float):
        others = simsplit.util.formatting.format_ranks(range(1, comm.size))
        with pytest.raises(InputError, match=f"not the same on all ranks: parameter offset on {others} differ from"):
            simsplit.run(problem, comm=comm)
    else:
        result = simsplit.run(problem, comm=comm, verify=True)
        if result.history is not None:
            assert result.history[2].tolist() == ((np.arange(5.0) + np.arange(5.0) * 5.0) * 0.6).tolist()
    assert usable(comm)


def test_a_parameter_that_root_does_not_have_is_an_error_on_all(comm: Intracomm) -> None:
    for kernel in (kernels.affine(offset=None), kernels.function(lambda x, offset: x + offset, offset=None)):
        with pytest.raises(InputError, match="parameter offset is None on rank 0: rank 0 must have the array"):
            simsplit.run(simulation(np.arange(5.0), kernel=kernel), comm=comm)
    assert usable(comm)


@pytest.mark.mpi(min_size=2)
def test_verify_must_be_the_same_on_all_ranks(comm: Intracomm) -> None:
    with pytest.raises(InputError, match="verify"):
        simsplit.run(simulation(np.arange(5.0)), comm=comm, verify=comm.rank == 0)
    assert usable(comm)


@pytest.mark.mpi(min_size=2)
def test_output_must_be_the_same_on_all_ranks(comm: Intracomm, mpi_tmp_path: Path) -> None:
    output = mpi_tmp_path / "history.npy" if comm.rank == 1 else None
    with pytest.raises(InputError, match="output on rank"):
        simsplit.run(simulation(np.arange(5.0)), comm=comm, output=output)
    assert usable(comm)


@pytest.mark.mpi(min_size=2)
def test_one_rank_can_run_by_itself(comm: Intracomm) -> None:
    if comm.rank == 0:
        assert simsplit.run(simulation(np.arange(5.0)), serial=True).ranks == 1
    assert usable(comm)


@pytest.mark.mpi(min_size=2)
@pytest.mark.parametrize("where", ["argument", "world of one"])
def test_a_wrong_call_on_one_rank_is_agreed_on_among_those_of_its_communicator(comm: Intracomm, where: str) -> None:
    from mpi4py import MPI

    if where == "argument":
        with pytest.raises(InputError, match="comm and serial exclude each other") as caught:
            simsplit.run(simulation(np.arange(5.0)), comm=comm, serial=comm.rank == 1)
        assert caught.value.is_collective
    elif comm.rank == 1:
        with pytest.raises(simsplit.LaunchError, match="2 ranks expected") as alone:
            simsplit.run(simulation(np.arange(5.0)), comm=MPI.COMM_SELF, expect_ranks=2)
        assert not alone.value.is_collective
        assert alone.value.is_reporter
    assert usable(comm)


@pytest.mark.mpi(min_size=3)
def test_a_result_that_differs_among_some_ranks_is_not_known_to_all(comm: Intracomm) -> None:
    half = comm.Split(comm.rank % 2)
    if half.size > 1:
        with pytest.raises(VerificationError) as caught:
            simsplit.run(simulation(np.arange(8.0), kernel=DependsOnSplit()), comm=half, verify=True, check_rows=False)
        assert not caught.value.is_collective
    half.Free()
    assert usable(comm)


class NoTextError(Exception):
    """Cannot say what is wrong."""

    def __str__(self) -> str:
        raise ValueError("no words")


def test_an_error_that_has_no_text_is_still_an_error_on_all(comm: Intracomm) -> None:
    with pytest.raises(KernelError, match="the kernel FailsInRow failed on rank 0") as caught:
        simsplit.run(simulation(np.zeros(5), kernel=FailsInRow(0.0, NoTextError()), delta_t=1, steps=3), comm=comm)
    assert "NoTextError" in str(caught.value)
    assert usable(comm)


@pytest.mark.mpi(min_size=2)
def test_an_expected_number_of_ranks_must_be_the_same_on_all(comm: Intracomm) -> None:
    with pytest.raises(simsplit.LaunchError, match=f"99 ranks expected .* there are {comm.size}"):
        simsplit.run(simulation(np.arange(5.0)), comm=comm, expect_ranks=99 if comm.rank == 1 else None)
    assert usable(comm)


def test_root_without_an_array_is_an_error_on_all(comm: Intracomm) -> None:
    with pytest.raises(InputError, match="initial is None on rank 0"):
        simsplit.run(simulation(None if comm.rank == 0 else np.arange(5.0)), comm=comm)
    assert usable(comm)


def test_a_history_that_does_not_fit_is_refused_on_all(comm: Intracomm) -> None:
    with pytest.raises(InputError, match=r"the history of 1,000,000,000,000 steps × 40 B on rank 0 takes 40 TB, but"):
        simsplit.run(simulation(np.arange(5.0), delta_t=1e-9, steps=10**12), comm=comm)
    assert usable(comm)


def test_the_output_is_the_history(comm: Intracomm, mpi_tmp_path: Path) -> None:
    file = mpi_tmp_path / "history.npy"
    result = simsplit.run(simulation(np.arange(21.0).reshape(7, 3)), comm=comm, output=file)
    if result.history is not None:
        written = np.load(file)
        assert written.dtype == result.history.dtype
        assert not bit_mismatch(result.history, written).any()
        assert [path.name for path in mpi_tmp_path.iterdir()] == ["history.npy"]


def test_an_output_that_cannot_be_written_is_an_error_on_all_before_the_run(comm: Intracomm) -> None:
    kernel = FailsInRow(1.0, AssertionError("the kernel must not be called"))
    with pytest.raises(OutputError, match="there is no folder /nowhere/at/all"):
        simsplit.run(simulation(np.arange(5.0), kernel=kernel), comm=comm, output="/nowhere/at/all/history.npy")
    assert usable(comm)


def test_every_error_can_be_caught_as_one_of_ours(comm: Intracomm) -> None:
    for problem, output in [
        (simulation(None), None),
        (simulation(np.arange(5.0)), "/nowhere/history.npy"),
        (simulation(np.zeros(5), kernel=FailsInRow(0.0, OSError("disk")), delta_t=9), None),
    ]:
        with pytest.raises(SimsplitError) as caught:
            simsplit.run(problem, comm=comm, output=output)
        assert caught.value.is_collective
        assert caught.value.is_reporter == (comm.rank == 0)
    assert usable(comm)


def built_in(name: str, n: int, *, by_row: bool, root: bool) -> tuple[kernels.Kernel, Any]:
    """Return a built-in kernel and an array of its components; of arrays only root has the values."""
    rng = np.random.default_rng(n)
    components = {"sir": (3,), "oscillator": (2,), "lorenz": (3,)}.get(name, ())
    initial = rng.uniform(0.5, 1.5, (n, *components))
    kernel = kernels.load(name)
    if by_row:
        values = {parameter: rng.uniform(0.2, 1.0, n) for parameter in kernel.parameters}
        kernel = kernels.load(name, **(values if root else dict.fromkeys(values)))
    return kernel, (initial if root else None)


@pytest.mark.parametrize("by_row", [False, True], ids=["numbers", "by row"])
@pytest.mark.parametrize("n", [1, 2, 3, 7, 50, 1001])
@pytest.mark.parametrize("name", BUILT_IN)
def test_every_built_in_kernel_gives_the_bits_of_one_process(
    comm: Intracomm, name: str, n: int, *, by_row: bool
) -> None:
    kernel, initial = built_in(name, n, by_row=by_row, root=comm.rank == 0)
    result = simsplit.run(simulation(initial, kernel=kernel, delta_t=0.125, seed=17), comm=comm, verify=True)
    assert result.verification is not None
    assert result.verification.identical
    if result.history is not None:
        kernel, initial = built_in(name, n, by_row=by_row, root=True)
        expected = history_of(simulation(initial, kernel=kernel, delta_t=0.125, seed=17))
        assert not bit_mismatch(expected, result.history).any()


@pytest.mark.parametrize("layout", ["C", "F", ">f8", "f4", "gaps"])
@pytest.mark.parametrize(
    ("shape", "parameter"),
    [((7,), (7,)), ((7, 3), (7,)), ((7, 3), (7, 1)), ((7, 3), (7, 3)), ((2, 3), (2, 3)), ((0,), (0,))],
)
def test_parameters_by_row_are_scattered_with_the_rows(
    comm: Intracomm, shape: tuple[int, ...], parameter: tuple[int, ...], layout: str
) -> None:
    rng = np.random.default_rng(3)
    initial, rate = rng.normal(size=shape), rng.normal(size=parameter)
    rate = {
        "C": rate,
        "F": np.asfortranarray(rate),
        ">f8": rate.astype(">f8"),
        "f4": rate.astype("f4"),
        "gaps": np.repeat(rate, 2, axis=0)[::2],
    }[layout]

    def problem(rate: Any, initial: Any) -> Problem:
        kernel = kernels.function(lambda x, rate, k: x * rate + k, kind="step", name="grows", rate=rate)
        return simulation(initial, kernel=kernel)

    own = problem(rate, initial) if comm.rank == 0 else problem(None, None)
    result = simsplit.run(own, comm=comm, verify=True)
    if result.history is not None:
        assert not bit_mismatch(history_of(problem(rate, initial)), result.history).any()


def test_random_numbers_do_not_depend_on_the_ranks(comm: Intracomm) -> None:
    kernel = kernels.function(lambda x, random: x + random.normal(3) + random.uniform(3), name="noise")
    result = simsplit.run(simulation(np.zeros((23, 3)), kernel=kernel, seed=2**64 - 1), comm=comm, verify=True)
    if result.history is not None:
        for k, step in enumerate(result.history):
            draws = RandomStream(2**64 - 1, k, 0, 23)
            assert not bit_mismatch(np.zeros((23, 3)) + draws.normal(3) + draws.uniform(3), step).any()


@pytest.mark.mpi(min_size=2)
def test_a_kernel_whose_source_differs_on_one_rank_is_refused(comm: Intracomm, tmp_path: Path) -> None:
    last = comm.size - 1
    name = comm.bcast(f"simsplit_kernel_of_test_{os.getpid()}")
    text = "def grow(x, t):\n    return x * t\n"
    (tmp_path / f"{name}.py").write_text(text + ("# changed\n" if comm.rank == last else ""))
    kernel = kernels.load(f"{name}:grow", folder=str(tmp_path))
    with pytest.raises(InputError, match=rf"all ranks: source of the kernel on rank {last} differ from rank 0"):
        simsplit.run(simulation(np.arange(5.0), kernel=kernel), comm=comm)
    assert usable(comm)


def test_a_kernel_with_the_same_source_in_another_place_is_the_same(comm: Intracomm, tmp_path: Path) -> None:
    name = comm.bcast(f"simsplit_kernel_of_test_{os.getpid()}_same")
    (tmp_path / f"{name}.py").write_text("def grow(x, t):\n    return x * t\n")
    kernel = kernels.load(f"{name}:grow", folder=str(tmp_path), kind="step")
    result = simsplit.run(simulation(np.arange(5.0), kernel=kernel), comm=comm, verify=True)
    assert result.verification is not None
    assert result.verification.identical


@pytest.mark.mpi(min_size=2)
def test_a_kernel_of_another_kind_on_one_rank_is_refused(comm: Intracomm) -> None:
    kernel = kernels.function(np.multiply, kind="map" if comm.rank else "step")
    with pytest.raises(InputError, match="not the same on all ranks: kind of the kernel on rank"):
        simsplit.run(simulation(np.arange(5.0), kernel=kernel), comm=comm)
    assert usable(comm)


class RunsOtherwise(kernels.Affine):
    """Errs at some steps and rows, but not when it is computed the plain way."""

    def __init__(self, wrong: dict[tuple[int, int], int]) -> None:
        super().__init__(offset=1.0, multiplier=1.0)
        self.wrong = wrong

    def evaluate(self, x: Any, block: kernels.Block, out: Any) -> None:
        """Compute, then move some values by some units in the last place."""
        super().evaluate(x, block, out)
        for (k, row), ulp in self.wrong.items():
            if block.k == k and block.lower <= row < block.upper:
                out[row - block.lower].view(np.int64)[...] += ulp


def test_all_differences_are_counted_on_all_ranks(comm: Intracomm) -> None:
    wrong = {(1, 22): 3, (2, 0): 1, (2, 22): 2, (4, 5): 70, (5, 12): 1}
    problem = simulation(np.arange(46.0).reshape(23, 2), kernel=RunsOtherwise(wrong))
    with pytest.raises(VerificationError) as caught:
        simsplit.run(problem, comm=comm, verify=True)
    ranks = simsplit.util.formatting.pluralize(comm.size, "rank")
    assert str(caught.value).startswith(
        f"the result of {ranks} is not that of one process. DIFFERENT: 10 of 276 values in 4 of 6 steps, "
        "first at step 1, row 22, at most 70 ulp apart. Nothing was written."
    )
    communicator = simsplit.communicator.connect(comm)
    found = execute(problem, communicator, verify=True).verification
    assert found == Verification(6, 276, 4, 10, (1, 22), 70.0)
    assert usable(comm)
