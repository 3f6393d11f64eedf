"""Where the ranks of a run come from, and which launches are refused."""

from __future__ import annotations

from importlib import import_module
from types import SimpleNamespace
from typing import Any

import pytest

from simsplit import InputError, LaunchError
from simsplit.communicator import connect
from simsplit.communicator.serial import SerialCommunicator
from tests.support.environment import forget_launchers

module = import_module("simsplit.communicator.connect")  # the package has the function under this name

WORLD = SimpleNamespace(size=1)
OF_FOUR = {"PMI_SIZE": "4", "PMI_RANK": "0", "HYDI_CONTROL_FD": "9"}
OF_ONE = {"PMI_SIZE": "1", "PMI_RANK": "0", "HYDI_CONTROL_FD": "9"}


class Ranks(SerialCommunicator):
    """What MPI would give for `comm`, seen from its rank 0."""

    library = "MPICH 5.0.2"

    def __init__(self, comm: SimpleNamespace) -> None:
        super().__init__()
        self.comm = comm
        self.size = comm.size


def start(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], mpi: BaseException | int = 1
) -> SimpleNamespace:
    """Start in an environment, with an MPI of so many ranks or without any; return the world."""
    forget_launchers(monkeypatch)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)

    def load() -> Any:
        if isinstance(mpi, BaseException):
            raise mpi
        return SimpleNamespace(COMM_WORLD=world)

    world = SimpleNamespace(size=mpi)
    monkeypatch.setattr(module, "load", load)
    monkeypatch.setattr(module, "MPICommunicator", Ranks)
    return world


MISSING = [RuntimeError("cannot load MPI library"), ModuleNotFoundError("No module named 'mpi4py'")]


@pytest.mark.parametrize("reason", MISSING, ids=lambda reason: type(reason).__name__)
def test_without_mpi_an_ordinary_start_is_one_process(monkeypatch: pytest.MonkeyPatch, reason: BaseException) -> None:
    start(monkeypatch, {}, reason)
    assert type(connect()) is SerialCommunicator


@pytest.mark.parametrize("environment", [OF_FOUR, OF_ONE, {"OMPI_COMM_WORLD_SIZE": "2"}, {"SLURM_STEP_NUM_TASKS": "2"}])
@pytest.mark.parametrize("reason", MISSING, ids=lambda reason: type(reason).__name__)
def test_without_mpi_under_a_launcher_there_is_no_silent_fallback(
    monkeypatch: pytest.MonkeyPatch, reason: BaseException, environment: dict[str, str]
) -> None:
    start(monkeypatch, environment, reason)
    with pytest.raises(LaunchError, match=f"but MPI is missing: {reason}") as caught:
        connect()
    assert caught.value.__cause__ is reason


@pytest.mark.parametrize(("environment", "size"), [({}, 1), (OF_ONE, 1), (OF_FOUR, 4), (OF_FOUR, 2), ({}, 4)])
def test_with_mpi_all_ranks_of_the_job_take_part(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], size: int
) -> None:
    world = start(monkeypatch, environment, size)
    communicator = connect()
    assert isinstance(communicator, Ranks)
    assert communicator.comm is world


@pytest.mark.parametrize(
    ("environment", "seen"),
    [
        (OF_FOUR, "an mpiexec of MPICH's kind started 4 processes (PMI_SIZE=4)"),
        ({"OMPI_COMM_WORLD_SIZE": "3"}, "Open MPI's mpiexec started 3 processes (OMPI_COMM_WORLD_SIZE=3)"),
        ({"SLURM_STEP_NUM_TASKS": "8"}, "srun started 8 processes (SLURM_STEP_NUM_TASKS=8)"),
    ],
)
def test_many_processes_that_each_believe_to_be_alone_are_refused(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], seen: str
) -> None:
    start(monkeypatch, environment, 1)
    with pytest.raises(LaunchError) as caught:
        connect()
    assert f"wrong launch: {seen}, but MPICH 5.0.2 sees one rank in each" in str(caught.value)


def test_serial_is_this_process_alone_whatever_the_launch(monkeypatch: pytest.MonkeyPatch) -> None:
    for environment in ({}, OF_ONE, OF_FOUR, {"SIMSPLIT_EXPECT_RANKS": "4"}):
        start(monkeypatch, environment, AssertionError("MPI was loaded"))
        assert type(connect(serial=True)) is SerialCommunicator


def test_a_communicator_of_the_callers_is_used_without_a_look_at_the_launch(monkeypatch: pytest.MonkeyPatch) -> None:
    start(monkeypatch, OF_FOUR | {"SIMSPLIT_EXPECT_RANKS": "4"}, AssertionError("the world was asked for"))
    comm: Any = SimpleNamespace(size=1)
    communicator = connect(comm)
    assert isinstance(communicator, Ranks)
    assert communicator.comm is comm


def test_a_communicator_and_serial_exclude_each_other(monkeypatch: pytest.MonkeyPatch) -> None:
    start(monkeypatch, {})
    comm: Any = SimpleNamespace(size=1)
    with pytest.raises(InputError, match=r"^comm and serial exclude each other: give one of them$"):
        connect(comm, serial=True)


@pytest.mark.parametrize(
    ("expect_ranks", "variable", "size"),
    [(1, None, 1), (None, "1", 1), (2, None, 2), (None, " 2 ", 2), (2, "3", 2), (None, "", 2)],
)
def test_the_expected_number_of_ranks_is_fine(
    monkeypatch: pytest.MonkeyPatch, expect_ranks: int | None, variable: str | None, size: int
) -> None:
    start(monkeypatch, {} if variable is None else {"SIMSPLIT_EXPECT_RANKS": variable}, size)
    assert connect(expect_ranks=expect_ranks).size == size


@pytest.mark.parametrize(
    ("expect_ranks", "variable", "size", "text"),
    [
        (4, None, 1, "4 ranks expected (--expect-ranks or SIMSPLIT_EXPECT_RANKS), but there is 1"),
        (None, "4", 1, "4 ranks expected (--expect-ranks or SIMSPLIT_EXPECT_RANKS), but there is 1"),
        (1, "2", 2, "1 rank expected (--expect-ranks or SIMSPLIT_EXPECT_RANKS), but there are 2"),
    ],
)
def test_any_other_number_of_ranks_is_an_error(
    monkeypatch: pytest.MonkeyPatch, expect_ranks: int | None, variable: str | None, size: int, text: str
) -> None:
    start(monkeypatch, {} if variable is None else {"SIMSPLIT_EXPECT_RANKS": variable}, size)
    with pytest.raises(LaunchError) as caught:
        connect(expect_ranks=expect_ranks)
    assert text in str(caught.value)


def test_the_expectation_holds_for_one_process_and_for_a_communicator_of_the_callers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    start(monkeypatch, {"SIMSPLIT_EXPECT_RANKS": "4"}, MISSING[0])
    with pytest.raises(LaunchError, match="Seen: no launcher, no MPI library"):
        connect()
    with pytest.raises(LaunchError, match="Seen: no launcher, no MPI library"):
        connect(serial=True, expect_ranks=2)
    comm: Any = SimpleNamespace(size=2)
    with pytest.raises(LaunchError, match="3 ranks expected"):
        connect(comm, expect_ranks=3)


def test_a_wrong_expectation_is_an_input_error(monkeypatch: pytest.MonkeyPatch) -> None:
    start(monkeypatch, {"SIMSPLIT_EXPECT_RANKS": "some"}, MISSING[0])
    with pytest.raises(InputError, match=r"^SIMSPLIT_EXPECT_RANKS must be an integer of 1 or more, not 'some'$"):
        connect()
    with pytest.raises(InputError, match=r"^expect_ranks must be an integer of 1 or more, not 0$"):
        connect(expect_ranks=0)
