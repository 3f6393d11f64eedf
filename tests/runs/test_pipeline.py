"""A run from Python, in one process, and on several ranks as threads."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simsplit import (
    InputError,
    KernelError,
    LaunchError,
    OutputError,
    Problem,
    Result,
    Verification,
    VerificationError,
    kernels,
    run,
)
from simsplit.communicator.serial import SerialCommunicator
from simsplit.util import memory_limits as memory
from simsplit.verification import bit_mismatch
from tests.support.profiles import examples
from tests.support.runs import execute

from ..support.arrays import FINITE, NUMERIC, random_array
from ..support.environment import forget_launchers
from ..support.threads import on_ranks

if TYPE_CHECKING:
    from pathlib import Path

    import numpy.typing as npt

    from simsplit.kernels import Block

    Array = npt.NDArray[Any]


@pytest.fixture(autouse=True)
def ordinary_start(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forget whatever launched the tests."""
    forget_launchers(monkeypatch)


def make(initial: Any = None, **changes: Any) -> Problem:
    """Return the tutorial's problem, but for the changes."""
    values: dict[str, Any] = {"kernel": kernels.affine(offset=3, multiplier=5), "delta_t": 0.5, "steps": 5}
    return Problem(np.arange(7.0) if initial is None else initial, **(values | changes))


class NotRowLocal(kernels.Kernel):
    """Depends on how many rows it is given: what no kernel may do."""

    def evaluate(self, x: Array, block: Block, out: Array) -> None:
        np.add(x, len(x) * block.t, out=out)


class GivesDtype(kernels.Affine):
    """Claims a dtype of the result."""

    def __init__(self, dtype: Any) -> None:
        super().__init__(offset=3.0, multiplier=5.0)
        self.dtype = dtype

    def result_dtype(self, x: Array, block: Block) -> np.dtype[Any]:
        if isinstance(self.dtype, Exception):
            raise self.dtype
        return self.dtype  # type: ignore[no-any-return]


def test_the_tutorials_simulation() -> None:
    result = run(make(), serial=True)
    assert isinstance(result, Result)
    assert result.history is not None
    assert result.history.dtype == np.float64
    np.testing.assert_array_equal(result.history[0], np.zeros(7))
    np.testing.assert_array_equal(result.history[1], [1.5, 4.0, 6.5, 9.0, 11.5, 14.0, 16.5])
    np.testing.assert_array_equal(result.history, np.outer(np.arange(5) * 0.5, 3 + 5 * np.arange(7.0)))
    np.testing.assert_array_equal(result.times, [0.0, 0.5, 1.0, 1.5, 2.0])


def test_a_result_tells_who_did_what_and_how_many_bytes_it_took() -> None:
    result = run(make(np.zeros((7, 2), np.float32)), serial=True)
    assert result.ranks == 1
    assert result.bounds == [(0, 7)]
    assert result.hosts == [SerialCommunicator().host]
    assert result.library is None
    assert result.nbytes == {"initial": 56, "history": 280, "scattered": 0, "gathered": 0}
    assert result.verification is None
    assert result.times.dtype == np.float64
    assert 0 <= result.timings.scatter < 1
    assert 0 < result.timings.compute < 1
    assert 0 < result.timings.gather < 1
    assert "history" not in repr(result).partition("nbytes")[0]
    with pytest.raises(AttributeError):
        result.ranks = 2  # type: ignore[misc]


@examples(100)
@given(
    dtype=st.sampled_from(NUMERIC),
    shape=st.tuples(st.integers(1, 30)) | st.tuples(st.integers(1, 9), st.integers(1, 4)),
    steps=st.integers(1, 9),
    offset=FINITE,
    multiplier=FINITE,
    delta_t=st.floats(-1e6, 1e6),
    start_time=st.floats(-1e6, 1e6),
)
def test_every_history_is_verified_bit_for_bit(
    dtype: str,
    shape: tuple[int, ...],
    steps: int,
    offset: float,
    multiplier: float,
    delta_t: float,
    start_time: float,
) -> None:
    initial = random_array(dtype, int(np.prod(shape)), 9).reshape(shape)
    kernel = kernels.affine(offset=offset, multiplier=multiplier)
    problem = Problem(initial, kernel, delta_t=delta_t, start_time=start_time, steps=steps)
    result = run(problem, serial=True, verify=True)
    assert result.verification == Verification(steps, steps * initial.size, 0, 0, None, 0.0)
    assert result.times.tolist() == [start_time + k * delta_t for k in range(steps)]


@examples(25)
@given(
    dtype=st.sampled_from([*NUMERIC, ">f8", ">i2"]),
    rows=st.integers(1, 12),
    ranks=st.integers(2, 4),
    order=st.sampled_from("CF"),
)
def test_several_ranks_give_the_bits_of_one_and_the_history_is_on_root(
    dtype: str, rows: int, ranks: int, order: Any
) -> None:
    initial = np.array(np.arange(rows * 2).reshape(rows, 2) % 2, dtype, order=order)
    problem = make(initial)
    one = run(problem, serial=True).history
    elsewhere = make(None)
    elsewhere.initial = None
    results = on_ranks(ranks, lambda rank: execute(problem if rank.rank == 0 else elsewhere, rank, verify=True))
    assert one is not None
    assert results[0].history is not None
    assert not bit_mismatch(one, results[0].history).any()
    assert [result.history is None for result in results] == [False] + [True] * (ranks - 1)
    for result in results:
        assert result.verification.identical
        assert result.ranks == ranks
        assert result.hosts == [f"host{rank // 2}" for rank in range(ranks)]
        assert result.library == "threads"
        assert result.bounds == results[0].bounds
        assert result.nbytes == results[0].nbytes
        assert result.timings == results[0].timings


@pytest.mark.parametrize(
    "initial",
    [
        np.arange(24).reshape(8, 3).astype(">f8"),
        np.asfortranarray(np.arange(24.0).reshape(8, 3)),
        np.arange(48.0).reshape(8, 6)[:, ::2] / 2,
        np.arange(24)[::-1].copy()[::-1].reshape(8, 3),
    ],
    ids=["big-endian", "Fortran order", "with gaps", "integers"],
)
def test_the_layout_of_the_array_makes_no_difference(initial: Array) -> None:
    expected = run(make(np.arange(24.0).reshape(8, 3)), serial=True).history
    before = initial.copy()
    result = run(make(initial), serial=True, verify=True)
    assert expected is not None
    assert result.history is not None
    assert not bit_mismatch(expected, result.history).any()
    np.testing.assert_array_equal(initial, before)


@pytest.mark.parametrize(("shape", "steps"), [((0,), 3), ((0, 2), 3), ((4, 0), 3), ((4,), 0)])
def test_nothing_to_compute_is_a_result_all_the_same(tmp_path: Path, shape: tuple[int, ...], steps: int) -> None:
    result = run(make(np.zeros(shape), steps=steps), serial=True, verify=True, output=tmp_path / "h.npy")
    assert result.history is not None
    assert result.history.shape == (steps, *shape)
    assert len(result.times) == steps
    assert np.load(tmp_path / "h.npy").shape == (steps, *shape)


def test_the_output_is_the_history(tmp_path: Path) -> None:
    result = run(make(), serial=True, output=str(tmp_path / "h.npy"))
    assert result.history is not None
    assert not bit_mismatch(result.history, np.load(tmp_path / "h.npy")).any()


def test_a_kernel_that_is_not_row_local_is_found_and_nothing_is_written(tmp_path: Path) -> None:
    problem = make(np.zeros(40_000), kernel=NotRowLocal(), steps=3)  # two blocks
    with pytest.raises(VerificationError) as caught:
        run(problem, serial=True, verify=True, output=tmp_path / "h.npy", block_size=2**18, check_rows=False)
    message = str(caught.value)
    assert "is not that of one process. DIFFERENT: 80,000 of 120,000 values in 2 of 3 steps, first at step 1" in message
    whole, rest = np.array([40_000.0, 40_000.0 - 32_768]).view(np.int64)  # of two positive floats the bits are in order
    assert message.endswith(
        f"row 0, at most {whole - rest:.2g} ulp apart. Nothing was written. A kernel must be row-local, write all of "
        "out, and give the same each time."
    )
    assert caught.value.is_collective
    assert caught.value.is_reporter
    assert list(tmp_path.iterdir()) == []


def test_without_verify_nothing_is_compared() -> None:
    assert run(make(kernel=NotRowLocal()), serial=True, check_rows=False).verification is None


def test_execute_leaves_the_verdict_to_the_caller() -> None:
    problem = make(np.zeros(40_000), kernel=NotRowLocal(), steps=2)
    result = execute(problem, SerialCommunicator(), verify=True, block_size=2**18, check_rows=False)
    assert result.verification is not None
    assert not result.verification.identical
    assert result.verification.first == (1, 0)


def test_root_must_have_the_array() -> None:
    problem = make()
    problem.initial = None
    with pytest.raises(InputError, match=r"^initial is None on rank 0: rank 0 must have the array"):
        run(problem, serial=True)


@pytest.mark.parametrize(
    ("dtype", "given"),
    [
        (np.dtype("U3"), "<U3"),
        (np.dtype(">f8"), ">f8"),
        (np.dtype("O"), "object"),
        (np.dtype("M8[s]"), "datetime64[s]"),
    ],
)
def test_a_kernel_that_gives_no_number_is_told_what_it_must_give(dtype: np.dtype[Any], given: str) -> None:
    with pytest.raises(KernelError) as caught:
        run(make(kernel=GivesDtype(dtype)), serial=True)
    assert (
        "the kernel affine failed for the first row, of float64:\nTypeError: "
        f"it gives {given}: it must be a numeric or complex dtype in the machine's byte order\n"
    ) in str(caught.value)


@pytest.mark.parametrize(("shape", "parameter"), [((3, 3), (3, 3)), ((3, 3), (3,)), ((2, 4, 2), (2, 4, 2))])
def test_what_a_parameter_was_taken_for_is_told_where_a_constant_may_be_meant(
    shape: tuple[int, ...], parameter: tuple[int, ...]
) -> None:
    remark = f"each of the {shape[0]} rows has its own part of offset of shape {parameter}; it takes no constant"
    kernel = kernels.affine(offset=np.ones(parameter))
    assert run(make(np.ones(shape), kernel=kernel), serial=True).note == remark
    product = kernels.function(lambda x, offset: x @ offset[0] @ offset[1], offset=np.ones(parameter))
    with pytest.raises(
        KernelError,
        match=r"for the first two rows, .* \(each of the .* --constant \(kernels.constant\) makes",
    ):
        run(make(np.ones(shape), kernel=product), serial=True)


@pytest.mark.parametrize(("shape", "parameter"), [((3,), (3,)), ((4, 3), (4, 3)), ((1, 1), (1,))])
def test_a_parameter_that_is_by_row_without_a_doubt_is_not_remarked_upon(
    shape: tuple[int, ...], parameter: tuple[int, ...]
) -> None:
    assert run(make(np.ones(shape), kernel=kernels.affine(offset=np.ones(parameter))), serial=True).note is None


@pytest.mark.parametrize("dtype", [ValueError("not for me"), "no dtype"])
def test_a_kernel_that_fails_to_give_a_dtype_is_named(dtype: Any) -> None:
    with pytest.raises(KernelError, match="the kernel affine failed for the first row, of float64"):
        run(make(kernel=GivesDtype(dtype)), serial=True)


def test_a_kernel_may_choose_another_dtype_for_its_results() -> None:
    result = run(make(np.arange(7.0), kernel=GivesDtype(np.dtype(np.complex128))), serial=True)
    assert result.history is not None
    assert result.history.dtype == np.complex128
    np.testing.assert_array_equal(result.history[1], [1.5, 4.0, 6.5, 9.0, 11.5, 14.0, 16.5])


def test_a_history_that_does_not_fit_is_refused_before_anything_is_computed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "available", lambda **_: 279)
    with pytest.raises(InputError, match=r"^the history of 5 steps × 56 B on rank 0 takes 280 B, but 279 B"):
        run(make(kernel=NotRowLocal()), serial=True, output=tmp_path / "h.npy")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("output", "kind", "text"),
    [("h.txt", InputError, "must be a file that ends in .npy"), ("none/h.npy", OutputError, "there is no folder")],
)
def test_an_output_that_cannot_be_is_refused_before_anything_is_computed(
    tmp_path: Path, output: str, kind: type[Exception], text: str
) -> None:
    class Never(kernels.Kernel):
        def evaluate(self, x: Array, block: Block, out: Array) -> None:
            raise AssertionError

    with pytest.raises(kind, match=text):
        run(make(kernel=Never()), serial=True, output=tmp_path / output)


def test_the_expected_number_of_ranks_holds_for_one_process(monkeypatch: pytest.MonkeyPatch) -> None:
    assert run(make(), serial=True, expect_ranks=1).ranks == 1
    with pytest.raises(LaunchError, match="4 ranks expected"):
        run(make(), serial=True, expect_ranks=4)
    monkeypatch.setenv("SIMSPLIT_EXPECT_RANKS", "2")  # of the job, not of a process that goes by itself
    assert run(make(), serial=True).ranks == 1


def test_a_path_may_be_given_as_bytes(tmp_path: Path) -> None:
    output = os.fsencode(tmp_path / "h.npy")
    run(make(reduce="mean"), serial=True, output=output)  # type: ignore[arg-type]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["h.mean.npy", "h.npy"]


@pytest.mark.parametrize("output", [5, 2.5, ["history.npy"]])
def test_an_output_that_is_no_path_is_refused(output: Any) -> None:
    with pytest.raises(InputError, match=r"output must be a path, such as 'history.npy', not "):
        run(make(), serial=True, output=output)


def test_what_is_no_problem_is_refused() -> None:
    problem: Any = 7
    with pytest.raises(InputError, match=r"problem must be a simsplit.Problem, not 7"):
        run(problem, serial=True)


def test_a_kernel_that_forgets_to_write_is_found_out() -> None:
    class Forgetful(kernels.Kernel):
        def evaluate(self, x: Array, block: kernels.Block, out: Array) -> None:
            x * block.t

    with pytest.raises(VerificationError, match="write all of out"):
        run(
            Problem(np.arange(100_000.0), Forgetful(), delta_t=0.5, steps=2), serial=True, verify=True, check_rows=False
        )


def test_a_kernel_gets_rows_in_c_order() -> None:
    class Particular(kernels.Kernel):
        def evaluate(self, x: Array, block: kernels.Block, out: Array) -> None:
            assert x.flags.c_contiguous
            assert x.dtype.isnative
            np.multiply(x, block.t, out=out)

    initial = np.asfortranarray(np.arange(24.0).reshape(8, 3)).astype(">f8")
    assert run(Problem(initial, Particular(), delta_t=0.5, steps=2), serial=True).history is not None


def test_a_kernel_without_a_result_dtype_is_refused() -> None:
    class Shy(kernels.Affine):
        def result_dtype(self, x: Array, block: kernels.Block) -> Any:
            return None

    with pytest.raises(KernelError, match=r"result_dtype\(\) returned nothing"):
        run(make(kernel=Shy(offset=1.0, multiplier=2.0)), serial=True)


def test_a_kernel_that_prepares_nothing_is_refused() -> None:
    class Unprepared(kernels.Affine):
        def prepare(self, x: Array, block: kernels.Block, scratch: Array) -> Any:
            return None

    with pytest.raises(KernelError, match=r"prepare\(\) returned NoneType; it must return x, or scratch"):
        run(make(kernel=Unprepared(offset=1.0, multiplier=2.0)), serial=True)


def test_a_kernel_whose_name_is_a_method_is_refused() -> None:
    class Misnamed(kernels.Affine):
        def name(self) -> str:  # type: ignore[override]
            return "misnamed"

    with pytest.raises(InputError, match=r"the name of a kernel must be a text, not <bound method"):
        run(make(kernel=Misnamed(offset=1.0, multiplier=2.0)), serial=True)


def test_no_rows_take_no_time_however_many_steps() -> None:
    result = run(Problem(np.zeros(0), kernels.affine(), delta_t=1e-9, steps=10**12), serial=True, verify=True)
    assert result.history is not None
    assert result.history.shape == (10**12, 0)


def test_a_single_complex_number_has_the_bits_of_many() -> None:
    problem = Problem(
        np.array([5e-324 - 1e-200j]), kernels.affine(offset=0.0, multiplier=1.0), delta_t=-4e-243, steps=2
    )
    result = run(problem, serial=True, verify=True)
    assert result.verification is not None
    assert result.verification.identical


def test_results_are_told_apart_by_identity() -> None:
    result = run(make(), serial=True)
    assert result == result  # noqa: PLR0124, it must not compare arrays
    assert result != run(make(), serial=True)


@pytest.mark.parametrize(
    ("changes", "names"),
    [
        ({"steps": 6}, "steps"),
        ({"delta_t": 0.25, "start_time": 1.0}, "delta_t, start_time"),
        ({"kernel": kernels.affine(offset=4, multiplier=5)}, "parameter offset"),
        ({"start_time": -0.0}, "start_time"),
        ({"kernel": NotRowLocal()}, "kernel, parameter multiplier, parameter offset"),
        ({"seed": 1, "nan": "error"}, "nan, seed"),
        ({"kernel": kernels.affine(offset=3.0, multiplier=5)}, "parameter offset"),  # integers are computed otherwise
        ({"kernel": kernels.affine(offset=None, multiplier=5)}, "parameter offset"),
    ],
)
def test_problems_that_differ_between_ranks_are_refused_on_all_with_what_differs(
    changes: dict[str, Any], names: str
) -> None:
    results = on_ranks(4, lambda rank: execute(make(**changes) if rank.rank in {1, 3} else make(), rank))
    assert [type(error) for error in results] == [InputError] * 4
    messages = {str(error) for error in results}
    assert len(messages) == 1
    assert messages.pop() == (
        f"the problem is not the same on all ranks: {names} on ranks 1, 3 differ from rank 0. "
        "Give every rank the same options."
    )


def test_verify_on_one_rank_only_is_refused_on_all() -> None:
    results = on_ranks(2, lambda rank: execute(make(), rank, verify=rank.rank == 0))
    assert [type(error) for error in results] == [InputError] * 2
    assert "verify on rank 1 differ from rank 0" in str(results[1])


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ({"transport": "pigeon"}, 'transport must be "auto", "gatherv" or "shared", not \'pigeon\''),
        ({"block_size": 0}, "block_size must be an integer of 1 or more, not 0"),
        ({"block_size": 1.5}, "block_size must be an integer of 1 or more, not 1.5"),
        ({"check_rows": "no"}, "check_rows must be True or False, not 'no'"),
    ],
)
def test_a_way_to_run_that_is_none_is_refused(how: Any, message: str) -> None:
    with pytest.raises(InputError) as caught:
        run(make(), serial=True, **how)
    assert str(caught.value) == message


def test_the_block_size_is_that_of_the_pieces_that_a_kernel_is_given() -> None:
    pieces: list[int] = []
    kernel = kernels.function(lambda x, t: (pieces.append(len(x)), x * t)[1], name="noting")  # type: ignore[func-returns-value]
    run(make(np.zeros(10), kernel=kernel, steps=2), serial=True, block_size=24, check_rows=False)
    assert sorted(pieces[-8:]) == [1, 1, 3, 3, 3, 3, 3, 3]


def test_a_result_tells_its_rate_and_where_the_time_went(tmp_path: Path) -> None:
    result = run(make(np.zeros(1000)), serial=True, output=tmp_path / "h.npy")
    assert (result.transport, result.transport_reason) == ("gatherv", "one rank")
    assert set(result.shares) == {"compute", "communication", "output"}
    assert sum(result.shares.values()) == pytest.approx(1)
    assert all(share > 0 for share in result.shares.values())
    assert result.rate == 40_000 / result.timings.steps
    assert result.timings.steps >= result.timings.compute
    assert run(make(), serial=True).shares["output"] == 0


def test_a_map_kernel_that_knows_no_time_is_doubted_in_the_result_and_by_a_warning() -> None:
    problem = make(np.arange(4.0), kernel=lambda x: x * 2, steps=3)
    with pytest.warns(UserWarning, match=r"all 3 steps are the same: .* Did you mean --kind step"):
        result = run(problem, serial=True)
    assert result.note == problem.doubt
    assert run(make(), serial=True).note is None
