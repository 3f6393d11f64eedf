"""The kernel runs over every row of every step once, block by block, and failures say where they happened."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simsplit import KernelError, Problem
from simsplit.communicator.single import SingleProcess
from simsplit.engine import Plan, Timings, run_steps
from simsplit.kernels import Affine, Kernel, affine
from simsplit.store.memory import GatheredHistory
from simsplit.verification import different
from tests.arrays import NUMERIC, random_array
from tests.threads import ThreadRank, on_ranks

if TYPE_CHECKING:
    import numpy.typing as npt

    from simsplit.communicator import Communicator
    from simsplit.engine import Tile

    Array = npt.NDArray[Any]


def plan_of(problem: Problem, ranks: int = 1, tile_nbytes: int = 2**20) -> Plan:
    """Return the plan of a problem."""
    initial = problem.initial
    assert initial is not None
    dtype = problem.kernel.result_dtype(initial.dtype.newbyteorder("="))
    return Plan(initial.shape, initial.dtype, dtype, problem.steps, ranks, tile_nbytes)


def steps_of(
    problem: Problem, communicator: Communicator | None = None, *, tile_nbytes: int = 2**20, **block: int
) -> Array | None:
    """Run all steps with tiles and blocks of the given bytes; return the history, on root."""
    communicator = SingleProcess() if communicator is None else communicator
    plan = plan_of(problem, communicator.size, tile_nbytes)
    receiver = GatheredHistory(communicator, plan)
    if receiver.history is not None:
        receiver.history.view(np.uint8)[...] = 0xAA
    lower, upper = plan.bounds[communicator.rank]
    assert problem.initial is not None
    run_steps(communicator, plan, problem, problem.initial[lower:upper], receiver, Timings(), **block)
    return receiver.history


def problem_of(initial: Array, kernel: Kernel | None = None, steps: int = 6) -> Problem:
    """Return a problem with times that are no round numbers."""
    return Problem(initial, affine() if kernel is None else kernel, delta_t=0.1, steps=steps, start_time=-0.2)


def is_exact(problem: Problem, history: Array | None) -> bool:
    """Return whether every step has the bits of the plain formula on the whole array."""
    assert history is not None
    initial = problem.initial
    assert initial is not None
    x = initial.astype(initial.dtype.newbyteorder("="), order="C")
    with np.errstate(all="ignore"):
        steps = [problem.kernel.reference(x, problem.time(k)) for k in range(problem.steps)]
    return len(history) == len(steps) and not any(
        different(step, found).any() for step, found in zip(steps, history, strict=True)
    )


class Recording(Affine):
    """Notes which rows were prepared and evaluated, told by their values, and what they looked like."""

    def __init__(self) -> None:
        super().__init__(0.0, 1.0)
        self.prepared: list[list[float]] = []
        self.evaluated: list[tuple[float, list[float]]] = []

    def prepare(self, x: Array, scratch: Array) -> Array:
        assert x.flags.c_contiguous
        assert x.dtype.isnative
        assert scratch.shape == x.shape
        self.prepared.append(x.tolist())
        return super().prepare(x, scratch)

    def evaluate(self, x: Array, t: float, out: Array) -> None:
        assert out.flags.c_contiguous
        self.evaluated.append((t, x.tolist()))
        super().evaluate(x, t, out)


class Failing(Kernel):
    """Raises when it meets the value 13 at a time of 0.5 or later."""

    def __init__(self, error: BaseException) -> None:
        self.error = error

    def evaluate(self, x: Array, t: float, out: Array) -> None:
        out[...] = x
        if t >= 0.5 and (x == 13).any():
            raise self.error


@settings(deadline=None, max_examples=150)
@given(
    dtype=st.sampled_from(NUMERIC),
    shape=st.tuples(st.integers(0, 40)) | st.tuples(st.integers(0, 20), st.integers(1, 3)),
    steps=st.integers(0, 10),
    tile_nbytes=st.integers(0, 900),
    block=st.integers(0, 200),
)
def test_edges_of_tiles_and_blocks_leave_no_trace_in_the_history(
    dtype: str, shape: tuple[int, ...], steps: int, tile_nbytes: int, block: int
) -> None:
    initial = random_array(dtype, int(np.prod(shape)), 3).reshape(shape)
    before = initial.tobytes()
    problem = problem_of(initial, steps=steps)
    if initial.size:
        assert is_exact(problem, steps_of(problem, tile_nbytes=tile_nbytes, block=block))
    assert initial.tobytes() == before
    assert initial.flags.writeable


@settings(deadline=None, max_examples=30)
@given(
    rows=st.integers(1, 25),
    ranks=st.integers(2, 4),
    steps=st.integers(1, 6),
    tile_nbytes=st.integers(0, 300),
    block=st.integers(0, 100),
)
def test_several_ranks_give_the_bits_of_one(rows: int, ranks: int, steps: int, tile_nbytes: int, block: int) -> None:
    problem = problem_of(random_array("float64", rows, 8), steps=steps)
    history, *others = on_ranks(ranks, lambda rank: steps_of(problem, rank, tile_nbytes=tile_nbytes, block=block))
    assert is_exact(problem, history)
    assert others == [None] * (ranks - 1)


@pytest.mark.parametrize("dtype", [">f8", ">f4", ">i4", ">c16", ">f2"])
@pytest.mark.parametrize("layout", ["C", "F", "strided"])
def test_any_byte_order_and_layout_gives_the_same_bits(dtype: str, layout: str) -> None:
    array = np.arange(39).reshape(13, 3).astype(dtype)
    initial = np.repeat(array, 2, axis=1)[:, ::2] if layout == "strided" else np.array(array, order=layout)  # type: ignore[call-overload]
    problem = problem_of(initial)
    history = steps_of(problem, tile_nbytes=100, block=50)
    assert history is not None
    assert history.dtype.isnative
    assert is_exact(problem, history)


def test_every_block_is_prepared_once_a_tile_and_evaluated_once_a_step() -> None:
    kernel = Recording()
    problem = Problem(np.arange(7.0), kernel, delta_t=1.0, steps=6)
    history = steps_of(problem, tile_nbytes=4 * 3 * 8, block=2 * 8)  # tiles of 3 rows and 4 steps, blocks of 2 rows
    blocks = [[0.0, 1.0], [2.0], [3.0, 4.0], [5.0], [6.0]]
    assert kernel.prepared == [*blocks, *blocks]
    assert kernel.evaluated == [
        (t, block) for times in ([0.0, 1.0, 2.0, 3.0], [4.0, 5.0]) for block in blocks for t in times
    ]
    np.testing.assert_array_equal(history, np.outer(np.arange(6.0), np.arange(7.0)))


def test_a_block_smaller_than_a_row_is_one_row() -> None:
    kernel = Recording()
    steps_of(Problem(np.zeros((3, 5)), kernel, delta_t=1.0, steps=1), block=1)
    assert [len(rows) for rows in kernel.prepared] == [1, 1, 1]


def test_the_rows_that_a_kernel_gets_cannot_be_written_to() -> None:
    class Careless(Kernel):
        def evaluate(self, x: Array, t: float, out: Array) -> None:
            x += t
            out[...] = x

    initial = np.arange(4.0)
    with pytest.raises(KernelError, match="read-only"):
        steps_of(problem_of(initial, Careless()))
    np.testing.assert_array_equal(initial, np.arange(4.0))
    initial[0] = 1.0


def test_infinities_and_nans_are_results_and_no_warnings() -> None:
    class Inverse(Kernel):
        def evaluate(self, x: Array, t: float, out: Array) -> None:
            np.divide(t, x, out=out)

    history = steps_of(Problem(np.array([0.0, 2.0]), Inverse(), delta_t=1.0, steps=2))
    np.testing.assert_array_equal(history, [[np.nan, 0.0], [np.inf, 0.5]])


def test_a_failure_names_the_kernel_the_rank_the_step_the_time_and_the_rows() -> None:
    problem = Problem(np.arange(20.0), Failing(ZeroDivisionError("no such thing")), delta_t=0.25, steps=8)
    with pytest.raises(KernelError) as caught:
        steps_of(problem, tile_nbytes=4 * 6 * 8, block=3 * 8)
    message = str(caught.value)
    host = SingleProcess().host
    assert message.startswith(
        f"the kernel Failing failed on rank 0 of 1 (host {host}) at step 2, t = 0.5, rows 12–14:\nTraceback"
    )
    assert "ZeroDivisionError: no such thing" in message
    assert message.endswith("All ranks stopped.")
    assert [(failure.rank, failure.error) for failure in caught.value.failures] == [(0, "ZeroDivisionError")]


@pytest.mark.parametrize("error", [SystemExit(0), ValueError("v"), KernelError("k"), MemoryError("m")], ids=repr)
def test_whatever_a_kernel_raises_is_a_kernel_error(error: BaseException) -> None:
    with pytest.raises(KernelError, match="the kernel Failing failed on rank 0 of 1") as caught:
        steps_of(problem_of(np.arange(20.0), Failing(error), steps=9))
    assert isinstance(caught.value.__cause__, KernelError)
    assert caught.value.__cause__.__cause__ is error


def test_an_interrupt_is_not_taken_for_a_failure_of_the_kernel() -> None:
    with pytest.raises(KeyboardInterrupt):
        steps_of(problem_of(np.arange(20.0), Failing(KeyboardInterrupt()), steps=9))


@pytest.mark.parametrize("value", [3.5, np.zeros(4)])
def test_a_kernel_that_returns_a_value_is_told_to_write_it_into_out(value: Any) -> None:
    class Returning(Kernel):
        def evaluate(self, x: Array, t: float, out: Array) -> None:
            return value

    with pytest.raises(KernelError) as caught:
        steps_of(problem_of(np.arange(4.0), Returning()))
    name = type(value).__name__
    assert f"evaluate() returned {name}; it must write the result into out" in str(caught.value)


def test_a_kernel_may_return_out_itself() -> None:
    class Returning(Kernel):
        def evaluate(self, x: Array, t: float, out: Array) -> None:
            return np.add(x, t, out=out)

    history = steps_of(Problem(np.arange(3.0), Returning(), delta_t=1.0, steps=2))
    np.testing.assert_array_equal(history, [[0.0, 1.0, 2.0], [1.0, 2.0, 3.0]])


def test_a_failure_on_rank_2_is_raised_on_all_ranks_which_can_go_on_afterwards() -> None:
    failing = Problem(np.arange(20.0), Failing(ValueError("thirteen")), delta_t=0.25, steps=8)

    def try_twice(rank: ThreadRank) -> tuple[str, tuple[Any, ...], Array | None]:
        with pytest.raises(KernelError) as caught:
            steps_of(failing, rank, tile_nbytes=100, block=16)
        return str(caught.value), caught.value.failures, steps_of(problem_of(np.arange(20.0)), rank)

    outcomes = on_ranks(4, try_twice)
    messages = {message for message, _, _ in outcomes}
    assert len(messages) == 1
    assert "failed on rank 2 of 4 (host host1) at step 2, t = 0.5, rows 13–14" in messages.pop()
    assert {tuple(failure.rank for failure in failures) for _, failures, _ in outcomes} == {(2,)}
    assert is_exact(problem_of(np.arange(20.0)), outcomes[0][2])


def test_each_tile_is_delivered_once_in_order_and_the_time_is_taken() -> None:
    problem = problem_of(np.arange(10.0), steps=5)
    plan = plan_of(problem, tile_nbytes=4 * 4 * 8)
    delivered: list[Tile] = []

    class Receiver:
        def rows(self, tile: Tile) -> Array:
            lower, upper = tile.spans[0]
            return np.empty((len(tile.steps), upper - lower))

        def deliver(self, tile: Tile) -> None:
            delivered.append(tile)

    timings = Timings(compute=5.0, gather=7.0)
    assert problem.initial is not None
    run_steps(SingleProcess(), plan, problem, problem.initial, Receiver(), timings)
    assert delivered == list(plan.tiles())
    assert timings.scatter == 0.0
    assert 5.0 < timings.compute < 6.0
    assert 7.0 < timings.gather < 8.0
