"""Runs in a run directory from Python: begun, stopped, resumed, in one process."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import simsplit
from simsplit import InputError, Problem, StoppedError
from simsplit.cli import main
from simsplit.kernels import Kernel, affine, expression, function
from simsplit.rundir.digest import digest_of_file, digest_of_npy

if TYPE_CHECKING:
    from pathlib import Path

    from simsplit.runs.observers import Step

ROWS = np.linspace(-1.0, 2.0, 7)


def half(x: Any, t: Any) -> Any:
    """Return half of it, and the time."""
    return x * 0.5 + t


def scaled(rate: Any) -> Any:
    return lambda x, t: x * rate + t


class Own(Kernel):
    """Adds the time."""

    kind = "step"

    def __init__(self, extra: float, **parameters: Any) -> None:
        super().__init__(**parameters)
        self.extra = extra

    def evaluate(self, x: Any, block: Any, out: Any) -> None:
        """Add it."""
        np.add(x * block["rate"], block.t + self.extra, out=out)


def made(kernel: Any = None, **changes: Any) -> Problem:
    kernel = affine(offset=ROWS) if kernel is None else kernel
    return Problem(**{"initial": ROWS, "kernel": kernel, "delta_t": 0.25, "steps": 6, "reduce": "mean"} | changes)


def stop(step: Step) -> None:
    if step.k == 2:
        step.stop()


def begin(folder: Path, problem: Problem, **options: Any) -> None:
    with pytest.raises(StoppedError, match=r"after 3 of 6 steps.*simsplit resume"):
        simsplit.run(problem, serial=True, output=folder, watch=stop, **options)


def check(folder: Path, problem: Problem) -> None:
    whole = simsplit.run(problem, serial=True)
    assert whole.history is not None
    assert np.load(folder / "history.npy").tobytes() == whole.history.tobytes()
    assert np.load(folder / "reductions" / "mean.npy").tobytes() == whole.reductions["mean"].tobytes()


NAMED = [
    affine(offset=ROWS),
    expression("x * c + t", kind="step", c=0.5),
    expression("x * c + t", kind="step", c=ROWS),
    function(half),
]


@pytest.mark.parametrize("kernel", NAMED)
@pytest.mark.parametrize("by", ["python", "command", "problem"])
def test_a_run_is_resumed_with_the_same_bits(tmp_path: Path, kernel: Any, by: str) -> None:
    problem, folder = made(kernel), tmp_path / "a"
    begin(folder, problem)
    if by == "command":
        main(["resume", str(folder), "--serial", "--quiet"])
    else:
        result = simsplit.resume(folder, serial=True, problem=problem if by == "problem" else None)
        assert result is not None
        assert result.note == "resumed at step 3"
    check(folder, problem)
    assert simsplit.resume(folder, serial=True) is None


@pytest.mark.parametrize("kernel", NAMED)
def test_the_folder_describes_the_problem(tmp_path: Path, kernel: Any) -> None:
    problem, folder = made(kernel), tmp_path / "a"
    simsplit.run(problem, serial=True, output=folder, block_size=4096)
    assert "block_size = 4096" in (folder / "problem.toml").read_text()
    main(["run", str(folder / "problem.toml"), "--serial", "--quiet", "-o", str(tmp_path / "b")])
    check(tmp_path / "b", problem)
    assert (folder / "arrays" / "initial.npy").is_file()
    digests = json.loads((folder / "run.json").read_text())["problem"]["digests"]
    assert "input" in digests
    (folder / "arrays" / "initial.npy").write_bytes(b"")
    with pytest.raises(InputError, match="cannot read the input"):
        main(["run", str(folder / "problem.toml"), "--serial", "--quiet", "-o", str(tmp_path / "c")])


@pytest.mark.parametrize("array", [ROWS, ROWS.astype(">f4").reshape(1, 7), np.zeros((0, 2)), np.ones((9, 9)).T[::2]])
def test_the_digest_of_an_array_is_that_of_its_file(tmp_path: Path, array: Any) -> None:
    from simsplit.communicator.serial import SerialCommunicator
    from simsplit.history.formats.npy import NpyOutput

    NpyOutput(tmp_path / "a.npy", array.nbytes).write(np.ascontiguousarray(array))
    for chunk in (50, 2**20):
        file = digest_of_file(SerialCommunicator(), str(tmp_path / "a.npy"), chunk=chunk)
        assert digest_of_npy(array, chunk=chunk) == file


@pytest.mark.parametrize("make", [lambda: scaled(0.5), lambda: Own(1.0, rate=0.5), lambda: Own(1.0, rate=ROWS)])
def test_a_kernel_of_the_program_is_given_again(tmp_path: Path, make: Any) -> None:
    problem, folder = made(make()), tmp_path / "a"
    begin(folder, problem)
    assert "x * rate" in (folder / "kernel.py.txt").read_text() or "np.add" in (folder / "kernel.py.txt").read_text()
    assert "must be given again" in (folder / "problem.toml").read_text()
    with pytest.raises(InputError, match=r"needs its problem again: .* (lambda|class Own).*problem=problem"):
        simsplit.resume(folder, serial=True)
    with pytest.raises(InputError, match="needs its problem again"):
        main(["resume", str(folder), "--serial"])
    with pytest.raises(InputError, match="program's own"):
        main(["run", str(folder / "problem.toml"), "--serial"])
    assert simsplit.resume(folder, serial=True, problem=made(make())) is not None
    check(folder, problem)


@pytest.mark.parametrize(
    ("other", "named"),
    [
        (lambda: made(scaled(0.25)), "the source of the kernel"),
        (lambda: made(lambda x, t: x * 0.5 + t), "the source of the kernel"),
        (lambda: made(scaled(0.5), initial=ROWS + 1), "the file of input"),
        (lambda: made(scaled(0.5), seed=1), "the problem that is given"),
    ],
)
def test_another_problem_is_refused_unless_changes_are_accepted(tmp_path: Path, other: Any, named: str) -> None:
    folder = tmp_path / "a"
    begin(folder, made(scaled(0.5)))
    with pytest.raises(InputError, match=f"changed since the run began: {named}"):
        simsplit.resume(folder, serial=True, problem=other())
    assert simsplit.resume(folder, serial=True, problem=other(), accept_changes=True) is not None


def test_a_changed_file_is_refused(tmp_path: Path) -> None:
    begin(tmp_path / "a", made())
    np.save(tmp_path / "a" / "arrays" / "offset.npy", ROWS + 1)
    with pytest.raises(InputError, match="changed since the run began: the file of parameter offset"):
        simsplit.resume(tmp_path / "a", serial=True)


def test_a_loaded_problem_is_described_as_the_command_line_does(tmp_path: Path) -> None:
    np.save(tmp_path / "start.npy", ROWS)
    (tmp_path / "p.toml").write_text('input = "start.npy"\nsteps = 6\nunit = "m"\nnan = "error"\n')
    main(["run", str(tmp_path / "p.toml"), "--serial", "--quiet", "-o", str(tmp_path / "a")])
    simsplit.run(simsplit.load(tmp_path / "p.toml"), serial=True, output=tmp_path / "b")
    one, other = ((tmp_path / name / "problem.toml").read_text() for name in "ab")
    assert one == other
    records = [json.loads((tmp_path / name / "run.json").read_text())["problem"] for name in "ab"]
    assert records[0] == records[1]


def test_what_is_no_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is not a run directory"):
        simsplit.resume(tmp_path, serial=True)
    with pytest.raises(InputError, match="watch must be a function"):
        simsplit.resume(tmp_path, serial=True, watch=3)  # type: ignore[arg-type]
