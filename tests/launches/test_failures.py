"""What goes wrong on one rank ends all of them: one message, the right exit status, nobody left waiting."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from tests.support import killing
from tests.support.launching import BIN, LIMIT, SIMSPLIT, Ended, finish, mpiexec, run, start

pytestmark = [pytest.mark.launch]

PROGRAMS = Path(__file__).parent / "programs"

# One for each exit status; tests/cli/test_bad_input_ranks.py has all of them, in one session.
BAD = [
    (["--steps", "x"], 2, "--steps: must be an integer of 0 or more, not 'x'"),
    (["--input", "missing.npy"], 2, "missing.npy: there is no such file. Give a .npy file"),
    (["--expect-ranks", "5"], 3, "wrong launch: 5 ranks expected (--expect-ranks or SIMSPLIT_EXPECT_RANKS), but there"),
    (["--kernel", "sqrt(5 - x)", "--nan", "error"], 4, "the first is row 6"),
    (["--output", "no/folder/history.npy"], 5, "there is no folder"),
]


def expect(ended: Ended, status: int, message: str, folder: Path | None = None) -> None:
    """Check that a program ended as it should, with one message."""
    assert message in ended.err
    assert ended.status == status
    assert ended.out == ""
    assert ended.err.count("simsplit: ") == 1
    assert "Traceback" not in ended.err
    if folder is not None:
        assert not list(folder.rglob("history*"))
        assert not list(folder.rglob("*.tmp"))


@pytest.mark.parametrize(("options", "status", "message"), BAD, ids=[" ".join(options) for options, _, _ in BAD])
def test_bad_input(options: list[str], status: int, message: str, tmp_path: Path) -> None:
    expect(run(mpiexec(4, *SIMSPLIT, "run", *options), cwd=tmp_path), status, message, tmp_path)


@pytest.mark.parametrize(
    ("first", "second", "status", "message"),
    [
        ("--steps 3", "--steps 4", 2, "the options on rank 1 are not those of rank 0"),
        ("--steps 3", "--steps x", 2, "must be an integer of 0 or more, not 'x'"),
        ("--expect-ranks 3", "", 3, "3 ranks expected"),
        ("", "--expect-ranks 3", 3, "3 ranks expected"),
        ("--serial", "", 3, "--serial is for one"),
        ("", "--serial", 3, "--serial is for one"),
    ],
)
def test_ranks_that_are_given_different_options_end_together(
    first: str, second: str, status: int, message: str
) -> None:
    command = mpiexec(1, *SIMSPLIT, "run", *first.split())
    expect(run([*command, ":", *mpiexec(1, *SIMSPLIT, "run", *second.split())[1:]]), status, message)


def test_a_kernel_that_fails_is_reported_once_with_the_users_code() -> None:
    ended = run(mpiexec(4, PROGRAMS / "broken_kernel.py", "divide"))
    assert ended.status == 4
    assert ended.err.count("simsplit: ") == 1
    assert "simsplit: the kernel Broken failed on rank 2 of 4 (host " in ended.err
    assert "at step 3, t = 3.0, rows 4–5:" in ended.err
    assert "    print(births / deaths)" in ended.err
    assert "ZeroDivisionError: division by zero" in ended.err
    assert "stepping.py" not in ended.err
    assert "\nAll ranks stopped.\n" in ended.err


def test_a_kernel_that_exits_is_a_kernel_that_failed() -> None:
    ended = run(mpiexec(3, PROGRAMS / "broken_kernel.py", "exit"))
    assert ended.status == 4
    assert "SystemExit: 7" in ended.err


def test_an_error_can_be_caught_and_the_ranks_go_on() -> None:
    ended = run(mpiexec(4, PROGRAMS / "broken_kernel.py", "divide", "caught"))
    assert (ended.status, ended.err) == (0, "")
    line = "rank 2 failed; then identical: 6 of 6 steps, 48 of 48 values, bit for bit"
    assert ended.out.count(line) == 4


@pytest.mark.parametrize(
    ("how", "status", "message"),
    [
        ("raise", 1, "LookupError: nobody foresaw this"),
        ("exit", 7, ""),
        ("error", 2, "simsplit: wrong on rank 1 alone"),
        ("pipe", 1, ""),
        ("full", 5, "simsplit: the disk is full"),
        ("mute", 5, ""),
        ("careless", 2, "simsplit: no init"),
        ("kill", None, ""),
    ],
)
def test_a_rank_that_dies_between_agreements_takes_the_job_with_it(how: str, status: int | None, message: str) -> None:
    ended = run(mpiexec(3, PROGRAMS / "dies.py", how))
    assert message in ended.err
    assert ended.status == status or (status is None and ended.status != 0)


def test_a_run_that_is_killed_leaves_no_file_under_the_name_of_its_output(tmp_path: Path) -> None:
    (tmp_path / "old.npy").write_text("still here")
    for name in ("new.npy", "old.npy"):
        ended = run(mpiexec(2, PROGRAMS / "killed_while_writing.py", "run", "--quiet", "--output", tmp_path / name))
        assert ended.status != 0
    assert not (tmp_path / "new.npy").exists()
    assert (tmp_path / "old.npy").read_text() == "still here"


def until_ready(file: Path) -> None:
    """Wait until a program has come to its kernel."""
    for _ in range(10 * LIMIT):
        if file.exists():
            return
        time.sleep(0.1)
    raise AssertionError("the program did not come to its kernel")


@pytest.mark.parametrize("group", [False, True], ids=["mpiexec", "all processes"])
def test_an_interrupt_ends_all_ranks_quietly(group: bool, tmp_path: Path) -> None:
    process = start(mpiexec(4, PROGRAMS / "broken_kernel.py", "slow", tmp_path / "ready"))
    until_ready(tmp_path / "ready")
    (os.killpg if group else os.kill)(process.pid, signal.SIGINT)
    ended = finish(process)
    assert ended.status != 0
    assert "Traceback" not in ended.err
    assert "simsplit" not in ended.err
    assert "Abort" not in ended.err


def test_an_interrupt_of_one_process_is_130(tmp_path: Path) -> None:
    process = start([*mpiexec(1, PROGRAMS / "broken_kernel.py", "slow", tmp_path / "ready")[3:]])
    until_ready(tmp_path / "ready")
    process.send_signal(signal.SIGINT)
    ended = finish(process)
    assert (ended.status, ended.out, ended.err) == (130, "", "")


def test_an_interrupt_of_the_users_own_code_ends_it(tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(
        "import time, simsplit\n"
        "def main():\n"
        "    open('ready', 'w').close()\n"
        "    time.sleep(3600)\n"
        "simsplit.script(main)\n"
    )
    process = start([str(BIN / "python"), str(program)], cwd=tmp_path)
    until_ready(tmp_path / "ready")
    process.send_signal(signal.SIGINT)
    assert finish(process).status == 130


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_rank_that_waits_in_the_start_of_mpi_can_be_ended(number: signal.Signals) -> None:
    process = start([*mpiexec(1, *SIMSPLIT, "run"), ":", "-n", "1", "sleep", "3600"])

    def rank() -> int | None:
        """Return the process of the rank, once it has loaded the MPI library."""
        for pid in killing.descendants(process.pid):
            mapped = Path(f"/proc/{pid}/maps")
            if (
                b"-m\0simsplit" in killing.command_of(pid)
                and not killing.descendants(pid)
                and "libmpi" in mapped.read_text()
            ):
                return pid
        return None

    end = time.monotonic() + 20
    while (found := rank()) is None:
        assert process.poll() is None
        assert time.monotonic() < end
        time.sleep(0.05)
    os.kill(found, number)
    ended = finish(process, 20)
    assert ended.status != 0
    assert "Traceback" not in ended.err


@pytest.mark.parametrize("text", ["--help", "--version"])
def test_help_for_one_rank_does_not_leave_the_others_waiting(text: str) -> None:
    ended = run([*mpiexec(1, *SIMSPLIT, "run", "--quiet"), ":", *mpiexec(1, *SIMSPLIT, text)[1:]])
    assert ended.status == 2
    assert "the options on rank 1 are not those of rank 0" in ended.err


@pytest.mark.parametrize(("closed", "status"), [(">&-", 0), ("2>&-", 0), (">/dev/full", 0)])
def test_a_stream_that_is_closed_or_full_changes_no_verdict(closed: str, status: int) -> None:
    command = f"{BIN / 'python'} -m simsplit run --quiet {closed}"
    assert run(["bash", "-c", command]).status == status
    assert run(["bash", "-c", f"{BIN / 'python'} -m simsplit run --steps x {closed}"]).status == 2


def test_a_module_that_differs_on_one_rank_is_refused(tmp_path: Path) -> None:
    for rank in (0, 1):
        (tmp_path / str(rank)).mkdir()
        (tmp_path / str(rank) / "mymodel.py").write_text(f"def double(x):\n    return x * 2 + {rank} * 0\n")
    program = tmp_path / "program.py"
    program.write_text(
        "import numpy, simsplit\n"
        "from mpi4py import MPI\n"
        "def main():\n"
        "    folder = f'{__file__[:-10]}{int(MPI.COMM_WORLD.rank == 2)}'\n"
        "    kernel = simsplit.kernels.load('mymodel:double', folder=folder)\n"
        "    simsplit.run(simsplit.Problem(numpy.arange(7.0), kernel, delta_t=1, steps=2))\n"
        "simsplit.script(main)\n"
    )
    ended = run(mpiexec(4, program))
    assert ended.status == 2
    assert "the problem is not the same on all ranks: source of the kernel on rank 2 differ from rank 0" in ended.err
