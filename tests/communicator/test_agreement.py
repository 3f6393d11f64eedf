"""What fails on one rank is raised on all: one process, and several ranks as threads."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from simsplit.communicator import Agreement, agreement
from simsplit.communicator.interrupts import Interrupts
from simsplit.communicator.serial import SerialCommunicator
from simsplit.errors import InputError, KernelError, LaunchError, OutputError, SimsplitError, VerificationError
from tests.support.threads import ThreadRank, on_ranks

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class TheirInputError(InputError):
    """A user's error, derived from one of ours, with a signature of its own."""

    def __init__(self, code: int, hint: str) -> None:
        super().__init__(f"code {code}, {hint}")


@pytest.fixture
def interrupts(monkeypatch: pytest.MonkeyPatch) -> Iterator[Interrupts]:
    """Take over SIGINT for the time of a test, with nothing pending."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    fresh = Interrupts()
    monkeypatch.setattr(agreement, "interrupts", fresh)
    fresh.install()
    yield fresh
    signal.signal(signal.SIGINT, before)


def agree(rank: Any, error: BaseException | None) -> str:
    """Enter an agreed block that raises an error, or none."""
    with Agreement(rank):
        if error is not None:
            raise error
    return "went on"


def on_four(errors: dict[int, Callable[[], BaseException]]) -> list[Any]:
    """Let some of four ranks raise an error of their own; return what each raised, once all can go on."""

    def call(rank: ThreadRank) -> Any:
        make = errors.get(rank.rank)
        try:
            outcome: Any = agree(rank, make() if make else None)
        except BaseException as error:  # noqa: BLE001, the test looks at it
            outcome = error
        assert agree(rank, None) == "went on"
        assert rank.allgather(rank.rank) == [0, 1, 2, 3]
        return outcome

    outcomes = on_ranks(4, call)
    assert not any(isinstance(outcome, AssertionError) for outcome in outcomes)
    return outcomes


def test_a_block_that_succeeds_everywhere_goes_on_everywhere() -> None:
    assert agree(SerialCommunicator(), None) == "went on"
    assert on_four({}) == ["went on"] * 4


@pytest.mark.parametrize("kind", [InputError, LaunchError, OutputError, VerificationError])
def test_a_foreseen_error_of_one_rank_is_raised_on_all_with_its_message(kind: type[SimsplitError]) -> None:
    errors = on_four({2: lambda: kind("what is wrong")})
    assert [type(error) for error in errors] == [kind] * 4
    assert [str(error) for error in errors] == ["what is wrong"] * 4
    assert [error.is_reporter for error in errors] == [True, False, False, False]
    assert all(error.is_collective for error in errors)
    for error in errors:
        (failure,) = error.failures
        assert (failure.rank, failure.host, failure.error) == (2, "host1", kind.__name__)
        assert failure.message == "what is wrong"
        assert "in agree" in failure.traceback


def test_the_error_object_of_the_rank_that_failed_is_kept_and_others_see_its_traceback() -> None:
    mine = InputError("mine")
    errors = on_four({2: lambda: mine})
    assert errors[2] is mine
    assert mine.__cause__ is None
    assert "InputError: mine" in str(errors[0].__cause__)


def test_the_lowest_rank_that_failed_decides_on_type_and_message() -> None:
    errors = on_four({3: lambda: InputError("three"), 1: lambda: OutputError("one")})
    assert [type(error) for error in errors] == [OutputError] * 4
    assert {str(error) for error in errors} == {"one"}
    assert [[failure.rank for failure in error.failures] for error in errors] == [[1, 3]] * 4
    assert [failure.message for failure in errors[0].failures] == ["one", "three"]


def test_a_users_error_derived_from_ours_becomes_ours_on_all_ranks() -> None:
    errors = on_four({1: lambda: TheirInputError(7, "try again")})
    assert [type(error) for error in errors] == [InputError] * 4
    assert {str(error) for error in errors} == {"code 7, try again"}
    assert isinstance(errors[1].__cause__, TheirInputError)


def test_memory_that_runs_out_is_an_input_error_with_a_way_out() -> None:
    errors = on_four({3: lambda: MemoryError("Unable to allocate 8 TiB")})
    assert [type(error) for error in errors] == [InputError] * 4
    assert {str(error) for error in errors} == {
        "not enough memory: Unable to allocate 8 TiB. Use more nodes, or a smaller problem."
    }
    with pytest.raises(InputError, match=r"^not enough memory: an allocation failed\."):
        agree(SerialCommunicator(), MemoryError())


def test_an_error_nobody_foresaw_shows_where_it_happened_on_every_rank() -> None:
    errors = on_four({2: lambda: ZeroDivisionError("division by zero")})
    assert [type(error) for error in errors] == [SimsplitError] * 4
    texts = {str(error) for error in errors}
    assert len(texts) == 1
    text = texts.pop()
    assert text.startswith("an error that simsplit did not foresee, on rank 2 of 4 (host host1):\nTraceback")
    assert text.endswith("ZeroDivisionError: division by zero\nAll ranks stopped.")
    assert isinstance(errors[2].__cause__, ZeroDivisionError)
    assert errors[0].failures[0].error == "ZeroDivisionError"


def test_the_same_error_on_all_ranks_is_shown_once() -> None:
    errors = on_four(dict.fromkeys(range(4), lambda: ValueError("the same")))
    text = str(errors[3])
    assert text.count("ValueError: the same") == 1
    assert text.endswith("The same on ranks 1–3.\nAll ranks stopped.")
    assert [failure.rank for failure in errors[3].failures] == [0, 1, 2, 3]


def test_different_errors_are_shown_with_their_ranks() -> None:
    errors = on_four(
        {0: lambda: ValueError("a"), 1: lambda: ValueError("b"), 2: lambda: ValueError("a"), 3: lambda: ValueError("b")}
    )
    text = str(errors[0])
    assert text.count("ValueError: a") == text.count("ValueError: b") == 1
    assert "ValueError: a\nThe same on rank 2.\nOn ranks 1, 3:\nTraceback" in text


def test_many_different_errors_are_counted_after_the_first_nine() -> None:
    def fail(rank: ThreadRank) -> None:
        agree(rank, ValueError(f"error {rank.rank}"))

    text = str(on_ranks(13, fail)[5])
    assert [number for number in range(13) if f"ValueError: error {number}\n" in text] == list(range(9))
    assert text.endswith("Other errors on ranks 9–12.\nAll ranks stopped.")


def test_the_traceback_of_a_kernel_error_is_that_of_its_cause() -> None:
    def failing() -> BaseException:
        try:
            np.zeros(3).reshape(2, 2)
        except ValueError as cause:
            error = KernelError("the kernel K failed on rank 1")
            error.__cause__ = cause
            return error
        raise AssertionError

    errors = on_four({1: failing})
    assert [type(error) for error in errors] == [KernelError] * 4
    text = str(errors[0])
    assert text.startswith("the kernel K failed on rank 1:\nTraceback")
    assert "cannot reshape array of size 3 into shape (2,2)\nAll ranks stopped." in text
    assert "KernelError" not in text
    assert errors[0].failures[0].error == "ValueError"


def test_an_interrupt_of_one_rank_interrupts_all_whatever_else_failed() -> None:
    errors = on_four({3: KeyboardInterrupt, 0: lambda: ValueError("too")})
    assert all(isinstance(error, KeyboardInterrupt) for error in errors)
    assert all(error.is_collective for error in errors)


def test_an_error_on_a_part_of_the_job_is_not_known_on_all_its_ranks() -> None:
    def fail(rank: ThreadRank) -> None:
        rank.is_world = False
        agree(rank, InputError("x") if rank.rank else None)

    assert [error.is_collective for error in on_ranks(2, fail)] == [False, False]


def test_a_block_can_be_entered_again_after_it_failed() -> None:
    block = Agreement(SerialCommunicator())
    for text in ("one", "two"):
        with pytest.raises(InputError, match=text), block:
            raise InputError(text)
    with block:
        pass


def test_what_ranks_request_in_a_block_is_known_to_all_after_it() -> None:
    def call(rank: ThreadRank) -> list[int]:
        block = Agreement(rank)
        known = [block.requested]
        for wishes in ([0, 0, 0], [1, 0, 4], [0, 2**29, 0], [0, 0, 0]):
            with block:
                block.request(wishes[rank.rank])
                block.request(0)
            known.append(block.requested)
        return known

    assert on_ranks(3, call) == [[0, 0, 5, 2**29, 0]] * 3


def test_requests_of_a_block_that_failed_are_forgotten() -> None:
    block = Agreement(SerialCommunicator())
    with pytest.raises(InputError), block:
        block.request(2)
        raise InputError("x")
    with block:
        pass
    assert block.requested == 0


@pytest.mark.usefixtures("interrupts")
def test_ctrl_c_inside_a_block_is_raised_at_once() -> None:
    reached = []
    with pytest.raises(KeyboardInterrupt) as caught, Agreement(SerialCommunicator()):
        reached.append("inside")
        signal.raise_signal(signal.SIGINT)
        reached.append("after")
    assert reached == ["inside"]
    assert caught.value.is_collective  # type: ignore[attr-defined]
    assert agree(SerialCommunicator(), None) == "went on"


def test_ctrl_c_while_it_is_held_back_waits_for_the_end_of_the_next_block(interrupts: Interrupts) -> None:
    with interrupts.held():
        signal.raise_signal(signal.SIGINT)
        assert interrupts.pending
        with pytest.raises(KeyboardInterrupt):
            agree(SerialCommunicator(), None)
        assert not interrupts.pending
        assert agree(SerialCommunicator(), None) == "went on"


def test_ctrl_c_outside_is_raised_at_once_also_after_a_block(interrupts: Interrupts) -> None:
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
        assert not interrupts.pending
        assert agree(SerialCommunicator(), None) == "went on"


def test_after_a_block_it_is_held_back_as_before(interrupts: Interrupts) -> None:
    with interrupts.held():
        agree(SerialCommunicator(), None)
        signal.raise_signal(signal.SIGINT)
    assert interrupts.pending


def test_a_second_ctrl_c_that_finds_the_first_waiting_is_raised(interrupts: Interrupts) -> None:
    with interrupts.held():
        signal.raise_signal(signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)


@pytest.mark.parametrize(
    "handler", [signal.SIG_IGN, signal.SIG_DFL, lambda *_: None], ids=["ignored", "default", "own"]
)
def test_a_handler_that_somebody_chose_is_left_in_place(handler: Any) -> None:
    before = signal.signal(signal.SIGINT, handler)
    try:
        Interrupts().install()
        assert signal.getsignal(signal.SIGINT) is handler
    finally:
        signal.signal(signal.SIGINT, before)


def test_a_thread_leaves_the_handler_alone() -> None:
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        assert on_ranks(1, lambda _: Interrupts().install()) == [None]
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, before)
