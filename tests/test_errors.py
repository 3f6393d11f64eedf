"""The tree of errors."""

from __future__ import annotations

import pickle

import pytest

from simsplit import errors
from simsplit.errors import (
    InputError,
    KernelError,
    LaunchError,
    OutputError,
    RankFailure,
    SimsplitError,
    VerificationError,
    error_class,
    public_error_name,
)

TREE = [
    (SimsplitError, 1),
    (InputError, 2),
    (LaunchError, 3),
    (KernelError, 4),
    (OutputError, 5),
    (VerificationError, 6),
]


@pytest.mark.parametrize(("kind", "status"), TREE)
def test_each_error_has_its_exit_status_and_a_message(kind: type[SimsplitError], status: int) -> None:
    error = kind("what is wrong")
    assert isinstance(error, SimsplitError)
    assert error.exit_status == status
    assert str(error) == "what is wrong"


@pytest.mark.parametrize(("kind", "status"), TREE)
def test_the_module_documents_the_exit_status_of_each_error(kind: type[SimsplitError], status: int) -> None:
    line = next(line for line in (errors.__doc__ or "").splitlines() if kind.__name__ in line)
    assert line.split(kind.__name__)[1].split()[0] == str(status)


def test_a_new_error_is_known_on_one_rank_only_and_is_reported_there() -> None:
    error = KernelError("k")
    assert error.failures == ()
    assert error.is_reporter is True
    assert error.is_collective is False


def test_input_errors_are_value_errors_and_no_other_error_is() -> None:
    assert [kind for kind, _ in TREE if issubclass(kind, ValueError)] == [InputError]


@pytest.mark.parametrize(("kind", "_status"), TREE)
def test_one_of_ours_finds_each_class_by_its_name(kind: type[SimsplitError], _status: int) -> None:
    assert error_class(kind.__name__) is kind


@pytest.mark.parametrize("name", ["ValueError", "RankFailure", "", "inputerror"])
def test_one_of_ours_gives_the_root_for_any_other_name(name: str) -> None:
    assert error_class(name) is SimsplitError


@pytest.mark.parametrize(("kind", "_status"), TREE)
def test_nearest_of_ours_finds_the_class_a_users_error_was_derived_from(
    kind: type[SimsplitError], _status: int
) -> None:
    theirs = type("Theirs", (kind,), {"__module__": "theirs"})
    deeper = type("KernelError", (theirs,), {"__module__": "theirs"})
    assert public_error_name(kind("x")) == kind.__name__
    assert public_error_name(theirs("x")) == kind.__name__
    assert public_error_name(deeper("x")) == kind.__name__


def test_a_rank_failure_travels_between_ranks_and_cannot_be_changed() -> None:
    failure = RankFailure(2, "node7", "ZeroDivisionError", "division by zero", "Traceback …")
    assert pickle.loads(pickle.dumps(failure)) == failure  # noqa: S301, our own
    with pytest.raises(AttributeError):
        failure.rank = 3  # type: ignore[misc]


def test_names_that_errors_had_at_first_are_the_same_classes() -> None:
    assert errors.GoneError is errors.PeerGoneError
    assert errors.RefusedError is errors.AccessDeniedError
    assert error_class("PeerGoneError") is errors.PeerGoneError
