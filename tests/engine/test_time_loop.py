"""The kernel runs over every row of every step once, block by block, and failures say where they happened."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simsplit import InputError, KernelError, Problem, SimsplitError
from simsplit.communicator.flags import STOP, TERM, USR1
from simsplit.communicator.serial import SerialCommunicator
from simsplit.engine import LocalPart, Plan, ResumePoint, Timings, run_steps
from simsplit.engine.batching import StepBatcher
from simsplit.history.gathered import GatheredHistory
from simsplit.kernels import Affine, Kernel, affine
from simsplit.verification import bit_mismatch
from tests.support.arrays import NUMERIC, random_array
from tests.support.blocks import dtype_of, history_of
from tests.support.profiles import examples
from tests.support.threads import ThreadRank, on_ranks

if TYPE_CHECKING:
    import numpy.typing as npt

    from simsplit.communicator import Communicator
    from simsplit.engine import Tile
    from simsplit.kernels import Block

    Array = npt.NDArray[Any]


def plan_of(problem: Problem, ranks: int = 1, tile_nbytes: int = 2**20) -> Plan:
    """Return the plan of a problem."""
    initial = problem.initial
    assert initial is not None
    return Plan(initial.shape, initial.dtype, dtype_of(problem), problem.steps, ranks, tile_nbytes, problem.keep)


def rows_of(problem: Problem, lower: int, upper: int) -> LocalPart:
    """Return rows of a problem and of its parameters."""
    assert problem.initial is not None
    parameters = {
        name: value[lower:upper] if isinstance(value, np.ndarray) else value
        for name, value in problem.kernel.parameters.items()
    }
    return LocalPart(problem, lower, problem.initial[lower:upper], parameters)


def steps_of(
    problem: Problem, communicator: Communicator | None = None, *, tile_nbytes: int = 2**20, **block: int
) -> Array | None:
    """Run all steps with tiles and blocks of the given bytes; return the history, on root."""
    communicator = SerialCommunicator() if communicator is None else communicator
    plan = plan_of(problem, communicator.size, tile_nbytes)
    receiver = spoilt(GatheredHistory(communicator, plan))
    rows = rows_of(problem, *plan.bounds[communicator.rank])
    assert run_steps(communicator, plan, rows, receiver, Timings(), **block) == problem.steps
    return receiver.history


def spoilt(receiver: GatheredHistory) -> GatheredHistory:
    """Fill the history with what no kernel gives."""
    if receiver.history is not None:
        receiver.history.view(np.uint8)[...] = 0xAA
    return receiver


def problem_of(initial: Array, kernel: Kernel | None = None, steps: int = 6) -> Problem:
    """Return a problem with times that are no round numbers."""
    return Problem(initial, affine() if kernel is None else kernel, delta_t=0.1, steps=steps, start_time=-0.2)


def is_exact(problem: Problem, history: Array | None) -> bool:
    """Return whether every step has the bits of a plain loop on the whole array."""
    assert history is not None
    kept = slice(problem.kept.start, problem.steps, problem.kept.step)
    return len(history) == len(problem.kept) and not bit_mismatch(history_of(problem)[kept], history).any()


class Recording(Affine):
    """Notes which rows were prepared and evaluated, told by their values, and what they looked like."""

    def __init__(self) -> None:
        super().__init__(offset=0.0, multiplier=1.0)
        self.prepared: list[list[float]] = []
        self.evaluated: list[tuple[float, list[float]]] = []

    def prepare(self, x: Array, block: Block, scratch: Array) -> Array:
        assert x.flags.c_contiguous
        assert x.dtype.isnative
        assert scratch.shape == x.shape
        self.prepared.append(x.tolist())
        return super().prepare(x, block, scratch)

    def evaluate(self, x: Array, block: Block, out: Array) -> None:
        assert out.flags.c_contiguous
        assert block.upper - block.lower == len(x)
        self.evaluated.append((block.t, x.tolist()))
        super().evaluate(x, block, out)


class Failing(Kernel):
    """Raises when it meets the value 13 at a time of 0.5 or later."""

    def __init__(self, error: BaseException) -> None:
        super().__init__()
        self.error = error

    def evaluate(self, x: Array, block: Block, out: Array) -> None:
        out[...] = x
        if block.t >= 0.5 and (x == 13).any():
            raise self.error


@examples(150)
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


@examples(30)
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
        def evaluate(self, x: Array, block: Block, out: Array) -> None:
            x += block.t
            out[...] = x

    initial = np.arange(4.0)
    with pytest.raises(KernelError, match="read-only"):
        steps_of(problem_of(initial, Careless()))
    np.testing.assert_array_equal(initial, np.arange(4.0))
    initial[0] = 1.0


def test_infinities_and_nans_are_results_and_no_warnings() -> None:
    class Inverse(Kernel):
        def evaluate(self, x: Array, block: Block, out: Array) -> None:
            np.divide(block.t, x, out=out)

    history = steps_of(Problem(np.array([0.0, 2.0]), Inverse(), delta_t=1.0, steps=2))
    np.testing.assert_array_equal(history, [[np.nan, 0.0], [np.inf, 0.5]])


def test_a_failure_names_the_kernel_the_rank_the_step_the_time_and_the_rows() -> None:
    problem = Problem(np.arange(20.0), Failing(ZeroDivisionError("no such thing")), delta_t=0.25, steps=8)
    with pytest.raises(KernelError) as caught:
        steps_of(problem, tile_nbytes=4 * 6 * 8, block=3 * 8)
    message = str(caught.value)
    host = SerialCommunicator().host
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
        def evaluate(self, x: Array, block: Block, out: Array) -> None:
            return value

    with pytest.raises(KernelError) as caught:
        steps_of(problem_of(np.arange(4.0), Returning()))
    name = type(value).__name__
    assert f"evaluate() returned {name}; it must write the result into out" in str(caught.value)


def test_a_kernel_may_return_out_itself() -> None:
    class Returning(Kernel):
        def evaluate(self, x: Array, block: Block, out: Array) -> None:
            return np.add(x, block.t, out=out)

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

        def fetch(self, position: int, spans: Any) -> Array:
            raise NotImplementedError

        def finish(self) -> None:
            raise NotImplementedError

        abort = finish

    timings = Timings(compute=5.0, gather=7.0)
    run_steps(SerialCommunicator(), plan, rows_of(problem, 0, 10), Receiver(), timings)
    assert [(tile.steps, tile.spans) for tile in delivered] == [
        (steps, [(lower, min(lower + 4, 10))]) for steps in (range(4), range(4, 5)) for lower in (0, 4, 8)
    ]
    assert timings.scatter == 0.0
    assert 5.0 < timings.compute < 6.0
    assert 7.0 < timings.gather < 8.0


KEEP = ["all", "last", "every:1", "every:2", "every:3", "every:7", "every:100"]


@examples(60)
@given(
    rows=st.integers(1, 25),
    ranks=st.integers(1, 3),
    steps=st.integers(0, 14),
    tile_nbytes=st.integers(0, 300),
    block=st.integers(0, 100),
    keep=st.sampled_from(KEEP),
)
def test_a_map_kernel_computes_the_steps_that_are_kept_and_no_other(
    rows: int, ranks: int, steps: int, tile_nbytes: int, block: int, keep: str
) -> None:
    kernel = Recording()
    problem = Problem(np.arange(float(rows)), kernel, delta_t=0.5, steps=steps, start_time=1.0, keep=keep)
    history, *_ = on_ranks(ranks, lambda rank: steps_of(problem, rank, tile_nbytes=tile_nbytes, block=block))
    computed = sorted((t, row) for t, run in kernel.evaluated for row in run)
    assert computed == [(1.0 + k * 0.5, row) for k in problem.kept for row in range(rows)]
    kernel.evaluated.clear()
    assert is_exact(problem, history)


class Mixes(Kernel):
    """A step that depends on everything that a block tells, in an order that rounding would show."""

    kind = "step"

    def evaluate(self, x: Array, block: Block, out: Array) -> None:
        row = block.row.reshape(-1, *[1] * (x.ndim - 1))
        np.multiply(x, block["rate"], out=out)
        out += np.sin(row * 0.1 + block.k)
        out *= 1.0 + block.t * block["shift"] * block.delta_t
        out += block.random.uniform(*x.shape[1:])


def by_row(name: str, shape: tuple[int, ...]) -> Array | float:
    """Return values for each row, in one of several layouts."""
    values = np.random.default_rng(len(shape) + 1).uniform(0.5, 1.5, shape)
    layouts: dict[str, Any] = {
        "number": 0.7,
        "C": values,
        "F": np.asfortranarray(values),
        "big-endian": values.astype(">f8"),
        "float32": values.astype(np.float32),
        "gaps": np.repeat(values, 2, axis=0)[::2],
        "backwards": values[::-1],
    }
    return layouts[name]  # type: ignore[no-any-return]


LAYOUTS = ["number", "C", "F", "big-endian", "float32", "gaps", "backwards"]


@examples(150)
@given(
    rows=st.integers(1, 25),
    width=st.sampled_from([(), (1,), (3,), (2, 3)]),
    ranks=st.integers(1, 4),
    steps=st.integers(0, 10),
    tile_nbytes=st.integers(0, 900),
    block=st.integers(0, 200),
    layout=st.sampled_from(LAYOUTS),
    order=st.sampled_from("CF"),
    keep=st.sampled_from(KEEP),
)
def test_a_step_kernel_gives_the_bits_of_a_plain_loop(
    rows: int,
    width: tuple[int, ...],
    ranks: int,
    steps: int,
    tile_nbytes: int,
    block: int,
    layout: str,
    order: Any,
    keep: str,
) -> None:
    initial = np.array(random_array("float64", rows * int(np.prod(width)), 3).reshape(rows, *width), order=order)
    before = initial.tobytes()
    kernel = Mixes(rate=by_row(layout, (rows,)), shift=0.25)
    problem = Problem(initial, kernel, delta_t=0.1, steps=steps, start_time=-0.2, seed=12, keep=keep)
    if ranks == 1:
        history = steps_of(problem, tile_nbytes=tile_nbytes, block=block)
    else:
        history, *others = on_ranks(ranks, lambda rank: steps_of(problem, rank, tile_nbytes=tile_nbytes, block=block))
        assert others == [None] * (ranks - 1)
    assert is_exact(problem, history)
    assert initial.tobytes() == before


@pytest.mark.parametrize("kind", ["map", "step"])
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize(
    ("shape", "parameter"),
    [((13,), (13,)), ((13, 3), (13,)), ((13, 3), (13, 1)), ((13, 3), (13, 3)), ((13, 2, 3), (13, 3)), ((13, 1), (13,))],
)
@pytest.mark.parametrize("ranks", [1, 3])
def test_each_row_gets_its_own_parameters(
    shape: tuple[int, ...], parameter: tuple[int, ...], layout: str, kind: Any, ranks: int
) -> None:
    class Checked(Mixes):
        def evaluate(self, x: Array, block: Block, out: Array) -> None:
            for value in block.parameters.values():
                if isinstance(value, np.ndarray):
                    assert value.ndim == x.ndim
                    assert np.broadcast_shapes(value.shape, x.shape) == x.shape
                    assert value.dtype.isnative
                    assert value.flags.c_contiguous
                    assert not value.flags.writeable
            super().evaluate(x, block, out)

    kernel = Checked(rate=by_row(layout, parameter), shift=by_row("C", shape[:1]))
    kernel.kind = kind
    problem = Problem(random_array("float32", int(np.prod(shape)), 3).reshape(shape), kernel, delta_t=0.1, steps=6)
    options: dict[str, Any] = {"tile_nbytes": 400, "block": 60}
    history = (
        steps_of(problem, **options) if ranks == 1 else on_ranks(ranks, lambda r: steps_of(problem, r, **options))[0]
    )
    assert not isinstance(history, BaseException), history
    assert is_exact(problem, history)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize(
    ("shape", "parameter", "index"),
    [
        ((13,), (13,), (slice(None),)),
        ((13, 3), (13,), (slice(None), None)),
        ((13, 3), (13, 1), (slice(None), slice(None))),
        ((13, 3), (13, 3), (slice(None), slice(None))),
        ((13, 2, 3), (13,), (slice(None), None, None)),
        ((13, 2, 3), (13, 3), (slice(None), None, slice(None))),
        ((13, 2, 3), (13, 2, 1), (slice(None), slice(None), slice(None))),
    ],
)
def test_parameters_broadcast_along_the_last_axes_of_a_row(
    shape: tuple[int, ...], parameter: tuple[int, ...], index: Any, layout: str
) -> None:
    initial, rate = np.random.default_rng(1).normal(size=shape), by_row(layout, parameter)
    history = steps_of(problem_of(initial, affine(offset=rate, multiplier=0.0)), block=60)
    assert history is not None
    expected = np.broadcast_to(rate[index], shape) if isinstance(rate, np.ndarray) else np.full(shape, rate)
    assert history[3].tolist() == ((expected + initial * 0.0) * (-0.2 + 3 * 0.1)).tolist()


def test_a_step_kernel_is_told_the_step_and_the_time_of_the_state_that_it_gets() -> None:
    told: list[tuple[int, float, int, int, list[float]]] = []

    class Watched(Kernel):
        kind = "step"

        def evaluate(self, x: Array, block: Block, out: Array) -> None:
            assert not x.flags.writeable
            told.append((block.k, block.t, block.lower, block.upper, x.tolist()))
            np.add(x, 1.0, out=out)

    problem = Problem(np.arange(3.0), Watched(), delta_t=0.5, steps=6, start_time=2.0)
    history = steps_of(problem, tile_nbytes=4 * 2 * 8, block=2 * 8)  # tiles of 2 rows and 4 steps
    np.testing.assert_array_equal(history, np.arange(6.0)[:, None] + np.arange(3.0))
    assert told == [
        (k, 2.0 + k * 0.5, lower, upper, [row + k for row in range(lower, upper)])
        for steps in ([0, 1, 2], [3, 4])
        for lower, upper in ((0, 2), (2, 3))
        for k in steps
    ]


@pytest.mark.parametrize("dtype", [">i2", "bool", "float32", ">c8"])
def test_step_0_is_the_initial_array_in_the_dtype_of_the_history(dtype: str) -> None:
    initial = np.array([0, 1, 1, 0, 1]).astype(dtype)
    problem = problem_of(initial, Mixes(rate=0.5, shift=1), steps=1)
    history = steps_of(problem)
    assert history is not None
    assert history.dtype == np.result_type(initial.dtype.newbyteorder("="), 0.0)
    np.testing.assert_array_equal(history[0], initial)


def test_a_step_kernel_cannot_write_to_the_state() -> None:
    class Careless(Kernel):
        kind = "step"

        def evaluate(self, x: Array, block: Block, out: Array) -> None:
            x += 1
            out[...] = x

    with pytest.raises(KernelError, match="read-only"):
        steps_of(problem_of(np.arange(4.0), Careless()))


def test_what_a_step_kernel_cannot_keep_of_the_initial_array_is_an_error() -> None:
    class Real(Kernel):
        kind = "step"

        def result_dtype(self, x: Array, block: Block) -> np.dtype[Any]:
            return np.dtype(float)

        def evaluate(self, x: Array, block: Block, out: Array) -> None:
            out[...] = x

    with pytest.raises(KernelError, match="Cannot cast"):
        steps_of(problem_of(np.zeros(3, complex), Real()))


def test_the_state_between_the_steps_must_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    problem = problem_of(np.zeros(100), Mixes(rate=0.5, shift=1), steps=5)
    plan = plan_of(problem)
    receiver = GatheredHistory(SerialCommunicator(), plan)
    monkeypatch.setattr("simsplit.util.memory_limits.available", lambda **_: 799)
    with pytest.raises(InputError, match=r"^the state between the steps takes 800 B, but 799 B of memory are left"):
        run_steps(SerialCommunicator(), plan, rows_of(problem, 0, 100), receiver, Timings())
    shorter = problem_of(np.zeros(100), Mixes(rate=0.5, shift=1), steps=4)  # one tile: no state outlives it
    plan = plan_of(shorter)
    run_steps(SerialCommunicator(), plan, rows_of(shorter, 0, 100), receiver, Timings())


class Spoils(Kernel):
    """Gives what is not a number where a value is found, at step 2 or later."""

    def evaluate(self, x: Array, block: Block, out: Array) -> None:
        out[...] = x
        if block.k >= 2:
            out[(x == 13) | (x == 14)] = np.nan


@pytest.mark.parametrize("kind", ["map", "step"])
@pytest.mark.parametrize("width", [(), (2,)])
def test_not_a_number_is_an_error_if_it_is_to_be(kind: Any, width: tuple[int, ...]) -> None:
    kernel = Spoils()
    kernel.kind = kind
    initial = np.arange(20.0).reshape(20, *[1] * len(width)) + np.zeros(width)
    problem = Problem(initial, kernel, delta_t=0.25, steps=8, nan="error")
    row = 8 * int(np.prod(width))
    with pytest.raises(KernelError) as caught:
        steps_of(problem, tile_nbytes=4 * 6 * row, block=3 * row)
    message = str(caught.value)
    host = SerialCommunicator().host
    at = "step 2, t = 0.5" if kind == "map" else "step 3, t = 0.75 (from step 2, t = 0.5)"
    assert message.startswith(
        f"the kernel Spoils failed on rank 0 of 1 (host {host}) at {at}, rows 12–14:\nFloatingPointError"
    )
    assert "FloatingPointError: 2 of these rows are not a number, the first is row 13\n" in message
    allowed = Problem(initial, kernel, delta_t=0.25, steps=8)
    history = steps_of(allowed)
    assert history is not None
    assert np.isnan(history[4, 13]).all()


def test_infinities_are_numbers_and_so_are_whole_ones() -> None:
    class Whole(Spoils):
        def result_dtype(self, x: Array, block: Block) -> np.dtype[Any]:
            return np.dtype(np.int16)

        def evaluate(self, x: Array, block: Block, out: Array) -> None:
            out[...] = 3

    infinite = Problem(
        np.array([np.inf, -np.inf]), affine(offset=1.0), delta_t=1.0, steps=3, start_time=1.0, nan="error"
    )
    assert np.isinf(steps_of(infinite)).all()  # type: ignore[arg-type]
    assert steps_of(Problem(np.zeros(2), Whole(), delta_t=1.0, steps=1, nan="error")) is not None


def test_not_a_number_on_one_rank_is_an_error_on_all() -> None:
    problem = Problem(np.arange(20.0), Spoils(), delta_t=0.25, steps=8, nan="error")
    errors = on_ranks(4, lambda rank: steps_of(problem, rank, block=16))
    assert [type(error) for error in errors] == [KernelError] * 4
    assert {tuple(failure.rank for failure in error.failures) for error in errors} == {(2,)}
    assert "on rank 2 of 4 (host host1) at step 2, t = 0.5, rows 12–13" in str(errors[0])


class Stopping:
    """Asks for a stop after some calls, and keeps what it is told."""

    def __init__(self, after: int, bits: int = TERM) -> None:
        self.after = after
        self.bits = bits
        self.asked = 0
        self.told: list[tuple[int, int, Array | None, int]] = []

    wants_values = False
    can_stop = False

    def poll_flags(self) -> int:
        self.asked += 1
        return self.bits if self.asked == self.after else 0

    def max_steps(self, next_step: int) -> int:
        return 10**6

    def on_batch_end(self, position: ResumePoint, requested: int) -> int:
        state = position.state
        assert state is None or not state.flags.writeable
        self.told.append((position.next_step, position.kept, None if state is None else state.copy(), requested))
        return requested & STOP


@pytest.mark.parametrize("keep", ["all", "every:3", "last"])
@pytest.mark.parametrize("kind", ["map", "step"])
@pytest.mark.parametrize("ranks", [1, 3])
@pytest.mark.parametrize("after", [1, 2, 3])
def test_a_run_that_a_watcher_stops_goes_on_where_it_was(after: int, ranks: int, kind: Any, keep: str) -> None:
    kernel = Mixes(rate=by_row("C", (10,)), shift=0.25)
    kernel.kind = kind
    problem = Problem(np.linspace(0, 1, 10), kernel, delta_t=0.1, steps=23, start_time=-0.2, seed=5, keep=keep)

    def run_in_two(rank: ThreadRank) -> Any:
        plan = plan_of(problem, ranks)
        rows = rows_of(problem, *plan.bounds[rank.rank])
        receiver = spoilt(GatheredHistory(rank, plan))
        watcher = Stopping(after if rank.rank == ranks - 1 else 0)  # one rank asks, all stop
        batcher = StepBatcher(4, 4)
        stopped = run_steps(rank, plan, rows, receiver, Timings(), block=16, observer=watcher, batcher=batcher)
        next_step, kept, state, _ = watcher.told[-1]
        assert stopped == next_step
        rest = Stopping(0)
        start = ResumePoint(next_step, kept, state)
        done = run_steps(rank, plan, rows, receiver, Timings(), block=24, observer=rest, start=start)
        assert done == problem.steps
        assert rest.told == [] or rest.told[-1][:2] == (problem.steps, len(problem.kept))
        return receiver.history, [(*each[:2], each[3]) for each in watcher.told], stopped

    histories, told, stops = zip(*on_ranks(ranks, run_in_two), strict=True)
    assert is_exact(problem, histories[0])
    assert len(set(map(str, told))) == 1
    assert [requested & STOP for *_, requested in told[0]] == [0] * (len(told[0]) - 1) + [
        TERM * (len(told[0]) == after)
    ]
    assert [kept for _, kept, _ in told[0]] == [len([k for k in problem.kept if k < step]) for step, _, _ in told[0]]
    assert stops[0] < problem.steps or (kind, keep) != ("step", "all")


def test_a_watcher_of_a_step_kernel_is_given_the_state_also_at_the_end() -> None:
    problem = Problem(np.arange(6.0), Mixes(rate=0.5, shift=1), delta_t=0.1, steps=10, seed=5)
    watcher = Stopping(0)
    plan = plan_of(problem)
    receiver = GatheredHistory(SerialCommunicator(), plan)
    run_steps(
        SerialCommunicator(),
        plan,
        rows_of(problem, 0, 6),
        receiver,
        Timings(),
        observer=watcher,
        batcher=StepBatcher(4, 4),
    )
    expected = history_of(problem)
    assert [step for step, *_ in watcher.told] == [4, 8, 10]
    for step, kept, state, requested in watcher.told:
        assert state is not None
        assert not bit_mismatch(expected[step - 1], state).any()
        assert (kept, requested & STOP) == (step, 0)


class Noting(Stopping):
    """Stops nothing."""

    def on_batch_end(self, position: ResumePoint, requested: int) -> int:
        super().on_batch_end(position, requested)
        return 0


class Hurried(Noting):
    """Wants short stretches, of other lengths each time."""

    def max_steps(self, next_step: int) -> int:
        return 1 + len(self.told) % 3


@pytest.mark.parametrize("kind", ["map", "step"])
@pytest.mark.parametrize("keep", ["all", "every:3", "last"])
def test_a_watcher_may_ask_for_short_stretches_and_the_bits_stay_the_same(keep: str, kind: Any) -> None:
    kernel = Mixes(rate=by_row("C", (10,)), shift=0.25)
    kernel.kind = kind
    problem = Problem(np.linspace(0, 1, 10), kernel, delta_t=0.1, steps=11, seed=5, keep=keep)
    whole = steps_of(problem)
    plan = plan_of(problem, 1)
    receiver, watcher = GatheredHistory(SerialCommunicator(), plan), Hurried(0, 0)
    run_steps(SerialCommunicator(), plan, rows_of(problem, 0, 10), receiver, Timings(), observer=watcher)
    assert receiver.history is not None
    assert receiver.history.tobytes() == whole.tobytes()
    lengths = np.diff([0, *(told[0] for told in watcher.told)])
    if kind == "step":
        assert lengths.tolist()[:4] == [1, 2, 3, 1]


def test_what_ranks_ask_in_any_tile_of_a_stretch_comes_together_at_its_end() -> None:
    problem = problem_of(np.arange(12.0), steps=8)

    def bits(rank: ThreadRank) -> list[int]:
        plan = plan_of(problem, 2, 2 * 4 * 8)  # three tiles of two rows in each stretch
        watcher = Noting(1, TERM) if rank.rank == 0 else Noting(3, USR1)
        rows = rows_of(problem, *plan.bounds[rank.rank])
        run_steps(rank, plan, rows, GatheredHistory(rank, plan), Timings(), observer=watcher)
        assert watcher.asked == 6
        return [requested & STOP for *_, requested in watcher.told]

    assert on_ranks(2, bits) == [[TERM | USR1, 0]] * 2


@pytest.mark.parametrize("state", [None, np.zeros(5)])
def test_a_step_kernel_does_not_go_on_without_its_state(state: Any) -> None:
    problem = problem_of(np.arange(6.0), Mixes(rate=0.5, shift=1))
    plan, alone = plan_of(problem), SerialCommunicator()
    receiver = GatheredHistory(alone, plan)
    with pytest.raises(SimsplitError, match=r"to go on from step 3 takes a state of shape \(6,\)"):
        run_steps(alone, plan, rows_of(problem, 0, 6), receiver, Timings(), start=ResumePoint(3, 3, state))


def test_of_two_failures_the_one_of_the_earlier_step_is_told() -> None:
    class Both(Kernel):
        def evaluate(self, x: Array, block: Block, out: Array) -> None:
            if block.k == 3:
                raise LookupError("later")
            out[...] = np.where((block.k == 2) & (x == 1), np.nan, x)

    problem = Problem(np.arange(3.0), Both(), delta_t=0.5, steps=8, nan="error")
    with pytest.raises(KernelError, match=r"at step 2, t = 1.0, rows 0–2:(.|\n)*the first is row 1"):
        steps_of(problem)


@pytest.mark.parametrize("kind", ["map", "step"])
def test_many_small_steps_take_few_agreements_and_few_messages(kind: Any) -> None:
    kernel = Mixes(rate=0.5, shift=0.1)
    kernel.kind = kind
    problem = Problem(np.linspace(0, 1, 6), kernel, delta_t=1e-3, steps=5000)
    counts = {"bitwise_or": 0, "gatherv": 0}

    class Counting(ThreadRank):
        def allreduce_or(self, bits: int) -> int:
            counts["bitwise_or"] += 1
            return super().allreduce_or(bits)

        def gatherv(self, parts: Array, spans: Any, wholes: Array | None) -> None:
            counts["gatherv"] += 1
            super().gatherv(parts, spans, wholes)

    def both(rank: ThreadRank) -> Array | None:
        rank.__class__ = Counting
        plan = plan_of(problem, 2)
        receiver = GatheredHistory(rank, plan)
        rows = rows_of(problem, *plan.bounds[rank.rank])
        run_steps(rank, plan, rows, receiver, Timings(), batcher=StepBatcher(4, 4096, clock=lambda: 0.0))
        return receiver.history

    assert is_exact(problem, on_ranks(2, both)[0])
    assert counts["gatherv"] == 2 * 11  # 4, 8, 16 … 2048 and the rest
    assert counts["bitwise_or"] == 2 * 12
