"""Which launcher started this process, and what is said about a wrong one."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import pytest

from simsplit import InputError
from simsplit.communicator import launchers as launch
from simsplit.communicator.launchers import Launcher, detect, expected_ranks
from tests.support.environment import forget_launchers

if TYPE_CHECKING:
    from pathlib import Path

OPEN_MPI = {"OMPI_COMM_WORLD_SIZE": "4", "OMPI_COMM_WORLD_RANK": "2"}
HYDRA = {"PMI_SIZE": "4", "PMI_RANK": "1", "HYDI_CONTROL_FD": "7", "MPI_LOCALNRANKS": "2", "MPI_LOCALRANKID": "1"}
SRUN = {"SLURM_STEP_NUM_TASKS": "8", "SLURM_PROCID": "5"}
SRUN_PMI2 = SRUN | {"PMI_SIZE": "8", "PMI_RANK": "5"}
BATCH = {"SLURM_JOB_ID": "77", "SLURM_NTASKS": "8", "SLURM_NPROCS": "8", "SLURM_PROCID": "0", "SLURM_NNODES": "2"}
SHELL = {"SLURM_STEP_NUM_TASKS": "1", "SLURM_PROCID": "0"}

IS_OPEN_MPI = Launcher("Open MPI's mpiexec", "OMPI_COMM_WORLD_SIZE", 4, 2)
IS_HYDRA = Launcher("an mpiexec of MPICH's kind", "PMI_SIZE", 4, 1)


@pytest.mark.parametrize(
    ("environment", "launcher"),
    [
        ({}, None),
        ({"PATH": "/bin", "HOME": "/root"}, None),
        (OPEN_MPI, IS_OPEN_MPI),
        (HYDRA, IS_HYDRA),
        ({"PMI_SIZE": "1"}, Launcher("an mpiexec of MPICH's kind", "PMI_SIZE", 1, 0)),
        ({"MPI_LOCALNRANKS": "3", "MPI_LOCALRANKID": "2"}, Launcher("mpiexec", "MPI_LOCALNRANKS", 3, 2)),
        (SRUN, Launcher("srun", "SLURM_STEP_NUM_TASKS", 8, 5)),
        (SRUN_PMI2, Launcher("srun", "PMI_SIZE", 8, 5)),
        (BATCH, None),
        (SHELL, None),
        (BATCH | SHELL | HYDRA, IS_HYDRA),
        (BATCH | SHELL | OPEN_MPI, IS_OPEN_MPI),
        (SRUN | HYDRA, IS_HYDRA),
        (SRUN | OPEN_MPI, IS_OPEN_MPI),
        ({"PMI_SIZE": "many", "PMI_RANK": "1"}, None),
        ({"PMI_SIZE": "", "OMPI_COMM_WORLD_SIZE": "2"}, Launcher("Open MPI's mpiexec", "OMPI_COMM_WORLD_SIZE", 2, 0)),
    ],
    ids=[
        "ordinary",
        "ordinary with other variables",
        "Open MPI",
        "MPICH",
        "MPICH of one",
        "local ranks only",
        "srun",
        "srun --mpi=pmi2",
        "a batch script",
        "the shell of an allocation",
        "MPICH in a batch script",
        "Open MPI in a batch script",
        "MPICH under srun",
        "Open MPI under srun",
        "no number",
        "an empty variable",
    ],
)
def test_the_launcher_is_told_by_its_variables(environment: dict[str, str], launcher: Launcher | None) -> None:
    assert detect(environment) == launcher


@pytest.mark.parametrize(
    ("given", "environment", "expected"),
    [
        (None, {}, None),
        (4, {}, 4),
        (None, {"SIMSPLIT_EXPECT_RANKS": "4"}, 4),
        (None, {"SIMSPLIT_EXPECT_RANKS": " 16\n"}, 16),
        (None, {"SIMSPLIT_EXPECT_RANKS": ""}, None),
        (None, {"SIMSPLIT_EXPECT_RANKS": "  "}, None),
        (2, {"SIMSPLIT_EXPECT_RANKS": "4"}, 2),
        (2, {"SIMSPLIT_EXPECT_RANKS": "rubbish"}, 2),
    ],
)
def test_what_is_given_comes_before_the_environment(
    given: int | None, environment: dict[str, str], expected: int | None
) -> None:
    assert expected_ranks(given, environment) == expected


@pytest.mark.parametrize("text", ["0", "-1", "4.0", "four", "1e1", "٤", "²", "4 4", "+4"])
def test_a_wrong_variable_is_named_with_its_value(text: str) -> None:
    with pytest.raises(InputError) as caught:
        expected_ranks(None, {"SIMSPLIT_EXPECT_RANKS": text})
    assert str(caught.value) == f"SIMSPLIT_EXPECT_RANKS must be an integer of 1 or more, not {text!r}"


@pytest.mark.parametrize("value", [0, -1, 2.5, "4", True])
def test_a_wrong_argument_is_named_with_its_value(value: Any) -> None:
    with pytest.raises(InputError) as caught:
        expected_ranks(value, {})
    assert str(caught.value) == f"expect_ranks must be an integer of 1 or more, not {value!r}"


@pytest.fixture
def no_mpiexec(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Let no mpiexec lie beside the interpreter."""
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))


@pytest.mark.usefixtures("no_mpiexec")
def test_processes_that_are_alone_are_told_the_launcher_the_library_and_what_to_run() -> None:
    error = launch.alone_error(IS_HYDRA, "Open MPI 5.0.11")
    assert str(error) == (
        "wrong launch: an mpiexec of MPICH's kind started 4 processes (PMI_SIZE=4), but Open MPI 5.0.11 sees one rank "
        "in each, so the work would be done 4 times.\n"
        "Use the launcher of Open MPI 5.0.11: mpiexec -n 4."
    )
    assert error.exit_status == 3


@pytest.mark.usefixtures("no_mpiexec")
@pytest.mark.parametrize(
    ("library", "advice"),
    [
        ("MPICH 5.0.2", "Use the launcher of MPICH 5.0.2: mpiexec -n 8, or srun --mpi=pmi2 -n 8."),
        ("Open MPI 5.0.11", "Use the launcher of Open MPI 5.0.11: mpiexec -n 8."),
        (None, "Use the launcher of your MPI library: mpiexec -n 8."),
    ],
)
def test_under_srun_the_way_of_slurm_is_named_where_the_library_knows_it(library: str | None, advice: str) -> None:
    launcher = detect(SRUN)
    assert launcher is not None
    assert str(launch.alone_error(launcher, library)).splitlines()[1] == advice


def test_the_mpiexec_beside_the_interpreter_is_named_by_its_path(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    (tmp_path / "mpiexec").touch()
    assert f": {tmp_path / 'mpiexec'} -n 4." in str(launch.alone_error(IS_OPEN_MPI, "MPICH 5.0.2"))
    assert ": mpiexec -n 4." in str(launch.alone_error(IS_OPEN_MPI, None))


def test_many_processes_that_ask_for_one_are_told_to_choose() -> None:
    error = launch.not_serial_error(IS_OPEN_MPI)
    assert str(error) == (
        "wrong launch: Open MPI's mpiexec started 4 processes (OMPI_COMM_WORLD_SIZE=4), but --serial is for one, so "
        "the work would be done 4 times.\nStart one process without a launcher, or leave out --serial."
    )


@pytest.mark.parametrize(
    ("reason", "text"),
    [
        (RuntimeError("cannot load MPI library\nlibmpi.so.12: not found"), "cannot load MPI library"),
        (ModuleNotFoundError("No module named 'mpi4py'"), "No module named 'mpi4py'"),
        (ImportError(), "ImportError"),
    ],
)
def test_a_missing_library_is_told_in_one_line_with_the_ways_out(reason: BaseException, text: str) -> None:
    error = launch.missing_error(IS_HYDRA, reason)
    assert str(error).startswith(
        f"wrong launch: an mpiexec of MPICH's kind started this program on 4 ranks, but MPI is missing: {text}.\n"
    )
    assert "pip install 'simsplit[mpich]'" in str(error)
    assert "--serial, without a launcher" in str(error)
    of_one = launch.missing_error(Launcher("mpiexec", "PMI_SIZE", 1, 0), reason)
    assert "started this program on 1 rank, but" in str(of_one)


@pytest.mark.usefixtures("no_mpiexec")
@pytest.mark.parametrize(
    ("expected", "size", "library", "launcher", "text"),
    [
        (4, 1, None, None, "4 ranks expected (…), but there is 1. Seen: no launcher, no MPI library."),
        (
            1,
            2,
            "MPICH 5",
            IS_HYDRA,
            "1 rank expected (…), but there are 2. Seen: an mpiexec of MPICH's kind (PMI_SIZE=4), MPICH 5.",
        ),
    ],
)
def test_another_number_of_ranks_is_told_with_what_was_seen(
    expected: int, size: int, library: str | None, launcher: Launcher | None, text: str
) -> None:
    first, second = str(launch.unexpected_error(expected, size, library, launcher)).splitlines()
    assert first == "wrong launch: " + text.replace("…", "--expect-ranks or SIMSPLIT_EXPECT_RANKS")
    assert second == f"mpiexec -n {expected} starts {expected}."


@pytest.mark.parametrize(("rank", "reports"), [(0, True), (1, False), (3, False)])
def test_the_process_that_the_launcher_calls_0_speaks_for_all(rank: int, reports: object) -> None:
    launcher = Launcher("mpiexec", "PMI_SIZE", 4, rank)
    for error in (
        launch.alone_error(launcher, "MPICH 5"),
        launch.missing_error(launcher, ImportError("no")),
        launch.unexpected_error(2, 1, None, launcher),
    ):
        assert error.is_reporter is reports
        assert error.is_collective
    assert launch.unexpected_error(2, 1, None, None).is_reporter


@pytest.mark.parametrize(
    ("environment", "ranks", "expected"),
    [
        ({}, None, "simsplit resume a"),
        ({}, 3, "mpiexec -n 3 simsplit resume a"),
        ({}, 1, "simsplit resume a"),
        ({"PMI_SIZE": "2"}, None, "mpiexec -n 2 simsplit resume a"),
        ({"OMPI_COMM_WORLD_SIZE": "4"}, 2, "mpiexec -n 2 simsplit resume a"),
        ({"SLURM_STEP_NUM_TASKS": "8"}, None, "srun -n 8 simsplit resume a"),
    ],
)
@pytest.mark.usefixtures("no_mpiexec")
def test_a_command_names_the_launcher_that_it_needs(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], ranks: int | None, expected: str
) -> None:
    forget_launchers(monkeypatch)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert launch.command("resume a", ranks) == expected


def test_programs_that_the_shell_would_not_find_are_named_by_their_paths(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    forget_launchers(monkeypatch)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "en v").mkdir()
    (tmp_path / "other").mkdir()
    for file in ("en v/mpiexec", "en v/simsplit", "other/mpiexec"):
        (tmp_path / file).touch(0o755)
    monkeypatch.setattr(sys, "executable", str(tmp_path / "en v" / "python"))
    monkeypatch.setenv("PATH", str(tmp_path / "other"))
    assert launch.mpiexec() == str(tmp_path / "en v" / "mpiexec")
    assert launch.command("resume a", 2) == "'en v/mpiexec' -n 2 'en v/simsplit' resume a"
    monkeypatch.chdir(tmp_path / "other")
    assert launch.command("resume a", 1) == f"'{tmp_path}/en v/simsplit' resume a"
    monkeypatch.setenv("PATH", f"{tmp_path / 'en v'}:{tmp_path / 'other'}")
    assert launch.command("resume a", 2) == "mpiexec -n 2 simsplit resume a"
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    monkeypatch.setenv("PATH", str(tmp_path / "other"))
    assert launch.mpiexec() == str(tmp_path / "other" / "mpiexec")
    monkeypatch.setenv("PATH", "")
    assert launch.mpiexec() is None
