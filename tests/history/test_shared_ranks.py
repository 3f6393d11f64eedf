"""A history in memory that ranks share, wherever the launcher placed them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from simsplit import KernelError, Problem, Result, kernels, run
from simsplit.communicator import connect
from simsplit.communicator.node import Node
from simsplit.verification import bit_mismatch
from tests.support.blocks import history_of
from tests.support.nodes import PLACES, placed
from tests.support.runs import execute

if TYPE_CHECKING:
    from collections.abc import Iterator

    from simsplit.communicator.mpi import MPICommunicator

pytestmark = pytest.mark.mpi


@pytest.fixture(params=PLACES)
def world(request: pytest.FixtureRequest) -> Iterator[MPICommunicator]:
    """Ranks on one node that take themselves for ranks on several."""
    with placed(request.param) as communicator:
        yield communicator


def taken(communicator: MPICommunicator, problem: Problem, **how: Any) -> Result:
    """Run a problem by windows, and by messages; both must be what one process gives."""
    shared = execute(problem, communicator, verify=True, transport="shared", **how)
    gathered = execute(problem, communicator, verify=True, transport="gatherv", **how)
    for result in (shared, gathered):
        assert result.verification is not None
        assert result.verification.identical
        assert (result.history is None) == (communicator.rank > 0)
        if result.history is not None:
            kept = slice(problem.kept.start, None, problem.kept.step)
            assert not bit_mismatch(history_of(problem)[kept], result.history).any()
    assert gathered.transport == "gatherv"
    return shared


@pytest.mark.mpi(min_size=2)
@pytest.mark.parametrize(
    ("shape", "kind", "keep"), [((3,), "map", "all"), ((1001,), "step", "every:3"), ((13, 3), "step", "all")]
)
def test_the_history_is_that_of_one_process(
    world: MPICommunicator, shape: tuple[int, ...], kind: Any, keep: str
) -> None:
    rng = np.random.default_rng(2)
    kernel = kernels.function(lambda x, k, row, rate: x * rate + (row.reshape(-1, *[1] * (x.ndim - 1)) + k),
                              kind=kind, name="mixes", rate=rng.normal(size=shape[0]))  # fmt: skip
    problem = Problem(rng.normal(size=shape), kernel, delta_t=0.1, steps=23, keep=keep)
    result = taken(world, problem)
    alone = world.node() is None
    assert result.transport == ("gatherv" if alone else "shared")
    assert result.transport_reason.startswith("no two ranks" if alone else f"{world.size} ranks on ")


@pytest.mark.mpi(min_size=2)
@pytest.mark.parametrize(
    "initial", [np.zeros((0, 2)), np.zeros((5, 0)), np.asfortranarray(np.ones((7, 3))), np.arange(9, dtype=">i2")]
)
def test_any_array_goes_by_windows(world: MPICommunicator, initial: Any) -> None:
    problem = Problem(initial, kernels.affine(), delta_t=0.5, steps=6)
    result = execute(problem, world, verify=True, transport="shared")
    assert result.verification is not None
    assert result.verification.identical
    if result.history is not None:
        assert result.history.shape == (6, *initial.shape)


@pytest.mark.mpi(min_size=2)
def test_histories_that_are_kept_are_not_written_over_and_what_was_let_go_is_used_again() -> None:
    world = connect()
    reasons = []
    held = []
    for number in range(5):
        problem = Problem(np.arange(1000.0), kernels.affine(offset=number), delta_t=0.5, steps=7)
        result = run(problem, transport="shared")
        reasons.append(result.transport_reason)
        if number < 2:
            held.append((problem, result.history))
        del result
    assert [reason.endswith("used before") for reason in reasons] == [False, False, False, True, True]
    for problem, history in held:
        if world.rank == 0:
            assert history is not None
            assert not bit_mismatch(history_of(problem), history).any()


@pytest.mark.mpi(min_size=2)
def test_a_kernel_that_fails_leaves_the_window_to_the_next_run() -> None:
    world = connect()
    for _ in range(3):
        with pytest.raises(KernelError, match=f"failed on rank {world.size - 1}"):
            run(Problem(np.arange(1000), kernels.function(_divide), delta_t=0.5, steps=9), transport="shared")
        assert run(Problem(np.arange(1000.0), kernels.affine(), delta_t=0.5, steps=9), transport="shared").ranks


def _divide(x: Any, k: int) -> Any:
    if k == 5 and (x == 999).any():
        raise ZeroDivisionError
    return x


@pytest.mark.mpi(min_size=2)
@pytest.mark.parametrize("failing", [0, -1])
def test_where_a_rank_gets_no_shared_memory_all_gather(monkeypatch: pytest.MonkeyPatch, failing: int) -> None:
    world = connect()
    if world.rank == failing % world.size:
        monkeypatch.setattr("simsplit.communicator.node.SegmentOwner", _refuse)
        monkeypatch.setattr("simsplit.communicator.node.attach", _refuse)
    problem = Problem(np.arange(997.0), kernels.affine(), delta_t=0.5, steps=11)  # of no size that was used before
    result = run(problem, transport="shared", verify=True)
    assert (result.transport, result.transport_reason) == ("gatherv", "a node gives no shared memory")
    assert result.verification is not None
    assert result.verification.identical


def _refuse(_: Any) -> Any:
    raise OSError("no shared memory here")


@pytest.mark.mpi(min_size=2)
def test_small_histories_are_gathered_unless_windows_are_asked_for() -> None:
    problem = Problem(np.arange(1000.0), kernels.affine(), delta_t=0.5, steps=7)
    assert run(problem).transport_reason == "the history is small"
    large = Problem(np.arange(20_000.0), kernels.affine(), delta_t=0.5, steps=7)
    assert run(large).transport == "shared"
    assert run(large, transport="gatherv").transport_reason == "asked for"


@pytest.mark.mpi(min_size=2)
def test_windows_of_a_communicator_go_with_it() -> None:
    from mpi4py import MPI

    for _ in range(3):
        comm = MPI.COMM_WORLD.Dup()
        problem = Problem(np.arange(1000.0), kernels.affine(), delta_t=0.5, steps=7)
        first = run(problem, comm=comm, transport="shared")
        comm.Free()
        if first.history is not None:
            assert not bit_mismatch(history_of(problem), first.history).any()


@pytest.mark.mpi(min_size=2)
def test_the_same_ranks_have_the_same_node_in_every_run() -> None:
    one, other = connect().node(), connect().node()
    assert isinstance(one, Node)
    assert one is other
