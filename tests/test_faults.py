"""Every call of the commit path fails in turn: nothing that was written is lost, nothing damaged is accepted."""

from __future__ import annotations

import errno
import os
import shutil
import signal
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from simsplit.cli import main
from simsplit.history.stored_array import stored_array
from simsplit.util import durable as disk
from tests.support.children import Children

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.slow

STEPS = 12
OPTIONS = ["--kernel", "x + t", "--kind", "step", "--size", "10", "--steps", str(STEPS), "--quiet", "--serial"]
CALLS = {"create": 4, "write": 6, "fsync": 7, "rename": 5, "fsync_dir": 6}  # how often at least, in a run


def fail(call: str, number: int, what: str) -> None:
    """Let a call fail: with an error of the system, or by a SIGKILL before or after it is done."""
    real = getattr(disk, call)
    calls = 0

    def failing(*given: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == number:
            if what == "before":
                os.kill(os.getpid(), signal.SIGKILL)
            if what == "after":
                real(*given)
                os.kill(os.getpid(), signal.SIGKILL)
            code = getattr(errno, what)
            raise OSError(code, os.strerror(code))
        return real(*given)

    setattr(disk, call, failing)


def expected(rows: int) -> list[Any]:
    """Return the history of that problem."""
    steps = [np.arange(float(rows))]
    for k in range(STEPS - 1):
        steps.append(steps[-1] + 0.5 * k)
    return steps


def checkpoints(folder: Path) -> list[int]:
    return sorted(int(path.name[5:20]) for path in folder.glob("checkpoints/step-*"))


def load() -> None:
    """Load once what each of a thousand children would load for itself."""
    with tempfile.TemporaryDirectory() as name:
        for form in ("npy", "zarr", "h5"):
            folder = Path(name, form)
            folder.mkdir()
            run = ["run", *OPTIONS, "--format", form, "--checkpoint-every", "5steps", "-o", str(folder / "run")]
            assert main(run) == 0
            assert main(["run", *OPTIONS, "-o", str(folder / f"history.{form}")]) == 0
            assert resume(folder / "run") == 0


def resume(folder: Path) -> int:
    return main(["resume", str(folder), "--serial", "--quiet"])


def disturbed(call: str, number: int, what: str, words: list[str]) -> None:
    """Run while a call fails."""
    fail(call, number, what)
    main(words)


@pytest.fixture(scope="module")
def children() -> Iterator[Children]:
    with Children(load) as children:
        yield children


@pytest.fixture
def fast(tmp_path: Path) -> Iterator[Path]:
    """Return a folder on a disk that needs no time, where there is one: nothing here depends on a real one."""
    if not os.access("/dev/shm", os.W_OK):
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(dir="/dev/shm", prefix="faults-") as folder:
        yield Path(folder)


@pytest.mark.parametrize(
    ("form", "what"),
    [("npy", "EIO"), ("npy", "before"), ("npy", "after"), ("zarr", "ENOSPC")],
)
@pytest.mark.parametrize("call", CALLS)
def test_whatever_call_fails_nothing_is_lost(children: Children, fast: Path, call: str, what: str, form: str) -> None:
    for number in range(1, 80):
        folder = fast / str(number)
        run = ["run", *OPTIONS, "--format", form, "--checkpoint-every", "5steps", "-o", str(folder)]
        status, message = children.run(disturbed, call, number, what, run)
        if status == 0:
            assert number > CALLS[call]
            break
        if what in ("before", "after"):
            assert status == -signal.SIGKILL, message
        else:
            assert status == 5, message
            assert message.startswith("cannot write ")
            assert os.strerror(getattr(errno, what)) in message
            if checkpoints(folder) and call != "fsync_dir":  # after which it is there, but perhaps not to stay
                assert f"The checkpoint at step {checkpoints(folder)[-1]} is intact" in message
        if (folder / "run.json").exists() and (folder / "problem.toml").exists():
            assert children.run(resume, folder) == (0, "")
            assert history(folder) == np.array(expected(10)).tobytes()
            assert [path.name for path in folder.glob(".*")] == []
    else:
        pytest.fail("it fails for ever")
    assert history(folder) == np.array(expected(10)).tobytes()


def history(folder: Path) -> bytes:
    if (folder / "history.npy").exists():
        return np.load(folder / "history.npy").tobytes()
    import zarr

    return zarr.open_array(str(folder / "history.zarr" / "history"), mode="r")[...].tobytes()


@pytest.mark.parametrize("what", ["ENOSPC", "after"])
@pytest.mark.parametrize("suffix", [".npy", ".h5"])
@pytest.mark.parametrize("call", CALLS)
def test_a_file_is_the_old_one_or_the_new_one_whatever_call_fails(
    children: Children, fast: Path, call: str, suffix: str, what: str
) -> None:
    old, path = fast / f"old{suffix}", fast / f"h{suffix}"
    main(["run", *OPTIONS, "-o", str(old)])
    for number in range(1, 20):
        shutil.copy(old, path)
        run = ["run", *OPTIONS, "--size", "11", "-o", str(path)]
        status, message = children.run(disturbed, call, number, what, run)
        found = stored_array(path)
        assert found is not None
        rows = found.shape[1]
        assert found.block(slice(0, STEPS), slice(0, rows)).tobytes() == np.array(expected(rows)).tobytes()
        left = list(fast.glob(".*"))
        if status == 0:
            assert (rows, left) == (11, [])
            assert number > 1 or (call, suffix) == ("create", ".h5")  # which the library of HDF5 creates
            return
        assert rows == 10 or call in ("rename", "fsync_dir")
        if what == "ENOSPC":
            assert (status, left) == (5, [])
            assert message.startswith(f"cannot write the output {path}: No space left on device. ")
        else:
            assert status == -signal.SIGKILL
            for entry in left:
                entry.unlink()
    pytest.fail("it fails for ever")
